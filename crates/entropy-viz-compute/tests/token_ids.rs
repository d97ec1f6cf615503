//! Prompts and responses as token ids: no tokenizer is needed.

use std::fs;
use std::path::Path;

use crate::compute::{assert_rejected, compute_ok, copy, lines, model, read, temp_dir, text};
use serde_json::json;

/// A model without the files of its tokenizer.
fn without_tokenizer(tmp: &Path) -> std::path::PathBuf {
    let bare = tmp.join("bare");
    copy(&model("qwen3"), &bare);
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::remove_file(bare.join(file)).unwrap();
    }
    bare
}

#[test]
fn rows_of_token_ids_need_no_tokenizer() {
    let tmp = temp_dir();
    let bare = without_tokenizer(tmp.path());
    let rows = [
        json!({"prompt_token_ids": [5, 6, 7], "response_token_ids": [8, 9]}),
        json!({"prompt_token_ids": [5, 6], "prompt": "not used"}),
    ];
    fs::write(tmp.path().join("p.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    let whole = model("qwen3");
    for (name, path) in [("whole", &whole), ("bare", &bare)] {
        let (history, tokens) = (format!("{name}.json"), format!("{name}.jsonl"));
        let arguments = ["--model", text(path), "--prompts", "p.jsonl", "--step", "1", "--greedy"];
        let outputs = ["--max-new-tokens", "30", "-o", &history, "--tokens-out", &tokens];
        compute_ok(tmp.path(), &[&arguments[..], &outputs].concat());
    }
    let row = |name: &str| read(&tmp.path().join(format!("{name}.json")))[0].clone();
    for key in ["entropy", "entropy_std", "log_prob_mean", "tokens", "sequences"] {
        assert_eq!(row("bare")[key], row("whole")[key], "{key}");
    }
    let tokens = |name: &str| lines(&tmp.path().join(format!("{name}.jsonl")));
    for (bare, whole) in tokens("bare").iter().zip(tokens("whole")) {
        for key in ["response_token_ids", "entropies", "log_probs", "finish_reason"] {
            assert_eq!(bare[key], whole[key], "{key}");
        }
    }
}

#[test]
fn end_token_of_the_configuration_ends_a_response_without_a_tokenizer() {
    let tmp = temp_dir();
    let bare = without_tokenizer(tmp.path());
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt_token_ids": [5, 6]}).to_string()).unwrap();
    let arguments = ["--model", text(&bare), "--prompts", "p.jsonl", "--step", "1", "--greedy"];
    let outputs =
        ["--max-new-tokens", "9", "-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
    compute_ok(tmp.path(), &[&arguments[..], &outputs].concat());
    let first = lines(&tmp.path().join("t.jsonl"))[0].clone();
    let second_token = first["response_token_ids"][1].clone();
    let end = json!({ "eos_token_id": [second_token] }).to_string();
    fs::write(bare.join("generation_config.json"), end).unwrap();
    compute_ok(tmp.path(), &[&arguments[..], &outputs].concat());
    let stopped = lines(&tmp.path().join("t.jsonl"))[0].clone();
    assert_eq!(stopped["finish_reason"], "stop");
    assert!(stopped["response_token_ids"].as_array().unwrap().len() <= 2);
}

#[test]
fn rows_of_text_without_a_tokenizer_say_what_to_give() {
    let tmp = temp_dir();
    let bare = without_tokenizer(tmp.path());
    for row in [
        json!({"prompt": "text"}),
        json!({"prompt_token_ids": [5], "response": "text"}),
        json!({"messages": [{"role": "user", "content": "text"}]}),
    ] {
        fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
        let arguments = ["--model", text(&bare), "--prompts", "p.jsonl", "-o", "h.json"];
        let words = ["has no tokenizer.json", "--tokenizer", "prompt_token_ids"];
        assert_rejected(tmp.path(), &arguments, &words);
    }
}

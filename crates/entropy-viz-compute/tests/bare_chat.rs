//! Dumps of verl, whose texts have no special tokens: the token ids and entropies are those that the rollouts had, by
//! transformers (tests/compute/make_bare_chat.py).

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, compute_ok, copy, lines, lines_without_settings, max_difference, model,
    numbers, read, temp_dir, text,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A checkpoint with the tokenizer and the template of a family.
fn checkpoint(tmp: &TempDir, family: &str) -> PathBuf {
    let path = tmp.path().join(family);
    copy(&model("qwen2"), &path);
    copy(&fixture("bare_chat").join(family), &path);
    path
}

/// Scores a prompt file; `h.json` and `t.jsonl` have the numbers. Returns stderr.
fn score(tmp: &TempDir, model: &Path, prompts: &Path, flags: &[&str]) -> String {
    let arguments = ["--model", text(model), "--prompts", text(prompts), "--step", "1"];
    let outputs = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
    stderr(&compute_ok(tmp.path(), &[&arguments[..], &outputs, flags].concat()))
}

fn write(tmp: &TempDir, rows: &[Value]) -> PathBuf {
    let path = tmp.path().join("rows.jsonl");
    fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    path
}

/// The template's variables that a family needs.
fn flags(family: &str) -> &'static [&'static str] {
    match family {
        "llama3" => &["--template-arg", "date_string=26 Jul 2024"],
        _ => &[],
    }
}

#[test]
fn ids_and_entropies_are_those_before_special_tokens_were_dropped() {
    for (family, message) in [
        (
            "qwen2.5",
            "12 of 16 chats rebuilt from text without special tokens; 4 with messages of tools in the response; end token \
             restored in 10, unknown and left off in 2; 4 left out (2 can be read in several ways, 2 role lines in the \
             response)",
        ),
        (
            "qwen3",
            "9 of 12 chats rebuilt from text without special tokens; end token restored in 7, unknown and left off in 2; 3 \
             left out (1 can be read in several ways, 2 role lines in the response)",
        ),
        (
            "llama3",
            "8 of 8 chats rebuilt from text without special tokens; end token restored in 6, unknown and left off in 2",
        ),
        (
            "gemma",
            "6 of 6 chats rebuilt from text without special tokens; end token restored in 4, unknown and left off in 2",
        ),
        (
            "mistral",
            "6 of 6 chats rebuilt from text without special tokens; end token restored in 4, unknown and left off in 2",
        ),
    ] {
        let tmp = temp_dir();
        let model = checkpoint(&tmp, family);
        let files = fixture("bare_chat").join(family);
        let said = score(&tmp, &model, &files.join("rows.jsonl"), flags(family));
        assert!(said.contains(message), "{family}: {said}");
        let expected = read(&files.join("expected.json"));
        let rows = lines(&tmp.path().join("t.jsonl"));
        let theirs = expected["rows"].as_array().unwrap();
        let names = |rows: &[Value]| -> Vec<String> {
            rows.iter().map(|row| format!("{} {}", row["id"], row["turn"])).collect()
        };
        assert_eq!(names(&rows), names(theirs), "{family}");
        for (ours, theirs) in rows.iter().zip(theirs) {
            let id = &ours["id"];
            for key in ["prompt_token_ids", "response_token_ids"] {
                assert_eq!(ours[key], theirs[key], "{family}, {id}: {key}");
            }
            for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
                let off = max_difference(&numbers(&ours[key]), &numbers(&theirs[their_key]));
                assert!(off < 2e-5, "{family}, {id}: {key} is off by {off:e}");
            }
        }
        let row = &read(&tmp.path().join("h.json"))[0];
        let off =
            (row["entropy"].as_f64().unwrap() - expected["token_mean"].as_f64().unwrap()).abs();
        assert!(off < 2e-5, "{family}: the mean is off by {off:e}");
        assert_eq!(row["tokens"], expected["n_tokens"], "{family}");
    }
}

#[test]
fn template_without_visible_marks_is_an_error_with_ways_out() {
    let tmp = temp_dir();
    let model = checkpoint(&tmp, "phi3");
    let rows = fixture("bare_chat/phi3/rows.jsonl");
    let arguments = ["--model", text(&model), "--prompts", text(&rows), "-o", "h.json"];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["no text is left between messages", "--chat-template always", "dump token ids"],
    );
    // The user may say that the texts are plain.
    let said = score(&tmp, &model, &rows, &["--chat-template", "never"]);
    assert!(!said.contains("rebuilt"), "{said}");
    assert_eq!(lines(&tmp.path().join("t.jsonl")).len(), 7); // one response is empty
}

#[test]
fn reason_for_the_end_in_a_row_decides_about_the_end_token() {
    let tmp = temp_dir();
    let model = checkpoint(&tmp, "qwen3");
    let row =
        |output: &str| json!({"input": "user\nWhat is 3 + 4?\nassistant\n", "output": output});
    let with = |key: &str, value: Value| {
        let mut row = row("7");
        row[key] = value;
        row
    };
    let rows = [
        row("7"),
        with("finish_reason", json!("stop")),
        with("finish_reason", json!("length")),
        with("response_length", json!(2)),
        with("response_length", json!(1)),
    ];
    let prompts = write(&tmp, &rows);
    let said = score(&tmp, &model, &prompts, &[]);
    assert!(said.contains("end token restored in 2, unknown and left off in 1"), "{said}");
    let lengths: Vec<usize> = lines(&tmp.path().join("t.jsonl"))
        .iter()
        .map(|row| row["response_token_ids"].as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [1, 2, 1, 2, 1]);
}

#[test]
fn other_texts_stay_as_they_are() {
    let tmp = temp_dir();
    let model = checkpoint(&tmp, "qwen3");
    let chat = "user\nWhat is 3 + 4?\nassistant\n";
    let texts = [
        "What is 3 + 4?",
        "user\nWhat is 3 + 4?",
        "Write a dialogue.\nuser\na\nassistant\n",
        "<|im_start|>user\nWhat is 3 + 4?<|im_end|>\n<|im_start|>assistant\n",
    ];
    let rows: Vec<Value> =
        texts.iter().map(|text| json!({"prompt": text, "response": "7"})).collect();
    let prompts = write(&tmp, &rows);
    let said = score(&tmp, &model, &prompts, &[]);
    assert!(!said.contains("rebuilt"), "{said}");
    let plain = lines_without_settings(&tmp.path().join("t.jsonl"));
    score(&tmp, &model, &prompts, &["--chat-template", "never"]);
    assert_eq!(lines_without_settings(&tmp.path().join("t.jsonl")), plain);

    // The text of a chat is rebuilt under every key, and also where a response is to be sampled.
    let expected = read(&fixture("bare_chat/qwen3/expected.json"))["rows"][0].clone();
    for row in [json!({"prompt": chat, "response": "7"}), json!({"prompt": chat})] {
        let prompts = write(&tmp, &[row]);
        let said = score(&tmp, &model, &prompts, &["--max-new-tokens", "2"]);
        assert!(said.contains("1 of 1 chat rebuilt"), "{said}");
        let rows = lines(&tmp.path().join("t.jsonl"));
        assert_eq!(rows[0]["prompt_token_ids"], expected["prompt_token_ids"]);
    }
}

#[test]
fn variables_of_the_template_are_those_of_the_dump() {
    let tmp = temp_dir();
    let model = checkpoint(&tmp, "qwen3");
    let text = "user\nWhat is 3 + 4?\nassistant\n<think>\n\n</think>\n\n";
    let prompts = write(&tmp, &[json!({"input": text, "output": "7"})]);
    let arguments =
        ["--model", crate::compute::text(&model), "--prompts", "rows.jsonl", "-o", "h.json"];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["not as the chat template writes it", "enable_thinking=false"],
    );
    score(&tmp, &model, &prompts, &["--template-arg", "enable_thinking=false"]);
    let tokens =
        lines(&tmp.path().join("t.jsonl"))[0]["prompt_token_ids"].as_array().unwrap().len();
    score(&tmp, &model, &prompts, &["--chat-template", "never"]);
    let plain = lines(&tmp.path().join("t.jsonl"))[0]["prompt_token_ids"].as_array().unwrap().len();
    assert_eq!(tokens, plain + 3, "three special tokens are missing in the text");
}

#[test]
fn rebuilt_rows_are_not_mixed_with_those_of_earlier_versions() {
    let tmp = temp_dir();
    let model = checkpoint(&tmp, "qwen3");
    // Without a template, the texts are used as they are: so did earlier versions with every template.
    let bare = tmp.path().join("bare");
    copy(&model, &bare);
    fs::remove_file(bare.join("chat_template.jinja")).unwrap();
    let digests = |input: &str| {
        let prompts = write(&tmp, &[json!({"input": input, "output": "7"})]);
        [&model, &bare].map(|model| {
            score(&tmp, model, &prompts, &[]);
            let settings = read(&tmp.path().join("h.json"))[0]["settings"].clone();
            let (inputs, _) = settings.as_str().unwrap().split_once('-').unwrap();
            inputs.to_owned()
        })
    };
    let [rebuilt, plain] = digests("user\nWhat is 3 + 4?\nassistant\n");
    assert_ne!(rebuilt, plain);
    // Histories of other texts stay valid.
    let [with_template, without] = digests("What is 3 + 4?");
    assert_eq!(with_template, without);
}

#[test]
fn every_dump_of_a_directory_has_its_counts() {
    let tmp = temp_dir();
    let run = tmp.path().join("models/run");
    let dumps = tmp.path().join("dumps");
    fs::create_dir_all(&dumps).unwrap();
    for step in ["1", "2"] {
        let model = checkpoint(&tmp, "qwen3");
        copy(&model, &run.join(format!("global_step_{step}/actor/huggingface")));
        let rows = fixture("bare_chat/qwen3/rows.jsonl");
        let kept = fs::read_to_string(rows).unwrap();
        let kept: Vec<&str> = kept.lines().take(step.parse().unwrap()).collect();
        fs::write(dumps.join(format!("{step}.jsonl")), kept.join("\n")).unwrap();
    }
    let arguments = ["--model", text(&run), "--prompts", text(&dumps), "-o", "h.json"];
    let said = stderr(&compute_ok(tmp.path(), &arguments));
    assert!(said.contains("1.jsonl: 1 of 1 chat rebuilt"), "{said}");
    assert!(said.contains("2.jsonl: 2 of 2 chats rebuilt"), "{said}");
    // Nothing is computed again.
    let said = stderr(&compute_ok(tmp.path(), &arguments));
    assert!(said.contains("step 1: already in") && said.contains("step 2: already in"), "{said}");
}

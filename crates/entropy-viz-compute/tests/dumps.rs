//! Dumps of trainers: which tokens count, against transformers (tests/compute/make_masked.py).

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, compute_ok, lines, max_difference, model, numbers, read, temp_dir, text,
    tokens_of,
};
use crate::dump_directories::write_dump;
use serde_json::{Value, json};

/// Computes a prompt file with a golden checkpoint; `h.json` and `t.jsonl` have the numbers.
pub(crate) fn score_file(directory: &Path, base: &str, prompts: &Path, flags: &[&str]) {
    let model = model(base);
    let arguments = ["--model", text(&model), "--prompts", text(prompts), "--step", "1"];
    let outputs = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
    compute_ok(directory, &[&arguments[..], &outputs, flags].concat());
}

/// The values of a list that are not null.
fn known(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

#[test]
fn tokens_of_tools_do_not_count() {
    let (tmp, golden) = (temp_dir(), read(&fixture("masked/golden.json")));
    for (file, key) in [("masks.jsonl", "masks"), ("messages.jsonl", "messages")] {
        for temperature in ["1.0", "0.7"] {
            let prompts = fixture("masked").join(file);
            score_file(tmp.path(), "qwen2", &prompts, &["--temperature", temperature]);
            let expected = &golden[key][temperature];
            let row = &read(&tmp.path().join("h.json"))[0];
            for (ours, theirs) in [("entropy", "token_mean"), ("entropy_seq_mean", "sequence_mean")]
            {
                let off = (row[ours].as_f64().unwrap() - expected[theirs].as_f64().unwrap()).abs();
                assert!(off < 2e-5, "{file} at {temperature}: {ours} is off by {off:e}");
            }
            assert_eq!(row["tokens"], expected["n_tokens"], "{file}");
            let responses = lines(&tmp.path().join("t.jsonl"));
            let expected = expected["per_response"].as_array().unwrap();
            assert_eq!(responses.len(), expected.len(), "{file}");
            for (ours, theirs) in responses.iter().zip(expected) {
                assert_eq!(ours["id"], theirs["id"]);
                for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
                    let off = max_difference(&known(&ours[key]), &numbers(&theirs[their_key]));
                    assert!(off < 2e-5, "{file}, {}: {key} is off by {off:e}", ours["id"]);
                }
            }
        }
    }
}

#[test]
fn every_turn_of_a_conversation_is_a_response() {
    let tmp = temp_dir();
    score_file(tmp.path(), "qwen2", &fixture("masked/messages.jsonl"), &[]);
    let rows = lines(&tmp.path().join("t.jsonl"));
    let places: Vec<String> =
        rows.iter().map(|row| format!("{}.{}", row["id"], row["turn"])).collect();
    assert_eq!(places, ["0.0", "0.1", "1.0", "1.1", "1.2", "2.0", "3.0"]);
    let written: Vec<String> = rows[1]["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(written.concat(), "The answer is 7.<|im_end|>");
    // Cut off at the maximum length: the end token was not sampled.
    let cut = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "finish_reason": "length"});
    fs::write(tmp.path().join("cut.jsonl"), cut.to_string()).unwrap();
    score_file(tmp.path(), "qwen2", Path::new("cut.jsonl"), &[]);
    assert_eq!(lines(&tmp.path().join("t.jsonl"))[0]["tokens"], json!(["b"]));
}

#[test]
fn token_files_keep_the_mask_and_report_reads_only_own_tokens() {
    let (tmp, prompts) = (temp_dir(), fixture("masked/masks.jsonl"));
    score_file(tmp.path(), "qwen2", &prompts, &[]);
    let model = model("qwen2");
    let arguments = ["--model", text(&model), "--prompts", text(&prompts), "--step", "1"];
    let outputs = ["-o", "h.json", "--tokens-out", "t.parquet", "--overwrite"];
    compute_ok(tmp.path(), &[&arguments[..], &outputs].concat());

    let rows = lines(&tmp.path().join("t.jsonl"));
    let last = &rows[4]; // five tokens of a tool, twelve own ones, and seven of a tool
    assert_eq!(last["response_mask"], json!([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]));
    assert_eq!(last["entropies"][4], Value::Null);
    assert!(last["entropies"][5].is_f64());
    let own: usize = rows.iter().map(|row| known(&row["entropies"]).len()).sum();
    for name in ["t.jsonl", "t.parquet"] {
        let table = tokens_of(&tmp.path().join(name));
        assert_eq!(table.tokens(), own, "{name}");
        assert_eq!(table.left_out().responses(), 0, "{name}");
        let means = table.responses().iter().filter_map(|response| response.mean_entropy());
        assert_eq!(means.filter(|mean| mean.is_finite()).count(), rows.len(), "{name}");
    }
    // Scored again from the file of tokens, the numbers stay.
    let first = read(&tmp.path().join("h.json"))[0]["entropy"].clone();
    fs::rename(tmp.path().join("t.jsonl"), tmp.path().join("scored.jsonl")).unwrap();
    score_file(tmp.path(), "qwen2", Path::new("scored.jsonl"), &[]);
    assert_eq!(read(&tmp.path().join("h.json"))[0]["entropy"], first);
}

#[test]
fn mask_that_fits_nothing_is_an_error_with_both_lengths() {
    let (tmp, model) = (temp_dir(), model("qwen2"));
    let arguments = ["--model", text(&model), "--prompts", "p.jsonl", "-o", "h.json"];
    let rejected = |row: Value, words: &[&str]| {
        fs::write(
            tmp.path().join("p.jsonl"),
            format!("{{\"prompt\": \"a\", \"response\": \"b\"}}\n{row}\n"),
        )
        .unwrap();
        assert_rejected(tmp.path(), &arguments, &[words, &["p.jsonl: line 2"]].concat());
    };
    let ids = json!({"prompt_token_ids": [1, 2, 3], "response_token_ids": [4, 5], "loss_mask": [1, 1, 1]});
    rejected(ids, &["\"loss_mask\" has 3 values", "2 tokens, and 5 with its prompt"]);
    let words = json!({"prompt": "a", "response": "b c", "response_mask": [1]});
    rejected(words, &["\"response_mask\" has 1 values", "response_token_ids"]);
    let prompt = json!({"prompt": "a", "completion_mask": [1, 1]});
    rejected(prompt, &["\"completion_mask\" has 2 values, but the row has no response"]);
    let ids =
        json!({"prompt_token_ids": [1, 2], "response_token_ids": [4], "loss_mask": [1, 1, 1]});
    rejected(ids, &["\"loss_mask\" marks token 1 of the 2 tokens of the prompt"]);
    let chat =
        [json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"})];
    rejected(
        json!({"messages": chat, "loss_mask": [1]}),
        &["\"loss_mask\" has 1 values", "messages"],
    );
}

#[test]
fn response_without_own_tokens_is_left_out_and_counted() {
    let (tmp, model) = (temp_dir(), model("qwen2"));
    let row = |mask: [u8; 2]| {
        json!({"prompt_token_ids": [1], "response_token_ids": [4, 5], "loss_mask": mask})
            .to_string()
    };
    fs::write(tmp.path().join("p.jsonl"), [row([0, 0]), row([0, 1])].join("\n")).unwrap();
    let arguments = ["--model", text(&model), "--prompts", "p.jsonl", "-o", "h.json"];
    let output = compute_ok(tmp.path(), &arguments);
    assert!(stderr(&output).contains("left out 1 row with no token of the policy"));
    assert_eq!(read(&tmp.path().join("h.json"))[0]["tokens"], 1);
}

#[test]
fn turn_that_does_not_continue_the_generation_prompt_is_an_error() {
    let tmp = temp_dir();
    crate::compute::copy(&model("qwen2"), &tmp.path().join("m"));
    // Like templates that begin the reply with "<think>" and drop it from the history.
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}\
                    {% if add_generation_prompt %}[assistant]<think>{% endif %}";
    fs::write(tmp.path().join("m/chat_template.jinja"), template).unwrap();
    let arguments = ["--model", "m", "--prompts", "p.jsonl", "-o", "h.json"];
    let chat = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    fs::write(tmp.path().join("p.jsonl"), chat.to_string()).unwrap();
    assert_rejected(tmp.path(), &arguments, &["p.jsonl: line 1", "message 2", "generation prompt"]);
}

/// The responses of the golden file in the forms of trainers.
#[test]
fn dumps_of_trainers_have_the_golden_entropies() {
    let tmp = temp_dir();
    let golden = read(&model("qwen2").join("golden.json"));
    let expected = &golden["temperatures"]["1.0"];
    let given = lines(&fixture("compute/rollouts.jsonl"));
    let whole = |row: &Value| -> (Vec<Value>, Vec<Value>) {
        let ids = |key: &str| row[key].as_array().unwrap().clone();
        (ids("prompt_token_ids"), ids("response_token_ids"))
    };
    type Convert<'a> = &'a dyn Fn(&Value) -> Value;
    let convert: [(&str, Convert<'_>); 5] = [
        (
            "open-instruct",
            &|row| json!({"prompt_tokens": row["prompt_token_ids"], "response_tokens": row["response_token_ids"]}),
        ),
        (
            "SkyRL",
            &|row| json!({"prompt_token_ids": row["prompt_token_ids"], "response_ids": row["response_token_ids"], "rewards": 1.0}),
        ),
        ("slime", &|row| {
            let (prompt, response) = whole(row);
            let mask = vec![1; response.len()];
            json!({"prompt": "?", "response": "?", "response_length": mask.len(), "loss_mask": mask, "tokens": ([prompt, response].concat())})
        }),
        ("NeMo-RL", &|row| {
            let (prompt, response) = whole(row);
            let mask = [vec![0.0; prompt.len()], vec![1.0; response.len()], vec![0.0; 9]].concat();
            let ids = [prompt, response, vec![json!(0); 9]].concat();
            json!({"content": ["?"], "input_lengths": [ids.len() - 9], "token_ids": [ids], "token_loss_mask": [mask]})
        }),
        ("prime-rl", &|row| {
            let (prompt, response) = whole(row);
            let mask = [vec![false; prompt.len()], vec![true; response.len()]].concat();
            json!({"step": 3, "token_ids": ([prompt, response].concat()), "loss_mask": mask})
        }),
    ];
    for (trainer, convert) in convert {
        let rows: Vec<String> = given.iter().map(|row| convert(row).to_string()).collect();
        fs::write(tmp.path().join("p.jsonl"), rows.join("\n")).unwrap();
        score_file(tmp.path(), "qwen2", Path::new("p.jsonl"), &[]);
        let row = &read(&tmp.path().join("h.json"))[0];
        assert_eq!(row["tokens"], expected["n_tokens"], "{trainer}");
        let off = row["entropy"].as_f64().unwrap() - expected["token_mean"].as_f64().unwrap();
        assert!(off.abs() < 2e-5, "{trainer} is off by {off:e}");
    }
}

#[test]
fn segments_of_areal_have_the_entropies_of_the_conversation() {
    let tmp = temp_dir();
    let part = |role: &str, text: &str| json!({"role": role, "text": text});
    let prompt = "<|im_start|>user\nWhat is 3 + 4?<|im_end|>\n<|im_start|>assistant\n";
    let tool = "\n<|im_start|>tool\nThe tool says 7.<|im_end|>\n<|im_start|>assistant\n";
    let row = json!({"prompt": prompt, "completion": "?", "segments": [
        part("prompt", prompt), part("gen", "Let me ask the tool.<|im_end|>"), part("context", tool),
        part("gen", "The answer is 7.<|im_end|>"),
    ]});
    fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
    score_file(tmp.path(), "qwen2", Path::new("p.jsonl"), &[]);
    let ours = known(&lines(&tmp.path().join("t.jsonl"))[0]["entropies"]);
    let golden = read(&fixture("masked/golden.json"));
    let turns = golden["messages"]["1.0"]["per_response"].as_array().unwrap();
    let expected = [numbers(&turns[0]["entropy"]), numbers(&turns[1]["entropy"])].concat();
    assert!(max_difference(&ours, &expected) < 2e-5);
}

#[test]
fn start_token_in_the_text_of_a_prompt_is_not_doubled() {
    let (tmp, start) = (temp_dir(), "<|endoftext|>");
    let rows = [
        json!({"prompt": "a", "response": "b"}),
        json!({"prompt": format!("{start}a"), "response": "b"}),
    ];
    fs::write(tmp.path().join("p.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    score_file(tmp.path(), "llama-plain", Path::new("p.jsonl"), &[]);
    let rows = lines(&tmp.path().join("t.jsonl"));
    assert_eq!(rows[0]["prompt_token_ids"], rows[1]["prompt_token_ids"]);
    assert_eq!(rows[0]["prompt_token_ids"].as_array().unwrap().len(), 2);
}

#[test]
fn compressed_dumps_are_read_as_the_files_in_them() {
    let (tmp, model) = (temp_dir(), model("qwen2"));
    let path = |name: &str| tmp.path().join(name);
    write_dump(&path("a.jsonl"), 3);
    let text_of_dump = fs::read(path("a.jsonl")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text_of_dump).unwrap();
    let gzip = gzip.finish().unwrap();
    fs::write(path("a.jsonl.gz"), &gzip).unwrap();
    fs::write(path("a.jsonl.zst"), zstd::encode_all(&text_of_dump[..], 1).unwrap()).unwrap();
    let prompts = fs::read(fixture("compute/prompts/verl-snappy.parquet")).unwrap();
    fs::write(path("p.parquet.zst"), zstd::encode_all(&prompts[..], 1).unwrap()).unwrap();
    let entropy = |name: &str| {
        score_file(tmp.path(), "qwen2", Path::new(name), &["--max-new-tokens", "2"]);
        read(&path("h.json"))[0]["entropy"].as_f64().unwrap()
    };
    let plain = entropy("a.jsonl");
    assert_eq!([entropy("a.jsonl.gz"), entropy("a.jsonl.zst")], [plain, plain]);
    entropy("p.parquet.zst");
    assert_eq!(lines(&path("t.jsonl")).len(), 5);

    fs::write(path("cut.jsonl.gz"), &gzip[..gzip.len() / 2]).unwrap();
    let arguments = ["--model", text(&model), "--prompts", "cut.jsonl.gz", "-o", "n.json"];
    assert_rejected(tmp.path(), &arguments, &["cannot read cut.jsonl.gz", "not complete"]);
}

#[test]
fn columns_of_a_dump_are_repeated_in_the_file_of_tokens() {
    let (tmp, model) = (temp_dir(), model("qwen2"));
    let row = json!({
        "token_ids": [[5, 6, 7, 8, 9, 0]], "input_lengths": [5], "token_loss_mask": [[0, 0, 1, 0, 1, 0]], "rewards": [0.5],
        "generation_logprobs": [[0, 0, -0.25, 0, -0.5, 0]], "env_name": ["math"], "content": ["?"],
    });
    let sampled = json!({"prompt": "a", "score": 1.0, "data_source": "gsm8k"});
    fs::write(tmp.path().join("p.jsonl"), format!("{row}\n{sampled}\n")).unwrap();
    score_file(tmp.path(), "qwen2", Path::new("p.jsonl"), &["--max-new-tokens", "2"]);
    let rows = lines(&tmp.path().join("t.jsonl"));
    let scored = json!({
        "input_lengths": 5, "rewards": 0.5, "generation_logprobs": [-0.25, 0, -0.5], "env_name": "math",
    });
    assert_eq!(rows[0]["dump"], scored);
    assert_eq!(rows[1]["dump"], json!({"data_source": "gsm8k"}), "a new response has no score");

    // Parquet has them as JSON text, and may be scored again with them.
    let arguments = ["--model", text(&model), "--step", "1", "-o", "h.json", "--overwrite"];
    let parquet = ["--prompts", "p.jsonl", "--max-new-tokens", "2", "--tokens-out", "t.parquet"];
    compute_ok(tmp.path(), &[&arguments[..], &parquet].concat());
    compute_ok(
        tmp.path(),
        &[&arguments[..], &["--prompts", "t.parquet", "--tokens-out", "u.jsonl"]].concat(),
    );
    let again = lines(&tmp.path().join("u.jsonl"));
    assert_eq!(again[0]["dump"]["generation_logprobs"], scored["generation_logprobs"]);
    let off = max_difference(&known(&again[0]["entropies"]), &known(&rows[0]["entropies"]));
    assert!(off < 1e-5, "{off:e}");
}

/// A base model: its end token is not the one that the chat template writes.
#[test]
fn turns_end_where_the_template_ends_them_whatever_the_end_tokens_of_the_model() {
    let tmp = temp_dir();
    let chat = json!({"messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "write <|im_end|> and stop"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]});
    fs::write(tmp.path().join("p.jsonl"), chat.to_string()).unwrap();
    crate::compute::copy(&model("qwen2"), &tmp.path().join("m"));
    for name in ["generation_config.json", "config.json"] {
        let path = tmp.path().join("m").join(name);
        if !path.exists() {
            continue;
        }
        let mut config = read(&path);
        config["eos_token_id"] = json!(5);
        fs::write(&path, config.to_string()).unwrap();
    }
    let arguments = ["--model", "m", "--prompts", "p.jsonl", "--step", "1", "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--tokens-out", "t.jsonl"]].concat());
    let texts: Vec<String> = lines(&tmp.path().join("t.jsonl"))
        .iter()
        .map(|row| row["tokens"].as_array().unwrap().iter().filter_map(Value::as_str).collect())
        .collect();
    assert_eq!(texts, ["write <|im_end|> and stop<|im_end|>", "c<|im_end|>"]);
    // Nothing after a message tells where it ends.
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n\n{% endfor %}\
                    {% if add_generation_prompt %}[assistant]{% endif %}";
    fs::write(tmp.path().join("m/chat_template.jinja"), template).unwrap();
    let arguments = ["--model", "m", "--prompts", "p.jsonl", "-o", "i.json"];
    assert_rejected(tmp.path(), &arguments, &["line 1", "the end of message 2 cannot be told"]);
}

#[test]
fn segments_count_as_responses_from_text() {
    let (tmp, whole) = (temp_dir(), model("qwen2"));
    let row = json!({"prompt": "a", "completion": "?", "segments": [
        {"role": "prompt", "text": "a"}, {"role": "gen", "text": "b"}, {"role": "context", "text": "c"},
    ]});
    fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
    let arguments =
        ["--model", text(&whole), "--prompts", "p.jsonl", "--step", "1", "-o", "h.json"];
    let output = compute_ok(tmp.path(), &[&arguments[..], &["-v"]].concat());
    assert!(stderr(&output).contains("1 response"), "{}", stderr(&output));
    assert!(stderr(&output).contains("text"), "{}", stderr(&output));
}

/// More trainers, with padding, numbers that are not finite, and compressed files.
#[test]
fn padded_and_compressed_dumps_have_the_golden_entropies() {
    let tmp = temp_dir();
    let golden = read(&model("qwen2").join("golden.json"));
    let expected = &golden["temperatures"]["1.0"];
    let given = lines(&fixture("compute/rollouts.jsonl"));
    let list = |row: &Value, key: &str| row[key].as_array().unwrap().clone();
    let pad = |count: usize, value: u8| vec![json!(value); count];
    let line = |row: &Value, trainer: &str| -> String {
        let (prompt, response) = (list(row, "prompt_token_ids"), list(row, "response_token_ids"));
        let (p, r) = (prompt.len(), response.len());
        let both = [prompt.clone(), response.clone()].concat();
        let row = match trainer {
            "TRL" => json!({
                "prompt_ids": ([pad(4, 0), prompt].concat()), "prompt_mask": ([pad(4, 0), pad(p, 1)].concat()),
                "completion_ids": ([response, pad(3, 0)].concat()),
                "completion_mask": ([pad(r, 1), pad(3, 0)].concat()), "advantage": "NOT_A_NUMBER",
            }),
            "AReaL" => json!({
                "input_ids": ([both, pad(5, 0)].concat()), "attention_mask": ([pad(p + r, 1), pad(5, 0)].concat()),
                "loss_mask": ([pad(p, 0), pad(r, 1), pad(5, 0)].concat()), "rewards": "NOT_A_NUMBER",
            }),
            "verl" => json!({
                "input_ids": ([pad(4, 0), both, pad(5, 0)].concat()),
                "attention_mask": ([pad(4, 0), pad(p + r, 1), pad(5, 0)].concat()),
                "response_mask": ([pad(r, 1), pad(5, 0)].concat()), "response_length": r + 5, "prompt_len": p + 4,
            }),
            "SGLang" => json!({"input_ids": prompt, "output_ids": response, "score": null}),
            "vLLM" => json!({
                "custom_id": "q", "body": {"messages": [{"role": "user", "content": "?"}]},
                "response": {"status_code": 200, "body": {"prompt_token_ids": prompt, "choices": [
                    {"message": {"role": "assistant", "content": "?"}, "token_ids": response, "finish_reason": "length"},
                ]}},
            }),
            _ => unreachable!("{trainer}"),
        };
        row.to_string().replace("\"NOT_A_NUMBER\"", "NaN")
    };
    for trainer in ["TRL", "AReaL", "verl", "SGLang", "vLLM"] {
        let rows: Vec<String> = given.iter().map(|row| line(row, trainer)).collect();
        let packed = zstd::encode_all(rows.join("\n").as_bytes(), 0).unwrap();
        fs::write(tmp.path().join("p.jsonl.zst"), packed).unwrap();
        score_file(tmp.path(), "qwen2", Path::new("p.jsonl.zst"), &[]);
        let row = &read(&tmp.path().join("h.json"))[0];
        assert_eq!(row["tokens"], expected["n_tokens"], "{trainer}");
        let off = row["entropy"].as_f64().unwrap() - expected["token_mean"].as_f64().unwrap();
        assert!(off.abs() < 2e-5, "{trainer} is off by {off:e}");
    }
}

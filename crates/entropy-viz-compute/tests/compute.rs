//! `entropy-viz compute`: its numbers against those of transformers.
//!
//! tests/fixtures/compute has tiny checkpoints with the numbers that transformers gives
//! (tests/compute/make_golden.py). The helper runs on the CPU, as the launcher starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{files, fixture, stderr, stdout};
use assert_cmd::Command;
use entropy_history::formats::Source;
use entropy_tokens::{Columns, TokenTable};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn temp_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn model(name: &str) -> PathBuf {
    fixture("compute").join(name)
}

pub(crate) fn rollouts() -> PathBuf {
    fixture("compute/rollouts.jsonl")
}

/// Runs the helper on the CPU in a directory.
pub(crate) fn compute(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.current_dir(directory).args(["--device", "cpu"]).args(arguments);
    command.output().unwrap()
}

pub(crate) fn compute_ok(directory: &Path, arguments: &[&str]) -> Output {
    let output = compute(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

/// Asserts exit code 2, these words on stderr, and no file written.
pub(crate) fn assert_rejected(directory: &Path, arguments: &[&str], words: &[&str]) {
    let before = files(directory);
    let output = compute(directory, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not contain {word:?}: {said}");
    }
    assert!(!said.contains("bug in") && !said.contains("os error"), "{said}");
    assert_eq!(files(directory), before, "{arguments:?} left files behind");
}

pub(crate) fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The responses of a complete dump of tokens.
pub(crate) fn tokens_of(path: &Path) -> TokenTable {
    let mut table = TokenTable::default();
    let mut file = fs::File::open(path).unwrap();
    let source = Source { reader: &mut file, path: Some(path) };
    assert_eq!(entropy_tokens::read(source, "dump", &Columns::default(), &mut table).unwrap(), []);
    table
}

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows of an output without their settings, to compare those of other files and flags.
pub(crate) fn lines_without_settings(path: &Path) -> Vec<Value> {
    let mut rows = lines(path);
    for row in &mut rows {
        assert!(row.as_object_mut().unwrap().remove("settings").is_some());
    }
    rows
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies the files of a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A run directory whose three checkpoints are tiny models.
pub(crate) fn run_directory(tmp: &TempDir) -> PathBuf {
    let run = tmp.path().join("models/tiny_v1");
    for (step, name) in [(40, "qwen3"), (80, "qwen2"), (120, "mistral")] {
        copy(&model(name), &run.join(format!("global_step_{step}/actor/huggingface")));
    }
    run
}

/// Scores the shared responses and compares every number with the golden ones.
pub(crate) fn assert_scores_match_golden(name: &str, golden: &Value, flags: &[&str]) {
    assert_scores_of(&model(name), golden, flags);
}

/// Scores the shared responses with the model of a path and compares every number with the golden ones.
pub(crate) fn assert_scores_of(path: &Path, golden: &Value, flags: &[&str]) {
    let tmp = temp_dir();
    let name = path.display();
    for temperature in ["1.0", "0.7"] {
        let expected = &golden["temperatures"][temperature];
        let given = rollouts();
        let mut arguments =
            vec!["--model", text(path), "--prompts", text(&given), "--temperature", temperature];
        arguments.extend(["-o", "h.json", "--tokens-out", "t.jsonl", "--step", "1", "--overwrite"]);
        arguments.extend(flags);
        compute_ok(tmp.path(), &arguments);
        let row = &read(&tmp.path().join("h.json"))[0];
        for (ours, theirs) in [("entropy", "token_mean"), ("entropy_seq_mean", "sequence_mean")] {
            let off = (row[ours].as_f64().unwrap() - expected[theirs].as_f64().unwrap()).abs();
            assert!(off < 2e-5, "{name} at {temperature}: {ours} is off by {off:e}");
        }
        assert_eq!(row["tokens"], expected["n_tokens"]);
        let tokens = lines(&tmp.path().join("t.jsonl"));
        let per_rollout = expected["per_rollout"].as_array().unwrap();
        assert_eq!(tokens.len(), per_rollout.len());
        for (ours, theirs) in tokens.iter().zip(per_rollout) {
            assert_eq!(ours["id"], theirs["id"]);
            for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
                let off = max_difference(&numbers(&ours[key]), &numbers(&theirs[their_key]));
                assert!(
                    off < 1e-4,
                    "{name} at {temperature}, response {}: {key} off by {off:e}",
                    ours["id"]
                );
            }
        }
    }
}

pub(crate) fn assert_greedy_matches_golden(name: &str, golden: &Value, flags: &[&str]) {
    let tmp = temp_dir();
    let prompts: Vec<String> = lines(&rollouts())
        .iter()
        .map(|row| json!({"id": row["id"], "prompt": row["prompt"]}).to_string())
        .collect();
    fs::write(tmp.path().join("p.jsonl"), prompts.join("\n")).unwrap();
    let path = model(name);
    let mut arguments =
        vec!["--model", text(&path), "--prompts", "p.jsonl", "--greedy", "--max-new-tokens", "12"];
    arguments.extend(["-o", "h.json", "--save-rollouts", "r.jsonl", "--step", "1"]);
    arguments.extend(flags);
    compute_ok(tmp.path(), &arguments);
    let rows = lines(&tmp.path().join("r.jsonl"));
    let expected = golden["greedy_12"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(
            row["response_token_ids"], expected["token_ids"],
            "{name}, prompt {}",
            row["id"]
        );
    }
}

/// The values of `model_type` that compute names as supported.
fn supported_families() -> Vec<String> {
    let tmp = temp_dir();
    copy(&model("qwen2"), &tmp.path().join("unknown"));
    let config = tmp.path().join("unknown/config.json");
    let mut value = read(&config);
    value["model_type"] = json!("no family");
    fs::write(&config, value.to_string()).unwrap();
    let given = rollouts();
    let output = compute(tmp.path(), &["--model", "unknown", "--prompts", text(&given)]);
    let said = stderr(&output);
    let (_, list) = said.split_once("); ").unwrap();
    let (list, _) = list.split_once(" are").unwrap();
    let mut families: Vec<String> = list.split(", ").map(str::to_owned).collect();
    families.sort();
    families
}

#[test]
fn pictures_are_refused() {
    let tmp = temp_dir();
    let vl = model("qwen2_5_vl");
    let refused = |row: Value, words: &[&str]| {
        fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
        assert_rejected(
            tmp.path(),
            &["--model", text(&vl), "--prompts", "p.jsonl", "-o", "h.json", "--step", "1"],
            &[words, &["line 1", "only text is supported"]].concat(),
        );
    };
    let picture = json!({"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "?"}]});
    refused(
        json!({"prompt": [picture], "response": "7"}),
        &["message 1 has a part of type \"image\""],
    );
    let conversation = json!([{"role": "user", "content": "?"}, {"role": "assistant", "content": "7"}, picture, {"role": "assistant", "content": "8"}]);
    refused(json!({"messages": conversation}), &["a part of type \"image\""]);
    refused(
        json!({"prompt_token_ids": [5, 310], "response_token_ids": [6]}),
        &["token id 310 stands for a picture"],
    );
}

/// Covers every architecture and variant in the fixtures.
#[test]
fn every_checkpoint_matches_transformers() {
    let mut types: Vec<String> = Vec::new();
    for entry in fs::read_dir(fixture("compute")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let golden = model(&name).join("golden.json");
        if name == "torchscript" || !golden.is_file() {
            continue;
        }
        let base = model("qwen2");
        let flags: &[&str] =
            if name.starts_with("lora") { &["--base-model", text(&base)] } else { &[] };
        let golden = read(&golden);
        assert_scores_match_golden(&name, &golden, flags);
        assert_greedy_matches_golden(&name, &golden, flags);
        if let Some(model_type) = golden["model_type"].as_str() {
            types.push(model_type.to_owned());
        }
    }
    // transformers cannot make one without timm; gemma3n.rs tests it with the language model of gemma3n_text.
    types.push("gemma3n".to_owned());
    // transformers knows it as deepseek_v3; tested in mixtures.rs.
    types.push("kimi_k2".to_owned());
    types.sort();
    types.dedup();
    assert_eq!(types, supported_families());
}

#[test]
fn transformers_4_configs_give_the_same_numbers() {
    for name in [
        "llama",
        "phi3-longrope",
        "gemma2",
        "qwen3_moe",
        "gemma3_text",
        "olmo3",
        "glm4",
        "smollm3",
        "exaone4",
        "glm4_moe",
        "deepseek_v3",
        "deepseek_v2",
        "glm4_moe_lite",
        "minimax_m2",
        "qwen3_vl_moe",
        "gpt_oss",
    ] {
        let tmp = temp_dir();
        let old = tmp.path().join("old");
        copy(&model(name), &old);
        fs::copy(model(name).join("config.transformers4.json"), old.join("config.json")).unwrap();
        let given = rollouts();
        compute_ok(
            tmp.path(),
            &["--model", "old", "--prompts", text(&given), "-o", "h.json", "--step", "1"],
        );
        let golden = read(&model(name).join("golden.json"));
        let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
        let ours = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
        assert!((ours - expected).abs() < 2e-5, "{name}: {ours} and {expected}");
    }
}

#[test]
fn scores_and_samples_a_torchscript_module() {
    let tmp = temp_dir();
    let golden = read(&model("torchscript/golden.json"));
    let (path, given, tokenizer) = (model("torchscript/model.pt"), rollouts(), model("qwen3"));
    for temperature in ["1.0", "0.7"] {
        let arguments =
            ["--model", text(&path), "--prompts", text(&given), "--temperature", temperature];
        compute_ok(
            tmp.path(),
            &[&arguments[..], &["-o", "h.json", "--step", "1", "--overwrite"]].concat(),
        );
        let ours = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
        let expected = golden["temperatures"][temperature]["token_mean"].as_f64().unwrap();
        assert!((ours - expected).abs() < 2e-5, "{ours} and {expected}");
    }
    fs::write(tmp.path().join("p.txt"), "What is 3 + 4?\n2 * 2\n").unwrap();
    let arguments = ["--model", text(&path), "--tokenizer", text(&tokenizer), "--prompts", "p.txt"];
    compute_ok(
        tmp.path(),
        &[&arguments[..], &["--max-new-tokens", "5", "-o", "s.json", "--step", "1"]].concat(),
    );
    assert!(read(&tmp.path().join("s.json"))[0]["tokens"].as_u64().unwrap() >= 2);
    assert_rejected(
        tmp.path(),
        &["--model", text(&path), "--prompts", "p.txt", "-o", "n.json"],
        &["tokenizer", "--tokenizer"],
    );
}

#[test]
fn batching_does_not_change_the_numbers() {
    let tmp = temp_dir();
    let path = model("qwen2-sliding");
    let entropies = |prompts: &str, batch: &str| {
        let arguments = ["--model", text(&path), "--prompts", prompts, "--batch-tokens", batch];
        compute_ok(
            tmp.path(),
            &[
                &arguments[..],
                &["-o", "h.json", "--step", "1", "--tokens-out", "t.jsonl", "--overwrite"],
            ]
            .concat(),
        );
        let mut rows = lines(&tmp.path().join("t.jsonl"));
        rows.sort_by_key(|row| row["id"].as_u64());
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    let given = rollouts();
    let together = entropies(text(&given), "100000");
    assert!(max_difference(&together, &entropies(text(&given), "1")) < 1e-5);
    let mut rows: Vec<String> =
        fs::read_to_string(&given).unwrap().lines().map(str::to_owned).collect();
    rows.reverse();
    fs::write(tmp.path().join("reversed.jsonl"), rows.join("\n")).unwrap();
    assert!(max_difference(&together, &entropies("reversed.jsonl", "60")) < 1e-5);
}

#[test]
fn scoring_sampled_responses_gives_the_same_entropies() {
    let tmp = temp_dir();
    let path = model("qwen3");
    let prompts = fixture("compute/prompts/verl-snappy.parquet");
    let sample = |batch: &str, rollouts: &str, seed: &str| {
        let arguments = [
            "--model",
            text(&path),
            "--prompts",
            text(&prompts),
            "--samples",
            "3",
            "--max-new-tokens",
            "20",
        ];
        let rest = [
            "--seed",
            seed,
            "--batch-tokens",
            batch,
            "-o",
            "s.json",
            "--overwrite",
            "--step",
            "7",
            "--save-rollouts",
            rollouts,
        ];
        compute_ok(tmp.path(), &[&arguments[..], &rest].concat());
        lines(&tmp.path().join(rollouts))
    };
    let rows = sample("100000", "a.jsonl", "5");
    assert_eq!(rows, sample("200", "b.jsonl", "5"), "the batch changed what was sampled");
    assert_ne!(rows, sample("100000", "c.jsonl", "6"));
    assert!(
        rows.len() >= 12 && rows.iter().all(|row| row["step"] == 7 && row["prompt"].is_array())
    );

    sample("100000", "a.jsonl", "5");
    let sampled = read(&tmp.path().join("s.json"));
    compute_ok(
        tmp.path(),
        &["--model", text(&path), "--prompts", "a.jsonl", "-o", "r.json", "--step", "7"],
    );
    let scored = read(&tmp.path().join("r.json"));
    for key in ["entropy", "entropy_seq_mean", "log_prob_mean"] {
        let (a, b) = (sampled[0][key].as_f64().unwrap(), scored[0][key].as_f64().unwrap());
        assert!((a - b).abs() < 1e-5, "{key}: {a} and {b}");
    }
    assert_eq!(sampled[0]["tokens"], scored[0]["tokens"]);
}

#[test]
fn top_k_1_is_greedy_and_stop_strings_end_a_response() {
    let tmp = temp_dir();
    let path = model("qwen3");
    fs::write(tmp.path().join("p.txt"), "What is 3 + 4?\nfor x in range(\n").unwrap();
    let sample = |flags: &[&str]| {
        let arguments = [
            "--model",
            text(&path),
            "--prompts",
            "p.txt",
            "--max-new-tokens",
            "16",
            "-o",
            "h.json",
        ];
        compute_ok(
            tmp.path(),
            &[&arguments[..], &["--step", "1", "--overwrite", "--save-rollouts", "r.jsonl"], flags]
                .concat(),
        );
        lines_without_settings(&tmp.path().join("r.jsonl"))
    };
    let greedy = sample(&["--greedy"]);
    assert_eq!(greedy, sample(&["--top-k", "1"]));
    let response = greedy[0]["response"].as_str().unwrap();
    let stop: String = response.chars().skip(2).take(1).collect();
    let stopped = sample(&["--greedy", "--stop", &stop]);
    assert_eq!(stopped[0]["finish_reason"], "stop");
    let text = stopped[0]["response"].as_str().unwrap();
    assert!(!text.contains(&stop) && response.starts_with(text), "{text:?} of {response:?}");
}

#[test]
fn text_responses_are_reported_as_inexact() {
    let tmp = temp_dir();
    let path = model("qwen3");
    fs::write(
        tmp.path().join("p.jsonl"),
        r#"{"prompt": "1 + 1", "response": "2", "finish_reason": "stop"}"#,
    )
    .unwrap();
    let output = compute_ok(
        tmp.path(),
        &[
            "--model",
            text(&path),
            "--prompts",
            "p.jsonl",
            "-o",
            "h.json",
            "--step",
            "1",
            "--tokens-out",
            "t.jsonl",
        ],
    );
    assert!(stderr(&output).contains("inexact where re-tokenising differs"), "{}", stderr(&output));
    let ids = lines(&tmp.path().join("t.jsonl"))[0]["response_token_ids"].clone();
    assert_eq!(ids.as_array().unwrap().last().unwrap(), 300, "the end token is missing");
}

#[test]
fn long_prompts_are_skipped_or_truncated() {
    let tmp = temp_dir();
    let path = model("qwen2");
    let context =
        read(&path.join("config.json"))["max_position_embeddings"].as_u64().unwrap() as usize;
    let long: Vec<usize> = (0..context + 50).map(|i| i % 250).collect();
    let rows = [json!({"prompt_token_ids": [1, 2, 3]}), json!({"prompt_token_ids": long})];
    fs::write(tmp.path().join("p.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    let arguments =
        ["--model", text(&path), "--prompts", "p.jsonl", "--max-new-tokens", "4", "--step", "1"];
    let output = compute_ok(tmp.path(), &[&arguments[..], &["-o", "a.json"]].concat());
    assert!(
        stderr(&output).contains("1 row longer than the model's context"),
        "{}",
        stderr(&output)
    );
    assert_eq!(read(&tmp.path().join("a.json"))[0]["sequences"], 1);
    compute_ok(tmp.path(), &[&arguments[..], &["-o", "b.json", "--truncate-prompts"]].concat());
    assert_eq!(read(&tmp.path().join("b.json"))[0]["sequences"], 2);
}

#[test]
fn self_test_passes() {
    let tmp = temp_dir();
    let output = compute_ok(tmp.path(), &["--self-test"]);
    assert!(stdout(&output).matches("ok ").count() >= 10 && !stdout(&output).contains("FAILED"));
}

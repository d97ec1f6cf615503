//! `entropy-viz compute`: its numbers against those of transformers, and its errors.
//!
//! tests/fixtures/compute has tiny checkpoints with the numbers that transformers gives
//! (tests/compute/make_golden.py). The helper runs on the CPU, as the launcher starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{files, fixture, run, stderr, stdout};
use assert_cmd::Command;
use entropy_history::dump::TokenDump;
use entropy_history::dump::read as read_tokens;
use entropy_history::formats::Source;
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

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
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
fn run_directory(tmp: &TempDir) -> PathBuf {
    let run = tmp.path().join("models/tiny_v1");
    for (step, name) in [(40, "qwen3"), (80, "qwen2"), (120, "mistral")] {
        copy(&model(name), &run.join(format!("global_step_{step}/actor/huggingface")));
    }
    run
}

/// Scores the shared responses and compares every number with the golden ones.
fn assert_scores_match_golden(name: &str, golden: &Value, flags: &[&str]) {
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

fn assert_greedy_matches_golden(name: &str, golden: &Value, flags: &[&str]) {
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

/// Covers every architecture and variant in the fixtures.
#[test]
fn every_checkpoint_matches_transformers() {
    let mut types = Vec::new();
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
    types.sort();
    types.dedup();
    assert_eq!(types, ["gemma2", "llama", "mistral", "phi3", "qwen2", "qwen3", "qwen3_moe"]);
}

#[test]
fn transformers_4_configs_give_the_same_numbers() {
    for name in ["llama", "phi3-longrope", "gemma2", "qwen3_moe"] {
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
        lines(&tmp.path().join("r.jsonl"))
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
fn computes_every_checkpoint_of_a_run_and_auto_finds_it() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    let output = compute_ok(tmp.path(), &arguments);
    let history = run_dir.join("entropy_history_tiny_v1.json");
    assert_eq!(stdout(&output), format!("{}\n", history.display()));
    let rows = read(&history);
    let steps: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| row["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [40, 80, 120]);
    for (row, name) in rows.as_array().unwrap().iter().zip(["qwen3", "qwen2", "mistral"]) {
        let golden = read(&model(name).join("golden.json"));
        let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
        assert!((row["entropy"].as_f64().unwrap() - expected).abs() < 2e-5);
        for key in
            ["entropy_seq_mean", "entropy_std", "log_prob_mean", "tokens", "sequences", "settings"]
        {
            assert!(!row[key].is_null(), "{key} is missing");
        }
    }
    let before = fs::read(&history).unwrap();
    let again = compute_ok(tmp.path(), &arguments);
    assert!(stderr(&again).contains("already in"), "{}", stderr(&again));
    assert_eq!(fs::read(&history).unwrap(), before);

    let drawn = run(tmp.path(), &["auto", "models", "--dpi", "50"]);
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    assert!(tmp.path().join("entropy_comparison.png").is_file());
}

#[test]
fn rows_of_the_trainer_are_not_overwritten() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let history = run_dir.join("entropy_history_tiny_v1.json");
    fs::write(&history, r#"[{"step": 1, "entropy": 4.5}]"#).unwrap();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["the trainer's own", "--overwrite", "-o"]);
    assert_eq!(read(&history), json!([{"step": 1, "entropy": 4.5}]));
    compute_ok(tmp.path(), &[&arguments[..], &["--overwrite", "--steps", "40:80"]].concat());
    assert_eq!(read(&history).as_array().unwrap().len(), 2);
    // Other flags would give other numbers.
    assert_rejected(
        tmp.path(),
        &[&arguments[..], &["--temperature", "0.5"]].concat(),
        &["other prompts or flags"],
    );
}

#[test]
fn shards_merge_into_one_history() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    for shard in ["1/2", "2/2"] {
        compute_ok(tmp.path(), &[&arguments[..], &["--shard", shard]].concat());
    }
    assert!(!run_dir.join("entropy_history_tiny_v1.json").exists());
    let output = compute_ok(tmp.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 3, "{}", stderr(&output));
    assert_eq!(read(&run_dir.join("entropy_history_tiny_v1.json")).as_array().unwrap().len(), 3);
}

#[test]
fn earlier_rows_and_tokens_are_kept_when_more_are_computed() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments =
        ["--model", text(&run_dir), "--prompts", text(&given), "--tokens-out", "t.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &["--steps", "40:80"]].concat());
    let steps = || {
        lines(&tmp.path().join("t.jsonl"))
            .iter()
            .map(|row| row["step"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps().len(), 24);
    let output = compute_ok(tmp.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 2, "{}", stderr(&output));
    assert_eq!((steps().len(), steps()[0], steps()[35]), (36, 40, 120));
    compute_ok(tmp.path(), &arguments);
    assert_eq!(steps().len(), 36);
    // Recomputed checkpoints replace their own lines in place.
    compute_ok(tmp.path(), &[&arguments[..], &["--steps", "80:80", "--overwrite"]].concat());
    assert_eq!((steps().len(), steps()[12], steps()[35]), (36, 80, 120));
    // Other flags are another experiment: no line of the first is kept.
    let other = ["--temperature", "0.5", "-o", "other.json", "--steps", "40:40"];
    compute_ok(tmp.path(), &[&arguments[..], &other].concat());
    assert_eq!(steps(), [40; 12]);
}

#[test]
fn broken_checkpoint_does_not_stop_the_others() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let weights = run_dir.join("global_step_80/actor/huggingface/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let incomplete = run_dir.join("global_step_100/actor");
    fs::create_dir_all(&incomplete).unwrap();
    fs::write(incomplete.join("model_world_size_2_rank_0.pt"), b"x").unwrap();
    let given = rollouts();
    let output = compute(tmp.path(), &["--model", text(&run_dir), "--prompts", text(&given)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("skipped step 80") && said.contains("cut off"), "{said}");
    assert!(said.contains("skipped step 100") && said.contains("rank_1.pt is missing"), "{said}");
    let rows = read(&run_dir.join("entropy_history_tiny_v1.json"));
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn tokens_out_writes_jsonl_and_parquet() {
    let tmp = temp_dir();
    let (path, given) = (model("qwen3"), rollouts());
    for name in ["t.jsonl", "t.parquet"] {
        let arguments =
            ["--model", text(&path), "--prompts", text(&given), "-o", "h.json", "--step", "3"];
        compute_ok(tmp.path(), &[&arguments[..], &["--overwrite", "--tokens-out", name]].concat());
    }
    let rows = lines(&tmp.path().join("t.jsonl"));
    for row in &rows {
        let n = row["response_token_ids"].as_array().unwrap().len();
        for key in ["tokens", "entropies", "log_probs"] {
            assert_eq!(row[key].as_array().unwrap().len(), n, "{key}");
        }
        assert_eq!(row["step"], 3);
    }
    let parquet = fs::read(tmp.path().join("t.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let dump = |name: &str| {
        let mut dump = TokenDump::default();
        let mut file = fs::File::open(tmp.path().join(name)).unwrap();
        let notes = read_tokens(Source { reader: &mut file, path: None }, &mut dump).unwrap();
        assert_eq!(notes, []);
        dump
    };
    let (of_lines, of_table) = (dump("t.jsonl"), dump("t.parquet"));
    assert_eq!(of_lines.kinds(), of_table.kinds());
    for (a, b) in of_lines.responses().iter().zip(of_table.responses()) {
        assert_eq!((a.id(), a.step(), a.kinds(), a.prompt()), (b.id(), 3, b.kinds(), b.prompt()));
        assert!((a.mean() - b.mean()).abs() < 1e-12);
    }
    assert_eq!(of_lines.responses().len(), rows.len());
    // The Parquet file has the token ids, so its responses can be scored again.
    compute_ok(
        tmp.path(),
        &["--model", text(&path), "--prompts", "t.parquet", "-o", "again.json", "--step", "3"],
    );
    let (a, b) = (read(&tmp.path().join("h.json")), read(&tmp.path().join("again.json")));
    assert_eq!((&a[0]["entropy"], &a[0]["tokens"]), (&b[0]["entropy"], &b[0]["tokens"]));
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
fn rejects_unusable_checkpoints_by_name() {
    let tmp = temp_dir();
    let given = rollouts();
    let broken = |change: &dyn Fn(&Path)| {
        let path = tmp.path().join("broken");
        let _ = fs::remove_dir_all(&path);
        copy(&model("qwen2"), &path);
        change(&path);
    };
    let config = |path: &Path, key: &str, value: Value| {
        let mut config = read(&path.join("config.json"));
        config[key] = value;
        fs::write(path.join("config.json"), config.to_string()).unwrap();
    };
    let refused = |words: &[&str]| {
        assert_rejected(
            tmp.path(),
            &["--model", "broken", "--prompts", text(&given), "-o", "h.json"],
            words,
        )
    };

    broken(&|path| config(path, "model_type", json!("gpt2")));
    refused(&["gpt2", "not supported", "qwen3_moe"]);
    broken(&|path| config(path, "rope_parameters", json!({"rope_type": "dynamic", "factor": 2.0})));
    refused(&["dynamic", "not supported"]);
    broken(&|path| config(path, "quantization_config", json!({"bits": 4})));
    refused(&["quantization_config"]);
    broken(&|path| config(path, "hidden_size", json!("wide")));
    refused(&["hidden_size", "wide"]);
    broken(&|path| config(path, "intermediate_size", json!(8)));
    refused(&["mlp.gate_proj.weight", "8×"]);
    let layers = |path: &Path, layers: usize| {
        config(path, "num_hidden_layers", json!(layers));
        config(path, "layer_types", Value::Null);
    };
    broken(&|path| layers(path, 1));
    refused(&["has no tensor model.layers.1."]);
    broken(&|path| layers(path, 9));
    refused(&["is missing"]);
    broken(&|path| config(path, "vocab_size", json!(7)));
    refused(&["tokenizer"]);
    broken(&|path| fs::remove_file(path.join("model.safetensors")).unwrap());
    refused(&["no weights"]);
    broken(&|path| {
        fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).unwrap()
    });
    refused(&["pytorch_model.bin", "not a zip archive"]);
    broken(&|path| fs::remove_file(path.join("tokenizer.json")).unwrap());
    fs::write(tmp.path().join("text.txt"), "hello").unwrap();
    let arguments = ["--model", "broken", "--prompts", "text.txt"];
    assert_rejected(tmp.path(), &arguments, &["tokenizer.json", "--tokenizer"]);
    broken(&|path| {
        fs::write(path.join("model.safetensors"), b"version https://git-lfs.github.com/spec/v1\n")
            .unwrap()
    });
    refused(&["git-lfs"]);
    broken(&|path| {
        // The last number of the file becomes NaN.
        let file = path.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&file, bytes).unwrap();
    });
    refused(&["NaN or infinite", "the tensor model."]);

    let adapter = model("lora");
    assert_rejected(
        tmp.path(),
        &["--model", text(&adapter), "--prompts", text(&given)],
        &["LoRA", "--base-model"],
    );
    assert_rejected(
        tmp.path(),
        &["--model", "nowhere", "--prompts", text(&given)],
        &["nowhere", "no such file"],
    );
    let whole = model("qwen2");
    fs::write(tmp.path().join("empty.txt"), "").unwrap();
    assert_rejected(
        tmp.path(),
        &["--model", text(&whole), "--prompts", "empty.txt"],
        &["empty.txt", "no prompts"],
    );
}

#[test]
fn reports_missing_gpu() {
    let tmp = temp_dir();
    let (whole, given) = (model("qwen2"), rollouts());
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.args(["--model", text(&whole), "--prompts", text(&given), "--device", "cuda:63"]);
    let output = command.current_dir(tmp.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot compute on cuda:63"), "{}", stderr(&output));
    assert!(files(tmp.path()).is_empty());
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

#[test]
fn launcher_reports_wrong_libtorch_and_missing_helper() {
    let tmp = temp_dir();
    let whole = model("qwen2");
    let given = rollouts();
    let launch = |variable: &str, value: &str| {
        let mut command = crate::common::program(tmp.path());
        command.args([
            "compute",
            "--model",
            text(&whole),
            "--prompts",
            text(&given),
            "--device",
            "cpu",
            "-o",
            "h.json",
        ]);
        command.env(variable, value).output().unwrap()
    };
    let wrong = tmp.path().join("torch");
    fs::create_dir_all(wrong.join("lib")).unwrap();
    fs::write(wrong.join("version.py"), "__version__ = '2.4.0+cpu'\n").unwrap();
    let output = launch("LIBTORCH", text(&wrong));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("libtorch 2.4.0+cpu, but 2.11 is needed"),
        "{}",
        stderr(&output)
    );
    let output = launch("ENTROPY_VIZ_COMPUTE", "/nowhere/helper");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nowhere/helper"), "{}", stderr(&output));
}

#[test]
fn launcher_runs_the_helper() {
    let tmp = temp_dir();
    let (whole, given) = (model("qwen2"), rollouts());
    let arguments = ["-q", "compute", "--model", text(&whole), "--prompts", text(&given)];
    let output = run(
        tmp.path(),
        &[&arguments[..], &["--device", "cpu", "-o", "h.json", "--step", "4"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "h.json\n");
    assert_eq!(read(&tmp.path().join("h.json"))[0]["step"], 4);
}

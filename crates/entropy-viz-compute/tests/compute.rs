//! `entropy-viz compute` as a user meets it: against numbers of transformers, and with what goes wrong.
//!
//! tests/fixtures/compute has tiny checkpoints with what transformers makes of them
//! (tests/compute/make_golden.py). The helper is run as the launcher runs it, on the CPU.

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

fn desk() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn model(name: &str) -> PathBuf {
    fixture("compute").join(name)
}

fn rollouts() -> PathBuf {
    fixture("compute/rollouts.jsonl")
}

/// Runs the helper on the CPU in a directory.
fn compute(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.current_dir(directory).args(["--device", "cpu"]).args(arguments);
    command.output().unwrap()
}

fn done(directory: &Path, arguments: &[&str]) -> Output {
    let output = compute(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

/// Fails with exit code 2 and these words, and leaves nothing behind.
fn refuses(directory: &Path, arguments: &[&str], words: &[&str]) {
    let before = files(directory);
    let output = compute(directory, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("bug in") && !said.contains("os error"), "{said}");
    assert_eq!(files(directory), before, "{arguments:?} left files behind");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies the files of a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A run whose checkpoints are three of the tiny models.
fn run_directory(desk: &TempDir) -> PathBuf {
    let run = desk.path().join("models/tiny_v1");
    for (step, name) in [(40, "qwen3"), (80, "qwen2"), (120, "mistral")] {
        copy(&model(name), &run.join(format!("global_step_{step}/actor/huggingface")));
    }
    run
}

/// Scores the shared responses and compares every number with transformers'.
fn meets_golden(name: &str, golden: &Value, flags: &[&str]) {
    let desk = desk();
    for temperature in ["1.0", "0.7"] {
        let expected = &golden["temperatures"][temperature];
        let path = model(name);
        let given = rollouts();
        let mut arguments =
            vec!["--model", text(&path), "--prompts", text(&given), "--temperature", temperature];
        arguments.extend(["-o", "h.json", "--tokens-out", "t.jsonl", "--step", "1", "--overwrite"]);
        arguments.extend(flags);
        done(desk.path(), &arguments);
        let row = &read(&desk.path().join("h.json"))[0];
        for (ours, theirs) in [("entropy", "token_mean"), ("entropy_seq_mean", "sequence_mean")] {
            let off = (row[ours].as_f64().unwrap() - expected[theirs].as_f64().unwrap()).abs();
            assert!(off < 2e-5, "{name} at {temperature}: {ours} is off by {off:e}");
        }
        assert_eq!(row["tokens"], expected["n_tokens"]);
        let tokens = lines(&desk.path().join("t.jsonl"));
        let per_rollout = expected["per_rollout"].as_array().unwrap();
        assert_eq!(tokens.len(), per_rollout.len());
        for (ours, theirs) in tokens.iter().zip(per_rollout) {
            assert_eq!(ours["id"], theirs["id"]);
            for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
                let off = furthest(&numbers(&ours[key]), &numbers(&theirs[their_key]));
                assert!(
                    off < 1e-4,
                    "{name} at {temperature}, response {}: {key} off by {off:e}",
                    ours["id"]
                );
            }
        }
    }
}

fn greedy_is_golden(name: &str, golden: &Value, flags: &[&str]) {
    let desk = desk();
    let prompts: Vec<String> = lines(&rollouts())
        .iter()
        .map(|row| json!({"id": row["id"], "prompt": row["prompt"]}).to_string())
        .collect();
    fs::write(desk.path().join("p.jsonl"), prompts.join("\n")).unwrap();
    let path = model(name);
    let mut arguments =
        vec!["--model", text(&path), "--prompts", "p.jsonl", "--greedy", "--max-new-tokens", "12"];
    arguments.extend(["-o", "h.json", "--save-rollouts", "r.jsonl", "--step", "1"]);
    arguments.extend(flags);
    done(desk.path(), &arguments);
    let rows = lines(&desk.path().join("r.jsonl"));
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

/// Every architecture and its variants, as the fixtures have them.
#[test]
fn every_checkpoint_gives_the_numbers_of_transformers() {
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
        meets_golden(&name, &golden, flags);
        greedy_is_golden(&name, &golden, flags);
        if let Some(model_type) = golden["model_type"].as_str() {
            types.push(model_type.to_owned());
        }
    }
    types.sort();
    types.dedup();
    assert_eq!(types, ["gemma2", "llama", "mistral", "phi3", "qwen2", "qwen3", "qwen3_moe"]);
}

#[test]
fn configs_of_transformers_4_mean_the_same() {
    for name in ["llama", "phi3-longrope", "gemma2", "qwen3_moe"] {
        let desk = desk();
        let old = desk.path().join("old");
        copy(&model(name), &old);
        fs::copy(model(name).join("config.transformers4.json"), old.join("config.json")).unwrap();
        let given = rollouts();
        done(
            desk.path(),
            &["--model", "old", "--prompts", text(&given), "-o", "h.json", "--step", "1"],
        );
        let golden = read(&model(name).join("golden.json"));
        let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
        let ours = read(&desk.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
        assert!((ours - expected).abs() < 2e-5, "{name}: {ours} and {expected}");
    }
}

#[test]
fn a_torchscript_module_is_scored_and_sampled() {
    let desk = desk();
    let golden = read(&model("torchscript/golden.json"));
    let (path, given, tokenizer) = (model("torchscript/model.pt"), rollouts(), model("qwen3"));
    for temperature in ["1.0", "0.7"] {
        let arguments =
            ["--model", text(&path), "--prompts", text(&given), "--temperature", temperature];
        done(
            desk.path(),
            &[&arguments[..], &["-o", "h.json", "--step", "1", "--overwrite"]].concat(),
        );
        let ours = read(&desk.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
        let expected = golden["temperatures"][temperature]["token_mean"].as_f64().unwrap();
        assert!((ours - expected).abs() < 2e-5, "{ours} and {expected}");
    }
    fs::write(desk.path().join("p.txt"), "What is 3 + 4?\n2 * 2\n").unwrap();
    let arguments = ["--model", text(&path), "--tokenizer", text(&tokenizer), "--prompts", "p.txt"];
    done(
        desk.path(),
        &[&arguments[..], &["--max-new-tokens", "5", "-o", "s.json", "--step", "1"]].concat(),
    );
    assert!(read(&desk.path().join("s.json"))[0]["tokens"].as_u64().unwrap() >= 2);
    refuses(
        desk.path(),
        &["--model", text(&path), "--prompts", "p.txt", "-o", "n.json"],
        &["tokenizer", "--tokenizer"],
    );
}

#[test]
fn a_row_alone_is_a_row_in_a_batch() {
    let desk = desk();
    let path = model("qwen2-sliding");
    let entropies = |prompts: &str, batch: &str| {
        let arguments = ["--model", text(&path), "--prompts", prompts, "--batch-tokens", batch];
        done(
            desk.path(),
            &[
                &arguments[..],
                &["-o", "h.json", "--step", "1", "--tokens-out", "t.jsonl", "--overwrite"],
            ]
            .concat(),
        );
        let mut rows = lines(&desk.path().join("t.jsonl"));
        rows.sort_by_key(|row| row["id"].as_u64());
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    let given = rollouts();
    let together = entropies(text(&given), "100000");
    assert!(furthest(&together, &entropies(text(&given), "1")) < 1e-5);
    let mut rows: Vec<String> =
        fs::read_to_string(&given).unwrap().lines().map(str::to_owned).collect();
    rows.reverse();
    fs::write(desk.path().join("reversed.jsonl"), rows.join("\n")).unwrap();
    assert!(furthest(&together, &entropies("reversed.jsonl", "60")) < 1e-5);
}

#[test]
fn what_was_sampled_can_be_scored_again() {
    let desk = desk();
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
        done(desk.path(), &[&arguments[..], &rest].concat());
        lines(&desk.path().join(rollouts))
    };
    let rows = sample("100000", "a.jsonl", "5");
    assert_eq!(rows, sample("200", "b.jsonl", "5"), "the batch changed what was sampled");
    assert_ne!(rows, sample("100000", "c.jsonl", "6"));
    assert!(
        rows.len() >= 12 && rows.iter().all(|row| row["step"] == 7 && row["prompt"].is_array())
    );

    sample("100000", "a.jsonl", "5");
    let sampled = read(&desk.path().join("s.json"));
    done(
        desk.path(),
        &["--model", text(&path), "--prompts", "a.jsonl", "-o", "r.json", "--step", "7"],
    );
    let scored = read(&desk.path().join("r.json"));
    for key in ["entropy", "entropy_seq_mean", "log_prob_mean"] {
        let (a, b) = (sampled[0][key].as_f64().unwrap(), scored[0][key].as_f64().unwrap());
        assert!((a - b).abs() < 1e-5, "{key}: {a} and {b}");
    }
    assert_eq!(sampled[0]["tokens"], scored[0]["tokens"]);
}

#[test]
fn top_k_of_one_is_greedy_and_stops_end_a_response() {
    let desk = desk();
    let path = model("qwen3");
    fs::write(desk.path().join("p.txt"), "What is 3 + 4?\nfor x in range(\n").unwrap();
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
        done(
            desk.path(),
            &[&arguments[..], &["--step", "1", "--overwrite", "--save-rollouts", "r.jsonl"], flags]
                .concat(),
        );
        lines(&desk.path().join("r.jsonl"))
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
fn a_run_is_computed_whole_and_auto_finds_it() {
    let desk = desk();
    let run_dir = run_directory(&desk);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    let output = done(desk.path(), &arguments);
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
    let again = done(desk.path(), &arguments);
    assert!(stderr(&again).contains("already in"), "{}", stderr(&again));
    assert_eq!(fs::read(&history).unwrap(), before);

    let drawn = run(desk.path(), &["auto", "models", "--dpi", "50"]);
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    assert!(desk.path().join("entropy_comparison.png").is_file());
}

#[test]
fn rows_that_others_wrote_are_never_touched() {
    let desk = desk();
    let run_dir = run_directory(&desk);
    let given = rollouts();
    let history = run_dir.join("entropy_history_tiny_v1.json");
    fs::write(&history, r#"[{"step": 1, "entropy": 4.5}]"#).unwrap();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    refuses(desk.path(), &arguments, &["the trainer's own", "--overwrite", "-o"]);
    assert_eq!(read(&history), json!([{"step": 1, "entropy": 4.5}]));
    done(desk.path(), &[&arguments[..], &["--overwrite", "--steps", "40:80"]].concat());
    assert_eq!(read(&history).as_array().unwrap().len(), 2);
    // Other flags are other numbers.
    refuses(
        desk.path(),
        &[&arguments[..], &["--temperature", "0.5"]].concat(),
        &["other prompts or flags"],
    );
}

#[test]
fn shards_together_are_the_run() {
    let desk = desk();
    let run_dir = run_directory(&desk);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    for shard in ["1/2", "2/2"] {
        done(desk.path(), &[&arguments[..], &["--shard", shard]].concat());
    }
    assert!(!run_dir.join("entropy_history_tiny_v1.json").exists());
    let output = done(desk.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 3, "{}", stderr(&output));
    assert_eq!(read(&run_dir.join("entropy_history_tiny_v1.json")).as_array().unwrap().len(), 3);
}

#[test]
fn what_was_computed_before_is_not_lost_when_more_is() {
    let desk = desk();
    let run_dir = run_directory(&desk);
    let given = rollouts();
    let arguments =
        ["--model", text(&run_dir), "--prompts", text(&given), "--tokens-out", "t.jsonl"];
    done(desk.path(), &[&arguments[..], &["--steps", "40:80"]].concat());
    let steps = || {
        lines(&desk.path().join("t.jsonl"))
            .iter()
            .map(|row| row["step"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps().len(), 24);
    let output = done(desk.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 2, "{}", stderr(&output));
    assert_eq!((steps().len(), steps()[0], steps()[35]), (36, 40, 120));
    done(desk.path(), &arguments);
    assert_eq!(steps().len(), 36);
    // A part computed again replaces its own lines, in their place.
    done(desk.path(), &[&arguments[..], &["--steps", "80:80", "--overwrite"]].concat());
    assert_eq!((steps().len(), steps()[12], steps()[35]), (36, 80, 120));
    // Other flags are another experiment: nothing of the first is mixed into it.
    let other = ["--temperature", "0.5", "-o", "other.json", "--steps", "40:40"];
    done(desk.path(), &[&arguments[..], &other].concat());
    assert_eq!(steps(), [40; 12]);
}

#[test]
fn a_broken_checkpoint_does_not_stop_the_others() {
    let desk = desk();
    let run_dir = run_directory(&desk);
    let weights = run_dir.join("global_step_80/actor/huggingface/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let unmerged = run_dir.join("global_step_100/actor");
    fs::create_dir_all(&unmerged).unwrap();
    fs::write(unmerged.join("model_world_size_2_rank_0.pt"), b"x").unwrap();
    let given = rollouts();
    let output = compute(desk.path(), &["--model", text(&run_dir), "--prompts", text(&given)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("skipped step 80") && said.contains("cut off"), "{said}");
    assert!(said.contains("skipped step 100") && said.contains("model_merger"), "{said}");
    let rows = read(&run_dir.join("entropy_history_tiny_v1.json"));
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn tokens_come_as_json_lines_and_as_parquet() {
    let desk = desk();
    let (path, given) = (model("qwen3"), rollouts());
    for name in ["t.jsonl", "t.parquet"] {
        let arguments =
            ["--model", text(&path), "--prompts", text(&given), "-o", "h.json", "--step", "3"];
        done(desk.path(), &[&arguments[..], &["--overwrite", "--tokens-out", name]].concat());
    }
    let rows = lines(&desk.path().join("t.jsonl"));
    for row in &rows {
        let n = row["response_token_ids"].as_array().unwrap().len();
        for key in ["tokens", "entropies", "log_probs"] {
            assert_eq!(row[key].as_array().unwrap().len(), n, "{key}");
        }
        assert_eq!(row["step"], 3);
    }
    let parquet = fs::read(desk.path().join("t.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let dump = |name: &str| {
        let mut dump = TokenDump::default();
        let mut file = fs::File::open(desk.path().join(name)).unwrap();
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
    // Scored again from the Parquet file: it has the token ids.
    done(
        desk.path(),
        &["--model", text(&path), "--prompts", "t.parquet", "-o", "again.json", "--step", "3"],
    );
    let (a, b) = (read(&desk.path().join("h.json")), read(&desk.path().join("again.json")));
    assert_eq!((&a[0]["entropy"], &a[0]["tokens"]), (&b[0]["entropy"], &b[0]["tokens"]));
}

#[test]
fn responses_given_as_text_are_said_to_be_inexact() {
    let desk = desk();
    let path = model("qwen3");
    fs::write(
        desk.path().join("p.jsonl"),
        r#"{"prompt": "1 + 1", "response": "2", "finish_reason": "stop"}"#,
    )
    .unwrap();
    let output = done(
        desk.path(),
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
    let ids = lines(&desk.path().join("t.jsonl"))[0]["response_token_ids"].clone();
    assert_eq!(ids.as_array().unwrap().last().unwrap(), 300, "the end token is missing");
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let desk = desk();
    let given = rollouts();
    let broken = |change: &dyn Fn(&Path)| {
        let path = desk.path().join("broken");
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
        refuses(
            desk.path(),
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
    refused(&["pickled", "safetensors"]);
    broken(&|path| fs::remove_file(path.join("tokenizer.json")).unwrap());
    refused(&["tokenizer.json", "--tokenizer"]);
    broken(&|path| {
        fs::write(path.join("model.safetensors"), b"version https://git-lfs.github.com/spec/v1\n")
            .unwrap()
    });
    refused(&["git-lfs"]);
    broken(&|path| {
        // NaN in the last number of the file.
        let file = path.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&file, bytes).unwrap();
    });
    refused(&["NaN or infinite", "the tensor model."]);

    let adapter = model("lora");
    refuses(
        desk.path(),
        &["--model", text(&adapter), "--prompts", text(&given)],
        &["LoRA", "--base-model"],
    );
    refuses(
        desk.path(),
        &["--model", "nowhere", "--prompts", text(&given)],
        &["nowhere", "no such file"],
    );
    let whole = model("qwen2");
    fs::write(desk.path().join("empty.txt"), "").unwrap();
    refuses(
        desk.path(),
        &["--model", text(&whole), "--prompts", "empty.txt"],
        &["empty.txt", "no prompts"],
    );
}

#[test]
fn a_gpu_that_is_not_there_is_said_to_be_missing() {
    let desk = desk();
    let (whole, given) = (model("qwen2"), rollouts());
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.args(["--model", text(&whole), "--prompts", text(&given), "--device", "cuda:63"]);
    let output = command.current_dir(desk.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot compute on cuda:63"), "{}", stderr(&output));
    assert!(files(desk.path()).is_empty());
}

#[test]
fn prompts_longer_than_the_context_are_counted_or_cut() {
    let desk = desk();
    let path = model("qwen2");
    let context =
        read(&path.join("config.json"))["max_position_embeddings"].as_u64().unwrap() as usize;
    let long: Vec<usize> = (0..context + 50).map(|i| i % 250).collect();
    let rows = [json!({"prompt_token_ids": [1, 2, 3]}), json!({"prompt_token_ids": long})];
    fs::write(desk.path().join("p.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    let arguments =
        ["--model", text(&path), "--prompts", "p.jsonl", "--max-new-tokens", "4", "--step", "1"];
    let output = done(desk.path(), &[&arguments[..], &["-o", "a.json"]].concat());
    assert!(
        stderr(&output).contains("1 row longer than the model's context"),
        "{}",
        stderr(&output)
    );
    assert_eq!(read(&desk.path().join("a.json"))[0]["sequences"], 1);
    done(desk.path(), &[&arguments[..], &["-o", "b.json", "--truncate-prompts"]].concat());
    assert_eq!(read(&desk.path().join("b.json"))[0]["sequences"], 2);
}

#[test]
fn the_self_test_passes() {
    let desk = desk();
    let output = done(desk.path(), &["--self-test"]);
    assert!(stdout(&output).matches("ok ").count() >= 10 && !stdout(&output).contains("FAILED"));
}

#[test]
fn the_launcher_says_what_is_missing() {
    let desk = desk();
    let whole = model("qwen2");
    let given = rollouts();
    let launch = |variable: &str, value: &str| {
        let mut command = crate::common::program(desk.path());
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
    let wrong = desk.path().join("torch");
    fs::create_dir_all(wrong.join("lib")).unwrap();
    fs::write(wrong.join("version.py"), "__version__ = '2.4.0+cpu'\n").unwrap();
    let output = launch("LIBTORCH", text(&wrong));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("libtorch 2.4.0+cpu, 2.11 is needed"), "{}", stderr(&output));
    let output = launch("ENTROPY_VIZ_COMPUTE", "/nowhere/helper");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nowhere/helper"), "{}", stderr(&output));
}

#[test]
fn the_launcher_hands_over() {
    let desk = desk();
    let (whole, given) = (model("qwen2"), rollouts());
    let arguments = ["-q", "compute", "--model", text(&whole), "--prompts", text(&given)];
    let output = run(
        desk.path(),
        &[&arguments[..], &["--device", "cpu", "-o", "h.json", "--step", "4"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "h.json\n");
    assert_eq!(read(&desk.path().join("h.json"))[0]["step"], 4);
}

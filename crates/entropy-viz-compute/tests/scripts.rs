//! TorchScript modules: traces that transformers agrees with, and wrong ones, which must give no number.
//!
//! tests/fixtures/scripts has both, made by tests/compute/make_scripts.py. `scripts/trl.sh` creates the Python environment of
//! the test of examples/trace_model.py at the first run, which needs a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{fixture, root, stderr, stdout};
use crate::compute::{assert_rejected, compute, compute_ok, model, read, rollouts, temp_dir};

fn script(name: &str) -> PathBuf {
    fixture("scripts").join(name)
}

/// The token mean of the rollouts.
fn entropy(directory: &Path, path: &str) -> (f64, String) {
    let given = rollouts();
    let arguments = ["--model", path, "--prompts", given.to_str().unwrap(), "--step", "1", "-v"];
    let output =
        compute_ok(directory, &[&arguments[..], &["-o", "h.json", "--overwrite"]].concat());
    (read(&directory.join("h.json"))[0]["entropy"].as_f64().unwrap(), stderr(&output))
}

#[test]
fn right_trace_is_compared_with_its_reference_and_gives_the_numbers_of_transformers() {
    let tmp = temp_dir();
    let expected = read(&script("expected.json"))["gpt_neox"].as_f64().unwrap();
    let (ours, said) = entropy(tmp.path(), script("gpt_neox.pt").to_str().unwrap());
    assert!((ours - expected).abs() < 2e-5, "{ours} and {expected}");
    assert!(said.contains("agrees with") && said.contains("(9 batches"), "{said}");
    assert!(!said.contains("warning"), "{said}");

    // Without the reference beside it, the numbers are the same, and a warning says what was not compared.
    fs::copy(script("gpt_neox.pt"), tmp.path().join("alone.pt")).unwrap();
    let (alone, said) = entropy(tmp.path(), "alone.pt");
    assert_eq!(alone, ours);
    assert!(said.contains("warning: alone.pt: compared only with itself"), "{said}");
}

#[test]
fn wrong_traces_are_refused_without_a_reference() {
    let tmp = temp_dir();
    for (name, words) in [
        ("qwen3_5.pt", &["jump at position 64", "chunks", "--verify-script"][..]),
        ("positions.pt", &["cannot run 1 × 7 tokens", "trace_model.py"]),
        ("bert.pt", &["have other numbers without the tokens after them"]),
        ("dropout.pt", &["a second time", "eval()"]),
    ] {
        fs::copy(script(name), tmp.path().join(name)).unwrap();
        let given = rollouts();
        let arguments = ["--model", name, "--prompts", given.to_str().unwrap(), "-o", "h.json"];
        assert_rejected(tmp.path(), &[&arguments[..], &["--step", "1"]].concat(), words);
    }
}

#[test]
fn trace_that_is_right_for_short_sequences_is_used_for_them() {
    let tmp = temp_dir();
    fs::copy(script("qwen3_5.pt"), tmp.path().join("short.pt")).unwrap();
    let row = r#"{"prompt_token_ids": [5, 9, 31, 7], "response_token_ids": [8, 100, 12, 3, 77]}"#;
    fs::write(tmp.path().join("short.jsonl"), row).unwrap();
    let arguments = ["--model", "short.pt", "--prompts", "short.jsonl", "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--step", "1"]].concat());
    // To sample, it would have to run more tokens than it can.
    let row = r#"{"prompt_token_ids": [5, 9, 31, 7, 8, 100]}"#;
    fs::write(tmp.path().join("sample.jsonl"), row).unwrap();
    let arguments = ["--model", "short.pt", "--prompts", "sample.jsonl", "--max-new-tokens", "90"];
    let flags = ["-o", "s.json", "--step", "1"];
    assert_rejected(tmp.path(), &[&arguments[..], &flags].concat(), &["jump at position 64"]);
}

#[test]
fn wrong_trace_is_refused_by_its_reference() {
    let tmp = temp_dir();
    let (path, given) = (script("qwen3_5.pt"), rollouts());
    let arguments = ["--model", path.to_str().unwrap(), "--prompts", given.to_str().unwrap()];
    let words = ["1 × 65 tokens", "qwen3_5.reference.jsonl", "differs by up to 0."];
    assert_rejected(
        tmp.path(),
        &[&arguments[..], &["-o", "h.json", "--step", "1"]].concat(),
        &words,
    );
    // A reference of another model.
    let other = script("gpt_neox.reference.jsonl");
    let flags = ["--verify-script", other.to_str().unwrap(), "-o", "h.json", "--step", "1"];
    assert_rejected(tmp.path(), &[&arguments[..], &flags].concat(), &["is it the reference"]);
}

#[test]
fn verify_script_reports_every_batch() {
    let tmp = temp_dir();
    let verify = |name: &str| {
        let (path, reference) =
            (script(&format!("{name}.pt")), script(&format!("{name}.reference.jsonl")));
        let arguments =
            ["--model", path.to_str().unwrap(), "--verify-script", reference.to_str().unwrap()];
        compute(tmp.path(), &arguments)
    };
    let output = verify("gpt_neox");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok")).count(), 10, "{said}");

    let output = verify("qwen3_5");
    assert_eq!(output.status.code(), Some(2));
    let said = stdout(&output);
    let verdicts: Vec<&str> =
        said.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(verdicts[..4], ["ok", "ok", "WRONG", "WRONG"], "{said}");
}

#[test]
fn verify_script_needs_a_script_and_a_reference() {
    let tmp = temp_dir();
    let (llama, neox, given) = (model("llama"), script("gpt_neox.pt"), rollouts());
    let reference = script("gpt_neox.reference.jsonl");
    let [llama, neox, given, reference] =
        [&llama, &neox, &given, &reference].map(|path| path.to_str().unwrap());
    let words = ["--verify-script needs a TorchScript file"];
    assert_rejected(tmp.path(), &["--model", llama, "--verify-script", reference], &words);
    let flags = ["--verify-script", reference, "--prompts", given, "-o", "h.json", "--step", "1"];
    assert_rejected(tmp.path(), &[&["--model", llama][..], &flags].concat(), &words);
    let words = ["rollouts.jsonl as a reference", "line 1"];
    assert_rejected(tmp.path(), &["--model", neox, "--verify-script", given], &words);
    let words = ["missing.jsonl", "no such file"];
    assert_rejected(tmp.path(), &["--model", neox, "--verify-script", "missing.jsonl"], &words);
}

/// The recipe traces a checkpoint whose numbers are known.
#[test]
fn traced_checkpoint_gives_the_numbers_of_the_checkpoint() {
    let tmp = temp_dir();
    let venv = root().join(".venv/trl");
    let made = Command::new("bash").arg(root().join("scripts/trl.sh")).arg(&venv).status().unwrap();
    assert!(made.success(), "scripts/trl.sh failed");
    let trace = |name: &str, flags: &[&str]| {
        let mut python = Command::new(venv.join("bin/python"));
        python.arg(root().join("examples/trace_model.py")).arg(model(name)).arg("traced.pt");
        python.args(flags).current_dir(tmp.path()).env("OMP_NUM_THREADS", "1");
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    for (name, flags) in
        [("llama", &["--attention", "sdpa"][..]), ("gemma3_text", &[]), ("phi3-longrope", &[])]
    {
        trace(name, flags);
        let golden = read(&model(name).join("golden.json"));
        let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
        let (ours, said) = entropy(tmp.path(), "traced.pt");
        assert!((ours - expected).abs() < 2e-5, "{name}: {ours} and {expected}");
        assert!(said.contains("traced.pt: agrees with traced.reference.jsonl"), "{said}");
        assert_eq!(said.contains("right for longrope only"), name == "phi3-longrope", "{said}");
    }
    // In 16 bits.
    trace("llama", &["--dtype", "bfloat16"]);
    entropy(tmp.path(), "traced.pt");
}

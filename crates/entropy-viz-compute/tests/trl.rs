//! The callback of docs/recording.md in a real GRPO training of a tiny Qwen3 by TRL.
//!
//! `scripts/trl.sh` creates its virtual environment at the first run, which needs a network. It uses the torch that
//! the helper links, so the test is part of the helper's tests.

use std::fs;
use std::process::Command;

use crate::common::{fixture, root, stderr};
use serde_json::{Value, json};

#[test]
fn recorded_trl_run_matches_the_trainer_log() {
    let root = root();
    let venv = root.join(".venv/trl");
    let made = Command::new("bash").arg(root.join("scripts/trl.sh")).arg(&venv).status().unwrap();
    assert!(made.success(), "scripts/trl.sh failed");

    let tmp = tempfile::tempdir().unwrap();
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(root.join("tests/trl/train.py")).arg(fixture("compute/qwen3"));
    command.arg(root.join("docs/recording.md")).args(["tiny", "kept.json"]);
    command.current_dir(tmp.path()).env("PATH", path).env("STORAGE_PATH", tmp.path());
    let output = command.env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    let read = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(tmp.path().join(path)).unwrap()).unwrap()
    };
    let kept = read("kept.json");
    assert_eq!(kept.as_array().unwrap().len(), 12);
    let rows = kept.as_array().unwrap().iter();
    let rows: Vec<_> = rows.map(|row| json!({"step": row[0], "entropy": row[1]})).collect();
    assert_eq!(read("models/tiny/entropy_history_tiny.json"), json!(rows));
}

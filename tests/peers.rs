//! Files that `convert` writes are read back by TensorBoard, wandb and pyarrow.
//!
//! `scripts/peers.sh` creates their virtual environment at the first run, which needs a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{program, stderr};
use serde_json::json;

const LABELS: [&str; 3] = ["questioner_s1", "名前 <b>run< b> & \"q\"", "one"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python interpreter of that virtual environment.
fn python() -> PathBuf {
    let venv = root().join(".venv/peers");
    let script = root().join("scripts/peers.sh");
    let status = Command::new("bash").arg(script).arg(&venv).status().unwrap();
    assert!(status.success(), "scripts/peers.sh failed");
    venv.join("bin/python")
}

/// Runs a script of tests/peers on a directory.
fn run_script(script: &str, directory: &Path) {
    let script = root().join("tests/peers").join(script);
    let output = Command::new(python()).arg(script).arg(directory).output().unwrap();
    let said = [crate::common::stdout(&output), stderr(&output)].concat();
    assert!(output.status.success(), "{said}");
}

/// Runs of 5,000 points (many LevelDB blocks), 120 points, and one point.
fn points(run: usize) -> Vec<(u32, f64)> {
    let length = [5_000, 120, 1][run];
    (1..=length).map(|step| (step, 2.0 + (f64::from(step) * 0.7).sin() / 3.0)).collect()
}

#[test]
fn converted_files_are_read_by_tensorboard_wandb_and_pyarrow() {
    let tmp = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    let mut expected = Vec::new();
    for (run, label) in LABELS.iter().enumerate() {
        let rows = points(run).into_iter();
        let rows: Vec<_> = rows.map(|(step, h)| json!({"step": step, "entropy": h})).collect();
        fs::write(tmp.path().join(format!("{run}.json")), json!(rows).to_string()).unwrap();
        inputs.push(format!("{label}={run}.json"));
        let metric = "policy/entropy";
        expected.push(json!({"label": label, "metric": metric, "points": points(run)}));
    }
    fs::write(tmp.path().join("expected.json"), json!(expected).to_string()).unwrap();
    let outputs =
        [("tensorboard", "tensorboard"), ("wandb", "wandb"), ("parquet", "table.parquet")];
    for (format, out) in outputs {
        let mut command = program(tmp.path());
        command.arg("convert").args(&inputs).args(["--to", format, "-o", out]);
        let output = command.args(["--as", "policy/entropy"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    run_script("read_back.py", tmp.path());
    run_script("sync.py", tmp.path()); // runs the real `wandb sync` against a stand-in for the server
}

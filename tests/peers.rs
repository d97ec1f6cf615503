//! What `convert` writes, read back by the programs that it is written for: TensorBoard, wandb, pyarrow.
//!
//! `scripts/peers.sh` makes their virtual environment at the first run, which takes a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{program, stderr};
use serde_json::json;

const LABELS: [&str; 3] = ["questioner_s1", "名前 <b>run< b> & \"q\"", "one"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has the peers.
fn python() -> PathBuf {
    let venv = root().join(".venv/peers");
    let script = root().join("scripts/peers.sh");
    let status = Command::new("bash").arg(script).arg(&venv).status().unwrap();
    assert!(status.success(), "scripts/peers.sh failed");
    venv.join("bin/python")
}

/// Runs a script of tests/peers on a directory.
fn check(script: &str, directory: &Path) {
    let script = root().join("tests/peers").join(script);
    let output = Command::new(python()).arg(script).arg(directory).output().unwrap();
    let said = [crate::common::stdout(&output), stderr(&output)].concat();
    assert!(output.status.success(), "{said}");
}

/// Long enough for many blocks; a label with all that hurts; a single point.
fn points(run: usize) -> Vec<(u32, f64)> {
    let length = [5_000, 120, 1][run];
    (1..=length).map(|step| (step, 2.0 + (f64::from(step) * 0.7).sin() / 3.0)).collect()
}

#[test]
fn what_is_converted_is_read_back_by_its_own_programs() {
    let desk = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    let mut expected = Vec::new();
    for (run, label) in LABELS.iter().enumerate() {
        let rows = points(run).into_iter();
        let rows: Vec<_> = rows.map(|(step, h)| json!({"step": step, "entropy": h})).collect();
        fs::write(desk.path().join(format!("{run}.json")), json!(rows).to_string()).unwrap();
        inputs.push(format!("{label}={run}.json"));
        let metric = "policy/entropy";
        expected.push(json!({"label": label, "metric": metric, "points": points(run)}));
    }
    fs::write(desk.path().join("expected.json"), json!(expected).to_string()).unwrap();
    let outputs =
        [("tensorboard", "tensorboard"), ("wandb", "wandb"), ("parquet", "table.parquet")];
    for (format, out) in outputs {
        let mut command = program(desk.path());
        command.arg("convert").args(&inputs).args(["--to", format, "-o", out]);
        let output = command.args(["--as", "policy/entropy"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    check("read_back.py", desk.path());
    check("sync.py", desk.path()); // the real `wandb sync`, against a stand-in for the server
}

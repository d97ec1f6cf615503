//! `--from-step` and `--to-step` limit what is shown; states are always of the whole run.

use std::fs;
use std::path::Path;

use crate::common::{run, stderr, stdout};
use serde_json::Value;

/// Writes a run that collapses at step 41 (2 to 0.05 nats), and a healthy one.
fn write_collapsed_and_healthy_run(directory: &Path) {
    for (name, late) in [("down", 0.05), ("up", 2.0)] {
        let value = |step: i32| if step <= 40 { 2.0 } else { late + 0.001 * f64::from(step % 7) };
        let rows: Vec<String> = (1..=100)
            .map(|step| format!(r#"{{"step": {step}, "entropy": {:?}}}"#, value(step)))
            .collect();
        let path = directory.join(format!("entropy_history_{name}.json"));
        fs::write(path, format!("[{}]", rows.join(", "))).unwrap();
    }
}

fn runs(directory: &Path, arguments: &[&str]) -> Vec<Value> {
    let inputs = ["entropy_history_down.json", "entropy_history_up.json"];
    let output = run(directory, &[&["stats", "--json"], &inputs[..], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    document["runs"].as_array().unwrap().clone()
}

#[test]
fn from_step_does_not_change_the_state() {
    let tmp = tempfile::tempdir().unwrap();
    write_collapsed_and_healthy_run(tmp.path());
    let whole = runs(tmp.path(), &[]);
    let late = runs(tmp.path(), &["--from-step", "50"]);
    assert_eq!(whole[0]["state"], "collapsed");
    for key in ["state", "state_step", "baseline", "half_life_step", "final_ratio", "late_slope"] {
        assert_eq!(late[0][key], whole[0][key], "{key}");
    }
    // The other numbers are computed from the shown steps.
    assert_eq!((&late[0]["points"], &late[0]["first_step"]), (&51.into(), &50.into()));
    assert!(late[0]["max"].as_f64() < Some(0.1), "{}", late[0]["max"]);

    let table = stdout(&run(tmp.path(), &["stats", ".", "--no-plot", "--from-step", "50"]));
    assert!(table.contains("collapsed @ ") && table.contains("state, start"), "{table}");
}

#[test]
fn stats_json_states_its_step_window() {
    let tmp = tempfile::tempdir().unwrap();
    write_collapsed_and_healthy_run(tmp.path());
    let window = |arguments: &[&str]| {
        let output = run(tmp.path(), &[&["stats", ".", "--json"], arguments].concat());
        serde_json::from_str::<Value>(&stdout(&output)).unwrap()["window"].clone()
    };
    assert_eq!(window(&[]), Value::Null);
    let wanted = serde_json::json!({"from_step": 50, "to_step": null});
    assert_eq!(window(&["--from-step", "50"]), wanted);
}

#[test]
fn artifacts_with_from_step_check_whole_runs() {
    let tmp = tempfile::tempdir().unwrap();
    write_collapsed_and_healthy_run(tmp.path());
    let arguments = ["auto", ".", "--from-step", "50", "--artifacts", "set", "--pattern", "*.json"];
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let junit = fs::read_to_string(tmp.path().join("set/junit.xml")).unwrap();
    assert!(junit.contains(r#"tests="4" failures="1""#), "{junit}");
    assert!(junit.contains("collapsed at step"), "{junit}");
    let summary = fs::read_to_string(tmp.path().join("set/summary.md")).unwrap();
    assert!(summary.contains("| collapsed at step"), "{summary}");
    // The collapse lies outside the shown steps, so it is not marked.
    let svg = fs::read_to_string(tmp.path().join("set/entropy_comparison.svg")).unwrap();
    assert!(!svg.contains("collapsed at"), "the mark of step 43 has no place behind step 50");
}

#[test]
fn run_that_ends_before_from_step_is_still_checked() {
    let tmp = tempfile::tempdir().unwrap();
    write_collapsed_and_healthy_run(tmp.path());
    let rows: Vec<String> = (1..=40)
        .map(|step| {
            let value = if step < 15 { 2.0 } else { 0.1 };
            format!(r#"{{"step": {step}, "entropy": {value:?}}}"#)
        })
        .collect();
    fs::write(tmp.path().join("entropy_history_early.json"), format!("[{}]", rows.join(", ")))
        .unwrap();
    let arguments = ["auto", ".", "--from-step", "50", "--artifacts", "set", "--pattern", "*.json"];
    let output = run(tmp.path(), &arguments);
    assert!(stderr(&output).contains("early is left out: it has no point in the range of steps"));
    let junit = fs::read_to_string(tmp.path().join("set/junit.xml")).unwrap();
    assert!(junit.contains(r#"<testcase classname="early" name="collapse"><failure"#), "{junit}");
}

#[test]
fn baseline_of_a_step_window_is_skipped() {
    let tmp = tempfile::tempdir().unwrap();
    write_collapsed_and_healthy_run(tmp.path());
    let late = run(tmp.path(), &["stats", ".", "--json", "--to-step", "30"]);
    fs::write(tmp.path().join("main.stats"), &late.stdout).unwrap();
    let up = "entropy_history_up.json";
    let output = run(tmp.path(), &["check", up, "--no-worse-than", "main.stats", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(document["checks"][2]["outcome"], "skipped", "{document}");
    assert!(stderr(&output).contains("cover only part of the steps"), "{}", stderr(&output));
}

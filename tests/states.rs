//! States of runs: collapsed, exploded, falling; one rule for `stats`, `check` and `watch`.

use std::fs;
use std::path::Path;

use crate::common::{run, stderr, stdout};
use serde_json::Value;

/// A log with an entropy and a reward at steps 1, 2, …
fn write(directory: &Path, name: &str, values: &[f64]) {
    let row = |(step, value): (u32, &f64)| {
        let reward = 0.2 + 0.01 * f64::from(step);
        format!("{{\"step\": {step}, \"entropy\": {value:?}, \"reward\": {reward:?}}}\n")
    };
    fs::write(directory.join(name), (1..).zip(values).map(row).collect::<String>()).unwrap();
}

fn first_run(directory: &Path, arguments: &[&str]) -> Value {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str::<Value>(&stdout(&output)).unwrap()["runs"][0].clone()
}

fn decay(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.05 + 0.95 * (-(i as f64) / 8.0).exp()).collect()
}

#[test]
fn collapse_stays_as_the_run_goes_on_and_after_one_healthy_value() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.jsonl", &decay(60));
    let first = first_run(tmp.path(), &["a.jsonl"]);
    assert_eq!(first["state"], "collapsed");
    let mut spike = decay(60);
    spike.push(1.0);
    for values in [decay(600), decay(1000), spike] {
        write(tmp.path(), "a.jsonl", &values);
        let later = first_run(tmp.path(), &["a.jsonl"]);
        for key in ["state", "state_step", "start", "baseline"] {
            assert_eq!(later[key], first[key], "{key} after {} points", values.len());
        }
    }
}

#[test]
fn stats_check_and_watch_agree_on_every_prefix_of_a_run() {
    let tmp = tempfile::tempdir().unwrap();
    let noise = |i: usize| 1.0 + 0.1 * ((i * 37 % 11) as f64 - 5.0) / 5.0;
    let values: Vec<f64> = decay(40).iter().enumerate().map(|(i, v)| v * noise(i)).collect();
    let mut collapsed = 0;
    for n in 9..=values.len() {
        write(tmp.path(), "a.jsonl", &values[..n]);
        let stats = first_run(tmp.path(), &["a.jsonl"]);
        let is_collapsed = stats["state"] == "collapsed";
        collapsed += usize::from(is_collapsed);
        let code = Some(i32::from(is_collapsed));
        assert_eq!(run(tmp.path(), &["check", "a.jsonl"]).status.code(), code, "{n} points");
        let watch = run(tmp.path(), &["watch", "a.jsonl", "--once", "--exit-on", "collapse"]);
        assert_eq!(watch.status.code(), code, "{n} points: {}", stderr(&watch));
        assert_eq!(stats["state_step"].is_null(), !is_collapsed);
    }
    assert!(collapsed > 5 && collapsed < 30, "{collapsed}");
}

#[test]
fn metric_that_is_not_an_entropy_has_its_own_title_and_no_state() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.jsonl", &[2.0; 60]);
    let stats = first_run(tmp.path(), &["a.jsonl", "--metric", "reward"]);
    assert_eq!((&stats["state"], &stats["quantity"]), (&Value::Null, &"other_metric".into()));
    assert!(stats["start"].is_null() && stats["slope"].is_null());
    let draw = |arguments: &[&str]| {
        let output = run(tmp.path(), &[&["plot", "-o", "x.svg"], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(tmp.path().join("x.svg")).unwrap()
    };
    let reward = draw(&["a.jsonl", "--metric", "reward"]);
    assert!(reward.contains("reward of a") && !reward.contains("Policy entropy"), "{reward}");
    assert!(draw(&["a.jsonl"]).contains("Policy entropy of a"));
    let output = run(tmp.path(), &["check", "a.jsonl", "--metric", "reward"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    let said = stderr(&output);
    assert!(said.contains("collapse could not be checked: reward is not an entropy"), "{said}");
}

#[test]
fn low_start_and_leading_zeros_are_warned_about() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "flat.jsonl", &[0.03; 60]);
    let zeros: Vec<f64> = (0..60).map(|i| if i < 6 { 0.0 } else { 2.0 }).collect();
    write(tmp.path(), "zeros.jsonl", &zeros);
    for command in ["check", "stats"] {
        let said = |name: &str| stderr(&run(tmp.path(), &[command, name]));
        assert!(said("flat.jsonl").contains("flat: the run starts at 0.0300 nats"), "{command}");
        let zeros = said("zeros.jsonl");
        assert!(zeros.contains("zeros: the first 6 values are exactly 0"), "{zeros}");
        assert!(zeros.contains("no state"), "{zeros}");
    }
}

#[test]
fn rules_choose_what_check_applies() {
    let tmp = tempfile::tempdir().unwrap();
    let line: Vec<f64> = (0..120).map(|i| 1.0 - 0.005 * f64::from(i)).collect();
    write(tmp.path(), "falls.jsonl", &line);
    write(tmp.path(), "down.jsonl", &decay(60));
    let rules = |log: &str, flags: &[&str]| {
        let output = run(tmp.path(), &[&["check", log, "--json"], flags].concat());
        let document = serde_json::from_str::<Value>(&stdout(&output)).unwrap_or_default();
        let checks = document["checks"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            checks.iter().map(|c| c["rule"].as_str().unwrap().to_owned()).collect();
        (output.status.code().unwrap(), names.join(" "), stderr(&output))
    };
    assert_eq!(rules("falls.jsonl", &[]).0, 0);
    let falling = rules("falls.jsonl", &["--rules", "falling"]);
    assert_eq!((falling.0, falling.1.as_str()), (1, "falling"));
    let bounds = rules("down.jsonl", &["--rules", "bounds", "--min-entropy", "0.01"]);
    assert_eq!((bounds.0, bounds.1.as_str()), (0, "min-entropy"));
    assert_eq!(rules("down.jsonl", &["--min-entropy", "0.01"]).0, 1);
    assert_eq!(rules("down.jsonl", &["--rules", "explode,falling"]).0, 0);
    for (flags, words) in [
        (&["--rules", "bounds"][..], "--rules bounds needs a limit"),
        (&["--rules", "baseline"], "--rules baseline needs --no-worse-than"),
        (&["--rules", "collapse", "--max-entropy", "3"], "--rules does not list bounds"),
    ] {
        let refused = rules("down.jsonl", flags);
        assert!(refused.0 == 2 && refused.2.contains(words), "{}", refused.2);
    }
    let text = stdout(&run(tmp.path(), &["check", "down.jsonl"]));
    assert_eq!(text.matches("step").count(), 1, "{text}");
}

#[test]
fn falling_alone_does_not_fail_a_baseline() {
    let tmp = tempfile::tempdir().unwrap();
    let line: Vec<f64> = (0..120).map(|i| 1.0 - 0.005 * f64::from(i)).collect();
    let mean = line.iter().sum::<f64>() / 120.0;
    write(tmp.path(), "x.jsonl", &[mean; 120]);
    let baseline = run(tmp.path(), &["stats", "x.jsonl", "--json"]);
    fs::write(tmp.path().join("main.json"), &baseline.stdout).unwrap();
    write(tmp.path(), "x.jsonl", &line);
    assert_eq!(first_run(tmp.path(), &["x.jsonl"])["state"], "falling");
    let check = ["check", "x.jsonl", "--no-worse-than", "main.json"];
    assert_eq!(run(tmp.path(), &check).status.code(), Some(0));
}

#[test]
fn watch_exits_when_a_limit_is_crossed() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.jsonl", &[0.2; 30]);
    let watch =
        |flags: &[&str]| run(tmp.path(), &[&["watch", "a.jsonl", "--once"], flags].concat());
    let crossed = watch(&["--min-entropy", "0.3"]);
    assert_eq!(crossed.status.code(), Some(1));
    assert!(
        stderr(&crossed).contains("a: min-entropy: 0.2000 nats at step 1, below the limit 0.3"),
        "{}",
        stderr(&crossed)
    );
    assert_eq!(watch(&["--exit-on", "bounds", "--min-entropy", "0.1"]).status.code(), Some(0));
    assert_eq!(watch(&["--exit-on", "bounds"]).status.code(), Some(2));
    assert_eq!(watch(&["--min-entropy", "2", "--max-entropy", "1"]).status.code(), Some(2));
}

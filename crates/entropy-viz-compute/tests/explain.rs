//! `entropy-viz explain` on a real GRPO run of TRL: checkpoints and rollouts are found, and what is missing is computed.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{fixture, program, stderr, stdout};
use serde_json::Value;

fn explain(directory: &Path, arguments: &[&str]) -> Output {
    program(directory).arg("explain").args(arguments).output().unwrap()
}

/// Copies the run of the fixtures with these checkpoints.
fn copy_run(to: &Path, steps: &[u64]) {
    for step in steps {
        copy(
            &fixture(&format!("grpo/run/checkpoint-{step}")),
            &to.join(format!("checkpoint-{step}")),
        );
    }
    copy(&fixture("grpo/run/completions"), &to.join("completions"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn run_of_trl_is_computed_once_and_agrees_with_transformers() {
    let tmp = tempfile::tempdir().unwrap();
    let run = fixture("grpo/run");
    let arguments = [run.to_str().unwrap(), "--json"];
    let output = explain(tmp.path(), &arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "Found 7 checkpoints and rollouts of 6 steps",
        "the checkpoint of step N is scored on the rollouts of step N + 1, which it sampled",
        "The checkpoint of step 51 is left out: there is no dump for it",
        "To compute: 6 checkpoints, 6874 tokens of prompts and responses, about",
        "$ entropy-viz compute --model ",
        "--dump-step previous --steps 0:50 --tokens-out explain_run_data/tokens.jsonl",
        "rewards are taken from \"early_vowels\", the only number in the dump",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = fs::read_to_string(fixture("expected/change.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    // The fixture's entropies are those of transformers, rounded to 6 decimals.
    let near = |ours: &Value, theirs: &Value| {
        let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
        assert!((ours - theirs).abs() < 2e-6, "{ours} is not {theirs}");
    };
    for step in document["steps"].as_array().unwrap() {
        near(&step["mean"], &expected["steps"][step["step"].to_string()]);
    }
    near(&document["main"]["change"]["value"], &expected["change"]["value"]);
    let right = &document["splits"][0]["rows"][0]["within_share"]["value"];
    near(right, &expected["splits"]["outcome"]["rows"][0]["within_share"]["value"]);
    let texts = document["sentences"].as_array().unwrap();
    let text =
        |topic: &str| texts.iter().find(|text| text["topic"] == topic).unwrap()["text"].clone();
    // trainer_state.json has 2.3359… and 0.9167….
    assert_eq!(text("log"), "The trainer logged 2.336 at step 1 and 0.917 at step 51 (entropy).");
    assert!(tmp.path().join("explain_run.html").is_file());

    let page = fs::read(tmp.path().join("explain_run_data/tokens.jsonl")).unwrap();
    let again = explain(tmp.path(), &arguments);
    let said = stderr(&again);
    assert!(
        said.contains("All 6 checkpoints are computed already, in explain_run_data."),
        "{said}"
    );
    assert!(!said.contains("$ entropy-viz compute"), "{said}");
    assert_eq!(fs::read(tmp.path().join("explain_run_data/tokens.jsonl")).unwrap(), page);

    // The dump that was computed is used without the helper, which cannot check it.
    let mut command = program(tmp.path());
    command
        .args(["explain", arguments[0], "--json"])
        .env("ENTROPY_VIZ_COMPUTE", "/none")
        .env("LIBTORCH", "/none");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot be checked"), "{}", stderr(&output));
    // Other flags would be mixed with what is there.
    let output = explain(tmp.path(), &[arguments[0], "--", "--temperature", "0.5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("overwrite"), "{}", stderr(&output));
}

#[test]
fn broken_checkpoint_is_left_out_and_named() {
    let tmp = tempfile::tempdir().unwrap();
    copy_run(&tmp.path().join("run"), &[0, 20, 30, 50]);
    fs::write(tmp.path().join("run/checkpoint-20/model.safetensors"), b"broken").unwrap();
    let output = explain(tmp.path(), &["run", "--json"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("The checkpoint of step 20 is left out: "), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["left_out"][0]["step"], 20);
    let steps: Vec<u64> = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [0, 30, 50]);
    assert!(tmp.path().join("explain_run.html").is_file(), "the others are explained");
}

#[test]
fn one_checkpoint_no_checkpoint_and_rows_without_responses_are_errors() {
    let tmp = tempfile::tempdir().unwrap();
    copy_run(&tmp.path().join("one"), &[0]);
    let output = explain(tmp.path(), &["one"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there is one checkpoint, and a change needs two"),
        "{}",
        stderr(&output)
    );
    copy(&fixture("grpo/run/completions"), &tmp.path().join("none/completions"));
    let output = explain(tmp.path(), &["none"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot plan the entropies of none"), "{}", stderr(&output));
    copy_run(&tmp.path().join("two"), &[0, 10]);
    fs::write(tmp.path().join("prompts.jsonl"), "{\"prompt\":\"abc\"}\n").unwrap();
    let output = explain(tmp.path(), &["two", "--rollouts", "prompts.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("have no response"), "{}", stderr(&output));
    for name in ["one", "none", "two"] {
        assert!(!tmp.path().join(format!("explain_{name}.html")).exists());
        assert!(!tmp.path().join(format!("explain_{name}_data")).exists(), "{name}");
    }
}

#[test]
fn one_file_for_all_checkpoints_is_said_to_be_off_policy() {
    let tmp = tempfile::tempdir().unwrap();
    let (run, file) =
        (fixture("grpo/run"), fixture("grpo/run/completions/completions_00031.parquet"));
    let output = explain(
        tmp.path(),
        &[run.to_str().unwrap(), "--rollouts", file.to_str().unwrap(), "-o", "x.html"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains(
            "All checkpoints are scored on the same responses, which at most one of them sampled"
        ),
        "{said}"
    );
    assert!(
        stderr(&output).contains("all checkpoints are scored on the same responses"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn dumps_of_the_same_steps_are_used_if_there_are_no_others() {
    let tmp = tempfile::tempdir().unwrap();
    copy_run(&tmp.path().join("run"), &[10, 20, 30]);
    for step in [1, 11, 21, 31, 41, 51] {
        let name =
            |step: u64| tmp.path().join(format!("run/completions/completions_{step:05}.parquet"));
        fs::rename(name(step), name(step - 1)).unwrap();
    }
    let output = explain(tmp.path(), &["run"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("is scored on the rollouts of step N, which the checkpoint before sampled"),
        "{said}"
    );
    assert!(said.contains("--dump-step same"), "{said}");
    let said = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("the numbers are one update off the policy"), "{said}");
}

#[test]
fn plan_computes_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let (run, dumps) = (fixture("grpo/run"), fixture("grpo/run/completions"));
    let mut command = program(tmp.path());
    command.args(["compute", "--plan", "--model"]).arg(run).arg("--prompts").arg(dumps);
    let output = command.args(["--dump-step", "previous", "-o", "h.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checkpoints = plan["checkpoints"].as_array().unwrap();
    let states: Vec<&str> = checkpoints.iter().map(|c| c["state"].as_str().unwrap()).collect();
    assert_eq!(
        states,
        ["missing", "missing", "missing", "missing", "missing", "missing", "unusable"]
    );
    // The parameters are those in the header of model.safetensors.
    assert_eq!(
        (&checkpoints[0]["responses"], &checkpoints[0]["parameters"]),
        (&63.into(), &2432.into())
    );
    assert!(checkpoints[6]["reason"].as_str().unwrap().contains("there is no dump of step 52"));
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
    assert!(!tmp.path().join("h.json").exists());
}

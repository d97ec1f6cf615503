//! `compute --prompts DIR`: a directory with one dump per step.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{fixture, stderr};
use crate::compute::{assert_rejected, compute_ok, lines, model, read, temp_dir, text};

/// A run with the checkpoints of the steps 10, 20 and 30, all of them the same model.
fn run_of_three(directory: &Path) {
    for step in [10, 20, 30] {
        crate::compute::copy(&model("qwen2"), &directory.join(format!("run/checkpoint-{step}")));
    }
}

/// A dump with the first responses of the golden file.
pub(crate) fn write_dump(path: &Path, responses: usize) {
    let given = fs::read_to_string(fixture("compute/rollouts.jsonl")).unwrap();
    let rows: Vec<&str> = given.lines().take(responses).collect();
    fs::write(path, rows.join("\n")).unwrap();
}

fn steps_and_responses(path: &Path) -> Vec<(u64, u64)> {
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    let rows = read(path);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (number(row, "step"), number(row, "sequences"))).collect()
}

#[test]
fn every_checkpoint_scores_the_dump_of_its_step() {
    let tmp = temp_dir();
    run_of_three(tmp.path());
    fs::create_dir(tmp.path().join("dumps")).unwrap();
    for (step, responses) in [(10, 1), (11, 2), (20, 3), (21, 4)] {
        write_dump(&tmp.path().join(format!("dumps/{step}.jsonl")), responses);
    }
    let inside = ["--model", "run", "--prompts", "dumps", "-o", "h.json", "--tokens-out"];
    let inside = [&inside[..], &["dumps/10.jsonl"]].concat();
    assert_rejected(tmp.path(), &inside, &["it is in the directory of --prompts"]);
    let arguments = ["--model", "run", "--prompts", "dumps", "-o", "h.json"];
    let output = crate::compute::compute(tmp.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let missing = "skipped step 30: cannot read dumps: there is no dump of step 30; the dumps are of steps 10 to 21";
    assert!(stderr(&output).contains(missing), "{}", stderr(&output));
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 1), (20, 3)]);

    // A dump of a later step does not change the other rows.
    write_dump(&tmp.path().join("dumps/30.jsonl"), 5);
    let output = compute_ok(tmp.path(), &arguments);
    assert!(stderr(&output).contains("step 20: already in h.json"), "{}", stderr(&output));
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 1), (20, 3), (30, 5)]);
    // Another dump of a step does.
    write_dump(&tmp.path().join("dumps/20.jsonl"), 6);
    assert_rejected(tmp.path(), &arguments, &["its step 20 was computed with", "another dump"]);

    let previous = ["--model", "run", "--prompts", "dumps", "-o", "p.json", "--steps", "10:20"];
    compute_ok(tmp.path(), &[&previous[..], &["--dump-step", "previous"]].concat());
    assert_eq!(steps_and_responses(&tmp.path().join("p.json")), [(10, 2), (20, 4)]);
}

#[test]
fn row_of_a_deleted_dump_is_kept() {
    let tmp = temp_dir();
    run_of_three(tmp.path());
    fs::create_dir(tmp.path().join("dumps")).unwrap();
    for (step, responses) in [(10, 1), (20, 3)] {
        write_dump(&tmp.path().join(format!("dumps/{step}.jsonl")), responses);
    }
    let arguments = ["--model", "run", "--prompts", "dumps", "-o", "h.json"];
    let tokens = ["--tokens-out", "t.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &tokens, &["--steps", "10:20"]].concat());
    let rows = fs::read_to_string(tmp.path().join("t.jsonl")).unwrap();
    fs::remove_file(tmp.path().join("dumps/10.jsonl")).unwrap();
    write_dump(&tmp.path().join("dumps/30.jsonl"), 5);
    let said = stderr(&compute_ok(tmp.path(), &[&arguments[..], &tokens].concat()));
    let kept = "step 10: already in h.json, which is kept; its dump of step 10 in dumps is missing";
    assert!(said.contains(kept) && said.contains("step 20: already in h.json\n"), "{said}");
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 1), (20, 3), (30, 5)]);
    assert!(fs::read_to_string(tmp.path().join("t.jsonl")).unwrap().starts_with(&rows));
    // Another file without the step cannot be completed.
    let other = ["--tokens-out", "other.jsonl"];
    let output = crate::compute::compute(tmp.path(), &[&arguments[..], &other].concat());
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("skipped step 10") && said.contains("no dump of step 10"), "{said}");
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 1), (20, 3), (30, 5)]);
}

#[test]
fn directory_of_dumps_needs_steps_of_one_kind() {
    let tmp = temp_dir();
    run_of_three(tmp.path());
    fs::create_dir(tmp.path().join("dumps")).unwrap();
    let arguments = ["--model", "run", "--prompts", "dumps", "-o", "h.json"];
    fs::write(tmp.path().join("dumps/all.jsonl"), "").unwrap();
    assert_rejected(
        tmp.path(),
        &arguments,
        &["cannot read dumps", "named by a step", "one dump per step"],
    );
    write_dump(&tmp.path().join("dumps/val_data_step10.jsonl"), 1);
    write_dump(&tmp.path().join("dumps/train_data_step10.jsonl"), 2);
    let output = compute_ok(tmp.path(), &[&arguments[..], &["--steps", "10:10"]].concat());
    assert!(
        stderr(&output).contains("dumps: using train_data_stepN.jsonl, not val_data_stepN.jsonl")
    );
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 2)]);
    let file = ["--model", "run", "--prompts", "dumps/all.jsonl", "--dump-step", "same"];
    assert_rejected(tmp.path(), &file, &["--dump-step is for a directory", "dumps/all.jsonl"]);
}

#[test]
fn directory_of_a_step_is_read_as_a_whole() {
    let tmp = temp_dir();
    run_of_three(tmp.path());
    for (task, responses) in [("dumps/10/3.jsonl", 2), ("dumps/10/12.jsonl", 1)] {
        fs::create_dir_all(tmp.path().join("dumps/10")).unwrap();
        write_dump(&tmp.path().join(task), responses);
    }
    let arguments = ["--model", "run", "--prompts", "dumps", "-o", "h.json", "--steps", "10:10"];
    compute_ok(tmp.path(), &arguments);
    assert_eq!(steps_and_responses(&tmp.path().join("h.json")), [(10, 3)]);
    fs::write(tmp.path().join("dumps/10/12.jsonl"), "{\"prompt\": 5}").unwrap();
    let rejected = [&arguments[..], &["--overwrite"]].concat();
    let output = crate::compute::compute(tmp.path(), &rejected);
    assert!(
        stderr(&output).contains("cannot read dumps/10/12.jsonl: line 1"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn ids_go_on_over_the_files_of_a_step() {
    let (tmp, whole) = (temp_dir(), model("qwen2"));
    fs::create_dir_all(tmp.path().join("d/10")).unwrap();
    let row = json!({"prompt_token_ids": [5], "response_token_ids": [6]}).to_string();
    for name in ["d/10/a.jsonl", "d/10/b.jsonl"] {
        fs::write(tmp.path().join(name), format!("{row}\n{row}\n")).unwrap();
    }
    let arguments = ["--model", text(&whole), "--prompts", "d", "--step", "10", "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--tokens-out", "t.jsonl"]].concat());
    let ids: Vec<Value> =
        lines(&tmp.path().join("t.jsonl")).iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [0, 1, 2, 3].map(Value::from));
}

//! `record`: a killed recorder leaves a valid file, and a resumed run continues it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{files, fixture, program, stderr, stdout};
use serde_json::{Value, json};

fn record(tmp: &Path, input: &str) -> std::process::Output {
    let mut command = program(tmp);
    command.args(["record", "--run", "q v1"]).env("STORAGE_PATH", tmp);
    command.write_stdin(input).output().unwrap()
}

fn steps(tmp: &Path, run: &str) -> Vec<i64> {
    let path = tmp.join(format!("models/{run}/entropy_history_{run}.json"));
    let rows: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    rows.as_array().unwrap().iter().map(|row| row["step"].as_i64().unwrap()).collect()
}

#[test]
fn recorded_lines_become_a_history_that_auto_finds() {
    let tmp = tempfile::tempdir().unwrap();
    let output = record(tmp.path(), "1 4.5\n{\"step\": 2, \"policy/entropy\": 4.25}\n\n3\t4.0\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        stdout(&output).trim_end(),
        tmp.path().join("models/q v1/entropy_history_q v1.json").to_str().unwrap()
    );
    assert_eq!(files(tmp.path()), ["models/q v1/entropy_history_q v1.json"]);
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 3]);
    let drawn =
        program(tmp.path()).args(["auto", "--dpi", "40"]).env("STORAGE_PATH", tmp.path()).output();
    assert!(drawn.unwrap().status.success());
}

#[test]
fn resumed_run_is_appended_not_overwritten() {
    let tmp = tempfile::tempdir().unwrap();
    record(tmp.path(), "1 4.0\n2 3.0\n3 2.0\n");
    let output = record(tmp.path(), "3 2.5\n4 2.25\n");
    assert!(
        stderr(&output).contains("3 steps are already recorded, up to step 3"),
        "{}",
        stderr(&output)
    );
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 3, 4]);
    let text =
        fs::read_to_string(tmp.path().join("models/q v1/entropy_history_q v1.json")).unwrap();
    assert!(text.contains("\"entropy\": 2.5\n") && !text.contains("2.0"), "{text}");
}

#[test]
fn lines_of_other_programs_are_counted_and_are_no_failure() {
    let tmp = tempfile::tempdir().unwrap();
    let input = "1 4.0\nloss went up\n2 3.0\n{\"eval_loss\": 1, \"step\": 2}\nbye\n";
    let output = record(tmp.path(), input);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 steps recorded; 3 lines without a row were skipped"), "{said}");
    assert!(!said.contains("loss went up"), "{said}");
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2]);
}

#[test]
fn row_that_cannot_be_read_is_reported_and_exits_with_2() {
    for row in ["{\"step\": 2, \"entropy\": \"abc\"}", "Step 2: {'entropy': <object>, 'a': 1}"] {
        let tmp = tempfile::tempdir().unwrap();
        let output = record(tmp.path(), &format!("1 4.0\n{row}\n3 3.0\n"));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{row}: {said}");
        assert!(said.contains("stdin, line 2 is not recorded"), "{said}");
        assert_eq!(steps(tmp.path(), "q v1"), [1, 3]);
    }
}

#[test]
fn invalid_utf8_skips_only_its_line() {
    let tmp = tempfile::tempdir().unwrap();
    let mut command = program(tmp.path());
    command.args(["record", "--run", "r", "--models", "models"]);
    let output = command.write_stdin(&b"1 4.0\n2 3.0\n\xff\n4 1.0\n"[..]).output().unwrap();
    assert!(output.status.success());
    assert!(stderr(&output).contains("1 line without a row was skipped"), "{}", stderr(&output));
    assert_eq!(steps(tmp.path(), "r"), [1, 2, 4]);
}

/// Every console fixture: the recorder takes the rows that the reader takes.
#[test]
fn consoles_are_recorded_as_they_are_read() {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("expected/console.json")).unwrap()).unwrap();
    let mut files: Vec<&str> = Vec::new();
    for case in expected.as_array().unwrap() {
        let (file, metric) = (case["file"].as_str().unwrap(), case["metric"].as_str().unwrap());
        let points = case["points"].as_array().unwrap();
        let has_cut = file.ends_with("trl_two.out") || file.ends_with("resumed_slurm.out");
        let is_odd = points.iter().any(|point| point[1].is_string());
        if has_cut || is_odd || files.contains(&file) {
            continue;
        }
        files.push(file);
        let tmp = tempfile::tempdir().unwrap();
        let mut command = program(tmp.path());
        command.args(["record", "--run", "r", "--models", "models", "--metric", metric]);
        let output = command.write_stdin(fs::read(fixture(file)).unwrap()).output().unwrap();
        assert!(output.status.success(), "{file}: {}", stderr(&output));
        let path = tmp.path().join("models/r/entropy_history_r.json");
        let rows: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let mut wanted: Vec<(i64, f64)> = Vec::new();
        for point in points {
            let (step, value) = (point[0].as_i64().unwrap(), point[1].as_f64().unwrap());
            let value = if file.ends_with("sb3.out") { -value } else { value }; // it prints −H
            wanted.retain(|(known, _)| *known != step);
            wanted.push((step, value));
        }
        wanted.sort_by_key(|(step, _)| *step);
        let row = |row: &Value| (row["step"].as_i64().unwrap(), row["entropy"].as_f64().unwrap());
        let found: Vec<(i64, f64)> = rows.as_array().unwrap().iter().map(row).collect();
        assert_eq!(found, wanted, "{file}");
    }
    assert!(files.len() > 20, "{files:?}");
}

#[test]
fn entropy_of_the_policy_is_recorded_and_no_other() {
    let evaluation = "{\"step\": 2, \"eval_loss\": 0.5, \"eval_entropy\": 9.0}\n";
    let own = |step: u32| format!("{{\"step\": {step}, \"entropy\": 1.{step}}}\n");
    let tmp = tempfile::tempdir().unwrap();
    let output = record(tmp.path(), &[evaluation, &own(1), &own(2), evaluation, &own(3)].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 3]);
    assert!(stderr(&output).contains("2 lines without a row were skipped"), "{}", stderr(&output));
    let text =
        fs::read_to_string(tmp.path().join("models/q v1/entropy_history_q v1.json")).unwrap();
    assert!(text.contains("1.2") && !text.contains('9'), "{text}");

    for key in [
        "eval_entropy",
        "val/entropy",
        "val_entropy",
        "val-core/entropy",
        "validation/entropy",
        "evaluation/entropy",
        "dev/entropy",
        "test/entropy",
    ] {
        let tmp = tempfile::tempdir().unwrap();
        let output = record(tmp.path(), &format!("{{\"step\": 1, \"{key}\": 9.0}}\n"));
        assert_eq!(output.status.code(), Some(2), "{key}");
        assert!(stderr(&output).contains("nothing was recorded"), "{}", stderr(&output));
        assert_eq!(files(tmp.path()), [""; 0], "{key}");
    }

    // A key that is better known, as in the logs that are read: what was taken before is of another series.
    let unknown = |step: u32| format!("{{\"step\": {step}, \"teacher/entropy_x\": 9.0}}\n");
    let tmp = tempfile::tempdir().unwrap();
    let output = record(tmp.path(), &[own(1), own(2)].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = [unknown(2), unknown(3), own(4), unknown(5)].concat();
    let output = record(tmp.path(), &lines);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("line 3: \"entropy\" is recorded from here on"), "{said}");
    assert!(said.contains("1 row with another entropy skipped"), "{said}");
    let text =
        fs::read_to_string(tmp.path().join("models/q v1/entropy_history_q v1.json")).unwrap();
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 4], "steps of the earlier recording stay");
    assert!(text.contains("1.2") && !text.contains('9'), "{text}");
}

/// The file is JSON for every reader: Python's `json.loads` takes NaN, others do not.
#[test]
fn entropies_that_are_not_finite_are_written_as_null_and_stay_gaps() {
    let tmp = tempfile::tempdir().unwrap();
    record(tmp.path(), "1 0.5\n2 nan\n4 inf\n");
    let output = record(tmp.path(), "{\"step\": 5, \"entropy\": -Infinity}\n6 0.25\n");
    assert!(output.status.success(), "{}", stderr(&output));
    let path = tmp.path().join("models/q v1/entropy_history_q v1.json");
    let rows: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(); // refuses NaN
    let expected = [(1, Some(0.5)), (2, None), (4, None), (5, None), (6, Some(0.25))];
    let expected = expected.map(|(step, entropy)| json!({"step": step, "entropy": entropy}));
    assert_eq!(rows, json!(expected));
    let read = program(tmp.path()).arg("stats").arg(&path).output().unwrap();
    assert!(stderr(&read).contains("3 values are not finite"), "{}", stderr(&read));
}

#[test]
fn rows_without_a_step_are_numbered_on() {
    let tmp = tempfile::tempdir().unwrap();
    record(tmp.path(), "{\"entropy\": 2.5, \"loss\": 1}\n{\"entropy\": 2.25, \"loss\": 1}\n");
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2]);
    let output = record(tmp.path(), "loss=1 entropy=2.0\nloss=1 entropy=1.5\n");
    assert!(stderr(&output).contains("4 steps recorded, 2 of them new"), "{}", stderr(&output));
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 3, 4]);
}

#[test]
fn line_without_an_end_stops_the_recorder() {
    let tmp = tempfile::tempdir().unwrap();
    let output = record(tmp.path(), &format!("1 4.0\n{}\n2 3.0\n", "x".repeat(3 << 20)));
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("line 2 has no end within 1 MiB"), "{said}");
    assert_eq!(steps(tmp.path(), "q v1"), [1]);
}

#[test]
fn refuses_to_drop_extra_keys_of_existing_rows() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("models/q v1/entropy_history_q v1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows = r#"[{"step": 1, "entropy": 2.0, "reward": 0.5}]"#;
    fs::write(&path, rows).unwrap();
    let output = record(tmp.path(), "2 4.0\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("its rows also have \"reward\""), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), rows);
}

#[test]
fn existing_file_that_is_not_a_history_is_left_unchanged() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("models/q v1/entropy_history_q v1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "not a history").unwrap();
    let output = record(tmp.path(), "1 4.0\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the file was not changed"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), "not a history");
    let mut command = program(tmp.path());
    let output = command.args(["record", "--run", "../x", "--models", "m"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!tmp.path().join("m").exists());
}

/// Starts a recorder that reads from a pipe.
fn recorder(tmp: &Path) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz"));
    command.args(["record", "--run", "r", "--models"]).arg(tmp.join("models"));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killed_recorder_leaves_a_valid_file_and_stopped_one_a_complete_file() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("models/r/entropy_history_r.json");
    let mut child = recorder(tmp.path());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1 4.0\n").unwrap();
    wait_for("the first write", 20, || path.exists());
    stdin.write_all(b"2 3.0\n").unwrap();
    wait_for("the second write", 20, || steps(tmp.path(), "r").len() == 2);

    // A second recorder of the same run refuses to start.
    let mut second = recorder(tmp.path());
    second.stdin.take();
    assert_eq!(second.wait_with_output().unwrap().status.code(), Some(2));

    stdin.write_all(b"3 2.0\n").unwrap();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert!(steps(tmp.path(), "r").starts_with(&[1, 2]));

    let mut child = recorder(tmp.path());
    let mut stdin = child.stdin.take().unwrap();
    let rows: String = (3..500).map(|step| format!("{step} 1.5\n")).collect();
    stdin.write_all(rows.as_bytes()).unwrap();
    wait_for("a write of the rest", 20, || steps(tmp.path(), "r").len() > 2);
    std::thread::sleep(Duration::from_millis(300)); // lines are read at once, but written after up to a second
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(steps(tmp.path(), "r").len(), 499);
}

#[test]
fn documented_trl_callback_records_a_run() {
    let tmp = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("python3");
    command.arg(root.join("tests/recording_docs.py")).arg(root.join("docs/recording.md"));
    let output = command.arg("trl run").env("PATH", path).env("STORAGE_PATH", tmp.path()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // Steps 10, 20 and 30 logged no entropy.
    assert_eq!(steps(tmp.path(), "trl run").len(), 27);
}

#[test]
fn row_without_a_step_follows_the_last_one_and_a_key_without_a_number_wins_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let mut input = String::new();
    for step in 1..4 {
        input.push_str(&format!("{{\"step\": {step}, \"actor/entropy\": 0.{step}}}\n"));
    }
    input.push_str("{\"actor/entropy\": 0.4}\n{\"actor/entropy\": 0.5}\n");
    input.push_str("{\"step\": 9, \"policy/entropy\": null}\n");
    let output = record(tmp.path(), &input);
    assert_eq!(steps(tmp.path(), "q v1"), [1, 2, 3, 4, 5], "{}", stderr(&output));
    // One key of a row is null.
    let tmp = tempfile::tempdir().unwrap();
    let row =
        |step: u32| format!("{{\"step\":{step},\"entropy\":0.{step},\"actor/entropy\":null}}\n");
    record(tmp.path(), &(1..4).map(row).collect::<String>());
    let path = tmp.path().join("models/q v1/entropy_history_q v1.json");
    let rows: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(rows[2], json!({"step": 3, "entropy": 0.3}));
}

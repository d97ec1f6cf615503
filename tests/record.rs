//! Recording a run: what dies leaves a whole file, what comes back goes on.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{files, program, stderr, stdout};
use serde_json::Value;

fn record(desk: &Path, input: &str) -> std::process::Output {
    let mut command = program(desk);
    command.args(["record", "--run", "q v1"]).env("STORAGE_PATH", desk);
    command.write_stdin(input).output().unwrap()
}

fn steps(desk: &Path, run: &str) -> Vec<i64> {
    let path = desk.join(format!("models/{run}/entropy_history_{run}.json"));
    let rows: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    rows.as_array().unwrap().iter().map(|row| row["step"].as_i64().unwrap()).collect()
}

#[test]
fn lines_become_the_history_that_auto_finds() {
    let desk = tempfile::tempdir().unwrap();
    let output = record(desk.path(), "1 4.5\n{\"step\": 2, \"policy/entropy\": 4.25}\n\n3\t4.0\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        stdout(&output).trim_end(),
        desk.path().join("models/q v1/entropy_history_q v1.json").to_str().unwrap()
    );
    assert_eq!(files(desk.path()), ["models/q v1/entropy_history_q v1.json"]);
    assert_eq!(steps(desk.path(), "q v1"), [1, 2, 3]);
    let drawn = program(desk.path())
        .args(["auto", "--dpi", "40"])
        .env("STORAGE_PATH", desk.path())
        .output();
    assert!(drawn.unwrap().status.success());
}

#[test]
fn a_resumed_run_goes_on_instead_of_overwriting() {
    let desk = tempfile::tempdir().unwrap();
    record(desk.path(), "1 4.0\n2 3.0\n3 2.0\n");
    let output = record(desk.path(), "3 2.5\n4 2.25\n");
    assert!(
        stderr(&output).contains("3 steps are already recorded, up to step 3"),
        "{}",
        stderr(&output)
    );
    assert_eq!(steps(desk.path(), "q v1"), [1, 2, 3, 4]);
    let text =
        fs::read_to_string(desk.path().join("models/q v1/entropy_history_q v1.json")).unwrap();
    assert!(text.contains("\"entropy\": 2.5\n") && !text.contains("2.0"), "{text}");
}

#[test]
fn a_line_that_is_no_step_is_told_and_counted() {
    let desk = tempfile::tempdir().unwrap();
    let output = record(desk.path(), "1 4.0\nloss went up\n2 3.0\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("stdin, line 2 is not recorded: \"loss went up\""),
        "{}",
        stderr(&output)
    );
    assert_eq!(steps(desk.path(), "q v1"), [1, 2]);
}

#[test]
fn a_byte_that_is_no_text_costs_one_line() {
    let desk = tempfile::tempdir().unwrap();
    let mut command = program(desk.path());
    command.args(["record", "--run", "r", "--models", "models"]);
    let output = command.write_stdin(&b"1 4.0\n2 3.0\n\xff\n4 1.0\n"[..]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("line 3 is not recorded: it is not UTF-8"));
    assert_eq!(steps(desk.path(), "r"), [1, 2, 4]);
}

#[test]
fn rows_that_hold_more_are_not_cut_down() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("models/q v1/entropy_history_q v1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows = r#"[{"step": 1, "entropy": 2.0, "reward": 0.5}]"#;
    fs::write(&path, rows).unwrap();
    let output = record(desk.path(), "2 4.0\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("its rows also have \"reward\""), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), rows);
}

#[test]
fn what_is_there_and_no_history_is_left_alone() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("models/q v1/entropy_history_q v1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "not a history").unwrap();
    let output = record(desk.path(), "1 4.0\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the file was not changed"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), "not a history");
    let mut command = program(desk.path());
    let output = command.args(["record", "--run", "../x", "--models", "m"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!desk.path().join("m").exists());
}

/// The recorder as a job runs it, which may be killed.
fn recorder(desk: &Path) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz"));
    command.args(["record", "--run", "r", "--models"]).arg(desk.join("models"));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn within(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_recorder_leaves_a_whole_file_and_a_stopped_one_all_of_it() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("models/r/entropy_history_r.json");
    let mut child = recorder(desk.path());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1 4.0\n").unwrap();
    within("the first write", 20, || path.exists());
    stdin.write_all(b"2 3.0\n").unwrap();
    within("the second write", 20, || steps(desk.path(), "r").len() == 2);

    // A second recorder keeps away.
    let mut second = recorder(desk.path());
    second.stdin.take();
    assert_eq!(second.wait_with_output().unwrap().status.code(), Some(2));

    stdin.write_all(b"3 2.0\n").unwrap();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert!(steps(desk.path(), "r").starts_with(&[1, 2]));

    let mut child = recorder(desk.path());
    let mut stdin = child.stdin.take().unwrap();
    let rows: String = (3..500).map(|step| format!("{step} 1.5\n")).collect();
    stdin.write_all(rows.as_bytes()).unwrap();
    within("a write of the rest", 20, || steps(desk.path(), "r").len() > 2);
    std::thread::sleep(Duration::from_millis(300)); // the lines are read at once, and written a second later
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(steps(desk.path(), "r").len(), 499);
}

#[test]
fn the_callback_of_the_documents_records_a_run() {
    let desk = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("python3");
    command.arg(root.join("tests/recording_docs.py")).arg(root.join("docs/recording.md"));
    let output = command.arg("trl run").env("PATH", path).env("STORAGE_PATH", desk.path()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // Steps 10, 20 and 30 logged no entropy.
    assert_eq!(steps(desk.path(), "trl run").len(), 27);
}

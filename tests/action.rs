//! The steps of the GitHub Action, run as a runner does: inputs in the environment, `gh` played by a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{files, fixture, stderr};
use tempfile::TempDir;

/// Writes down what it is called with; knows a comment of ours if the file `known` is there.
const GH: &str = r#"#!/usr/bin/env bash
printf '%s\n' "$@" >>calls
case "$*" in *--paginate*) [ ! -e known ] || echo 4711 ;; esac
"#;

fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    let bin = desk.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("gh"), GH).unwrap();
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    std::os::unix::fs::symlink(program, bin.join("entropy-viz")).unwrap();
    desk
}

fn step(desk: &Path, step: &str, inputs: &[(&str, &str)]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/action.sh");
    let path = format!("{}:{}", desk.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(script).arg(step).current_dir(desk).env("PATH", path);
    command.env("GITHUB_OUTPUT", desk.join("output")).env("INPUT_OUTPUT", "ci");
    command.env("GITHUB_STEP_SUMMARY", desk.join("step_summary"));
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "lab/runs");
    for name in ["INPUT_AUTO_ARGS", "INPUT_CHECK_ARGS", "INPUT_BASELINE"] {
        command.env(name, "");
    }
    command.envs(inputs.iter().copied()).output().unwrap()
}

fn violations(desk: &Path) -> String {
    fs::read_to_string(desk.join("output")).unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn the_action_draws_checks_and_counts() {
    let desk = desk();
    let models = fixture("models").to_str().unwrap().to_owned();
    let run = step(desk.path(), "run", &[("INPUT_PATH", &models), ("INPUT_AUTO_ARGS", "--dpi 40")]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(violations(desk.path()), "violations=2");
    let written = files(&desk.path().join("ci"));
    assert!(written.iter().any(|name| name == "summary.md"), "{written:?}");
    assert!(fs::read_to_string(desk.path().join("step_summary")).unwrap().contains("collapsed"));
    let said = crate::common::stdout(&run);
    assert_eq!(said.lines().filter(|line| line.starts_with("::error ")).count(), 2, "{said}");

    let baseline = desk.path().join("ci/stats.json");
    let inputs = [
        ("INPUT_PATH", models.as_str()),
        ("INPUT_AUTO_ARGS", "--dpi 40"),
        ("INPUT_CHECK_ARGS", "--max-entropy 3.7 --tolerance 5%"),
        ("INPUT_BASELINE", baseline.to_str().unwrap()),
    ];
    let run = step(desk.path(), "run", &inputs);
    assert!(run.status.success(), "{}", stderr(&run));
    // Above 3.7 nats: the collapsed questioner at step 3, and both questioners.
    assert_eq!(violations(desk.path()), "violations=5");
}

#[test]
fn an_input_is_no_command() {
    let desk = desk();
    let inputs =
        [("INPUT_PATH", "$(touch owned)"), ("INPUT_AUTO_ARGS", "; touch owned `touch owned`")];
    let run = step(desk.path(), "run", &inputs);
    assert_eq!(run.status.code(), Some(2));
    assert!(!desk.path().join("owned").exists());
}

#[test]
fn the_comment_is_one_that_is_kept_up_to_date() {
    let desk = desk();
    fs::create_dir(desk.path().join("ci")).unwrap();
    fs::write(desk.path().join("ci/summary.md"), "### Policy entropy\n").unwrap();
    let called = || {
        let run = step(desk.path(), "comment", &[("PULL_REQUEST", "12")]);
        assert!(run.status.success(), "{}", stderr(&run));
        let calls = fs::read_to_string(desk.path().join("calls")).unwrap();
        fs::remove_file(desk.path().join("calls")).unwrap();
        calls
    };
    let first = called();
    assert!(first.contains("POST\nrepos/lab/runs/issues/12/comments\n"), "{first}");
    assert!(first.contains("body=<!-- entropy-viz -->\n### Policy entropy"), "{first}");
    fs::write(desk.path().join("known"), "").unwrap();
    let again = called();
    assert!(again.contains("PATCH\nrepos/lab/runs/issues/comments/4711\n"), "{again}");
}

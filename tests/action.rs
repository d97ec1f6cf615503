//! The steps of the GitHub Action, run as a runner does: inputs in the environment, `gh` replaced by a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{files, fixture, stderr};
use tempfile::TempDir;

/// A stand-in for `gh`: logs its arguments to `calls` and the body of a comment to `body`, and answers with the ids
/// and authors of earlier comments in the file `known`.
const GH: &str = r#"#!/usr/bin/env bash
printf '%s\n' "$@" >>calls
for argument; do
    case "$argument" in body=@*) cat "${argument#body=@}" >body ;; esac
done
case "$*" in
*graphql*) echo 'github-actions[bot]' ;;
*--paginate*) cat known ;;
esac
"#;

fn temp_dir() -> TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let bin = tmp.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("gh"), GH).unwrap();
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    std::os::unix::fs::symlink(program, bin.join("entropy-viz")).unwrap();
    tmp
}

fn step(tmp: &Path, step: &str, inputs: &[(&str, &str)]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/action.sh");
    let path = format!("{}:{}", tmp.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(script).arg(step).current_dir(tmp).env("PATH", path);
    command.env("GITHUB_OUTPUT", tmp.join("output")).env("INPUT_OUTPUT", "ci");
    command.env("GITHUB_STEP_SUMMARY", tmp.join("step_summary"));
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "lab/runs");
    for name in ["INPUT_AUTO_ARGS", "INPUT_CHECK_ARGS", "INPUT_BASELINE"] {
        command.env(name, "");
    }
    command.envs(inputs.iter().copied()).output().unwrap()
}

fn violations(tmp: &Path) -> String {
    fs::read_to_string(tmp.join("output")).unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn action_writes_artifacts_and_counts_violations() {
    let tmp = temp_dir();
    let models = fixture("models").to_str().unwrap().to_owned();
    let run = step(tmp.path(), "run", &[("INPUT_PATH", &models), ("INPUT_AUTO_ARGS", "--dpi 40")]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(violations(tmp.path()), "violations=2");
    let written = files(&tmp.path().join("ci"));
    assert!(written.iter().any(|name| name == "summary.md"), "{written:?}");
    assert!(fs::read_to_string(tmp.path().join("step_summary")).unwrap().contains("collapsed"));
    let said = crate::common::stdout(&run);
    assert_eq!(said.lines().filter(|line| line.starts_with("::error ")).count(), 2, "{said}");

    let baseline = tmp.path().join("ci/stats.json");
    let inputs = [
        ("INPUT_PATH", models.as_str()),
        ("INPUT_AUTO_ARGS", "--dpi 40"),
        ("INPUT_CHECK_ARGS", "--max-entropy 3.7 --tolerance 5%"),
        ("INPUT_BASELINE", baseline.to_str().unwrap()),
    ];
    let run = step(tmp.path(), "run", &inputs);
    assert!(run.status.success(), "{}", stderr(&run));
    // The two collapses, and three runs above 3.7 nats: the collapsed questioner (step 3) and both other questioners.
    assert_eq!(violations(tmp.path()), "violations=5");
}

#[test]
fn action_inputs_are_not_run_as_shell_commands() {
    let tmp = temp_dir();
    let inputs =
        [("INPUT_PATH", "$(touch owned)"), ("INPUT_AUTO_ARGS", "; touch owned `touch owned`")];
    let run = step(tmp.path(), "run", &inputs);
    assert_eq!(run.status.code(), Some(2));
    assert!(!tmp.path().join("owned").exists());
}

#[test]
fn flags_may_be_on_several_lines() {
    let tmp = temp_dir();
    let models = fixture("models").to_str().unwrap().to_owned();
    let inputs = [
        ("INPUT_PATH", models.as_str()),
        ("INPUT_AUTO_ARGS", "--dpi\n40\n"),
        ("INPUT_CHECK_ARGS", "--rules bounds\n--max-entropy 3.7\n"),
    ];
    let run = step(tmp.path(), "run", &inputs);
    assert!(run.status.success(), "{}", stderr(&run));
    // The three questioners are above 3.7 nats; the collapses are not counted by this rule.
    assert_eq!(violations(tmp.path()), "violations=3");
}

/// Calls the step `comment` with these earlier comments. Returns the calls of `gh` and the body of the comment.
fn commented(tmp: &Path, known: &str) -> (String, String) {
    fs::write(tmp.join("known"), known).unwrap();
    let run = step(tmp, "comment", &[("PULL_REQUEST", "12")]);
    assert!(run.status.success(), "{}", stderr(&run));
    let calls = fs::read_to_string(tmp.join("calls")).unwrap();
    fs::remove_file(tmp.join("calls")).unwrap();
    (calls, fs::read_to_string(tmp.join("body")).unwrap())
}

fn with_summary(text: &str) -> TempDir {
    let tmp = temp_dir();
    fs::create_dir(tmp.path().join("ci")).unwrap();
    fs::write(tmp.path().join("ci/summary.md"), text).unwrap();
    tmp
}

#[test]
fn pull_request_comment_is_updated_instead_of_repeated() {
    let tmp = with_summary("### Policy entropy\n");
    let (first, body) = commented(tmp.path(), "");
    assert!(first.contains("POST\nrepos/lab/runs/issues/12/comments\n"), "{first}");
    assert_eq!(body, "<!-- entropy-viz -->\n### Policy entropy\n");
    let (again, _) = commented(tmp.path(), "666 mallory\n4711 github-actions[bot]\n");
    assert!(again.contains("PATCH\nrepos/lab/runs/issues/comments/4711\n"), "{again}");
    let (foreign, _) = commented(tmp.path(), "666 mallory\n");
    assert!(foreign.contains("POST\n") && !foreign.contains("PATCH"), "{foreign}");
}

#[test]
fn long_summary_is_cut_for_the_comment() {
    let rows: String =
        (0..5000).map(|i| format!("| run {i} | 1.0 | 0.5 – 2.0 | healthy |\n")).collect();
    let tmp = with_summary(&rows);
    let (_, body) = commented(tmp.path(), "");
    assert!(body.chars().count() < 65_536, "{}", body.len());
    let shown: Vec<&str> = body.lines().filter(|line| line.starts_with('|')).collect();
    assert!(shown.len() > 1000 && shown.iter().all(|line| line.ends_with("healthy |")));
    assert!(body.trim_end().ends_with("summary.md in the artifact of the job has all of it."));
}

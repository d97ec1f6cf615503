//! The short form of `make torture`: killed processes, full disks, odd names, hostile labels and headers.

#[cfg(target_os = "linux")]
use std::path::Path;
#[cfg(target_os = "linux")]
use std::process::Command;

#[test]
#[cfg(target_os = "linux")] // the script measures memory as Linux reports it, and uses names that macOS refuses
fn short_torture_script_passes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture/run.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(env!("CARGO_BIN_EXE_entropy-viz")).arg("--short");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed, 0 failed"), "{said}");
}

/// Runs a shell line and returns its exit code and stderr.
#[cfg(target_os = "linux")]
fn run_shell(tmp: &Path, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.current_dir(tmp).env("PROGRAM", env!("CARGO_BIN_EXE_entropy-viz"));
    command.env("HISTORY", crate::common::fixture("awkward/constant.json"));
    let output = command.args(["-c", line]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[cfg(target_os = "linux")]
fn full_stderr_does_not_crash() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, _) = run_shell(tmp.path(), r#""$PROGRAM" stats nowhere.json 2> /dev/full"#);
    assert_eq!(code, Some(2));
}

#[test]
#[cfg(target_os = "linux")]
fn full_stdout_is_reported() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, said) =
        run_shell(tmp.path(), r#""$PROGRAM" stats --no-plot "$HISTORY" > /dev/full"#);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot write to stdout: no space left on device\n"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn accepts_file_names_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let tmp = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"q\xff.json");
    std::fs::copy(crate::common::fixture("awkward/constant.json"), tmp.path().join(name)).unwrap();
    let output =
        crate::common::program(tmp.path()).args(["stats", "--csv"]).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", crate::common::stderr(&output));
    let missing = std::ffi::OsStr::from_bytes(b"gone\xff.json");
    let output = crate::common::program(tmp.path()).arg("stats").arg(missing).output().unwrap();
    assert!(crate::common::stderr(&output).contains("there is no such file"));
}

#[test]
fn label_cannot_inject_github_workflow_commands() {
    let tmp = tempfile::tempdir().unwrap();
    let input =
        format!("::add-mask::x={}", crate::common::fixture("awkward/constant.json").display());
    let mut command = crate::common::program(tmp.path());
    command.args(["check", &input, "--min-entropy", "99"]).env("GITHUB_ACTIONS", "true");
    let said = crate::common::stdout(&command.output().unwrap());
    let mut lines = said.lines();
    assert!(lines.next().unwrap().starts_with(r"\u{3a}:add-mask::x: min-entropy"), "{said}");
    assert!(lines.all(|line| line.starts_with("::error title=")), "{said}");
}

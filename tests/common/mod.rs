//! Helpers that run the program as a user does.

#![allow(dead_code)] // each test program uses a part of it

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;

/// The root of the workspace, for tests of any of its packages.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|directory| directory.join("Cargo.lock").is_file());
    root.expect("the workspace has a Cargo.lock").to_owned()
}

/// A file in tests/fixtures.
pub fn fixture(path: &str) -> PathBuf {
    root().join("tests/fixtures").join(path)
}

/// The program in a directory, without the environment variables that it reads.
pub fn program(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("entropy-viz").expect("the program is built");
    command.current_dir(directory);
    let variables =
        ["STORAGE_PATH", "GITHUB_STEP_SUMMARY", "NO_COLOR", "GITHUB_ACTIONS", "ENTROPY_VIZ_NOTIFY"];
    for variable in variables {
        command.env_remove(variable);
    }
    command
}

/// Runs the program in a directory.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    program(directory).args(arguments).output().expect("the program starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is text")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is text")
}

/// The names of all files below a directory, sorted.
pub fn files(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            let inner = files(&path);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            names.extend(inner.into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

//! The library as other languages use it: a C program, linked to both forms of it, and the Python example of
//! docs/library.md, compared with torch.
//!
//! `scripts/trl.sh` creates the Python environment at the first run, which needs a network.

#![allow(clippy::unwrap_used)]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The directory where cargo built the libraries for this test.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

fn assert_succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "{command:?}:\n{said}");
    said
}

/// Compiles tests/rows.c with these arguments of the linker, and runs it.
fn run_c_program(link: &[&str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tmp = tempfile::tempdir().unwrap();
    let program = tmp.path().join("rows");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-I"]);
    cc.arg(here.join("include")).arg(here.join("tests/rows.c")).arg("-o").arg(&program);
    assert_succeeds(cc.args(link).args(["-lm", "-lpthread"]));
    assert_eq!(assert_succeeds(&mut Command::new(&program)), "all correct\n");
}

#[test]
fn c_program_links_the_shared_library() {
    let directory = libraries();
    let directory = directory.to_str().unwrap();
    run_c_program(&["-L", directory, "-lentropy_rows", &format!("-Wl,-rpath,{directory}")]);
}

#[test]
fn c_program_links_the_static_library() {
    let archive = libraries().join("libentropy_rows.a");
    let system: &[&str] = if cfg!(target_os = "linux") { &["-ldl"] } else { &[] };
    run_c_program(&[&[archive.to_str().unwrap()], system].concat());
}

#[test]
fn python_example_of_the_docs_agrees_with_torch() {
    let root = root();
    let venv = root.join(".venv/trl");
    assert_succeeds(Command::new("bash").arg(root.join("scripts/trl.sh")).arg(&venv));
    let library = libraries().join(format!("{DLL_PREFIX}entropy_rows{DLL_SUFFIX}"));
    let mut python = Command::new(venv.join("bin/python"));
    python.arg(root.join("crates/entropy-rows/tests/rows.py"));
    python.arg(root.join("docs/library.md")).arg(library).env("OMP_NUM_THREADS", "1");
    let said = assert_succeeds(&mut python);
    assert!(said.ends_with("all correct\n"), "{said}");
}

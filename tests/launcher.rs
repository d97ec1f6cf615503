//! `entropy-viz compute` starts a helper and names it a libtorch. Nothing of the current directory may run: it may be
//! a cloned repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{program, stderr, stdout};

/// Makes a directory that the launcher accepts as libtorch 2.11.
fn fake_libtorch(directory: &Path) {
    fs::create_dir_all(directory.join("lib")).unwrap();
    fs::write(directory.join("version.py"), "__version__ = '2.11.0+cpu'\n").unwrap();
    fs::write(directory.join("lib/libtorch_cpu.so"), "not a library").unwrap();
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A directory as a stranger might prepare it: each kind of library and program that `compute` looks for.
/// The programs write a file named `ran`.
fn hostile_directory(directory: &Path) {
    fake_libtorch(&directory.join(".libtorch"));
    fake_libtorch(&directory.join("libtorch"));
    fake_libtorch(&directory.join("torch"));
    fs::write(directory.join("torch/__init__.py"), "open('ran', 'w')\n").unwrap();
    fs::write(directory.join("importlib.py"), "open('ran', 'w')\n").unwrap();
    script(&directory.join("entropy-viz-compute"), "touch ran");
    script(&directory.join("python3"), &format!("touch ran; echo {}/torch", directory.display()));
}

/// Runs `compute` in a directory with a helper that prints its LD_LIBRARY_PATH.
fn compute(directory: &Path, helper: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = program(directory);
    command.env("ENTROPY_VIZ_COMPUTE", helper).env_remove("LIBTORCH");
    command.env_remove("LD_LIBRARY_PATH").envs(variables.iter().copied());
    command.args(["-v", "compute", "--model", "m", "--prompts", "p"]).output().unwrap()
}

/// A second name of the program in a new directory, where no helper is beside it.
fn moved_program(directory: &Path) -> PathBuf {
    let path = directory.join("entropy-viz");
    fs::hard_link(assert_cmd::cargo::cargo_bin("entropy-viz"), &path).unwrap();
    path
}

/// A directory on the file system of the program, so that the program can be linked there.
fn directory_beside_the_program() -> tempfile::TempDir {
    let program = assert_cmd::cargo::cargo_bin("entropy-viz");
    tempfile::tempdir_in(program.parent().unwrap()).unwrap()
}

fn printing_helper(directory: &Path) -> PathBuf {
    let helper = directory.join("helper");
    script(&helper, "echo \"libraries=$LD_LIBRARY_PATH\"");
    helper
}

#[test]
fn libtorch_of_the_current_directory_is_never_used() {
    let (work, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    hostile_directory(work.path());
    let helper = printing_helper(elsewhere.path());
    let here = work.path().to_str().unwrap();
    // Without python3, with an empty and a relative entry in the PATH, and with the system's python3.
    for path in ["/nowhere", "", ".:", &std::env::var("PATH").unwrap()] {
        let output = compute(work.path(), &helper, &[("PATH", path)]);
        assert!(!work.path().join("ran").exists(), "PATH={path}: {}", stderr(&output));
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!said.contains(here), "PATH={path}: {said}");
        if path == "/nowhere" {
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains("no libtorch 2.11 found"), "{said}");
        }
    }
}

#[test]
fn helper_of_the_current_directory_is_never_started() {
    let work = tempfile::tempdir().unwrap();
    hostile_directory(work.path());
    let libtorch = work.path().join("libtorch");
    let elsewhere = directory_beside_the_program();
    let moved = moved_program(elsewhere.path());
    for path in ["", ".", ":/nowhere"] {
        let mut command = std::process::Command::new(&moved);
        command.current_dir(work.path()).env("PATH", path).env_remove("ENTROPY_VIZ_COMPUTE");
        command.env("LIBTORCH", &libtorch).args(["compute", "--model", "m", "--prompts", "p"]);
        let output = command.output().unwrap();
        assert!(stderr(&output).contains("entropy-viz-compute is not installed"), "PATH={path}");
        assert!(!work.path().join("ran").exists(), "PATH={path}");
    }
}

#[test]
fn library_path_of_the_helper_has_no_relative_entries() {
    let tmp = tempfile::tempdir().unwrap();
    let (helper, libtorch) = (printing_helper(tmp.path()), tmp.path().join("given"));
    fake_libtorch(&libtorch);
    let variables =
        [("LIBTORCH", libtorch.to_str().unwrap()), ("LD_LIBRARY_PATH", ":/usr/cuda/lib:lib:.")];
    let output = compute(tmp.path(), &helper, &variables);
    let libraries = fs::canonicalize(&libtorch).unwrap().join("lib");
    let expected = format!("libraries={}:/usr/cuda/lib\n", libraries.display());
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
}

#[test]
fn libtorch_beside_the_program_or_in_its_lib_directory_is_found_and_shown() {
    for place in ["bin/libtorch", "lib/entropy-viz/libtorch"] {
        let tmp = directory_beside_the_program();
        fs::create_dir(tmp.path().join("bin")).unwrap();
        let moved = moved_program(&tmp.path().join("bin"));
        fake_libtorch(&tmp.path().join(place));
        let helper = printing_helper(tmp.path());
        let mut command = std::process::Command::new(&moved);
        command.env("ENTROPY_VIZ_COMPUTE", &helper).env("PATH", "/nowhere").env_remove("LIBTORCH");
        command.args(["-v", "compute", "--model", "m", "--prompts", "p"]);
        let output = command.output().unwrap();
        let directory = fs::canonicalize(tmp.path().join(place)).unwrap();
        let shown = format!("libtorch in {} (the program's directory)", directory.display());
        assert!(stderr(&output).contains(&shown), "{place}: {}", stderr(&output));
        let libraries = format!("libraries={}", directory.join("lib").display());
        assert!(stdout(&output).contains(&libraries), "{place}: {}", stdout(&output));
    }
}

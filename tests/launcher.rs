//! `entropy-viz compute` starts a helper and names it a libtorch. Nothing of the current directory may run: it may be
//! a cloned repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{program, root, stderr, stdout};

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
        let said = stderr(&output);
        assert!(said.contains("entropy-viz-compute is not installed"), "PATH={path}: {said}");
        assert!(said.contains("hint: pip install 'entropy-viz[compute]'"), "PATH={path}: {said}");
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

/// Runs `compute` of a program in `bin` below a directory, with a helper that prints its LD_LIBRARY_PATH and without
/// `python3` on the PATH. Returns what it printed.
fn compute_installed_in(prefix: &Path) -> String {
    let bin = prefix.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let moved = moved_program(&bin);
    let helper = printing_helper(prefix);
    let mut command = std::process::Command::new(&moved);
    command.env("ENTROPY_VIZ_COMPUTE", &helper).env("PATH", "/nowhere").env_remove("LIBTORCH");
    let output =
        command.args(["-v", "compute", "--model", "m", "--prompts", "p"]).output().unwrap();
    format!("{}{}", stdout(&output), stderr(&output))
}

/// What is printed about a libtorch that was found.
fn found(directory: &Path, origin: &str) -> [String; 2] {
    let directory = fs::canonicalize(directory).unwrap();
    let libraries = format!("libraries={}", directory.join("lib").display());
    [format!("libtorch in {} ({origin})", directory.display()), libraries]
}

#[test]
fn wheels_of_program_and_helper_need_each_other_in_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (project, other) in [
        ("pyproject.toml", "entropy-viz-compute"),
        ("crates/entropy-viz-compute/pyproject.toml", "entropy-viz"),
    ] {
        let text = fs::read_to_string(root().join(project)).unwrap();
        let pin = format!("\"{other}=={version}\"");
        assert!(text.contains(&pin), "{project} does not require {pin}");
    }
}

#[test]
fn libtorch_of_the_installation_is_found_and_shown() {
    let places = [
        ("bin/libtorch", "the program's directory"),
        ("lib/entropy-viz/libtorch", "the program's directory"),
        ("lib/python3.12/site-packages/torch", "the program's Python environment"),
        ("lib/python3/dist-packages/torch", "the program's Python environment"),
    ];
    for (place, origin) in places {
        let tmp = directory_beside_the_program();
        let directory = tmp.path().join(place);
        fake_libtorch(&directory);
        let said = compute_installed_in(tmp.path());
        for words in found(&directory, origin) {
            assert!(said.contains(&words), "{place}: {words}: {said}");
        }
    }
}

#[test]
fn of_several_environments_one_with_the_right_torch_is_used() {
    let tmp = directory_beside_the_program();
    let [old, right, other] = ["3.10", "3.11", "3.12"]
        .map(|version| tmp.path().join(format!("lib/python{version}/site-packages/torch")));
    for directory in [&old, &right, &other] {
        fake_libtorch(directory);
    }
    fs::write(old.join("version.py"), "__version__ = '2.9.1+cu130'\n").unwrap();
    let said = compute_installed_in(tmp.path());
    for words in found(&right, "the program's Python environment") {
        assert!(said.contains(&words), "{words}: {said}");
    }
}

#[test]
fn torch_of_another_version_is_refused_with_the_command_to_type() {
    let tmp = directory_beside_the_program();
    let torch = tmp.path().join("lib/python3.12/site-packages/torch");
    fake_libtorch(&torch);
    fs::write(torch.join("version.py"), "__version__ = '2.12.0+cu130'\n").unwrap();
    let said = compute_installed_in(tmp.path());
    let words = "(the program's Python environment) is libtorch 2.12.0+cu130, but 2.11 is needed";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("  hint: pip install torch==2.11.0"), "{said}");
}

#[test]
fn python_beside_the_program_is_asked_for_its_torch() {
    let (tmp, elsewhere) = (directory_beside_the_program(), tempfile::tempdir().unwrap());
    let torch = elsewhere.path().join("torch");
    fake_libtorch(&torch);
    fs::create_dir(tmp.path().join("bin")).unwrap();
    // As a virtual environment that uses the packages of the Python that it was made from.
    script(
        &tmp.path().join("bin/python3"),
        &format!("[ \"$1\" = -I ] && echo '{}'", torch.display()),
    );
    let said = compute_installed_in(tmp.path());
    for words in found(&torch, "the torch of python3") {
        assert!(said.contains(&words), "{words}: {said}");
    }
}

//! Hostile surroundings and input: libraries in the current directory, files made to exhaust memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{program, stderr};
use crate::compute::{model, rollouts, temp_dir, text};

/// Builds a shared library that writes the file `loaded` in the current directory when it is loaded.
fn hostile_library(directory: &Path) {
    fs::create_dir_all(directory.join("lib")).unwrap();
    fs::write(directory.join("version.py"), "__version__ = '2.11.0'\n").unwrap();
    fs::write(directory.join("__init__.py"), "open('loaded', 'w')\n").unwrap();
    let source = directory.join("hostile.c");
    let code = "#include <stdio.h>\n\
                __attribute__((constructor)) static void run(void) { fclose(fopen(\"loaded\", \"w\")); }\n";
    fs::write(&source, code).unwrap();
    for name in ["libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libgomp.so.1"] {
        let library = directory.join("lib").join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o", text(&library)]).arg(&source);
        assert!(compiler.status().unwrap().success());
    }
}

#[test]
fn libraries_in_the_current_directory_are_never_loaded() {
    let tmp = temp_dir();
    for name in [".libtorch", "libtorch", "torch"] {
        hostile_library(&tmp.path().join(name));
    }
    // Also without a directory, as an empty entry of the library path would find them.
    for entry in fs::read_dir(tmp.path().join("torch/lib")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), tmp.path().join(entry.file_name())).unwrap();
    }
    let (whole, given) = (model("qwen2"), rollouts());
    for libtorch in [None, std::env::var_os("LIBTORCH")] {
        let mut command = program(tmp.path());
        command.args(["compute", "--model", text(&whole), "--prompts", text(&given)]);
        command.args(["--device", "cpu", "-o", "h.json", "--step", "4", "--overwrite"]);
        command.env("LD_LIBRARY_PATH", ":.:torch/lib").env_remove("LIBTORCH");
        command.envs(libtorch.clone().map(|path| ("LIBTORCH", path)));
        let output = command.output().unwrap();
        // Without LIBTORCH it depends on the machine whether another libtorch is found.
        assert!(libtorch.is_none() || output.status.success(), "{}", stderr(&output));
        assert!(!tmp.path().join("loaded").exists(), "{libtorch:?}: {}", stderr(&output));
    }
    // The libraries do what they are made for.
    let loaded = Command::new("python3")
        .args(["-c", "import ctypes; ctypes.CDLL('./torch/lib/libc10.so')"])
        .current_dir(tmp.path())
        .status();
    assert!(loaded.unwrap().success() && tmp.path().join("loaded").exists());
}

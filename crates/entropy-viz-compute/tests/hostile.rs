//! Hostile surroundings and input: libraries in the current directory, files made to exhaust memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{program, stderr};
use crate::compute::{copy, model, read, rollouts, temp_dir, text};
use serde_json::{Value, json};

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

/// Runs the helper on the CPU with at most 3 GB of address space, most of which libtorch's libraries take.
fn limited(directory: &Path, arguments: &[&str]) -> Output {
    let helper = assert_cmd::cargo::cargo_bin("entropy-viz-compute");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 3000000; exec \"$@\"", "sh", text(&helper)]);
    command.args(["--device", "cpu", "--threads", "1"]).args(arguments);
    command.current_dir(directory).output().unwrap()
}

fn assert_refused(directory: &Path, arguments: &[&str], words: &[&str]) {
    let output = limited(directory, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("bug in") && !said.contains("panicked"), "{said}");
}

/// A copy of a model with a changed JSON file.
fn changed_model(
    tmp: &Path,
    name: &str,
    file: &str,
    change: impl FnOnce(&mut Value),
) -> std::path::PathBuf {
    let copied = tmp.join("model");
    let _ = fs::remove_dir_all(&copied);
    copy(&model(name), &copied);
    let mut value = read(&copied.join(file));
    change(&mut value);
    fs::write(copied.join(file), value.to_string()).unwrap();
    copied
}

#[test]
fn absurd_sizes_in_config_json_are_compared_with_the_weights() {
    let tmp = temp_dir();
    let given = rollouts();
    let huge = 1_i64 << 29;
    for (name, key, size, words) in [
        ("qwen3", "vocab_size", huge, "but config.json requires 536870912×"),
        ("qwen3", "hidden_size", huge, "but config.json requires"),
        ("qwen3", "intermediate_size", huge, "but config.json requires"),
        ("qwen3", "num_attention_heads", huge, "but config.json requires"),
        ("qwen3", "head_dim", 1 << 14, "but config.json requires"),
        ("qwen3", "head_dim", 1 << 39, "head_dim is 549755813888, not from 1 to 65536"),
        ("qwen3", "vocab_size", 1 << 39, "vocab_size is 549755813888, not from 1 to"),
        ("qwen3", "num_hidden_layers", 1 << 39, "num_hidden_layers is 549755813888"),
        ("qwen3_moe", "num_experts", huge, "but config.json requires 536870912×"),
        ("qwen3_moe", "moe_intermediate_size", huge, "but config.json requires"),
    ] {
        let path = changed_model(tmp.path(), name, "config.json", |config| {
            let key = if key == "num_experts" && config.get(key).is_none() {
                "num_local_experts"
            } else {
                key
            };
            config[key] = json!(size);
        });
        let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "h.json"];
        assert_refused(tmp.path(), &arguments, &[words]);
    }
}

#[test]
fn endless_devices_do_not_take_all_memory() {
    let tmp = temp_dir();
    let (whole, given) = (model("qwen3"), rollouts());
    let arguments = ["--model", text(&whole), "--prompts", text(&given), "--step", "1"];
    // A device has no rows to keep; what is written to /dev/zero is lost, as with /dev/null.
    for flags in [&["-o", "h.json", "--tokens-out", "/dev/zero"][..], &["-o", "/dev/zero"]] {
        let output = limited(tmp.path(), &[&arguments[..], flags].concat());
        assert!(output.status.success(), "{flags:?}: {}", stderr(&output));
    }
    let flags = ["-o", "h.json", "--prompt-template", "/dev/zero"];
    let words = ["cannot read /dev/zero: it is larger than 32 MiB"];
    assert_refused(tmp.path(), &[&arguments[..], &flags].concat(), &words);
    let path = changed_model(tmp.path(), "qwen3", "config.json", |_| {});
    fs::remove_file(path.join("tokenizer_config.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path.join("tokenizer_config.json")).unwrap();
    let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "i.json"];
    assert_refused(tmp.path(), &arguments, &["tokenizer_config.json", "larger than 32 MiB"]);
}

#[test]
fn long_prompts_and_responses_are_rejected_by_row() {
    let tmp = temp_dir();
    let long = "word ".repeat(12 << 20);
    let whole = model("qwen3");
    for (row, what) in [
        (json!({"prompt": long}), "prompt"),
        (json!({"messages": [{"role": "user", "content": long}]}), "prompt"),
        (json!({"prompt": "a", "response": long}), "response"),
        (
            json!({"messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": long},
            ]}),
            "response",
        ),
    ] {
        let rows = format!("{}\n{row}\n", json!({"prompt": "short"}));
        fs::write(tmp.path().join("p.jsonl"), rows).unwrap();
        let arguments = ["--model", text(&whole), "--prompts", "p.jsonl", "-o", "h.json"];
        let words = format!("line 2: the {what} has 60 MiB of text, more than 8 MiB");
        assert_refused(tmp.path(), &arguments, &["p.jsonl", &words]);
    }
}

#[test]
fn tokenizer_that_makes_texts_longer_is_rejected() {
    let tmp = temp_dir();
    let given = rollouts();
    let step = json!({"type": "Replace", "pattern": {"Regex": "."}, "content": "a".repeat(1000)});
    let bomb = json!({"type": "Sequence", "normalizers": [step, step, step, step]});
    let path = changed_model(tmp.path(), "qwen3", "tokenizer.json", |tokenizer| {
        tokenizer["normalizer"] = bomb;
    });
    fs::write(tmp.path().join("p.jsonl"), "{\"prompt\": \"hello\", \"response\": \"you\"}\n")
        .unwrap();
    let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "h.json"];
    assert_refused(tmp.path(), &arguments, &["line 1", "times as long", "the limit is 24 MiB"]);
    let pieces = vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 100_000];
    let path = changed_model(tmp.path(), "qwen3", "tokenizer.json", |tokenizer| {
        tokenizer["post_processor"] = json!({"type": "TemplateProcessing", "single": pieces,
            "pair": [], "special_tokens": {}});
    });
    let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "h.json"];
    assert_refused(tmp.path(), &arguments, &["tokenizer.json", "100000 pieces, more than 64"]);
}

/// The pattern needs 2^n steps for n letters, which is beyond Oniguruma's limit; its Rust binding then panics.
#[test]
fn regular_expression_that_takes_too_many_steps_is_an_error() {
    let tmp = temp_dir();
    let path = changed_model(tmp.path(), "qwen3", "tokenizer.json", |tokenizer| {
        tokenizer["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": "(a|a)+$"},
            "behavior": "Isolated", "invert": false});
    });
    let prompt = format!("{}!", "a".repeat(60));
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt": prompt}).to_string()).unwrap();
    let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "h.json"];
    let words = ["line 1", "a regular expression of tokenizer.json takes too many steps"];
    assert_refused(tmp.path(), &arguments, &words);
}

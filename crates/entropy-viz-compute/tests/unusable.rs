//! Checkpoints and devices that `entropy-viz compute` cannot use, and the launcher without its helper.

use std::fs;
use std::path::Path;

use crate::common::{files, run, stderr, stdout};
use crate::compute::*;
use assert_cmd::Command;
use serde_json::{Value, json};

#[test]
fn rejects_unusable_checkpoints_by_name() {
    let tmp = temp_dir();
    let given = rollouts();
    let broken = |change: &dyn Fn(&Path)| {
        let path = tmp.path().join("broken");
        let _ = fs::remove_dir_all(&path);
        copy(&model("qwen2"), &path);
        change(&path);
    };
    let config = |path: &Path, key: &str, value: Value| {
        let mut config = read(&path.join("config.json"));
        config[key] = value;
        fs::write(path.join("config.json"), config.to_string()).unwrap();
    };
    let refused = |words: &[&str]| {
        assert_rejected(
            tmp.path(),
            &["--model", "broken", "--prompts", text(&given), "-o", "h.json"],
            words,
        )
    };

    broken(&|path| config(path, "model_type", json!("gpt2")));
    refused(&["gpt2", "not supported", "qwen3_moe"]);
    broken(&|path| config(path, "rope_parameters", json!({"rope_type": "spiral", "factor": 2.0})));
    refused(&["spiral", "not supported"]);
    broken(&|path| config(path, "quantization_config", json!({"bits": 4})));
    refused(&["quantization_config"]);
    broken(&|path| config(path, "hidden_size", json!("wide")));
    refused(&["hidden_size", "wide"]);
    broken(&|path| config(path, "intermediate_size", json!(8)));
    refused(&["mlp.gate_proj.weight", "8×"]);
    let layers = |path: &Path, layers: usize| {
        config(path, "num_hidden_layers", json!(layers));
        config(path, "layer_types", Value::Null);
    };
    broken(&|path| layers(path, 1));
    refused(&["has no tensor model.layers.1."]);
    broken(&|path| layers(path, 9));
    refused(&["is missing"]);
    broken(&|path| config(path, "vocab_size", json!(7)));
    refused(&["tokenizer"]);
    broken(&|path| fs::remove_file(path.join("model.safetensors")).unwrap());
    refused(&["no weights"]);
    broken(&|path| {
        fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).unwrap()
    });
    refused(&["pytorch_model.bin", "not a zip archive"]);
    broken(&|path| fs::remove_file(path.join("tokenizer.json")).unwrap());
    fs::write(tmp.path().join("text.txt"), "hello").unwrap();
    let arguments = ["--model", "broken", "--prompts", "text.txt"];
    assert_rejected(tmp.path(), &arguments, &["tokenizer.json", "--tokenizer"]);
    broken(&|path| {
        fs::write(path.join("model.safetensors"), b"version https://git-lfs.github.com/spec/v1\n")
            .unwrap()
    });
    refused(&["git-lfs"]);
    broken(&|path| {
        // The last number of the file becomes NaN.
        let file = path.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&file, bytes).unwrap();
    });
    refused(&["NaN or infinite", "the tensor model."]);

    let adapter = model("lora");
    assert_rejected(
        tmp.path(),
        &["--model", text(&adapter), "--prompts", text(&given)],
        &["LoRA", "--base-model"],
    );
    assert_rejected(
        tmp.path(),
        &["--model", "nowhere", "--prompts", text(&given)],
        &["nowhere", "no such file"],
    );
    let whole = model("qwen2");
    fs::write(tmp.path().join("empty.txt"), "").unwrap();
    assert_rejected(
        tmp.path(),
        &["--model", text(&whole), "--prompts", "empty.txt"],
        &["empty.txt", "no prompts"],
    );
}

#[test]
fn reports_missing_gpu() {
    let tmp = temp_dir();
    let (whole, given) = (model("qwen2"), rollouts());
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.args(["--model", text(&whole), "--prompts", text(&given), "--device", "cuda:63"]);
    let output = command.current_dir(tmp.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot compute on cuda:63"), "{}", stderr(&output));
    assert!(files(tmp.path()).is_empty());
}

#[test]
fn launcher_reports_wrong_libtorch_and_missing_helper() {
    let tmp = temp_dir();
    let whole = model("qwen2");
    let given = rollouts();
    let launch = |variable: &str, value: &str| {
        let mut command = crate::common::program(tmp.path());
        command.args([
            "compute",
            "--model",
            text(&whole),
            "--prompts",
            text(&given),
            "--device",
            "cpu",
            "-o",
            "h.json",
        ]);
        command.env(variable, value).output().unwrap()
    };
    let wrong = tmp.path().join("torch");
    fs::create_dir_all(wrong.join("lib")).unwrap();
    fs::write(wrong.join("version.py"), "__version__ = '2.4.0+cpu'\n").unwrap();
    let output = launch("LIBTORCH", text(&wrong));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("libtorch 2.4.0+cpu, but 2.11 is needed"),
        "{}",
        stderr(&output)
    );
    let output = launch("ENTROPY_VIZ_COMPUTE", "/nowhere/helper");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nowhere/helper"), "{}", stderr(&output));
}

#[test]
fn launcher_runs_the_helper() {
    let tmp = temp_dir();
    let (whole, given) = (model("qwen2"), rollouts());
    let arguments = ["-q", "compute", "--model", text(&whole), "--prompts", text(&given)];
    let output = run(
        tmp.path(),
        &[&arguments[..], &["--device", "cpu", "-o", "h.json", "--step", "4"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "h.json\n");
    assert_eq!(read(&tmp.path().join("h.json"))[0]["step"], 4);
}

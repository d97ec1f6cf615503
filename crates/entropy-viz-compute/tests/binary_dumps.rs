//! Dumps in binary formats: Arrow of Hugging Face `datasets` and pyarrow, and torch.save (tests/compute/make_dumps.py).

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{fixture, stderr};
use crate::compute::{assert_rejected, compute_ok, lines, model, read, temp_dir, text};
use crate::dumps::score_file;
use serde_json::{Value, json};

/// Checks that the responses are those of the golden file.
fn assert_golden(directory: &Path, name: &str) {
    let expected = &read(&model("qwen2").join("golden.json"))["temperatures"]["1.0"];
    let row = &read(&directory.join("h.json"))[0];
    assert_eq!(row["tokens"], expected["n_tokens"], "{name}");
    let off = row["entropy"].as_f64().unwrap() - expected["token_mean"].as_f64().unwrap();
    assert!(off.abs() < 2e-5, "{name} is off by {off:e}");
    let ids: Vec<Value> =
        lines(&directory.join("t.jsonl")).iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, (0..12).map(Value::from).collect::<Vec<_>>(), "{name}");
}

#[test]
fn arrow_files_and_folders_of_datasets_have_the_golden_entropies() {
    let tmp = temp_dir();
    for name in ["folder", "splits", "stream.arrow", "file.arrow", "zstd.feather", "lz4.feather"] {
        score_file(tmp.path(), "qwen2", &fixture("dumps").join(name), &[]);
        assert_golden(tmp.path(), name);
        let last = lines(&tmp.path().join("t.jsonl"))[11].clone();
        assert_eq!(last["dump"]["env"], "math", "{name}");
        assert_eq!(last["dump"]["reward"], 11.0, "{name}");
    }
}

#[test]
fn split_of_a_dataset_dict_is_chosen_and_named() {
    let (tmp, whole, prompts) = (temp_dir(), model("qwen2"), fixture("dumps/splits"));
    let arguments = ["--model", text(&whole), "--prompts", text(&prompts), "-o", "h.json"];
    let output = compute_ok(tmp.path(), &[&arguments[..], &["-v"]].concat());
    assert!(stderr(&output).contains("using the split train, not test"), "{}", stderr(&output));
    crate::compute::copy(&prompts.join("test"), &tmp.path().join("d/test"));
    crate::compute::copy(&prompts.join("test"), &tmp.path().join("d/dev"));
    fs::write(tmp.path().join("d/dataset_dict.json"), r#"{"splits": ["dev", "test"]}"#).unwrap();
    let arguments = ["--model", text(&whole), "--prompts", "d", "-o", "i.json"];
    assert_rejected(tmp.path(), &arguments, &["several splits", "dev, test"]);
}

#[test]
fn directory_of_steps_may_have_folders_of_datasets() {
    let (tmp, whole) = (temp_dir(), model("qwen2"));
    for step in ["step_10", "step_20"] {
        crate::compute::copy(&fixture("dumps/folder"), &tmp.path().join("d").join(step));
    }
    let arguments = ["--model", text(&whole), "--prompts", "d", "--step", "20", "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--tokens-out", "t.jsonl"]].concat());
    assert_golden(tmp.path(), "step_20");
}

#[test]
fn files_of_torch_save_have_the_golden_entropies() {
    let tmp = temp_dir();
    for name in ["slime/rollout_12.pt", "list.pt", "protocol5.pt"] {
        score_file(tmp.path(), "qwen2", &fixture("dumps").join(name), &[]);
        assert_golden(tmp.path(), name);
    }
    let last = lines(&tmp.path().join("t.jsonl"))[11].clone();
    let response = last["response_token_ids"].as_array().unwrap().len();
    assert_eq!(last["dump"]["logprobs"], json!(vec![-0.5; response]));
    score_file(tmp.path(), "qwen2", &fixture("dumps/slime/rollout_12.pt"), &[]);
    let rows = lines(&tmp.path().join("t.jsonl"));
    assert_eq!(rows[1]["dump"]["reward"], 1.0);
    assert_eq!(
        (&rows[0]["finish_reason"], &rows[1]["finish_reason"]),
        (&json!("length"), &json!("stop"))
    );
}

#[test]
fn directory_of_slime_has_its_rollouts_by_step() {
    let (tmp, whole, prompts) = (temp_dir(), model("qwen2"), fixture("dumps/slime"));
    let arguments = ["--model", text(&whole), "--prompts", text(&prompts), "--step", "12"];
    let output = compute_ok(
        tmp.path(),
        &[&arguments[..], &["-o", "h.json", "--tokens-out", "t.jsonl", "-v"]].concat(),
    );
    assert_golden(tmp.path(), "slime");
    assert!(stderr(&output).contains("using rollout_N.pt, not rollout_eval_N.pt"));
}

#[test]
fn pickle_with_more_than_data_is_refused_by_name() {
    let (tmp, whole) = (temp_dir(), model("qwen2"));
    let script = "import sys, zipfile\n\
        z = zipfile.ZipFile('p.pt', 'w')\n\
        z.writestr('p/data.pkl', b'\\x80\\x02cposix\\nsystem\\nX\\x02\\x00\\x00\\x00id\\x85R.')\n\
        z.close()\n";
    assert!(
        Command::new("python3")
            .args(["-c", script])
            .current_dir(tmp.path())
            .status()
            .unwrap()
            .success()
    );
    let arguments = ["--model", text(&whole), "--prompts", "p.pt", "-o", "h.json"];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["p.pt", "posix.system", "nothing of the file was run"],
    );
    // Weights are not rollouts.
    let weights = fixture("shards/bin/pytorch_model.bin");
    if weights.exists() {
        fs::copy(weights, tmp.path().join("w.pt")).unwrap();
        let arguments = ["--model", text(&whole), "--prompts", "w.pt", "-o", "h.json"];
        assert_rejected(tmp.path(), &arguments, &["not a list of samples"]);
    }
}

/// Runs the helper with at most 3 GB of address space, most of which libtorch's libraries take.
fn limited(directory: &Path, prompts: &str) -> Output {
    let helper = assert_cmd::cargo::cargo_bin("entropy-viz-compute");
    let whole = model("qwen2");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 3000000; exec \"$@\"", "sh", text(&helper)]);
    command.args(["--device", "cpu", "--threads", "1", "--model", text(&whole), "-o", "h.json"]);
    command.args(["--prompts", prompts]).current_dir(directory).output().unwrap()
}

/// Damages files in many ways: each is an error or is read, within the memory.
#[test]
fn damaged_binary_dumps_are_errors() {
    let tmp = temp_dir();
    for name in ["stream.arrow", "file.arrow", "zstd.feather", "lz4.feather", "slime/rollout_12.pt"]
    {
        let bytes = fs::read(fixture("dumps").join(name)).unwrap();
        let damaged = format!("d.{}", name.rsplit_once('.').unwrap().1);
        for (round, at) in (0..bytes.len()).step_by(bytes.len() / 4).enumerate() {
            let mut copied = bytes.clone();
            let end = (at + 12).min(copied.len());
            copied[at..end].fill([0xff, 0x7f, 0x00][round % 3]);
            fs::write(tmp.path().join(&damaged), &copied).unwrap();
            let output = limited(tmp.path(), &damaged);
            let said = stderr(&output);
            assert!(matches!(output.status.code(), Some(0 | 2)), "{name} at {at}: {said}");
            assert!(
                !said.contains("panicked") && !said.contains("bug in"),
                "{name} at {at}: {said}"
            );
        }
    }
}

#[test]
fn arrow_files_that_unpack_to_gigabytes_are_errors() {
    let tmp = temp_dir();
    for (name, words) in [
        ("body.feather", "a batch unpacks to"),
        ("dictionary.arrow", "unpack to more than 512 MiB"),
        ("rows.arrow", "unpack to more than 512 MiB"),
    ] {
        fs::copy(fixture("dumps/bombs").join(name), tmp.path().join(name)).unwrap();
        let output = limited(tmp.path(), name);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    }
}

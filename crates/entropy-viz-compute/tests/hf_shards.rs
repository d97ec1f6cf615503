//! Safetensors of torch's distributed checkpoints that were not consolidated: the numbers must be those of the whole
//! file. Fixtures: tests/compute/make_hf_shards.py.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::fixture;
use crate::compute::*;
use crate::shards::{assert_same_bits, copy_config};

const CASES: [(&str, &str); 2] = [("hf-3", "llama"), ("hf-hsdp-4-files-2", "qwen3")];

#[test]
fn parts_of_ranks_give_the_same_bits_as_whole_safetensors() {
    for (case, golden) in CASES {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join("checkpoint");
        copy_config(golden, &checkpoint);
        copy(&fixture("shards").join(case), &checkpoint);
        assert_scores_of(&checkpoint, &read(&model(golden).join("golden.json")), &[]);
        assert_same_bits(&checkpoint, &model(golden));
    }
}

#[test]
fn runs_of_nemo_rl_are_found() {
    let (tmp, given) = (temp_dir(), rollouts());
    let weights = tmp.path().join("run/step_5/policy/weights/model");
    copy(&fixture("shards/hf-3"), &weights);
    let base = model("llama");
    let arguments = ["--model", "run", "--prompts", text(&given), "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--base-model", text(&base)]].concat());
    let rows = read(&tmp.path().join("h.json"));
    let golden = read(&base.join("golden.json"));
    let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
    assert_eq!(rows[0]["step"], 5);
    assert!((rows[0]["entropy"].as_f64().unwrap() - expected).abs() < 2e-5);
    // With save_consolidated the whole weights are beside the parts, and count; they have their own config.json.
    copy(&model("qwen3"), &weights.join("consolidated"));
    compute_ok(tmp.path(), &[&arguments[..], &["--overwrite"]].concat());
    let golden = read(&model("qwen3").join("golden.json"));
    let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
    let entropy = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
    assert!((entropy - expected).abs() < 2e-5);
}

/// A directory with config, tokenizer and the parts of three ranks.
fn checkpoint(tmp: &Path) -> PathBuf {
    let checkpoint = tmp.join("checkpoint");
    copy_config("llama", &checkpoint);
    copy(&fixture("shards/hf-3"), &checkpoint);
    checkpoint
}

fn shard(checkpoint: &Path, rank: usize) -> PathBuf {
    checkpoint.join(format!("shard-{rank:05}-model-00001-of-00001.safetensors"))
}

#[test]
fn missing_copied_and_foreign_parts_are_refused() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = checkpoint(tmp.path());
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let taken = tmp.path().join("taken");
    fs::rename(shard(&checkpoint, 2), &taken).unwrap();
    assert_rejected(
        tmp.path(),
        &arguments,
        &["the tensor", "shard-00002 is missing", "elements", "all ranks"],
    );
    fs::rename(&taken, shard(&checkpoint, 2)).unwrap();
    // The last rank: nothing in the files names it.
    fs::rename(shard(&checkpoint, 3), &taken).unwrap();
    assert_rejected(tmp.path(), &arguments, &["214×32", "config.json requires 320×32"]);
    // Another rank in its place.
    fs::copy(shard(&checkpoint, 1), shard(&checkpoint, 3)).unwrap();
    assert_rejected(tmp.path(), &arguments, &["parts have", "but its shape is"]);
    fs::rename(&taken, shard(&checkpoint, 3)).unwrap();
    // A fourth one that is too many.
    fs::copy(shard(&checkpoint, 1), shard(&checkpoint, 4)).unwrap();
    assert_rejected(tmp.path(), &arguments, &["parts have", "but its shape is"]);
    fs::remove_file(shard(&checkpoint, 4)).unwrap();
    compute_ok(tmp.path(), &arguments);
}

/// Changes the header of a safetensors file: the sharding info, or an entry.
fn change_header(file: &Path, change: &dyn Fn(&mut Value, &mut Value)) {
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let info = header["__metadata__"]["DCP_SHARDING_INFO"].as_str().unwrap();
    let mut info: Value = serde_json::from_str(info).unwrap();
    change(&mut info, &mut header);
    if header["__metadata__"].is_object() {
        header["__metadata__"]["DCP_SHARDING_INFO"] = json!(info.to_string());
    }
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let size = (header.len() as u64).to_le_bytes();
    fs::write(file, [&size[..], &header, &bytes[8 + length..]].concat()).unwrap();
}

#[test]
fn hostile_positions_are_refused() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = checkpoint(tmp.path());
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let file = shard(&checkpoint, 2);
    let good = fs::read(&file).unwrap();
    let name = "model.embed_tokens.weight";
    for (offsets, words) in [
        (json!([-1, 0]), &[name, "no saved_offsets"][..]),
        (json!([i64::MAX, 0]), &[name, "too far apart"]),
        (json!([u64::MAX, 0]), &[name, "no saved_offsets"]),
        (json!([1.5, 0]), &[name, "no saved_offsets"]),
        (json!([107]), &[name, "do not fit its shape [107, 32]"]),
        (json!([107, 0, 0]), &[name, "do not fit its shape"]),
        (json!("107"), &[name, "no saved_offsets"]),
        (json!(null), &[name, "no saved_offsets"]),
        (json!([106, 0]), &[name, "overlap"]), // one row twice, one row missing
        (json!([0, 107]), &[name, "parts have"]),
        (json!([1u64 << 40, 1u64 << 40]), &[name, "too far apart"]),
    ] {
        change_header(&file, &|info, _| info[name]["saved_offsets"] = offsets.clone());
        assert_rejected(tmp.path(), &arguments, words);
        fs::write(&file, &good).unwrap();
    }
    change_header(&file, &|info, _| *info = json!([1]));
    assert_rejected(tmp.path(), &arguments, &["shard-00002", "no saved_offsets"]);
    fs::write(&file, &good).unwrap();
    change_header(&file, &|_, header| {
        header.as_object_mut().unwrap().remove("__metadata__");
    });
    assert_rejected(tmp.path(), &arguments, &["shard-00002", "no DCP_SHARDING_INFO"]);
    fs::write(&file, &good).unwrap();
    change_header(&file, &|_, header| header[name]["dtype"] = json!("I32"));
    assert_rejected(tmp.path(), &arguments, &[name, "I32"]);
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    assert_rejected(tmp.path(), &arguments, &["shard-00002", "cut off"]);
    fs::write(&file, &good).unwrap();
    compute_ok(tmp.path(), &arguments);
}

//! Checkpoints of Megatron: the numbers must be those of the same weights as safetensors.
//!
//! tests/fixtures/megatron has the weights of golden checkpoints as Megatron itself saves them
//! (tests/compute/make_megatron.py); config and tokenizer are those of the golden checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::{fixture, stderr};
use crate::compute::*;
use crate::shards::{assert_same_bits, copy_config};

const CASES: [(&str, &str); 6] = [
    ("qwen2-1", "qwen2"),           // layers stacked, padded vocabulary, tied
    ("qwen3-tp2", "qwen3"),         // two ranks of tensor parallelism, bfloat16
    ("llama-pp2", "llama"),         // two stages, numbered layers, biases
    ("mistral-tp2-pp2", "mistral"), // gate and up are separate
    ("moe-ep2", "qwen3_moe"),       // stacked experts on two ranks
    ("moe-single", "qwen3_moe"),    // numbered experts
];

fn run(case: &str) -> PathBuf {
    fixture("megatron").join(case)
}

/// Copies Megatron's files of one step.
fn copy_step(case: &str, to: &Path) {
    copy(&run(case).join("iter_0000012"), to);
}

/// A copy of a golden checkpoint whose weights cannot be used.
fn config_of(golden: &str, tmp: &Path) -> PathBuf {
    let config = tmp.join("config");
    copy(&model(golden), &config);
    fs::write(config.join("model.safetensors"), b"not weights").unwrap();
    config
}

#[test]
fn megatron_checkpoints_give_the_golden_numbers() {
    for (case, golden) in CASES {
        let tmp = temp_dir();
        let config = config_of(golden, tmp.path());
        let numbers = read(&model(golden).join("golden.json"));
        let step = run(case).join("iter_0000012");
        assert_scores_of(&step, &numbers, &["--base-model", text(&config)]);
    }
}

#[test]
fn megatron_checkpoints_give_the_same_bits_as_safetensors() {
    for (case, golden) in CASES {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join("checkpoint");
        copy_config(golden, &checkpoint);
        copy_step(case, &checkpoint);
        assert_same_bits(&checkpoint, &model(golden));
    }
}

#[test]
fn runs_of_slime_verl_and_nemo_rl_are_found() {
    let (tmp, given) = (temp_dir(), rollouts());
    let entropies = |model: &str, more: &[&str]| {
        let arguments = ["--model", model, "--prompts", text(&given), "-o", "h.json"];
        compute_ok(tmp.path(), &[&arguments[..], more].concat());
        let rows = read(&tmp.path().join("h.json"));
        fs::remove_file(tmp.path().join("h.json")).unwrap();
        let row = |row: &serde_json::Value| (row["step"].as_u64().unwrap(), row["entropy"].clone());
        rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let base = config_of("qwen2", tmp.path());
    // slime: --save DIR; the steps are there, and a file with the last one.
    let slime = tmp.path().join("slime");
    fs::create_dir(&slime).unwrap();
    fs::write(slime.join("latest_checkpointed_iteration.txt"), "12").unwrap();
    for step in ["iter_0000006", "iter_0000012"] {
        copy_step("qwen2-1", &slime.join(step));
    }
    let rows = entropies("slime", &["--base-model", text(&base)]);
    assert_eq!(rows.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [6, 12]);
    // verl: config and tokenizer are beside it.
    for (name, weights, config) in [
        ("old", "dist_ckpt", "huggingface"),
        ("new", "model/dist_ckpt", "huggingface"),
        ("newest", "model/dist_ckpt", "model/huggingface"),
    ] {
        let actor = tmp.path().join(name).join("global_step_7/actor");
        copy_config("qwen2", &actor.join(config));
        copy_step("qwen2-1", &actor.join(weights));
        assert_eq!(entropies(name, &[]), [(7, rows[0].1.clone())], "{name}");
    }
    // NeMo-RL
    copy_step("qwen2-1", &tmp.path().join("nemo/step_7/policy/weights/iter_0000000"));
    assert_eq!(entropies("nemo", &["--base-model", text(&base)]), [(7, rows[0].1.clone())]);
}

#[test]
fn shapes_that_do_not_match_the_config_are_refused() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen2", &checkpoint);
    copy_step("qwen2-1", &checkpoint);
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let config = checkpoint.join("config.json");
    let good = fs::read(&config).unwrap();
    for (key, value, words) in [
        ("num_hidden_layers", json!(2), &["[3, 32]", "num_hidden_layers is 2"][..]),
        ("num_key_value_heads", json!(4), &["linear_qkv", "4 × 24 rows"]),
        ("num_attention_heads", json!(16), &["linear_qkv", "2 × 20 rows"]),
        ("vocab_size", json!(400), &["embedding.word_embeddings.weight", "384 rows", "400"]),
        ("hidden_size", json!(64), &["linear_qkv"]),
        ("intermediate_size", json!(40), &["mlp.gate_proj.weight", "48×32", "40×32"]),
        ("model_type", json!("gemma2"), &["gemma2", "qwen3_moe"]),
    ] {
        let mut changed = read(&config);
        changed[key] = value;
        changed["layer_types"] = json!(null);
        fs::write(&config, changed.to_string()).unwrap();
        assert_rejected(tmp.path(), &arguments, words);
        fs::write(&config, &good).unwrap();
    }
    compute_ok(tmp.path(), &arguments);
}

/// Replaces texts of the same length in a file.
fn replace(file: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).unwrap();
    let found: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
    assert!(!found.is_empty(), "{from} is not in {}", file.display());
    for at in found {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn unknown_names_and_damaged_descriptions_are_refused() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen2", &checkpoint);
    copy_step("qwen2-1", &checkpoint);
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let metadata = checkpoint.join(".metadata");
    let good = fs::read(&metadata).unwrap();
    for (from, to, words) in [
        (
            "decoder.layers.mlp.linear_fc2.weight",
            "decoder.layers.mlp.linear_fcX.weight",
            &["linear_fcX.weight", "a qwen2 model has nothing like", "convert"][..],
        ),
        (
            "decoder.final_layernorm.weight",
            "decoder.final_layerXorm.weight",
            &["decoder.final_layerXorm.weight"],
        ),
    ] {
        replace(&metadata, from, to);
        assert_rejected(tmp.path(), &arguments, words);
        fs::write(&metadata, &good).unwrap();
    }
    // A file that the description names is gone, or cut off.
    let shard = checkpoint.join("__0_1.distcp");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    assert_rejected(tmp.path(), &arguments, &["__0_1.distcp", "cut off"]);
    fs::remove_file(&shard).unwrap();
    assert_rejected(tmp.path(), &arguments, &["__0_1.distcp", "no such file"]);
    // A save that did not end.
    fs::remove_file(&metadata).unwrap();
    fs::remove_file(checkpoint.join("config.json")).unwrap();
    assert_rejected(tmp.path(), &arguments, &["Megatron", "no .metadata", "not complete"]);
    fs::write(checkpoint.join("metadata.json"), r#"{"sharded_backend": "zarr"}"#).unwrap();
    assert_rejected(tmp.path(), &arguments, &["\"zarr\"", "torch_dist"]);
}

/// The embedding is 512×32, in parts of 256 rows; `(256, 0)` is the position of the second one, in the list of parts and
/// in that of the files.
#[test]
fn absurd_positions_and_sizes_of_parts_are_refused() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen3", &checkpoint);
    copy_step("qwen3-tp2", &checkpoint);
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let metadata = checkpoint.join(".metadata");
    let good = fs::read(&metadata).unwrap();
    let (position, part, whole) = (b"M\x00\x01K\x00\x86", b"M\x00\x01K \x86", b"M\x00\x02K \x86");
    let embedding = "embedding.word_embeddings.weight";
    let cases: [(&[u8], &[u8], &[&str]); 9] = [
        // 255, 0: one row twice, and one nowhere.
        (position, b"M\xff\x00K\x00\x86", &[embedding, "overlap", "[255, 0]"]),
        (position, b"K\x00K\x00\x86", &[embedding]), // both parts at the start
        (position, b"J\xff\xff\xff\xffK\x00\x86", &[embedding, "[-1, 0]", "not in its shape"]),
        (
            position,
            b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x00\x86",
            &[embedding, "9223372036854775807", "not in its shape"],
        ),
        (part, b"J\x00\xff\xff\xffK \x86", &[embedding, "[256, 32], not [-256, 32]"]),
        (whole, b"M\x01\x02K \x86", &[embedding, "16384 elements", "[513, 32]"]),
        (whole, b"M\xff\x01K \x86", &[embedding, "not in its shape [511, 32]"]),
        (whole, b"J\x00\xfe\xff\xffK \x86", &[embedding, "has no shape"]),
        (whole, b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK \x86", &[embedding, "too large"]),
    ];
    for (from, to, words) in cases {
        let mut bytes = Vec::new();
        let mut rest = 0;
        for at in memchr::memmem::find_iter(&good, from) {
            bytes.extend_from_slice(&good[rest..at]);
            bytes.extend_from_slice(to);
            rest = at + from.len();
        }
        assert!(rest > 0, "{from:?} is not there");
        bytes.extend_from_slice(&good[rest..]);
        fs::write(&metadata, bytes).unwrap();
        assert_rejected(tmp.path(), &arguments, words);
    }
}

#[test]
fn damaged_numbers_of_the_description_are_errors() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen3", &checkpoint);
    copy_step("qwen3-tp2", &checkpoint);
    let metadata = checkpoint.join(".metadata");
    let good = fs::read(&metadata).unwrap();
    let arguments = ["--model", "checkpoint", "--prompts", text(&given), "-o", "h.json"];
    compute_ok(tmp.path(), &arguments);
    let entropy = read(&tmp.path().join("h.json"))[0]["entropy"].clone();
    fs::remove_file(tmp.path().join("h.json")).unwrap();
    let mut refused = 0;
    // Small integers (BININT1) become 0, one more and 255; each is a size, an offset, or a position in a file.
    let numbers = memchr::memmem::find_iter(&good, b"K");
    for (i, at) in numbers.filter(|at| at + 1 < good.len()).enumerate() {
        if i % 9 != 0 {
            continue;
        }
        let mut bytes = good.clone();
        bytes[at + 1] = [0, bytes[at + 1].wrapping_add(1), 255][i / 9 % 3];
        fs::write(&metadata, &bytes).unwrap();
        let output = compute(tmp.path(), &arguments);
        let said = stderr(&output);
        assert!(!said.contains("panicked") && !said.contains("bug in"), "byte {at}: {said}");
        match output.status.code() {
            Some(2) => refused += 1,
            Some(0) => {
                assert_eq!(read(&tmp.path().join("h.json"))[0]["entropy"], entropy, "byte {at}");
                fs::remove_file(tmp.path().join("h.json")).unwrap();
            }
            other => panic!("byte {at}: {other:?}: {said}"),
        }
    }
    assert!(refused > 10, "{refused}");
}

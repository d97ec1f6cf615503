//! Weights in files of torch: the numbers must be those of the same weights as safetensors.
//!
//! tests/fixtures/shards has the weights of golden checkpoints as torch and trainers save them
//! (tests/compute/make_shards.py); config and tokenizer are those of the golden checkpoint.

use std::fs;
use std::path::Path;

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, lines_without_settings, model, read,
    rollouts, temp_dir, text,
};
use crate::torch_files::{tensor_pickle, write_archive};

/// Copies a golden checkpoint without its weights.
pub(crate) fn copy_config(golden: &str, to: &Path) {
    copy(&model(golden), to);
    fs::remove_file(to.join("model.safetensors")).unwrap();
}

#[test]
fn pickled_weights_give_the_same_numbers() {
    for (case, golden) in [("bin", "gemma2"), ("bin-sharded", "qwen3_moe")] {
        let tmp = temp_dir();
        copy_config(golden, tmp.path());
        copy(&fixture("shards").join(case), tmp.path());
        assert_scores_of(tmp.path(), &read(&model(golden).join("golden.json")), &[]);
    }
}

/// Makes verl's directory of one step: shards, with config and tokenizer in `huggingface`.
pub(crate) fn copy_shards(case: &str, golden: &str, to: &Path) {
    copy_config(golden, &to.join("huggingface"));
    copy(&fixture("shards").join(case), to);
}

#[test]
fn fsdp_shards_give_the_same_numbers() {
    for (case, golden) in [
        ("fsdp2-1", "qwen2-sliding"),
        ("fsdp1-2", "mistral"),
        ("fsdp2-3", "llama"),
        ("fsdp2-4", "qwen3"),
        ("fsdp2-moe-3", "qwen3_moe"),
        ("hsdp-4", "qwen2-yarn"),
    ] {
        let tmp = temp_dir();
        copy_shards(case, golden, tmp.path());
        assert_scores_of(tmp.path(), &read(&model(golden).join("golden.json")), &[]);
    }
}

#[test]
fn fsdp_shards_give_the_same_bits_as_safetensors() {
    let tmp = temp_dir();
    for (case, golden) in [("fsdp2-3", "llama"), ("fsdp1-2", "mistral"), ("hsdp-4", "qwen2-yarn")] {
        let shards = tmp.path().join(case);
        copy_shards(case, golden, &shards);
        assert_same_bits(&shards, &model(golden));
    }
}

/// Asserts that two checkpoints give the same entropies and log-probs, to the last bit.
pub(crate) fn assert_same_bits(a: &Path, b: &Path) {
    let tmp = temp_dir();
    let given = rollouts();
    for dtype in ["float32", "bfloat16"] {
        let row = |path: &Path| {
            let arguments = ["--model", text(path), "--prompts", text(&given), "--dtype", dtype];
            let output = ["-o", "h.json", "--tokens-out", "t.jsonl", "--step", "1", "--overwrite"];
            compute_ok(tmp.path(), &[&arguments[..], &output].concat());
            lines_without_settings(&tmp.path().join("t.jsonl"))
        };
        assert_eq!(row(a), row(b), "{} as {dtype}", a.display());
    }
}

#[test]
fn lora_runs_are_merged_from_their_shards() {
    let tmp = temp_dir();
    copy_shards("lora-2", "qwen2", tmp.path());
    let golden = read(&model("lora").join("golden.json"));
    assert_scores_of(tmp.path(), &golden, &[]);
    // verl's copy of the adapter is not applied once more.
    copy(&model("lora"), &tmp.path().join("lora_adapter"));
    assert_scores_of(tmp.path(), &golden, &[]);

    let given = rollouts();
    let checkpoint = tmp.path().join("checkpoint");
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    copy_shards("lora-2", "qwen2", &checkpoint);
    let meta = checkpoint.join("lora_train_meta.json");
    fs::write(&meta, r#"{"r": 4, "lora_alpha": 0}"#).unwrap();
    assert_rejected(tmp.path(), &arguments, &["lora_train_meta.json", "lora_alpha is 0"]);
    fs::write(&meta, r#"{"r": 8, "lora_alpha": 8}"#).unwrap();
    assert_rejected(tmp.path(), &arguments, &["r is 8, but the rank of lora_A is 4"]);
    fs::remove_file(&meta).unwrap();
    assert_rejected(tmp.path(), &arguments, &["no lora_train_meta.json", "\"r\": 4"]);
}

#[test]
fn runs_of_verl_and_skyrl_need_no_merging() {
    let tmp = temp_dir();
    let given = rollouts();
    let run = tmp.path().join("run");
    copy_shards("fsdp2-3", "llama", &run.join("global_step_10/actor"));
    copy_shards("fsdp1-2", "mistral", &run.join("global_step_20/policy"));
    // A checkpoint that was merged: the safetensors count.
    copy(&model("qwen3"), &run.join("global_step_30/actor/huggingface"));
    copy(&fixture("shards/fsdp2-4"), &run.join("global_step_30/actor"));
    let arguments = ["--model", "run", "--prompts", text(&given), "-o", "h.json", "-v"];
    let output = compute_ok(tmp.path(), &arguments);
    let said = stderr(&output);
    assert!(said.contains("stored as float32, used as float32"), "{said}");
    assert!(said.contains("stored as bfloat16, used as float32"), "{said}");
    let rows = read(&tmp.path().join("h.json"));
    for (row, golden) in rows.as_array().unwrap().iter().zip(["llama", "mistral", "qwen3"]) {
        let expected =
            &read(&model(golden).join("golden.json"))["temperatures"]["1.0"]["token_mean"];
        let off = row["entropy"].as_f64().unwrap() - expected.as_f64().unwrap();
        assert!(off.abs() < 2e-5, "{golden}: {off:e}");
    }
    // Nothing has changed, so nothing is computed again.
    let output = compute_ok(tmp.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in h.json").count(), 3);
}

#[test]
fn distributed_checkpoints_give_the_same_numbers() {
    let tmp = temp_dir();
    let golden = read(&model("phi3-partial").join("golden.json"));
    let base = model("phi3-partial");
    // accelerate, prime-rl and NeMo-RL leave no config.json beside it.
    for place in ["checkpoint-10/pytorch_model_fsdp_0", "step_10/trainer", "step_10/policy/weights"]
    {
        let run = tmp.path().join(place);
        copy(&fixture("shards/dcp-2"), &run);
        let step = tmp.path().join(place.split('/').next().unwrap());
        assert_scores_of(&step, &golden, &["--base-model", text(&base)]);
        fs::remove_dir_all(&step).unwrap();
    }
    let whole = tmp.path().join("whole");
    copy_config("phi3-partial", &whole);
    copy(&fixture("shards/dcp-2"), &whole);
    assert_scores_of(&whole, &golden, &[]);
}

#[test]
fn deepspeed_checkpoints_give_the_same_numbers() {
    for (case, golden, config, place) in [
        ("zero2-2", "qwen2-sliding", "qwen2-sliding", ""),
        ("zero3-3", "qwen3", "qwen3", "global_step40"),
        ("zero3-lora-2", "lora", "qwen2", ""), // with frozen parameters
    ] {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join("checkpoint-40");
        copy(&fixture("shards").join(case), &checkpoint.join(place));
        let numbers = read(&model(golden).join("golden.json"));
        let config = tmp.path().join(config);
        copy(&model(config.file_name().unwrap().to_str().unwrap()), &config);
        fs::write(config.join("model.safetensors"), b"not weights").unwrap();
        assert_scores_of(&checkpoint, &numbers, &["--base-model", text(&config)]);
    }
}

#[test]
fn incomplete_deepspeed_checkpoints_are_refused() {
    let tmp = temp_dir();
    let (given, base) = (rollouts(), model("qwen3"));
    let checkpoint = tmp.path().join("checkpoint");
    copy(&fixture("shards/zero3-3"), &checkpoint);
    let arguments =
        ["--model", "checkpoint", "--prompts", text(&given), "--base-model", text(&base)];
    let last = checkpoint.join("bf16_zero_pp_rank_2_mp_rank_00_optim_states.pt");
    fs::rename(&last, tmp.path().join("last.pt")).unwrap();
    assert_rejected(tmp.path(), &arguments, &["model states of 3 ranks and optimizer states of 2"]);
    fs::remove_file(checkpoint.join("zero_pp_rank_2_mp_rank_00_model_states.pt")).unwrap();
    assert_rejected(tmp.path(), &arguments, &["partition_count is not the 2 ranks"]);
}

#[test]
fn deepspeed_ranks_that_were_swapped_or_copied_are_refused() {
    let tmp = temp_dir();
    let (given, base) = (rollouts(), model("qwen3"));
    let checkpoint = tmp.path().join("checkpoint");
    copy(&fixture("shards/zero3-3"), &checkpoint);
    let arguments =
        ["--model", "checkpoint", "--prompts", text(&given), "--base-model", text(&base)];
    let optim =
        |rank| checkpoint.join(format!("bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"));
    let bytes = [0, 1].map(|rank| fs::read(optim(rank)).unwrap());
    fs::write(optim(0), &bytes[1]).unwrap();
    let as_rank_1 = ["rank_0_mp_rank_00_optim_states.pt", "as the file of rank 1"];
    assert_rejected(tmp.path(), &arguments, &as_rank_1);
    fs::write(optim(1), &bytes[0]).unwrap();
    assert_rejected(tmp.path(), &arguments, &as_rank_1);
    // The same where the archives have no rank in their names, as if torch had written them to memory.
    let renamed = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for rank in [0, 1] {
            let name = format!("bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states/");
            let finder = memchr::memmem::Finder::new(&name);
            for at in finder.find_iter(&bytes.clone()) {
                bytes[at..at + 4].copy_from_slice(b"arch");
                bytes[at + 13..at + 18].copy_from_slice(b"_____");
            }
        }
        bytes
    };
    let (a, b) = (renamed(&bytes[0]), renamed(&bytes[1]));
    fs::write(optim(0), &a).unwrap();
    fs::write(optim(1), &b).unwrap();
    compute_ok(tmp.path(), &[&arguments[..], &["-o", "h.json"]].concat());
    fs::write(optim(1), &a).unwrap();
    assert_rejected(tmp.path(), &arguments, &["both have the same weights", "rank_0", "rank_1"]);
    // Frozen weights are in the model states.
    let lora = tmp.path().join("lora");
    copy(&fixture("shards/zero3-lora-2"), &lora);
    let states = |rank| lora.join(format!("zero_pp_rank_{rank}_mp_rank_00_model_states.pt"));
    fs::copy(states(0), states(1)).unwrap();
    let base = model("qwen2");
    let arguments = ["--model", "lora", "--prompts", text(&given), "--base-model", text(&base)];
    let words = ["rank_1_mp_rank_00_model_states.pt", "as the file of rank 0"];
    assert_rejected(tmp.path(), &arguments, &words);
}

#[test]
fn damaged_distributed_checkpoints_are_refused() {
    let tmp = temp_dir();
    let given = rollouts();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("phi3-partial", &checkpoint);
    copy(&fixture("shards/dcp-2"), &checkpoint);
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let shard = checkpoint.join("__1_0.distcp");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 3]).unwrap();
    assert_rejected(tmp.path(), &arguments, &["__1_0.distcp", "cut off", "the tensor model."]);
    fs::remove_file(&shard).unwrap();
    assert_rejected(tmp.path(), &arguments, &["__1_0.distcp", "no such file"]);
    fs::write(&shard, &bytes).unwrap();
    // The names of the files are not paths.
    let metadata = checkpoint.join(".metadata");
    let good = fs::read(&metadata).unwrap();
    let replaced = |from: &str, to: &str| {
        let mut bytes = good.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        fs::write(&metadata, bytes).unwrap();
    };
    replaced("__1_0.distcp", "../../passwd");
    assert_rejected(tmp.path(), &arguments, &["../../passwd", "another directory"]);
    replaced("PosixPath", "NastyPath");
    assert_rejected(tmp.path(), &arguments, &["pathlib.NastyPath", ".metadata"]);
    replaced("model.model.embed_tokens.weight", "model.model.embed_tokens.w_____");
    assert_rejected(
        tmp.path(),
        &arguments,
        &["no tensor is named model.embed_tokens.weight or embedding.word_embeddings.weight"],
    );
}

#[test]
fn incomplete_shards_are_refused() {
    let tmp = temp_dir();
    let given = rollouts();
    let checkpoint = tmp.path().join("checkpoint");
    copy_shards("fsdp2-3", "llama", &checkpoint);
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let rank = |size: usize, rank: usize| {
        checkpoint.join(format!("model_world_size_{size}_rank_{rank}.pt"))
    };
    // The parts of rank 2 in the file of rank 1.
    let own = fs::read(rank(3, 1)).unwrap();
    fs::copy(rank(3, 2), rank(3, 1)).unwrap();
    assert_rejected(tmp.path(), &arguments, &["two ranks have the same part"]);
    fs::write(rank(3, 1), own).unwrap();
    fs::rename(rank(3, 2), tmp.path().join("shard.pt")).unwrap();
    assert_rejected(
        tmp.path(),
        &arguments,
        &["model_world_size_3_rank_2.pt is missing", "each node"],
    );
    fs::copy(tmp.path().join("shard.pt"), rank(4, 2)).unwrap();
    assert_rejected(tmp.path(), &arguments, &["shards of 3 and of 4 ranks"]);
    // Renamed, so that a part of every tensor is missing.
    fs::remove_file(rank(4, 2)).unwrap();
    fs::rename(rank(3, 0), rank(2, 0)).unwrap();
    fs::rename(rank(3, 1), rank(2, 1)).unwrap();
    assert_rejected(tmp.path(), &arguments, &["checkpoint", "the tensor"]);
}

/// A plain tensor is whole in the file of every rank; parts of one cannot be told from it but for their shape.
#[test]
fn plain_tensors_that_differ_between_ranks_are_refused() {
    let tmp = temp_dir();
    let given = rollouts();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("llama", &checkpoint.join("huggingface"));
    for (rank, size) in [(0, 3), (1, 2)] {
        let file = checkpoint.join(format!("model_world_size_2_rank_{rank}.pt"));
        write_archive(&file, &[("a/data.pkl", &tensor_pickle(0, size, 1)), ("a/data/0", &[0; 16])]);
    }
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["rank_1.pt", "differs in shape from that of rank 0"]);
}

#[test]
fn shards_without_config_need_a_base_model() {
    let tmp = temp_dir();
    let (base, given) = (model("llama"), rollouts());
    copy(&fixture("shards/fsdp2-3"), &tmp.path().join("shards"));
    let arguments = ["--model", "shards", "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["no config.json", "--base-model"]);
    let shards = tmp.path().join("shards");
    let golden = read(&base.join("golden.json"));
    // A base model of other weights, so that a use of them is seen.
    let other = tmp.path().join("other");
    copy(&base, &other);
    fs::write(other.join("model.safetensors"), b"not weights").unwrap();
    assert_scores_of(&shards, &golden, &["--base-model", text(&other)]);
}

#[test]
fn fsdp1_without_a_mesh_is_refused() {
    let tmp = temp_dir();
    let given = rollouts();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("llama", &checkpoint.join("huggingface"));
    for rank in 0..2 {
        let name = format!("fsdp1_world_size_2_rank_{rank}.pt");
        let shard = fixture("shards/torch-2.11").join(&name);
        fs::copy(shard, checkpoint.join(format!("model_world_size_2_rank_{rank}.pt"))).unwrap();
    }
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["ShardedTensor", "device mesh", "model_world_size_2_rank_0.pt"],
    );
}

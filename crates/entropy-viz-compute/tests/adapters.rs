//! Adapters of PEFT: where trainers leave them, and numbers against those of PEFT.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, model, read, rollouts, temp_dir, text,
};

fn entropies_of_run(run: &Path, flags: &[&str]) -> Vec<f64> {
    let (tmp, given) = (temp_dir(), rollouts());
    let arguments = ["--model", text(run), "--prompts", text(&given), "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], flags].concat());
    let rows = read(&tmp.path().join("h.json"));
    rows.as_array().unwrap().iter().map(|row| row["entropy"].as_f64().unwrap()).collect()
}

fn golden_entropy(name: &str) -> f64 {
    let golden = read(&model(name).join("golden.json"));
    golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap()
}

#[test]
fn lora_adapter_of_verl_is_applied_to_its_checkpoint() {
    let run = temp_dir();
    let actor = |step: u64| run.path().join(format!("global_step_{step}/actor"));
    for step in [40, 80, 120, 160] {
        copy(&model("qwen2"), &actor(step).join("huggingface"));
    }
    // The trainer writes it beside the base model, the merger inside; the merger writes lora_alpha: 0.
    copy(&model("lora"), &actor(40).join("lora_adapter"));
    copy(&model("lora-rslora"), &actor(80).join("huggingface/lora_adapter"));
    copy(&model("lora"), &actor(120).join("lora_adapter"));
    let by_merger = actor(120).join("huggingface/lora_adapter");
    copy(&model("lora"), &by_merger);
    set(&by_merger.join("adapter_config.json"), "lora_alpha", json!(0));
    let expected = ["lora", "lora-rslora", "lora", "qwen2"].map(golden_entropy);
    for (ours, expected) in entropies_of_run(run.path(), &[]).iter().zip(expected) {
        assert!((ours - expected).abs() < 2e-5, "{ours} and {expected}");
    }
    // A base model that is named is taken as it is.
    let other = temp_dir();
    copy(&model("qwen2"), &other.path().join("base"));
    copy(&model("lora-rslora"), &other.path().join("base/lora_adapter"));
    let base = other.path().join("base");
    let named = entropies_of_run(&actor(40), &["--base-model", text(&base)]);
    assert!((named[0] - expected[0]).abs() < 2e-5, "{}", named[0]);
}

#[test]
fn any_directory_of_a_verl_step_gives_the_adapted_model() {
    let run = temp_dir();
    let step = run.path().join("global_step_40");
    copy(&model("qwen2"), &step.join("actor/huggingface"));
    copy(&model("lora"), &step.join("actor/lora_adapter"));
    for place in ["", "actor", "actor/huggingface", "actor/lora_adapter"] {
        let (tmp, given, path) = (temp_dir(), rollouts(), step.join(place));
        let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "h.json"];
        compute_ok(tmp.path(), &arguments);
        let row = &read(&tmp.path().join("h.json"))[0];
        let off = (row["entropy"].as_f64().unwrap() - golden_entropy("lora")).abs();
        assert!(off < 2e-5 && row["step"] == 40, "{place}: {row}");
    }
}

#[test]
fn lora_adapter_without_a_base_model_is_an_error() {
    let (tmp, given) = (temp_dir(), rollouts());
    let actor = tmp.path().join("global_step_40/actor");
    copy(&model("qwen2"), &actor.join("huggingface"));
    fs::remove_file(actor.join("huggingface/model.safetensors")).unwrap();
    copy(&model("lora"), &actor.join("lora_adapter"));
    let arguments = ["--model", text(&actor), "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["LoRA adapter of ../qwen2", "--base-model"]);
    // The shards of a LoRA run hold the adapter too: applied to them, it would count twice.
    fs::write(actor.join("model_world_size_1_rank_0.pt"), b"x").unwrap();
    assert_rejected(tmp.path(), &arguments, &["LoRA adapter of ../qwen2", "--base-model"]);
    let base = model("qwen2");
    let golden = read(&model("lora/golden.json"));
    assert_scores_of(&actor, &golden, &["--base-model", text(&base)]);
    fs::remove_file(actor.join("lora_adapter/adapter_config.json")).unwrap();
    assert_rejected(tmp.path(), &arguments, &["adapter_config.json", "no such file"]);
}

/// Shards of a LoRA run beside the adapter: they count if the adapter's factor is there; if not, they are named.
#[test]
fn shards_beside_an_adapter_are_used_or_named() {
    let (given, base) = (rollouts(), model("qwen2"));
    let golden = read(&model("lora/golden.json"));
    for case in ["zero3-lora-2", "lora-2"] {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join("checkpoint");
        copy(&fixture("shards").join(case), &checkpoint);
        // Another adapter, so that its use is seen.
        copy(&model("lora-rslora"), &checkpoint.join("lora_adapter"));
        assert_scores_of(&checkpoint, &golden, &["--base-model", text(&base)]);
        let arguments = ["--model", "checkpoint", "--base-model", text(&base), "--prompts"];
        let arguments = [&arguments[..], &[text(&given), "-o", "h.json"]].concat();
        let said = stderr(&compute_ok(tmp.path(), &arguments));
        assert!(!said.contains("not reading"), "{said}");
        fs::remove_file(checkpoint.join("lora_train_meta.json")).unwrap();
        fs::remove_file(tmp.path().join("h.json")).unwrap();
        let said = stderr(&compute_ok(tmp.path(), &arguments));
        assert!(
            said.contains("not reading the weights in") && said.contains("checkpoint"),
            "{said}"
        );
        let entropy = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
        assert!((entropy - golden_entropy("lora-rslora")).abs() < 2e-5, "{entropy}");
    }
}

/// Covers the ways in which PEFT changes a model (tests/compute/make_adapters.py).
#[test]
fn every_adapter_matches_peft() {
    let mut count = 0;
    for entry in fs::read_dir(fixture("adapters")).unwrap() {
        let adapter = entry.unwrap().path();
        if !adapter.is_dir() {
            continue;
        }
        let golden = read(&adapter.join("golden.json"));
        let base = model(golden["base"].as_str().unwrap());
        assert_scores_of(&adapter, &golden, &["--base-model", text(&base)]);
        // The base as reference: its tensors are then in memory once, and low-rank changes are not merged.
        let shared = ["--base-model", text(&base), "--reference", text(&base)];
        assert_scores_of(&adapter, &golden, &shared);
        count += 1;
    }
    assert!(count >= 15, "{count} adapters");
}

#[test]
fn rejects_adapter_settings_that_would_change_the_numbers() {
    let (tmp, given, base) = (temp_dir(), rollouts(), model("qwen2"));
    let adapter = tmp.path().join("adapter");
    let arguments = ["--model", "adapter", "--base-model", text(&base), "--prompts", text(&given)];
    let merge = "merge_and_unload";
    for (key, value, words) in [
        ("lora_alpha", json!(0), ["lora_alpha is 0", "training run"]),
        ("alpha_pattern", json!({"q_proj": 0}), ["lora_alpha is 0", "training run"]),
        ("alpha_pattern", json!({"q_proj(": 4}), ["alpha_pattern", "q_proj("]),
        ("init_lora_weights", json!("pissa"), ["init_lora_weights = \"pissa\"", merge]),
        ("init_lora_weights", json!("pissa_niter_4"), ["pissa_niter_4", merge]),
        ("init_lora_weights", json!("olora"), ["olora", merge]),
        ("init_lora_weights", json!("corda"), ["corda", merge]),
        ("init_lora_weights", json!("loftq"), ["loftq", merge]),
        ("loftq_config", json!({"loftq_bits": 4}), ["loftq_config", merge]),
        ("use_qalora", json!(true), ["use_qalora", merge]),
        ("lora_bias", json!(true), ["lora_bias", merge]),
        ("fan_in_fan_out", json!(true), ["fan_in_fan_out", merge]),
        ("trainable_token_indices", json!([1, 2]), ["trainable_token_indices", merge]),
        ("ensure_weight_tying", json!(true), ["ensure_weight_tying", merge]),
        ("layer_replication", json!([[0, 2], [1, 3]]), ["layer_replication", merge]),
        ("alora_invocation_tokens", json!([1]), ["alora_invocation_tokens", merge]),
        ("a_key_of_the_future", json!("on"), ["a_key_of_the_future = \"on\"", merge]),
        ("peft_type", json!("LOHA"), ["LOHA", merge]),
        ("use_dora", json!(true), ["use_dora", "lora_magnitude_vector"]),
    ] {
        copy(&model("lora"), &adapter);
        set(&adapter.join("adapter_config.json"), key, value);
        assert_rejected(tmp.path(), &arguments, &words);
    }
    copy(&model("lora"), &adapter);
    for (key, value) in [
        ("init_lora_weights", json!("gaussian")),
        ("a_key_of_the_future", json!(false)),
        ("revision", json!("main")),
        ("runtime_config", json!({"ephemeral_gpu_offload": false})), // verl writes it
    ] {
        set(&adapter.join("adapter_config.json"), key, value);
    }
    assert_scores_of(&adapter, &read(&model("lora/golden.json")), &["--base-model", text(&base)]);
}

/// Changes a key of a JSON file.
fn set(path: &Path, key: &str, value: Value) {
    let mut config = read(path);
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

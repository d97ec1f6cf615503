//! Gemma 3n: released checkpoints, settings that do not work, and defaults.

use std::fs;

use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, lines, max_difference, model, numbers, read,
    rollouts, temp_dir, text,
};
use crate::mixtures::{Tensors, changed};
use serde_json::{Value, json};

/// Names of a model of pictures, sounds and text; its last layers have tensors that they do not use.
fn as_released(tensors: &mut Tensors) {
    let text = std::mem::take(tensors);
    for (name, tensor) in text {
        let rest = name.strip_prefix("model.").unwrap();
        tensors.insert(format!("model.language_model.{rest}"), tensor);
    }
    for name in [
        "model.language_model.layers.3.self_attn.k_proj.weight",
        "model.language_model.layers.4.self_attn.v_proj.weight",
        "model.language_model.layers.4.self_attn.k_norm.weight",
        "model.vision_tower.timm_model.blocks.weight",
        "model.audio_tower.conformer.weight",
        "model.embed_vision.embedding.weight",
        "model.embed_audio.embedding.weight",
    ] {
        assert!(tensors.insert(name.to_owned(), (vec![2], vec![0; 8])).is_none(), "{name}");
    }
}

fn released_config(config: &mut Value) {
    let text = std::mem::take(config);
    *config = json!({
        "model_type": "gemma3n", "text_config": text, "image_token_id": 310, "audio_token_id": 311,
        "vision_config": {"vocab_offset": 306}, "audio_config": {"vocab_offset": 308},
    });
}

#[test]
fn the_language_model_of_a_released_model_has_the_numbers_of_the_text_model() {
    let tmp = temp_dir();
    let released = tmp.path().join("released");
    changed("gemma3n_text", &released, as_released, released_config);
    assert_scores_of(&released, &read(&model("gemma3n_text").join("golden.json")), &[]);
    for token in [306, 310, 319] {
        let row = json!({"prompt_token_ids": [5, token], "response_token_ids": [7]});
        fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
        assert_rejected(
            tmp.path(),
            &["--model", text(&released), "--prompts", "p.jsonl", "-o", "h.json", "--step", "1"],
            &[&format!("token id {token} stands for a picture")],
        );
    }
}

#[test]
fn settings_that_do_not_work_are_named() {
    let tmp = temp_dir();
    let given = rollouts();
    for (key, value, words) in [
        ("altup_active_idx", json!(3), "altup_active_idx is 3 and altup_num_inputs 3"),
        ("altup_num_inputs", json!(4), "altup_projections.2.weight is missing"),
        ("laurel_rank", json!(7), "laurel.linear_left.weight has the shape 6×32"),
        ("intermediate_size", json!([48, 40]), "intermediate_size has 2 numbers, but num_hidden"),
        ("intermediate_size", json!([48, 40, 0.5, 32, 40]), "intermediate_size has 0.5, not"),
        ("activation_sparsity_pattern", json!([0.5]), "activation_sparsity_pattern has 1 numbers"),
        ("activation_sparsity_pattern", json!(0.5), "activation_sparsity_pattern is 0.5, not a"),
        (
            "activation_sparsity_pattern",
            json!([0.5, 1.0, 0.0, 0.0, 0.0]),
            "activation_sparsity_pattern: 1 is not from 0 to less than 1",
        ),
        ("num_kv_shared_layers", json!(4), "num_kv_shared_layers: the last 4 of 5 layers"),
        ("hidden_size_per_layer_input", json!(0), "hidden_size_per_layer_input is 0"),
        ("vocab_size_per_layer_input", json!(303), "embed_tokens_per_layer.weight has the shape"),
        ("sliding_window", json!(null), "sliding_window is null"),
        ("model_type", json!("gemma4_text"), "intermediate_size is [48,40,48,32,40]"),
    ] {
        let path = tmp.path().join("m");
        let _ = fs::remove_dir_all(&path);
        changed("gemma3n_text", &path, |_| (), |config| config[key] = value.clone());
        assert_rejected(
            tmp.path(),
            &["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"],
            &[words],
        );
    }
}

/// What transformers' Gemma3nTextConfig takes for keys that are missing.
#[test]
fn missing_keys_have_the_defaults_of_transformers() {
    let tmp = temp_dir();
    let given = rollouts();
    let entropies = |name: &str, edit: &dyn Fn(&mut Value)| {
        changed("gemma3n_text", &tmp.path().join(name), |_| (), edit);
        let arguments = ["--model", name, "--prompts", text(&given), "--step", "1"];
        let files = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
        compute_ok(tmp.path(), &[&arguments[..], &files].concat());
        let rows = lines(&tmp.path().join("t.jsonl"));
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    let written = entropies("written", &|config| {
        config["rope_parameters"] = json!({
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        });
        config["sliding_window"] = json!(512);
        config["final_logit_softcapping"] = json!(30.0);
        config["altup_active_idx"] = json!(0);
        config["activation_sparsity_pattern"] = json!([0.0, 0.0, 0.0, 0.0, 0.0]);
    });
    let missing = entropies("missing", &|config| {
        let config = config.as_object_mut().unwrap();
        for key in [
            "rope_parameters",
            "sliding_window",
            "final_logit_softcapping",
            "altup_active_idx",
            "altup_correct_scale",
            "altup_coef_clip",
            "activation_sparsity_pattern",
            "hidden_activation",
            "rms_norm_eps",
            "tie_word_embeddings",
            "attention_bias",
        ] {
            assert!(config.remove(key).is_some(), "{key}");
        }
    });
    assert_eq!(written, missing);
    assert!(max_difference(&written, &entropies("other", &|_| ())) > 1e-3);
}

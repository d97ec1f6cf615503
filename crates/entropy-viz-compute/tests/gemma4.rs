//! Gemma 4: released checkpoints, and settings that do not work.

use std::fs;

use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, lines, max_difference, model, numbers, read,
    rollouts, temp_dir, text,
};
use crate::mixtures::changed;
use serde_json::{Value, json};

/// Released models have what makes keys and values in every layer, although the last ones take them from earlier layers, and
/// parts for sounds.
#[test]
fn tensors_of_released_models_that_are_not_used_are_left_out() {
    let tmp = temp_dir();
    let released = tmp.path().join("released");
    changed(
        "gemma4",
        &released,
        |tensors| {
            for (name, numbers) in [
                ("model.language_model.layers.2.self_attn.k_proj.weight", 3),
                ("model.language_model.layers.3.self_attn.v_proj.weight", 5),
                ("model.language_model.layers.3.self_attn.k_norm.weight", 7),
                ("model.audio_tower.layers.0.norm.weight", 2),
                ("model.embed_audio.embedding_projection.weight", 2),
            ] {
                let old = tensors.insert(name.to_owned(), (vec![numbers], vec![0; 4 * numbers]));
                assert!(old.is_none(), "{name}");
            }
        },
        |_| (),
    );
    assert_scores_of(&released, &read(&model("gemma4").join("golden.json")), &[]);
    // A layer that makes its own keys needs the tensors that it has, and no others.
    let surplus = tmp.path().join("surplus");
    changed(
        "gemma4_text",
        &surplus,
        |tensors| {
            let v_norm = "model.layers.2.self_attn.v_norm.weight".to_owned();
            tensors.insert(v_norm, (vec![8], vec![0; 32]));
        },
        |_| (),
    );
    let given = rollouts();
    assert_rejected(
        tmp.path(),
        &["--model", text(&surplus), "--prompts", text(&given), "-o", "h.json", "--step", "1"],
        &["has no tensor model.layers.2.self_attn.v_norm.weight"],
    );
}

#[test]
fn settings_that_do_not_work_are_named() {
    let tmp = temp_dir();
    let given = rollouts();
    let rope =
        |full: Value| json!({"full_attention": full, "sliding_attention": {"rope_theta": 9.0}});
    for (key, value, words) in [
        ("use_bidirectional_attention", json!("all"), "use_bidirectional_attention = \"all\""),
        ("num_kv_shared_layers", json!(4), "num_kv_shared_layers: the last 4 of 5 layers"),
        ("num_kv_shared_layers", json!(5), "num_kv_shared_layers: the last 5 of 5 layers"),
        ("num_kv_shared_layers", json!(-1), "num_kv_shared_layers is -1"),
        ("num_kv_shared_layers", json!(1), "layers.3.self_attn.k_proj.weight is missing"),
        ("use_double_wide_mlp", json!(false), "layers.3.mlp.gate_proj.weight has the shape 96×32"),
        ("attention_k_eq_v", json!(true), "has no tensor model.layers.1.self_attn.v_proj.weight"),
        ("vocab_size_per_layer_input", json!(319), "is 319, less than vocab_size, 320"),
        ("hidden_size_per_layer_input", json!(0), "has no tensor model.embed_tokens_per_layer"),
        ("hidden_size_per_layer_input", json!(null), "hidden_size_per_layer_input is null"),
        ("sliding_window", json!(null), "sliding_window is null"),
        ("rope_scaling", json!({"rope_type": "linear"}), "rope_scaling is not supported"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor is not supported"),
        ("rope_parameters", json!({"rope_theta": 9.0}), "no rope_theta for sliding_attention"),
        ("rope_parameters", rope(json!({"rope_type": "default"})), "no rope_theta for full_att"),
        (
            "rope_parameters",
            rope(
                json!({"rope_type": "proportional", "rope_theta": 9.0, "partial_rotary_factor": 2}),
            ),
            "partial_rotary_factor is 2, not from 0 to 1",
        ),
        ("per_layer_config", json!({"1": {"head_dim": 16}}), "different sizes for layers of one"),
        ("per_layer_config", json!({"5": {"head_dim": 16}}), "has \"5\", which is not"),
        (
            "per_layer_config",
            json!({"1": {"skip": ["mlp"]}}),
            "skip of a layer in per_layer_config",
        ),
        ("per_layer_config", json!({"1": {"head_dim": 0}}), "head_dim in per_layer_config is 0"),
        ("per_layer_config", json!({}), "q_proj.weight has the shape 64×32"),
        ("model_type", json!("gemma3_text"), "q_norm.weight has the shape 16"),
    ] {
        let path = tmp.path().join("m");
        let _ = fs::remove_dir_all(&path);
        changed("gemma4_text", &path, |_| (), |config| config[key] = value.clone());
        assert_rejected(
            tmp.path(),
            &["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"],
            &[words],
        );
    }
}

/// What transformers' Gemma4TextConfig takes for keys that are missing.
#[test]
fn missing_keys_have_the_defaults_of_transformers() {
    let tmp = temp_dir();
    let given = rollouts();
    let entropies = |name: &str, edit: &dyn Fn(&mut Value)| {
        changed("gemma4_text-moe", &tmp.path().join(name), |_| (), edit);
        let arguments = ["--model", name, "--prompts", text(&given), "--step", "1"];
        let files = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
        compute_ok(tmp.path(), &[&arguments[..], &files].concat());
        let rows = lines(&tmp.path().join("t.jsonl"));
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    let written = entropies("written", &|config| {
        config["rope_parameters"] = json!({
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
        });
        config["sliding_window"] = json!(512);
    });
    let missing = entropies("missing", &|config| {
        let config = config.as_object_mut().unwrap();
        for key in [
            "rope_parameters",
            "sliding_window",
            "hidden_activation",
            "num_kv_shared_layers",
            "use_double_wide_mlp",
            "final_logit_softcapping",
            "rms_norm_eps",
            "use_bidirectional_attention",
            "vocab_size_per_layer_input",
        ] {
            assert!(config.remove(key).is_some(), "{key}");
        }
    });
    assert_eq!(written, missing);
    let other = entropies("other", &|_| ());
    assert!(max_difference(&written, &other) > 1e-3);
}

/// Layers that take keys and values from others read their cache: what is sampled in a batch of prompts of different lengths has the
/// entropies of scoring it, beyond the window of 8.
#[test]
fn sampling_with_shared_keys_agrees_with_scoring() {
    let tmp = temp_dir();
    for name in ["gemma3n_text", "gemma4_text", "gemma4_text-moe"] {
        let prompts: Vec<String> = (1..30)
            .step_by(4)
            .map(|length| {
                json!({"prompt_token_ids": (1..=length).collect::<Vec<i64>>()}).to_string()
            })
            .collect();
        fs::write(tmp.path().join("p.jsonl"), prompts.join("\n")).unwrap();
        let checkpoint = model(name);
        let run = |prompts: &str, more: &[&str]| {
            let arguments = ["--model", text(&checkpoint), "--prompts", prompts, "--step", "1"];
            let files = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
            compute_ok(tmp.path(), &[&arguments[..], &files, more].concat());
            let rows = lines(&tmp.path().join("t.jsonl"));
            rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
        };
        let sampled = run("p.jsonl", &["--max-new-tokens", "24", "--save-rollouts", "r.jsonl"]);
        assert!(sampled.len() > 60, "{}", sampled.len());
        let scored = run("r.jsonl", &[]);
        assert!(max_difference(&sampled, &scored) < 1e-4, "{name}");
        assert!(max_difference(&scored, &run("r.jsonl", &["--batch-tokens", "1"])) < 1e-4);
    }
}

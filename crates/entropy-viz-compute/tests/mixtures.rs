//! Mixtures of experts whose files or settings are not as transformers saves them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, lines, max_difference, model, numbers,
    read, rollouts, temp_dir, text,
};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

/// Tensors in f32: shape and numbers, by name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// Copies a golden checkpoint with changed tensors and a changed config.json.
pub(crate) fn changed(
    name: &str,
    to: &Path,
    change: impl FnOnce(&mut Tensors),
    configure: impl FnOnce(&mut Value),
) {
    copy(&model(name), to);
    let file = to.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Tensors = stored
        .iter()
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (shape, data))| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let mut config = read(&to.join("config.json"));
    configure(&mut config);
    fs::write(to.join("config.json"), config.to_string()).unwrap();
}

/// The tensors of a layer that predicts further tokens, as released models have it after the last layer.
fn add_prediction_layer(tensors: &mut Tensors, layer: usize) {
    for name in ["eh_proj.weight", "enorm.weight", "self_attn.o_proj.weight"] {
        tensors.insert(format!("model.layers.{layer}.{name}"), (vec![2], vec![0; 8]));
    }
}

#[test]
fn layers_that_predict_further_tokens_are_left_out() {
    for (name, layer) in [("deepseek_v3", 3), ("glm4_moe", 3), ("glm4_moe_lite", 3)] {
        let tmp = temp_dir();
        let released = tmp.path().join("released");
        let layers = |tensors: &mut Tensors| add_prediction_layer(tensors, layer);
        changed(name, &released, layers, |config| config["num_nextn_predict_layers"] = json!(1));
        assert_scores_of(&released, &read(&model(name).join("golden.json")), &[]);
        let none = tmp.path().join("none");
        changed(name, &none, layers, |config| config["num_nextn_predict_layers"] = json!(0));
        let given = rollouts();
        assert_rejected(
            tmp.path(),
            &["--model", text(&none), "--prompts", text(&given), "-o", "h.json", "--step", "1"],
            &[&format!("has no tensor model.layers.{layer}.eh_proj.weight (and 2 more)")],
        );
    }
}

#[test]
fn kimi_k2_has_the_settings_of_deepseek_v3() {
    let tmp = temp_dir();
    changed("deepseek_v3", tmp.path(), |_| {}, |config| config["model_type"] = json!("kimi_k2"));
    assert_scores_of(tmp.path(), &read(&model("deepseek_v3").join("golden.json")), &[]);
}

/// Experts × out × in to experts × in × out.
fn transpose((shape, data): &mut (Vec<usize>, Vec<u8>)) {
    let [experts, rows, columns] = shape[..] else { panic!("{shape:?}") };
    let mut turned = Vec::with_capacity(data.len());
    for expert in 0..experts {
        for column in 0..columns {
            for row in 0..rows {
                let at = 4 * ((expert * rows + row) * columns + column);
                turned.extend_from_slice(&data[at..at + 4]);
            }
        }
    }
    (*shape, *data) = (vec![experts, columns, rows], turned);
}

#[test]
fn experts_of_released_qwen3_vl_moe_are_stored_input_first() {
    let tmp = temp_dir();
    let released = tmp.path().join("released");
    let turn = |tensors: &mut Tensors| {
        let experts = tensors.iter_mut().filter(|(name, _)| name.contains(".mlp.experts."));
        assert_eq!(experts.map(|(_, tensor)| transpose(tensor)).count(), 4);
    };
    changed("qwen3_vl_moe", &released, turn, |_| ());
    assert_scores_of(&released, &read(&model("qwen3_vl_moe").join("golden.json")), &[]);
}

#[test]
fn rotary_dim_of_released_minimax_m2_is_read() {
    let tmp = temp_dir();
    let released = tmp.path().join("released");
    changed(
        "minimax_m2",
        &released,
        |_| (),
        |config| {
            config["rotary_dim"] = json!(4);
            config["rope_parameters"].as_object_mut().unwrap().remove("partial_rotary_factor");
            config["attn_type_list"] = json!([1, 1]);
        },
    );
    assert_scores_of(&released, &read(&model("minimax_m2").join("golden.json")), &[]);
}

/// What transformers' GptOssConfig takes for keys that are missing; YaRN is also the default where only `rope_theta` is given.
#[test]
fn missing_keys_of_gpt_oss_have_the_defaults_of_transformers() {
    let tmp = temp_dir();
    let given = rollouts();
    let entropies = |name: &str, edit: &dyn Fn(&mut Value)| {
        let path = tmp.path().join(name);
        changed("gpt_oss", &path, |_| (), edit);
        let arguments = ["--model", name, "--prompts", text(&given), "--step", "1"];
        let files = ["-o", "h.json", "--tokens-out", "t.jsonl", "--overwrite"];
        compute_ok(tmp.path(), &[&arguments[..], &files].concat());
        let rows = lines(&tmp.path().join("t.jsonl"));
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    let yarn = json!({
        "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
        "original_max_position_embeddings": 4096, "rope_theta": 500.0,
    });
    let layers = ["sliding_attention", "full_attention", "sliding_attention"];
    let written = entropies("written", &|config| {
        config["rope_parameters"] = yarn.clone();
        config["layer_types"] = json!(layers);
        config["sliding_window"] = json!(128);
        config["swiglu_limit"] = json!(7.0);
    });
    let missing = entropies("missing", &|config| {
        let config = config.as_object_mut().unwrap();
        let keys = [
            "rope_parameters",
            "layer_types",
            "sliding_window",
            "swiglu_alpha",
            "swiglu_limit",
            "attention_bias",
            "tie_word_embeddings",
            "rms_norm_eps",
        ];
        for key in keys {
            assert!(config.remove(key).is_some(), "{key}");
        }
        config.insert("rope_theta".to_owned(), json!(500.0));
    });
    assert_eq!(written, missing);
    let plain = entropies("plain", &|config| {
        config["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 500.0});
        config["sliding_window"] = json!(128);
        config["swiglu_limit"] = json!(7.0);
    });
    assert!(max_difference(&written, &plain) > 1e-3);
}

#[test]
fn settings_of_experts_and_latents_that_do_not_work_are_named() {
    let tmp = temp_dir();
    let given = rollouts();
    for (name, key, value, words) in [
        ("deepseek_v3", "scoring_func", json!("softmax"), "scoring_func = \"softmax\""),
        ("deepseek_v3", "topk_method", json!("greedy"), "topk_method = \"greedy\""),
        ("deepseek_v3", "moe_layer_freq", json!(2), "moe_layer_freq = 2"),
        ("deepseek_v3", "n_group", json!(3), "8 experts cannot be divided into 3 groups (n_group)"),
        ("deepseek_v3", "topk_group", json!(1), "cannot choose 3 experts (num_experts_per_tok)"),
        ("deepseek_v3", "num_key_value_heads", json!(2), "latent attention requires"),
        ("deepseek_v3", "kv_lora_rank", json!(1 << 30), "kv_lora_rank is 1073741824, not from 1"),
        ("deepseek_v3", "n_shared_experts", json!(1_i64 << 39), "the width of the shared experts"),
        ("deepseek_v3", "model_type", json!("glm4_moe"), "is missing"),
        ("deepseek_v3", "q_lora_rank", json!(null), "self_attn.q_proj.weight is missing"),
        ("deepseek_v2", "topk_method", json!("noaux_tc"), "greedy and group_limited_greedy are"),
        ("glm4_moe_lite", "mlp_layer_types", json!(["dense", "x", "x"]), "dense and sparse are"),
        ("llama4_text", "attention_chunk_size", json!(null), "attention_chunk_size is null"),
        ("llama4_text", "no_rope_layers", json!([1, 0]), "no_rope_layers has 2 entries, but"),
        ("llama4_text", "layer_types", json!(["x", "x", "x", "x"]), "chunked_attention and full_"),
        ("minimax_m2", "attn_type_list", json!([0, 1]), "attn_type_list = [0,1]"),
        ("minimax_m2", "qk_norm_type", json!("per_head"), "qk_norm_type = \"per_head\""),
        ("gpt_oss", "swiglu_limit", json!(null), "swiglu_limit is null"),
        ("gpt_oss", "num_experts_per_tok", json!(9), "num_experts_per_tok is 9"),
        ("gpt_oss", "sliding_window", json!(null), "sliding_window is not set"),
        ("gpt_oss", "model_type", json!("mixtral"), "block_sparse_moe.gate.weight is missing"),
        ("gemma4_text-moe", "top_k_experts", json!(6), "top_k_experts is 6, but there are only 5"),
        ("gemma4_text-moe", "num_experts", json!(null), "has no num_experts"),
        ("gemma4_text-moe", "enable_moe_block", json!(false), "has no tensor model.layers."),
        ("lfm2_moe", "layer_types", json!(null), "has no layer_types"),
        ("lfm2_moe", "use_expert_bias", json!(false), "feed_forward.expert_bias (and 1 more)"),
        ("lfm2_moe", "num_dense_layers", json!(2), "feed_forward.w1.weight is missing"),
        ("lfm2_moe", "model_type", json!("lfm2"), "feed_forward.w1.weight has the shape 48×32"),
        ("lfm2", "model_type", json!("lfm2_moe"), "feed_forward.gate.weight is missing"),
        ("mixtral", "model_type", json!("gpt_oss"), "self_attn.q_proj.bias is missing"),
    ] {
        let path = tmp.path().join(format!("{name}-{key}"));
        let _ = fs::remove_dir_all(&path);
        changed(name, &path, |_| (), |config| config[key] = value.clone());
        assert_rejected(
            tmp.path(),
            &["--model", text(&path), "--prompts", text(&given), "-o", "h.json", "--step", "1"],
            &[words],
        );
    }
}

/// Gives what is not an expert its name in memory, and removes experts.
fn as_in_memory(tensors: &mut Tensors) {
    for (name, tensor) in std::mem::take(tensors) {
        let Some((layer, rest)) = name.split_once(".block_sparse_moe.") else {
            tensors.insert(name, tensor);
            continue;
        };
        if !rest.starts_with("experts.") {
            tensors.insert(format!("{layer}.mlp.{rest}"), tensor);
        }
    }
}

#[test]
fn experts_may_have_their_names_in_memory() {
    for name in ["mixtral", "minimax_m2"] {
        let tmp = temp_dir();
        let shards = tmp.path().join("shards");
        let stack = |tensors: &mut Tensors| {
            let stored = tensors.clone();
            as_in_memory(tensors);
            for layer in 0..2 {
                let part = |expert: usize, part: &str| {
                    &stored[&format!(
                        "model.layers.{layer}.block_sparse_moe.experts.{expert}.{part}.weight"
                    )]
                };
                let (wide, hidden) = (part(0, "w1").0[0], part(0, "w1").0[1]);
                let bytes = |names: &[&str]| -> Vec<u8> {
                    let parts = (0..8).flat_map(|i| names.iter().map(move |name| (i, *name)));
                    parts.flat_map(|(i, name)| part(i, name).1.clone()).collect()
                };
                let at = format!("model.layers.{layer}.mlp.experts");
                let gate_up = (vec![8, 2 * wide, hidden], bytes(&["w1", "w3"]));
                let down = (vec![8, hidden, wide], bytes(&["w2"]));
                tensors.insert(format!("{at}.gate_up_proj"), gate_up);
                tensors.insert(format!("{at}.down_proj"), down);
            }
        };
        changed(name, &shards, stack, |_| ());
        assert_scores_of(&shards, &read(&model(name).join("golden.json")), &[]);
    }
}

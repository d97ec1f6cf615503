//! gpt-oss (`GptOssForCausalLM`): a score per head that takes a share of attention, a sliding window in every other layer,
//! and a mixture of experts with biases and a limited activation in every layer.

use anyhow::bail;
use serde_json::json;

use super::routing::{Routing, Scores};
use super::spec::{
    Activation, Architecture, Defaults, ExpertBiases, ExpertLayout, ExpertNames, ExpertSpec, Spec,
    windows,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gpt_oss", read };

const NAMES: ExpertNames = ExpertNames {
    router: &["router"],
    layout: ExpertLayout::Interleaved,
    biases: ExpertBiases::All,
    ..ExpertNames::QWEN
};

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        head_dim: Some(64),
        kv_heads: Some(8),
        intermediate: Some(2880),
        epsilon: 1e-5,
        theta: 150_000.0,
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(&with_rope(config), defaults)?;
    let window = config.window_or(128)?;
    if window.is_none() && config.get("layer_types").is_none() {
        bail!(
            "{}: every other layer has a sliding window, but sliding_window is null; give it in tokens, or layer_types with \
             full_attention only",
            config.path().display()
        );
    }
    let attention = &mut spec.attention;
    attention.bias = config.flag_or("attention_bias", true)?;
    attention.output_bias = attention.bias;
    attention.sinks = Some("sinks");
    attention.windows = windows(config, spec.layers, window, |layer| layer % 2 == 0)?;
    // The experts' activation is fixed, whatever `hidden_act` is.
    for key in ["swiglu_alpha", "swiglu_limit"] {
        if config.is_null(key) {
            bail!("{}: {key} is null, not a number", config.path().display());
        }
    }
    spec.activation = Activation::Clamped {
        alpha: config.number_or("swiglu_alpha", 1.702)?,
        limit: config.number_or("swiglu_limit", 7.0)?,
    };
    let count =
        if config.get("num_local_experts").is_some() { "num_local_experts" } else { "num_experts" };
    let experts = ExpertSpec {
        count: config.count_or(count, 128)?,
        experts_per_token: config.count_or("num_experts_per_tok", 4)?,
        intermediate: spec.intermediate,
        routing: Routing { scores: Scores::Logits, ..Routing::softmax(false) },
        layers: vec![true; spec.layers as usize],
        shared: None,
        latent: None,
        names: NAMES,
    };
    spec.experts = Some(experts.checked(config)?);
    Ok(spec)
}

/// The config with transformers' YaRN if it has no rope settings but perhaps `rope_theta`.
fn with_rope(config: &Config) -> Config {
    if config.section("rope_scaling").is_some() || config.get("rope_parameters").is_some() {
        return config.clone();
    }
    let yarn = json!({
        "rope_type": "yarn",
        "factor": 32.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "truncate": false,
        "original_max_position_embeddings": 4096,
    });
    config.with("rope_parameters", yarn)
}

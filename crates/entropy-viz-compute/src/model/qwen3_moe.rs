//! Qwen3-MoE (`Qwen3MoeForCausalLM`): Qwen3's attention, a mixture of experts in most layers.

use super::routing::Routing;
use super::spec::{Architecture, Defaults, ExpertNames, ExpertSpec, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3_moe", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults::LLAMA)?;
    spec.attention.qk_norm = Some(QkNorm::Head);
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    if config.flag_or("use_sliding_window", false)? {
        spec.attention.windows = vec![config.window_or(4096)?; spec.layers as usize];
    }
    spec.experts = Some(experts(config, spec.layers)?);
    Ok(spec)
}

/// The experts of Qwen's mixtures.
pub(super) fn experts(config: &Config, layers: i64) -> anyhow::Result<ExpertSpec> {
    let dense = match config.get("mlp_only_layers") {
        Some(_) => config.numbers("mlp_only_layers")?,
        None => Vec::new(),
    };
    let every = config.count_or("decoder_sparse_step", 1)?;
    let has_experts = |i: i64| !dense.contains(&(i as f64)) && (i + 1) % every == 0;
    // transformers 5 saves it under another name.
    let count =
        if config.get("num_local_experts").is_some() { "num_local_experts" } else { "num_experts" };
    let experts = ExpertSpec {
        count: config.count(count)?,
        experts_per_token: config.count("num_experts_per_tok")?,
        intermediate: config.count("moe_intermediate_size")?,
        latent: None,
        routing: Routing::softmax(config.flag_or("norm_topk_prob", false)?),
        layers: (0..layers).map(has_experts).collect(),
        shared: None,
        names: ExpertNames::QWEN,
    };
    experts.checked(config)
}

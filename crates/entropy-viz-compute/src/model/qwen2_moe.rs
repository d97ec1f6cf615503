//! Qwen1.5-MoE and Qwen2-MoE (`Qwen2MoeForCausalLM`): Qwen2 with a mixture of experts, of which one takes every token.

use super::qwen2::upper_windows;
use super::qwen3_moe::experts;
use super::spec::{Architecture, Defaults, ExpertSpec, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen2_moe", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults::LLAMA)?;
    spec.attention.bias = config.flag_or("qkv_bias", true)?;
    spec.attention.windows = upper_windows(config, spec.layers)?;
    let shared = config.count_or("shared_expert_intermediate_size", 5632)?;
    spec.experts =
        Some(ExpertSpec { shared: Some(shared), ..experts(config, spec.layers)? }.checked(config)?);
    Ok(spec)
}

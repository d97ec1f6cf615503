//! Qwen1.5-MoE and Qwen2-MoE (`Qwen2MoeForCausalLM`): Qwen2 with a mixture of experts, of which one takes every token.

use super::qwen3_moe::experts;
use super::spec::{Architecture, Defaults, ExpertSpec, SharedExpert, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen2_moe", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults::LLAMA)?;
    spec.attention.bias = config.flag_or("qkv_bias", true)?;
    let window = match config.flag_or("use_sliding_window", false)? {
        true => config.window_or(4096)?,
        false => None,
    };
    // Not as in Qwen2: every second layer, below max_window_layers.
    let first_full = config.number_or("max_window_layers", 28.0)? as i64;
    spec.attention.windows =
        windows(config, spec.layers, window, |layer| layer % 2 == 0 && layer < first_full)?;
    let width = config.count_or("shared_expert_intermediate_size", 5632)?;
    let shared = SharedExpert::of_qwen(width);
    spec.experts =
        Some(ExpertSpec { shared: Some(shared), ..experts(config, spec.layers)? }.checked(config)?);
    Ok(spec)
}

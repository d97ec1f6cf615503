//! GLM-4-9B (`GlmForCausalLM`): gate and up in one tensor, rotation of neighbours in a half of each head, biases of q, k
//! and v.

use super::spec::{Architecture, Defaults, MlpKind, RopePairs, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "glm", read };

pub(super) fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        head_dim: Some(128),
        epsilon: 1.5625e-7,
        partial_rotary_factor: Some(0.5),
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.mlp = MlpKind::GatedInOne;
    spec.attention.bias = config.flag_or("attention_bias", true)?;
    spec.attention.rope_pairs = RopePairs::Neighbours;
    Ok(spec)
}

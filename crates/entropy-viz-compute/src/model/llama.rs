//! Llama 2 and 3.x (`LlamaForCausalLM`), the base of the other architectures. Biases and rope scaling are optional.

use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "llama", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    with_biases(config, Defaults::LLAMA)
}

/// Llama with the flags of its biases, and other defaults.
pub(super) fn with_biases(config: &Config, defaults: Defaults) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.mlp_bias = config.flag_or("mlp_bias", false)?;
    Ok(spec)
}

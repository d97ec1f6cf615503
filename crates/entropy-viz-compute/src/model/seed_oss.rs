//! Seed-OSS (`SeedOssForCausalLM`): Llama with biases of q, k and v.

use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "seed_oss", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { head_dim: Some(128), ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.attention.bias = config.flag_or("attention_bias", true)?;
    spec.attention.output_bias = config.flag_or("attention_out_bias", false)?;
    spec.mlp_bias = config.flag_or("mlp_bias", false)?;
    Ok(spec)
}

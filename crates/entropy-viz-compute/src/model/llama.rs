//! Llama 2 and 3.x (`LlamaForCausalLM`): what the others are compared with. Biases are optional, rope
//! scaling is the config's.

use super::Architecture;
use super::decoder::Spec;
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "llama", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, None)?;
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.feed_bias = config.flag_or("mlp_bias", false)?;
    Ok(spec)
}

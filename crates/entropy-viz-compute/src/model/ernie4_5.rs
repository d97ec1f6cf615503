//! ERNIE 4.5 (`Ernie4_5ForCausalLM`), dense: rotation of neighbours, one flag for all biases.

use super::spec::{Architecture, Defaults, RopePairs, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "ernie4_5", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        head_dim: Some(128),
        epsilon: 1e-5,
        theta: 500_000.0,
        tie_word_embeddings: true,
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    let bias = config.flag_or("use_bias", false)?;
    spec.attention.bias = bias;
    spec.attention.output_bias = bias;
    spec.mlp_bias = bias;
    spec.attention.rope_pairs = RopePairs::Neighbours;
    Ok(spec)
}

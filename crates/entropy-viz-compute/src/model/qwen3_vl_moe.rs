//! The language model of Qwen3-VL-MoE: Qwen3-MoE, whose router weights always sum to 1. There are no models of text
//! with this name.

use super::qwen3_moe::experts;
use super::routing::Routing;
use super::spec::{Architecture, Defaults, ExpertSpec, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "qwen3_vl_moe_text", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { theta: 500_000.0, tie_word_embeddings: true, ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.attention.qk_norm = Some(QkNorm::Head);
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.experts =
        Some(ExpertSpec { routing: Routing::softmax(true), ..experts(config, spec.layers)? });
    Ok(spec)
}

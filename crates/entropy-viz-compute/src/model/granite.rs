//! Granite 3 (`GraniteForCausalLM`): Llama with factors of embeddings, scores, residuals and logits.

use super::llama;
use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "granite", read };

pub(super) fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = llama::with_biases(config, Defaults::LLAMA)?;
    spec.embedding_scale = Some(config.number_or("embedding_multiplier", 1.0)?);
    spec.residual_scale = Some(config.number_or("residual_multiplier", 1.0)?);
    spec.logits_divisor = Some(config.number_or("logits_scaling", 1.0)?);
    spec.attention.scale = config.number_or("attention_multiplier", 1.0)?;
    Ok(spec)
}

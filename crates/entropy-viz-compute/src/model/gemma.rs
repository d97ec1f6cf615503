//! Gemma 1 (`GemmaForCausalLM`): norms with 1 + w, embeddings times √hidden.

use super::gemma2::DEFAULTS;
use super::spec::{Activation, Architecture, NormKind, Spec, activation_or};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    config.refuse("use_bidirectional_attention", |value| value == false)?;
    let mut spec = Spec::llama_like(config, DEFAULTS)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.norm = NormKind::UnitOffset;
    // The released configs say gelu, but the models were trained with its approximation, and transformers uses it.
    spec.activation = match activation_or(config, "hidden_act", Activation::GeluTanh)? {
        Activation::Gelu => Activation::GeluTanh,
        other => other,
    };
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    Ok(spec)
}

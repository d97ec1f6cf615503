//! Gemma 2 (`Gemma2ForCausalLM`): soft caps of scores and logits, norms before and after attention and
//! feed-forward, a sliding window in every second layer, embeddings times √hidden.

use super::spec::{
    Activation, Architecture, Defaults, LayerNorms, NormKind, Spec, activation, windows,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma2", read };

pub(super) const DEFAULTS: Defaults =
    Defaults { head_dim: Some(256), tie_word_embeddings: true, ..Defaults::LLAMA };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, DEFAULTS)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.norm = NormKind::UnitOffset;
    spec.layer_norms = LayerNorms::AROUND;
    spec.activation = hidden_activation(config)?;
    spec.softcap = cap(config, "final_logit_softcapping", Some(30.0))?;
    let attention = &mut spec.attention;
    attention.softcap = cap(config, "attn_logit_softcapping", Some(50.0))?;
    attention.scale = config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5);
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    attention.windows =
        windows(config, spec.layers, config.window_or(4096)?, |layer| layer % 2 == 0)?;
    Ok(spec)
}

/// Old configs also have hidden_act, which Gemma 2 and 3 ignore.
pub(super) fn hidden_activation(config: &Config) -> anyhow::Result<Activation> {
    match config.get("hidden_activation") {
        Some(_) => activation(config, "hidden_activation"),
        None => Ok(Activation::GeluTanh),
    }
}

/// A soft cap: `null` disables it, without the key it has the default of the architecture.
pub(super) fn cap(config: &Config, key: &str, default: Option<f64>) -> anyhow::Result<Option<f64>> {
    match config.get(key) {
        Some(_) => config.number(key).map(Some),
        None => Ok(default.filter(|_| !config.is_null(key))),
    }
}

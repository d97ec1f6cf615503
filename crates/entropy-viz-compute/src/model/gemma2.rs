//! Gemma 2 (`Gemma2ForCausalLM`): soft caps of scores and logits, norms before and after attention and
//! feed-forward, a sliding window in every second layer, embeddings times √hidden.

use super::spec::{Activation, Architecture, NormKind, Spec, activation, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Some(256))?;
    spec.tie_word_embeddings = config.flag_or("tie_word_embeddings", true)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.norm = NormKind::UnitOffset;
    spec.post_norms = true;
    // Old configs also have hidden_act, which the model ignores.
    spec.activation = match config.get("hidden_activation") {
        Some(_) => activation(config, "hidden_activation")?,
        None => Activation::GeluTanh,
    };
    spec.softcap = cap(config, "final_logit_softcapping", 30.0)?;
    let attention = &mut spec.attention;
    attention.softcap = cap(config, "attn_logit_softcapping", 50.0)?;
    attention.scale = config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5);
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    attention.windows =
        windows(config, spec.layers, config.window_or(4096)?, |layer| layer % 2 == 0)?;
    Ok(spec)
}

/// A soft cap: `null` disables it, without the key it has the default of the architecture.
fn cap(config: &Config, key: &str, default: f64) -> anyhow::Result<Option<f64>> {
    if config.is_null(key) { Ok(None) } else { config.number_or(key, default).map(Some) }
}

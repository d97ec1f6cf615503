//! Cohere (`CohereForCausalLM`), Command R: layer norms without biases, attention and feed-forward in parallel, rotation of
//! neighbours, scaled logits.

use super::spec::{
    Architecture, Arrangement, Defaults, LayerNorms, NormKind, QkNorm, RopePairs, Spec,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "cohere", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = cohere(config, 500_000.0)?;
    if config.flag_or("use_qk_norm", false)? {
        spec.attention.qk_norm = Some(QkNorm::EachHead);
    }
    Ok(spec)
}

/// What Cohere and Cohere 2 have in common.
pub(super) fn cohere(config: &Config, theta: f64) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        epsilon_key: "layer_norm_eps",
        epsilon: 1e-5,
        theta,
        tie_word_embeddings: true,
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.norm = NormKind::Layer;
    spec.layer_norms = LayerNorms::FIRST;
    spec.arrangement = Arrangement::Parallel;
    spec.logits_divisor = Some(1.0 / config.number_or("logit_scale", 0.0625)?);
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.attention.rope_pairs = RopePairs::Neighbours;
    Ok(spec)
}

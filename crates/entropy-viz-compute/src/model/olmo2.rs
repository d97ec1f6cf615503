//! OLMo 2 (`Olmo2ForCausalLM`): norms after attention and feed-forward, norms of q and k over all heads.

use super::spec::{Architecture, Defaults, LayerNorms, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "olmo2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let spec = Spec::llama_like(config, Defaults { epsilon: 1e-5, ..Defaults::LLAMA })?;
    olmo(spec, config)
}

/// What OLMo 2 and 3 have in common.
pub(super) fn olmo(mut spec: Spec, config: &Config) -> anyhow::Result<Spec> {
    spec.layer_norms = LayerNorms::AFTER;
    spec.attention.qk_norm = Some(QkNorm::Width);
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    Ok(spec)
}

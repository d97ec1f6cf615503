//! GLM-4.5, 4.6 and 4.7 (`Glm4MoeForCausalLM`): grouped-query attention with rotation in a half of each head, and the
//! experts of DeepSeek-V3.

use super::deepseek_v3::{ExpertDefaults, after_dense_layers, experts, prediction_layers};
use super::spec::{Architecture, Defaults, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "glm4_moe", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { epsilon: 1e-5, partial_rotary_factor: Some(0.5), ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    if config.flag_or("use_qk_norm", false)? {
        spec.attention.qk_norm = Some(QkNorm::Head);
    }
    let defaults = ExpertDefaults {
        count: 128,
        per_token: 8,
        width: 1408,
        shared: 1,
        scale: 1.0,
        groups: (1, 1),
    };
    let has_experts = after_dense_layers(config, spec.layers, 1)?;
    spec.experts = Some(experts(config, has_experts, defaults)?);
    spec.prediction_layers = prediction_layers(config)?;
    Ok(spec)
}

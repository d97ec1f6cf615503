//! Qwen3 (`Qwen3ForCausalLM`): norms of the heads of q and k instead of biases.

use super::qwen2::upper_windows;
use super::spec::{Architecture, Defaults, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults { head_dim: Some(128), ..Defaults::LLAMA })?;
    spec.attention.qk_norm = Some(QkNorm::Head);
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.attention.windows = upper_windows(config, spec.layers)?;
    Ok(spec)
}

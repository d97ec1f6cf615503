//! Mistral (`MistralForCausalLM`): Llama with a sliding window in every layer.

use super::spec::{Architecture, Defaults, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mistral", read };

pub(super) fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults::LLAMA)?;
    spec.attention.windows = windows(config, spec.layers, config.window_or(4096)?, |_| true)?;
    Ok(spec)
}

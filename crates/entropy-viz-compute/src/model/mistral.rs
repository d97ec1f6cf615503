//! Mistral (`MistralForCausalLM`): Llama with a sliding window in every layer.

use super::spec::{Architecture, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mistral", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, None)?;
    spec.attention.windows = windows(config, spec.layers, config.window_or(4096)?, |_| true)?;
    Ok(spec)
}

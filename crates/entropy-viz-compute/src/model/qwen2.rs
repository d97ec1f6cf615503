//! Qwen2 and Qwen2.5 (`Qwen2ForCausalLM`): biases of q, k and v; optionally a sliding window in the upper layers.

use super::spec::{Architecture, Defaults, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults::LLAMA)?;
    spec.attention.bias = true;
    spec.attention.windows = upper_windows(config, spec.layers)?;
    Ok(spec)
}

/// `sliding_window` applies from layer `max_window_layers` on, and only if `use_sliding_window` is true.
pub(super) fn upper_windows(config: &Config, layers: i64) -> anyhow::Result<Vec<Option<i64>>> {
    let window = match config.flag_or("use_sliding_window", false)? {
        true => config.window_or(4096)?,
        false => None,
    };
    let first = config.number_or("max_window_layers", 28.0)? as i64;
    windows(config, layers, window, |layer| layer >= first)
}

//! Phi-3 and Phi-4-mini (`Phi3ForCausalLM`): q, k, v and gate, up stored as one tensor each; only a
//! part of each head rotated in some; longrope for long contexts.

use super::Architecture;
use super::decoder::{Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "phi3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, None)?;
    spec.epsilon = config.number_or("rms_norm_eps", 1e-5)?;
    spec.attention.fused = true;
    spec.fused_feed = true;
    let window =
        config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?;
    spec.attention.windows = windows(config, spec.layers, window, |_| true)?;
    Ok(spec)
}

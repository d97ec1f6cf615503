//! Cohere 2 (`Cohere2ForCausalLM`), Command R7B and A: Cohere with a sliding window in three of four layers; the others have
//! no rotary embedding.

use anyhow::bail;

use super::cohere::cohere;
use super::spec::{Architecture, Rotation, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "cohere2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = cohere(config, 10_000.0)?;
    let window = config.window_or(4096)?;
    if window.is_none() {
        // transformers cannot run it either.
        bail!("{}: sliding_window is null, which is not supported", config.path().display());
    }
    let pattern = match config.get("layer_types") {
        None => config.count_or("sliding_window_pattern", 4)?,
        Some(_) => 1,
    };
    let attention = &mut spec.attention;
    attention.windows = windows(config, spec.layers, window, |layer| (layer + 1) % pattern != 0)?;
    let rotation = |window: &Option<i64>| match window {
        Some(_) => Rotation::Main,
        None => Rotation::None,
    };
    attention.rotations = attention.windows.iter().map(rotation).collect();
    Ok(spec)
}

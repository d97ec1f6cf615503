//! SmolLM3 (`SmolLM3ForCausalLM`): Llama without rotary embedding in every fourth layer.

use anyhow::bail;

use super::llama;
use super::spec::{Architecture, Defaults, Rotation, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "smollm3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { theta: 2_000_000.0, tie_word_embeddings: true, ..Defaults::LLAMA };
    let mut spec = llama::with_biases(config, defaults)?;
    let every = config.count_or("no_rope_layer_interval", 4)?;
    let rotated: Vec<bool> = match config.get("no_rope_layers") {
        // 1 for a layer with rotary embedding, whatever the name says.
        Some(_) => config.numbers("no_rope_layers")?.iter().map(|flag| *flag != 0.0).collect(),
        None => (0..spec.layers).map(|layer| (layer + 1) % every != 0).collect(),
    };
    if (rotated.len() as i64) < spec.layers {
        bail!(
            "{}: no_rope_layers has {} entries, but num_hidden_layers is {}",
            config.path().display(),
            rotated.len(),
            spec.layers
        );
    }
    let window = match config.flag_or("use_sliding_window", false)? {
        true => config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?,
        false => None,
    };
    let is_windowed =
        config.strings("layer_types")?.is_some_and(|types| types.contains(&"sliding_attention"));
    if window.is_none() && is_windowed {
        // transformers uses the window in some kinds of attention only.
        bail!(
            "{}: layer_types has sliding_attention, but use_sliding_window is false",
            config.path().display()
        );
    }
    let attention = &mut spec.attention;
    if window.is_some() {
        attention.windows = windows(config, spec.layers, window, |layer| !rotated[layer as usize])?;
    }
    attention.rotations = rotated
        .iter()
        .take(spec.layers as usize)
        .map(|rotated| if *rotated { Rotation::Main } else { Rotation::None })
        .collect();
    Ok(spec)
}

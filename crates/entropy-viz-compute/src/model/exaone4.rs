//! EXAONE 4 (`Exaone4ForCausalLM`): norms after attention and feed-forward, norms of the heads of q and k, a sliding
//! window in most layers; with windows, the other layers have no rotary embedding.

use anyhow::bail;

use super::spec::{Architecture, Defaults, LayerNorms, QkNorm, Rotation, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "exaone4", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults { epsilon: 1e-5, ..Defaults::LLAMA })?;
    spec.layer_norms = LayerNorms::AFTER;
    let window = config.window_or(4096)?;
    // Released models have a text here, "LLLG", and layer_types beside it.
    let pattern = match config.get("layer_types") {
        None if window.is_some() => config.count_or("sliding_window_pattern", 4)?,
        _ => 1,
    };
    let attention = &mut spec.attention;
    attention.qk_norm = Some(QkNorm::Head);
    attention.windows = windows(config, spec.layers, window, |layer| (layer + 1) % pattern != 0)?;
    if window.is_none() && config.get("layer_types").is_none() && spec.layers > 1 {
        // transformers divides by a pattern of 0 here.
        bail!("{}: it has neither sliding_window nor layer_types", config.path().display());
    }
    if window.is_some() {
        let rotation = |window: &Option<i64>| match window {
            Some(_) => Rotation::Main,
            None => Rotation::None,
        };
        attention.rotations = attention.windows.iter().map(rotation).collect();
    }
    Ok(spec)
}

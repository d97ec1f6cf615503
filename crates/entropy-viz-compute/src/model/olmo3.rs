//! OLMo 3 (`Olmo3ForCausalLM`): OLMo 2 with a sliding window in three of four layers; only the others have a scaled rotary
//! embedding.

use super::olmo2::olmo;
use super::rope::LayerRope;
use super::spec::{Architecture, Defaults, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "olmo3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let full = LayerRope::full(500_000.0);
    // transformers gives a rope_theta at the top level to the layers without a window only.
    let sliding = LayerRope::sliding(None, 500_000.0);
    let defaults = Defaults { epsilon: 1e-5, ..Defaults::LLAMA };
    let mut spec = olmo(Spec::with_layer_ropes(config, defaults, full, sliding)?, config)?;
    let window = config.window_or(4096)?;
    spec.attention.windows = windows(config, spec.layers, window, |layer| (layer + 1) % 4 != 0)?;
    spec.attention.rotate_by_window();
    Ok(spec)
}

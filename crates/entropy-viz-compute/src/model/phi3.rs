//! Phi-3 and Phi-4-mini (`Phi3ForCausalLM`): q, k and v in one tensor, gate and up in one tensor; partial rotary
//! embedding in some models; longrope for long contexts.

use super::spec::{Architecture, Defaults, MlpKind, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "phi3", read };

const DEFAULTS: Defaults =
    Defaults { epsilon: 1e-5, partial_rotary_factor: Some(1.0), ..Defaults::LLAMA };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, DEFAULTS)?;
    spec.attention.fused_qkv = true;
    spec.mlp = MlpKind::GatedInOne;
    let window =
        config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?;
    // transformers ignores layer_types here.
    spec.attention.windows = vec![window; spec.layers as usize];
    Ok(spec)
}

//! GLM-4-0414 (`Glm4ForCausalLM`): GLM-4-9B with norms after attention and feed-forward, too.

use super::glm;
use super::spec::{Architecture, LayerNorms, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "glm4", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    Ok(Spec { layer_norms: LayerNorms::AROUND_GLM4, ..glm::read(config)? })
}

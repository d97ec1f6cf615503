//! Ministral 8B (`MinistralForCausalLM`): Mistral with a sliding window by layer types.

use super::mistral;
use super::spec::{Architecture, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "ministral", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    mistral::read(config)
}

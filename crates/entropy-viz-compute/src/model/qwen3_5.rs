//! Qwen3.5 and 3.6 (`Qwen3_5ForCausalLM`): Gated DeltaNet in most layers, attention with an output gate in the others.

use super::mixer_spec::DeltaInputs;
use super::qwen3_next::hybrid;
use super::spec::{Architecture, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3_5_text", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    hybrid(config, 4, 12_288, DeltaInputs::Separate)
}

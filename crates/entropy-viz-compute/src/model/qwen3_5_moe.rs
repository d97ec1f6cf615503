//! Qwen3.5-MoE (`Qwen3_5MoeForCausalLM`): Qwen3.5 with a mixture of experts in every layer.

use super::mixer_spec::DeltaInputs;
use super::qwen3_next::hybrid;
use super::routing::Routing;
use super::spec::{Architecture, ExpertNames, ExpertSpec, SharedExpert, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3_5_moe_text", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    // It has no MLP.
    let mut spec = hybrid(config, 2, 1, DeltaInputs::Separate)?;
    let experts = ExpertSpec {
        count: config.count_or("num_experts", 256)?,
        experts_per_token: config.count_or("num_experts_per_tok", 8)?,
        intermediate: config.count_or("moe_intermediate_size", 512)?,
        latent: None,
        routing: Routing::softmax(true),
        layers: vec![true; spec.layers as usize],
        shared: Some(SharedExpert::gated(config, 512)?),
        names: ExpertNames::QWEN,
    };
    spec.experts = Some(experts.checked(config)?);
    spec.may_be_nested = true;
    Ok(spec)
}

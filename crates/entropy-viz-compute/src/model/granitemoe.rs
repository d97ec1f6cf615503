//! Granite 3 MoE and PowerMoE (`GraniteMoeForCausalLM`): Granite with a mixture of experts in every layer, stored as one
//! tensor for all experts.

use super::granite;
use super::routing::Routing;
use super::spec::{Architecture, ExpertNames, ExpertSpec, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "granitemoe", read };

/// Those of the files, and of transformers 5 in memory, which trainers' shards have.
const NAMES: ExpertNames = ExpertNames {
    router: &["router.layer", "router"],
    fused: Some(["input_linear", "output_linear"]),
    ..ExpertNames::MIXTRAL
};

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = granite::read(config)?;
    // Without effect here: experts have no biases.
    spec.mlp_bias = false;
    let experts = ExpertSpec {
        count: config.count_or("num_local_experts", 8)?,
        experts_per_token: config.count_or("num_experts_per_tok", 2)?,
        intermediate: spec.intermediate,
        latent: None,
        routing: Routing::softmax(true),
        layers: vec![true; spec.layers as usize],
        shared: None,
        names: NAMES,
    };
    spec.experts = Some(experts.checked(config)?);
    Ok(spec)
}

//! Mixtral (`MixtralForCausalLM`): Mistral with a mixture of experts in every layer.

use super::routing::Routing;
use super::spec::{Architecture, Defaults, ExpertNames, ExpertSpec, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mixtral", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { epsilon: 1e-5, theta: 1_000_000.0, ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    let window =
        config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?;
    // transformers ignores layer_types here.
    spec.attention.windows = vec![window; spec.layers as usize];
    let experts = ExpertSpec {
        count: config.count_or("num_local_experts", 8)?,
        experts_per_token: config.count_or("num_experts_per_tok", 2)?,
        intermediate: spec.intermediate,
        latent: None,
        routing: Routing::softmax(true),
        layers: vec![true; spec.layers as usize],
        shared: None,
        names: ExpertNames::MIXTRAL,
    };
    spec.experts = Some(experts.checked(config)?);
    Ok(spec)
}

//! Nemotron and Minitron (`NemotronForCausalLM`): layer norms with 1 + w and biases, an MLP without gate, max(x, 0)², rotary
//! embedding of a part of each head.

use super::llama;
use super::spec::{Activation, Architecture, Defaults, MlpKind, NormKind, Spec, activation_or};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "nemotron", read };

const DEFAULTS: Defaults = Defaults {
    epsilon_key: "norm_eps",
    epsilon: 1e-5,
    partial_rotary_factor: Some(0.5),
    ..Defaults::LLAMA
};

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = llama::with_biases(config, DEFAULTS)?;
    spec.norm = NormKind::LayerUnitOffset;
    spec.activation = activation_or(config, "hidden_act", Activation::SquaredRelu)?;
    spec.mlp = MlpKind::Plain;
    Ok(spec)
}

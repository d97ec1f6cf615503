//! Arcee (`ArceeForCausalLM`): Llama with an MLP without gate, max(x, 0)².

use super::spec::{Architecture, Defaults, MlpKind, Spec, activation_or};
use super::{llama, spec::Activation};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "arcee", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = llama::with_biases(config, Defaults { epsilon: 1e-5, ..Defaults::LLAMA })?;
    spec.activation = activation_or(config, "hidden_act", Activation::SquaredRelu)?;
    spec.mlp = MlpKind::Plain;
    Ok(spec)
}

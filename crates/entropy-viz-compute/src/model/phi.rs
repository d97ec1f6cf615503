//! Phi-1, Phi-1.5 and Phi-2 (`PhiForCausalLM`): layer norms with biases, attention and feed-forward in parallel, an MLP without
//! gate, rotary embedding of a part of each head, biases everywhere.

use super::spec::{
    Activation, Architecture, Arrangement, AttentionNames, Defaults, LayerNorms, MlpKind, MlpNames,
    NormKind, QkNorm, Spec, activation_or,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "phi", read };

const DEFAULTS: Defaults = Defaults {
    epsilon_key: "layer_norm_eps",
    epsilon: 1e-5,
    partial_rotary_factor: Some(0.5),
    ..Defaults::LLAMA
};

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, DEFAULTS)?;
    spec.norm = NormKind::LayerWithBias;
    spec.layer_norms = LayerNorms::FIRST;
    spec.final_norm = "final_layernorm";
    spec.arrangement = Arrangement::Parallel;
    spec.activation = activation_or(config, "hidden_act", Activation::GeluTanh)?;
    spec.mlp = MlpKind::Plain;
    spec.mlp_names = MlpNames { up: "fc1", down: "fc2", ..MlpNames::LLAMA };
    spec.mlp_bias = true;
    spec.head_bias = true;
    spec.attention.bias = true;
    spec.attention.output_bias = true;
    spec.attention.names =
        AttentionNames { output: "dense", q_norm: "q_layernorm", k_norm: "k_layernorm" };
    if config.flag_or("qk_layernorm", false)? {
        spec.attention.qk_norm = Some(QkNorm::Head);
    }
    Ok(spec)
}

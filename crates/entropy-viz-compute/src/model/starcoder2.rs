//! StarCoder2 (`Starcoder2ForCausalLM`): layer norms with biases, an MLP without gate, one flag for all other biases,
//! optionally a sliding window.

use super::spec::{
    Activation, Architecture, Defaults, MlpKind, MlpNames, NormKind, Spec, activation_or,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "starcoder2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        kv_heads: Some(2),
        epsilon_key: "norm_epsilon",
        epsilon: 1e-5,
        tie_word_embeddings: true,
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.norm = NormKind::LayerWithBias;
    spec.activation = activation_or(config, "hidden_act", Activation::GeluTanh)?;
    spec.mlp = MlpKind::Plain;
    spec.mlp_names = MlpNames { up: "c_fc", down: "c_proj", ..MlpNames::LLAMA };
    let bias = config.flag_or("use_bias", true)?;
    spec.mlp_bias = bias;
    spec.attention.bias = bias;
    spec.attention.output_bias = bias;
    let window =
        config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?;
    // transformers ignores layer_types here.
    spec.attention.windows = vec![window; spec.layers as usize];
    Ok(spec)
}

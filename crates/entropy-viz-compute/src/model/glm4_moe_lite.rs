//! GLM-4.7-Flash (`Glm4MoeLiteForCausalLM`): DeepSeek-V3 with other sizes, and experts in the layers of
//! `mlp_layer_types`.

use anyhow::bail;

use super::deepseek_v3::{ExpertDefaults, experts, prediction_layers, rope_pairs};
use super::latent::{self, LatentDefaults};
use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "glm4_moe_lite", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let sizes = LatentDefaults { query_rank: 768, plain: 192, value: 256 };
    let defaults = Defaults { epsilon: 1e-5, partial_rotary_factor: Some(1.0), ..Defaults::LLAMA };
    let mut spec = latent::read(config, defaults, sizes)?;
    spec.attention.rope_pairs = rope_pairs(config)?;
    let defaults = ExpertDefaults {
        count: 64,
        per_token: 4,
        width: 1536,
        shared: 1,
        scale: 1.8,
        groups: (1, 1),
    };
    let has_experts = layers_with_experts(config, spec.layers)?;
    spec.experts = Some(experts(config, has_experts, defaults)?);
    spec.prediction_layers = prediction_layers(config)?;
    Ok(spec)
}

/// Those of `mlp_layer_types`, by default all but the first.
fn layers_with_experts(config: &Config, layers: i64) -> anyhow::Result<Vec<bool>> {
    let path = config.path().display();
    let Some(types) = config.strings("mlp_layer_types")? else {
        // transformers ignores first_k_dense_replace.
        config.refuse("first_k_dense_replace", |dense| dense == 1)?;
        return Ok((0..layers).map(|layer| layer > 0).collect());
    };
    if types.len() as i64 != layers {
        bail!(
            "{path}: mlp_layer_types has {} entries, but num_hidden_layers is {layers}",
            types.len()
        );
    }
    let has_experts = |name: &str| match name {
        "sparse" => Ok(true),
        "dense" => Ok(false),
        other => {
            bail!(
                "{path}: the entry {other:?} of mlp_layer_types is not supported; dense and sparse are"
            )
        }
    };
    types.into_iter().map(has_experts).collect()
}

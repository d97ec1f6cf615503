//! Ministral 3 (`Ministral3ForCausalLM`; released with pictures, as `mistral3`): Mistral with yarn and queries that
//! are scaled by their positions.

use serde_json::{Value, json};

use super::rope::QueryScaling;
use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "ministral3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let config = &with_rope(config);
    let defaults =
        Defaults { head_dim: Some(128), kv_heads: Some(8), epsilon: 1e-5, ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    let window =
        config.get("sliding_window").map(|_| config.count("sliding_window")).transpose()?;
    // transformers ignores layer_types here.
    spec.attention.windows = vec![window; spec.layers as usize];
    spec.attention.rope = spec.attention.rope.with_query_scaling(query_scaling(config)?);
    Ok(spec)
}

/// transformers' default of the rotary embedding, if config.json has none.
fn with_rope(config: &Config) -> Config {
    if config.get("rope_scaling").is_some() || config.get("rope_parameters").is_some() {
        return config.clone();
    }
    let rope = json!({
        "rope_type": "yarn", "rope_theta": 1_000_000.0, "factor": 16.0, "original_max_position_embeddings": 16384,
        "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
    });
    config.with("rope_parameters", rope)
}

fn query_scaling(config: &Config) -> anyhow::Result<QueryScaling> {
    let rope = config.section("rope_scaling").or_else(|| config.section("rope_parameters"));
    let rope = rope.unwrap_or_else(|| config.clone());
    let key = "original_max_position_embeddings";
    let kind = rope.get("rope_type").or_else(|| rope.get("type")).and_then(Value::as_str);
    // transformers completes the section for these types only.
    let original = match (kind, config.get(key)) {
        (Some("yarn" | "llama3" | "longrope"), Some(_)) => config.count(key)?,
        (Some("yarn" | "llama3" | "longrope"), None) => {
            rope.count_or(key, config.count("max_position_embeddings")?)?
        }
        _ => rope.count(key)?,
    };
    Ok(QueryScaling { beta: rope.number("llama_4_scaling_beta")?, original, first: 0 })
}

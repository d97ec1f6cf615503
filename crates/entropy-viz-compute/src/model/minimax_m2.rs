//! MiniMax-M2 (`MiniMaxM2ForCausalLM`): norms of q and k over all heads, partial rotation, and experts in every layer,
//! chosen by σ of the router's logits and a bias.

use super::routing::{Routing, Scores};
use super::spec::{Architecture, Defaults, ExpertNames, ExpertSpec, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "minimax_m2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let head_dim = config.count_or("head_dim", 128)?;
    // Released models have the rotated numbers of a head instead of their share.
    let part = match config.get("rotary_dim") {
        Some(_) => config.count("rotary_dim")? as f64 / head_dim as f64,
        None => 1.0,
    };
    let defaults = Defaults {
        head_dim: Some(128),
        theta: 5_000_000.0,
        partial_rotary_factor: Some(part),
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.attention.qk_norm = Some(QkNorm::Width);
    config.refuse("use_qk_norm", |value| value == true)?;
    config.refuse("qk_norm_type", |value| value == "per_layer")?;
    config.refuse("scoring_func", |value| value == "sigmoid")?;
    config.refuse("use_routing_bias", |value| value == true)?;
    config.refuse("shared_intermediate_size", |value| value == 0)?;
    // 1 is softmax attention.
    config.refuse("attn_type_list", |value| {
        value.as_array().is_some_and(|list| list.iter().all(|kind| kind == 1))
    })?;
    let count =
        if config.get("num_local_experts").is_some() { "num_local_experts" } else { "num_experts" };
    let experts = ExpertSpec {
        count: config.count_or(count, 256)?,
        experts_per_token: config.count_or("num_experts_per_tok", 8)?,
        intermediate: spec.intermediate,
        latent: None,
        routing: Routing {
            scores: Scores::Sigmoid { bias: Some("e_score_correction_bias") },
            ..Routing::softmax(true)
        },
        layers: vec![true; spec.layers as usize],
        shared: None,
        names: ExpertNames::MIXTRAL,
    };
    spec.experts = Some(experts.checked(config)?);
    Ok(spec)
}

//! DeepSeek-V3, DeepSeek-R1, Moonlight and Kimi-K2 (`DeepseekV3ForCausalLM`): latent attention, and many small experts,
//! chosen by σ of the router's logits and a bias, besides experts that take every token.

use anyhow::bail;

use super::latent::{self, LatentDefaults};
use super::routing::{Groups, Precision, Routing, Scores, Weighs};
use super::spec::{Architecture, Defaults, ExpertNames, ExpertSpec, RopePairs, SharedExpert, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "deepseek_v3", read };
/// Kimi-K2 as it is released, with the settings of DeepSeek-V3.
pub(super) const KIMI_K2: Architecture = Architecture { model_type: "kimi_k2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let sizes = LatentDefaults { query_rank: 1536, plain: 128, value: 128 };
    let mut spec = latent::read(config, Defaults::LLAMA, sizes)?;
    spec.attention.rope_pairs = rope_pairs(config)?;
    let defaults = ExpertDefaults {
        count: 256,
        per_token: 8,
        width: 2048,
        shared: 1,
        scale: 2.5,
        groups: (8, 4),
    };
    let has_experts = after_dense_layers(config, spec.layers, 3)?;
    spec.experts = Some(experts(config, has_experts, defaults)?);
    spec.prediction_layers = prediction_layers(config)?;
    Ok(spec)
}

/// The pairs of the rotary embedding by `rope_interleave`.
pub(super) fn rope_pairs(config: &Config) -> anyhow::Result<RopePairs> {
    let neighbours =
        !config.is_null("rope_interleave") && config.flag_or("rope_interleave", true)?;
    Ok(if neighbours { RopePairs::Neighbours } else { RopePairs::Halves })
}

/// The layers from `first_k_dense_replace` on.
pub(super) fn after_dense_layers(
    config: &Config,
    layers: i64,
    default: i64,
) -> anyhow::Result<Vec<bool>> {
    // DeepSeek's own code has experts in some of these layers then, transformers in all.
    config.refuse("moe_layer_freq", |every| every == 1)?;
    let dense = config.number_or("first_k_dense_replace", default as f64)? as i64;
    Ok((0..layers).map(|layer| layer >= dense).collect())
}

/// Maximum number of layers that are left out.
const MAX_PREDICTION_LAYERS: i64 = 100;

/// The number of layers after the last one that predict further tokens, which are not used.
pub(super) fn prediction_layers(config: &Config) -> anyhow::Result<i64> {
    let older = config.number_or("num_nextn_predict_layers", 1.0)?;
    Ok((config.number_or("num_mtp_layers", older)? as i64).clamp(0, MAX_PREDICTION_LAYERS))
}

/// Values of keys that config.json may omit.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpertDefaults {
    pub(super) count: i64,
    pub(super) per_token: i64,
    pub(super) width: i64,
    pub(super) shared: i64,
    pub(super) scale: f64,
    /// `n_group` and `topk_group`.
    pub(super) groups: (i64, i64),
}

/// The experts of DeepSeek-V3 and GLM-4.5.
pub(super) fn experts(
    config: &Config,
    has_experts: Vec<bool>,
    defaults: ExpertDefaults,
) -> anyhow::Result<ExpertSpec> {
    config.refuse("scoring_func", |name| name == "sigmoid")?;
    config.refuse("topk_method", |name| name == "noaux_tc")?;
    let groups = Groups {
        count: config.count_or("n_group", defaults.groups.0)?,
        chosen: config.count_or("topk_group", defaults.groups.1)?,
        best: 2,
    };
    let routing = Routing {
        scores: Scores::Sigmoid { bias: Some("gate.e_score_correction_bias") },
        groups: Some(groups),
        norm_topk_prob: config.flag_or("norm_topk_prob", true)?,
        sum_epsilon: 1e-20,
        scale: config.number_or("routed_scaling_factor", defaults.scale)?,
        precision: Precision::Single,
        weighs: Weighs::Output,
    };
    experts_of(config, has_experts, defaults, routing)
}

/// Experts that are chosen in this way.
pub(super) fn experts_of(
    config: &Config,
    has_experts: Vec<bool>,
    defaults: ExpertDefaults,
    routing: Routing,
) -> anyhow::Result<ExpertSpec> {
    let intermediate = config.count_or("moe_intermediate_size", defaults.width)?;
    let shared = match config.is_null("n_shared_experts") {
        true => None,
        false => {
            let shared = config.count_or("n_shared_experts", defaults.shared)?;
            let Some(width) = shared.checked_mul(intermediate) else {
                bail!("{}: n_shared_experts is {shared}", config.path().display());
            };
            Some(SharedExpert { width, name: "shared_experts", gate: None })
        }
    };
    // transformers reads each of these names as the other.
    let aliases = ["n_routed_experts", "num_local_experts", "num_experts"];
    let count = aliases.into_iter().find(|key| config.get(key).is_some());
    let experts = ExpertSpec {
        count: count.map_or(Ok(defaults.count), |key| config.count(key))?,
        experts_per_token: config.count_or("num_experts_per_tok", defaults.per_token)?,
        intermediate,
        latent: None,
        routing,
        layers: has_experts,
        shared,
        names: ExpertNames::QWEN,
    };
    experts.checked(config)
}

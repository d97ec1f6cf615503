//! LFM2's mixtures of experts (`Lfm2MoeForCausalLM`): LFM2 with an MLP in the first layers and experts in the others, which are
//! chosen by σ and a bias of each.

use anyhow::bail;

use super::lfm2;
use super::routing::{Routing, Scores};
use super::spec::{Architecture, ExpertNames, ExpertSpec, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "lfm2_moe", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    // Without it, transformers does not know the mixers; `full_attn_idxs` is of the dense models.
    if config.get("layer_types").is_none() {
        bail!("{} has no layer_types", config.path().display());
    }
    let mut spec = lfm2::without_experts(config, 7168)?;
    spec.experts = Some(experts(config, spec.layers)?);
    Ok(spec)
}

fn experts(config: &Config, layers: i64) -> anyhow::Result<ExpertSpec> {
    let dense = config.number_or("num_dense_layers", 2.0)?;
    let bias = config.flag_or("use_expert_bias", true)?.then_some("expert_bias");
    let experts = ExpertSpec {
        count: config.count_or("num_experts", 32)?,
        experts_per_token: config.count_or("num_experts_per_tok", 4)?,
        intermediate: config.count_or("moe_intermediate_size", 1792)?,
        latent: None,
        routing: Routing {
            scores: Scores::Sigmoid { bias },
            sum_epsilon: 1e-6,
            scale: config.number_or("routed_scaling_factor", 1.0)?,
            ..Routing::softmax(config.flag_or("norm_topk_prob", true)?)
        },
        layers: (0..layers).map(|layer| layer as f64 >= dense).collect(),
        shared: None,
        names: ExpertNames { module: "feed_forward", ..ExpertNames::MIXTRAL },
    };
    experts.checked(config)
}

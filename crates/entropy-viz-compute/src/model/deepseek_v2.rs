//! DeepSeek-V2 and V2-Lite (`DeepseekV2ForCausalLM`): latent attention as in V3, experts chosen by softmax, from all of
//! them or from the best groups.

use anyhow::bail;

use super::deepseek_v3::{ExpertDefaults, after_dense_layers, experts_of};
use super::latent::{self, LatentDefaults};
use super::routing::{Groups, Precision, Routing};
use super::spec::{Architecture, Defaults, RopePairs, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "deepseek_v2", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let sizes = LatentDefaults { query_rank: 1536, plain: 128, value: 128 };
    let mut spec = latent::read(config, Defaults::LLAMA, sizes)?;
    spec.attention.rope_pairs = RopePairs::Neighbours;
    spec.mlp_bias = config.flag_or("mlp_bias", false)?;
    config.refuse("scoring_func", |name| name == "softmax")?;
    let method = match config.get("topk_method") {
        Some(_) => config.string("topk_method")?,
        None => "greedy",
    };
    let groups = match method {
        "greedy" => None,
        "group_limited_greedy" => Some(Groups {
            count: config.count("n_group")?,
            chosen: config.count("topk_group")?,
            best: 1,
        }),
        other => bail!(
            "{}: topk_method {other:?} is not supported; greedy and group_limited_greedy are",
            config.path().display()
        ),
    };
    let routing = Routing {
        groups,
        scale: config.number_or("routed_scaling_factor", 1.0)?,
        precision: Precision::Single,
        // transformers ignores norm_topk_prob here, and released models do not set it.
        ..Routing::softmax(false)
    };
    let defaults = ExpertDefaults {
        count: 64,
        // Without a default in transformers.
        per_token: config.count("num_experts_per_tok")?,
        width: 1407,
        shared: 2,
        scale: 1.0,
        groups: (1, 1),
    };
    let has_experts = after_dense_layers(config, spec.layers, 0)?;
    spec.experts = Some(experts_of(config, has_experts, defaults, routing)?);
    Ok(spec)
}

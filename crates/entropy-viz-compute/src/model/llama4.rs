//! The language model of Llama 4 (`Llama4ForCausalLM`): attention within chunks in layers with a rotary embedding, and of
//! all earlier tokens in those without, whose queries are scaled by their positions; norms of q and k without weights;
//! experts whose input, not output, is weighed, besides one that takes every token.

use anyhow::bail;

use super::names::MlpNames;
use super::rope::{QueryScaling, Rope};
use super::routing::{Routing, Scores, Weighs};
use super::spec::{
    Architecture, Defaults, ExpertLayout, ExpertNames, ExpertSpec, QkNorm, RopePairs, Rotation,
    SharedExpert, Spec, WindowKind,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "llama4_text", read };

const MODULE: &str = "feed_forward";

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        head_dim: Some(128),
        epsilon: 1e-5,
        theta: 500_000.0,
        kv_heads: Some(8),
        intermediate: Some(8192),
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    let attention = &mut spec.attention;
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    attention.rope_pairs = RopePairs::Neighbours;
    if config.flag_or("use_qk_norm", true)? {
        attention.qk_norm = Some(QkNorm::RotatedWithoutWeights);
    }
    let rotated = rotated_layers(config, spec.layers)?;
    let others = match config.flag_or("attn_temperature_tuning", true)? {
        true => {
            let original = config.count_or("floor_scale", 8192)?;
            let beta = config.number_or("attn_scale", 0.1)?;
            let scaling = QueryScaling { beta, original, first: 1 };
            attention.local_rope = Some(Rope::still().with_query_scaling(scaling));
            Rotation::Local
        }
        false => Rotation::None,
    };
    attention.rotations =
        rotated.iter().map(|rotated| if *rotated { Rotation::Main } else { others }).collect();
    attention.window_kind = WindowKind::Chunk;
    attention.windows = chunks(config, &rotated)?;

    let width = spec.intermediate;
    spec.experts = Some(experts(config, spec.layers, width)?);
    spec.intermediate = config.count_or("intermediate_size_mlp", 16384)?;
    spec.mlp_names = MlpNames { module: MODULE, ..MlpNames::LLAMA };
    Ok(spec)
}

/// Whether each layer has a rotary embedding: by `no_rope_layers`, where 1 stands for one, else all but every fourth.
fn rotated_layers(config: &Config, layers: i64) -> anyhow::Result<Vec<bool>> {
    let listed = match config.get("no_rope_layers") {
        Some(_) => config.numbers("no_rope_layers")?,
        None => Vec::new(),
    };
    if listed.is_empty() {
        let every = config.count_or("no_rope_layer_interval", 4)?;
        return Ok((1..=layers).map(|layer| layer % every != 0).collect());
    }
    if (listed.len() as i64) < layers {
        bail!(
            "{}: no_rope_layers has {} entries, but num_hidden_layers is {layers}",
            config.path().display(),
            listed.len()
        );
    }
    Ok(listed.iter().take(layers as usize).map(|rotated| *rotated != 0.0).collect())
}

/// The chunk of each layer in tokens, by `layer_types`, else in those with a rotary embedding.
fn chunks(config: &Config, rotated: &[bool]) -> anyhow::Result<Vec<Option<i64>>> {
    let path = config.path().display();
    let is_chunked = match config.strings("layer_types")? {
        None => rotated.to_vec(),
        Some(types) if types.len() != rotated.len() => bail!(
            "{path}: layer_types has {} entries, but num_hidden_layers is {}",
            types.len(),
            rotated.len()
        ),
        Some(types) => types
            .into_iter()
            .map(|name| match name {
                "chunked_attention" => Ok(true),
                "full_attention" => Ok(false),
                other => bail!(
                    "{path}: layer type {other:?} is not supported; chunked_attention and full_attention are"
                ),
            })
            .collect::<anyhow::Result<_>>()?,
    };
    if is_chunked.contains(&true) && config.is_null("attention_chunk_size") {
        bail!("{path}: layers have chunked attention, but attention_chunk_size is null");
    }
    let chunk = config.count_or("attention_chunk_size", 8192)?;
    Ok(is_chunked.into_iter().map(|is_chunked| is_chunked.then_some(chunk)).collect())
}

fn experts(config: &Config, layers: i64, width: i64) -> anyhow::Result<ExpertSpec> {
    let listed = match config.get("moe_layers") {
        Some(_) => Some(config.numbers("moe_layers")?),
        None => None,
    };
    let every = config.count_or("interleave_moe_layer_step", 1)?;
    let has_experts = |layer: i64| match &listed {
        Some(listed) => listed.contains(&(layer as f64)),
        None => (layer + 1) % every == 0,
    };
    let count =
        if config.get("num_local_experts").is_some() { "num_local_experts" } else { "num_experts" };
    let experts = ExpertSpec {
        count: config.count_or(count, 16)?,
        experts_per_token: config.count_or("num_experts_per_tok", 1)?,
        intermediate: width,
        latent: None,
        routing: Routing {
            scores: Scores::Sigmoid { bias: None },
            weighs: Weighs::Input,
            ..Routing::softmax(false)
        },
        layers: (0..layers).map(has_experts).collect(),
        shared: Some(SharedExpert { width, name: "shared_expert", gate: None }),
        names: ExpertNames {
            module: MODULE,
            router: &["router"],
            layout: ExpertLayout::InputFirst,
            ..ExpertNames::QWEN
        },
    };
    experts.checked(config)
}

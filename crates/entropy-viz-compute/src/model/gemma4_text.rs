//! Gemma 4's text models (`Gemma4ForCausalLM`): norms of the heads of queries, keys and values, heads and a rotary embedding of their
//! own in layers without a sliding window, keys and values that later layers take from earlier ones, inputs of single layers, and
//! experts beside the MLP.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::gemma2::{self, hidden_activation};
use super::gemma4_heads::Heads;
use super::layer_settings::{LayerSettings, PerLayerSpec};
use super::rope::LayerRope;
use super::routing::Routing;
use super::shared_kv::{KvSource, givers};
use super::spec::{
    Architecture, Defaults, ExpertNames, ExpertSpec, ExpertsPlace, LayerNorms, MAX_SIZE, Spec,
    windows,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma4_text", read };

/// Router and experts are in the layer itself.
const EXPERT_NAMES: ExpertNames = ExpertNames { router: &["router.proj"], ..ExpertNames::QWEN };

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

fn read(config: &Config) -> anyhow::Result<Spec> {
    // With "vision", only pictures see tokens behind them.
    config.refuse("use_bidirectional_attention", |value| value == "vision")?;
    let windows = layer_windows(config)?;
    let heads = Heads::read(config, &windows)?;
    let sized = with_rope_parameters(config, &windows)?
        .with("head_dim", heads.sliding.head_dim.into())
        .with("num_key_value_heads", heads.sliding.kv_heads.into());
    let defaults =
        Defaults { intermediate: Some(9216), tie_word_embeddings: true, ..Defaults::LLAMA };
    // Bases are in `rope_parameters`.
    let (full, sliding) = (LayerRope::full(10_000.0), LayerRope::sliding(None, 10_000.0));
    let full = (full, heads.full.head_dim);
    let mut spec = Spec::with_layer_heads(&sized, defaults, full, sliding)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.layer_norms = LayerNorms::AROUND;
    spec.activation = hidden_activation(config)?;
    spec.softcap = gemma2::cap(config, "final_logit_softcapping", None)?;
    spec.layer_scalar = Some("layer_scalar");
    let attention = &mut spec.attention;
    attention.scale = 1.0;
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    attention.windows = windows;
    attention.rotate_by_window();
    spec.layer_settings = layer_settings(config, &spec, heads)?;
    spec.per_layer_inputs = per_layer_inputs(config, spec.vocabulary)?;
    if config.flag_or("enable_moe_block", false)? {
        spec.experts = Some(experts(config, spec.layers)?);
        spec.experts_place = ExpertsPlace::BesideMlp;
    }
    Ok(spec)
}

/// The sliding window of each layer. The last one has none, whatever `layer_types` says.
fn layer_windows(config: &Config) -> anyhow::Result<Vec<Option<i64>>> {
    let layers = Spec::layers_of(config)?;
    if config.is_null("sliding_window") {
        bail!("{}: sliding_window is null, not a positive integer", config.path().display());
    }
    let window = config.count_or("sliding_window", 512)?;
    let mut windows = windows(config, layers, Some(window), |layer| (layer + 1) % 6 != 0)?;
    if let Some(last) = windows.last_mut() {
        *last = None;
    }
    Ok(windows)
}

/// The config with rotary settings for both types of layers. Those of a type that no layer has do not matter.
///
/// # Errors
/// If they are not as transformers needs them: it has no other form of them for Gemma 4.
fn with_rope_parameters(config: &Config, windows: &[Option<i64>]) -> anyhow::Result<Config> {
    let path = config.path().display();
    for key in ["rope_scaling", "partial_rotary_factor"] {
        if config.get(key).is_some() {
            bail!("{path}: {key} is not supported at the top level; give it in rope_parameters");
        }
    }
    let default = json!({
        SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
        FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0},
    });
    let mut given = config.get("rope_parameters").cloned().unwrap_or(default);
    if !given.is_object() {
        bail!("{path}: rope_parameters is not an object");
    }
    for (name, is_sliding) in [(SLIDING, true), (FULL, false)] {
        if !windows.iter().any(|window| window.is_some() == is_sliding) {
            given[name] = Value::Null;
        } else if given[name]["rope_theta"].is_null() {
            bail!("{path}: rope_parameters has no rope_theta for {name}");
        }
    }
    // Of the top level, transformers takes max_position_embeddings only.
    let config = config.with("original_max_position_embeddings", Value::Null);
    Ok(config.with("rope_parameters", given))
}

/// A number of things that may be 0.
pub(super) fn number_of(config: &Config, key: &str, default: i64) -> anyhow::Result<i64> {
    if config.is_null(key) {
        bail!("{}: {key} is null, not an integer", config.path().display());
    }
    if config.get(key).is_some_and(|value| *value == 0) {
        return Ok(0);
    }
    config.count_or(key, default)
}

fn layer_settings(
    config: &Config,
    spec: &Spec,
    heads: Heads,
) -> anyhow::Result<Vec<LayerSettings>> {
    let taking = number_of(config, "num_kv_shared_layers", 0)?;
    let is_sliding: Vec<bool> = spec.attention.windows.iter().map(Option::is_some).collect();
    let givers = givers(&is_sliding, taking as usize)
        .with_context(|| format!("{}: num_kv_shared_layers", config.path().display()))?;
    let is_wide = config.flag_or("use_double_wide_mlp", false)?;
    let has_one_module = config.flag_or("attention_k_eq_v", false)?;
    let settings = |(giver, is_sliding): (&Option<i64>, &bool)| {
        let sizes = if *is_sliding { heads.sliding } else { heads.full };
        LayerSettings {
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            kv: match giver {
                Some(giver) => KvSource::Layer(*giver),
                None if has_one_module && !is_sliding => KvSource::OneModule,
                None => KvSource::OwnNormed,
            },
            intermediate: match giver {
                Some(_) if is_wide => 2 * spec.intermediate,
                _ => spec.intermediate,
            },
            gate_cutoff: None,
        }
    };
    Ok(givers.iter().zip(&is_sliding).map(settings).collect())
}

fn per_layer_inputs(config: &Config, vocabulary: i64) -> anyhow::Result<Option<PerLayerSpec>> {
    let path = config.path().display();
    let width = number_of(config, "hidden_size_per_layer_input", 256)?;
    if width == 0 {
        return Ok(None);
    }
    let key = "vocab_size_per_layer_input";
    let with_vectors = config.count_or(key, 262_144)?;
    if with_vectors < vocabulary {
        bail!("{path}: {key} is {with_vectors}, less than vocab_size, {vocabulary}: not supported");
    }
    if width > MAX_SIZE || with_vectors > MAX_SIZE {
        bail!("{path}: inputs of layers of {with_vectors} × {width} are too large");
    }
    Ok(Some(PerLayerSpec { width, vocabulary: with_vectors }))
}

fn experts(config: &Config, layers: i64) -> anyhow::Result<ExpertSpec> {
    let (count, chosen) = (config.count("num_experts")?, config.count("top_k_experts")?);
    if chosen > count {
        let path = config.path().display();
        bail!("{path}: top_k_experts is {chosen}, but there are only {count} experts");
    }
    let experts = ExpertSpec {
        count,
        experts_per_token: chosen,
        intermediate: config.count("moe_intermediate_size")?,
        latent: None,
        routing: Routing::softmax(true),
        layers: vec![true; layers as usize],
        shared: None,
        names: EXPERT_NAMES,
    };
    experts.checked(config)
}

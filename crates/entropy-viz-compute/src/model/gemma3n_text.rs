//! Gemma 3n's text models (`Gemma3nForCausalLM`): several hidden states of each token (AltUp), a path of low rank beside attention
//! (LAuReL), sparse gates, inputs of single layers, and keys and values that later layers take from earlier ones.

use anyhow::{Context as _, bail};

use super::gemma2::{self, hidden_activation};
use super::gemma4_text::number_of;
use super::layer_settings::{AltUpScale, AltUpSpec, LayerSettings, PerLayerSpec};
use super::rope::LayerRope;
use super::shared_kv::{KvSource, givers};
use super::sparse_gate::cutoff;
use super::spec::{Architecture, Defaults, LayerNorms, MAX_SIZE, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma3n_text", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    config.refuse("use_bidirectional_attention", |value| value == false)?;
    let path = config.path().display();
    if config.is_null("sliding_window") {
        bail!("{path}: sliding_window is null, not a positive integer");
    }
    let layers = Spec::layers_of(config)?;
    let widths = widths(config, layers)?;
    let sized = config.with("intermediate_size", widths[0].into());
    let defaults = Defaults {
        head_dim: Some(256),
        kv_heads: Some(2),
        tie_word_embeddings: true,
        ..Defaults::LLAMA
    };
    let full = LayerRope::full(1_000_000.0);
    let sliding = LayerRope::sliding(Some("rope_local_base_freq"), 10_000.0);
    let mut spec = Spec::with_layer_ropes(&sized, defaults, full, sliding)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.layer_norms = LayerNorms::AROUND;
    spec.activation = hidden_activation(config)?;
    spec.softcap = gemma2::cap(config, "final_logit_softcapping", Some(30.0))?;
    let attention = &mut spec.attention;
    attention.scale = 1.0;
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    let window = config.window_or(512)?;
    attention.windows = windows(config, layers, window, |layer| (layer + 1) % 5 != 0)?;
    attention.rotate_by_window();
    spec.layer_settings = layer_settings(config, &spec, &widths)?;
    spec.alt_up = Some(alt_up(config)?);
    let inputs = PerLayerSpec {
        width: config.count_or("hidden_size_per_layer_input", 256)?,
        vocabulary: config.count_or("vocab_size_per_layer_input", 262_144)?,
    };
    if inputs.width > MAX_SIZE || inputs.vocabulary > MAX_SIZE {
        let PerLayerSpec { width, vocabulary } = inputs;
        bail!("{path}: inputs of layers of {vocabulary} × {width} are too large");
    }
    spec.per_layer_inputs = Some(inputs);
    Ok(spec)
}

/// The width of the MLP of each layer: a list, or one number.
fn widths(config: &Config, layers: i64) -> anyhow::Result<Vec<i64>> {
    let key = "intermediate_size";
    if !config.get(key).is_some_and(|value| value.is_array()) {
        return Ok(vec![config.count_or(key, 16_384)?; layers as usize]);
    }
    let path = config.path().display();
    let widths = config.numbers(key)?;
    if widths.len() as i64 != layers {
        bail!("{path}: {key} has {} numbers, but num_hidden_layers is {layers}", widths.len());
    }
    let is_width = |width: &&f64| width.fract() == 0.0 && (1.0..=MAX_SIZE as f64).contains(*width);
    if let Some(width) = widths.iter().find(|width| !is_width(width)) {
        bail!("{path}: {key} has {width}, not an integer from 1 to {MAX_SIZE}");
    }
    Ok(widths.into_iter().map(|width| width as i64).collect())
}

/// The cutoff of the gates of each layer. By default, the first ten layers of more than ten have sparse gates.
fn cutoffs(config: &Config, layers: i64) -> anyhow::Result<Vec<Option<f64>>> {
    let (key, path) = ("activation_sparsity_pattern", config.path().display());
    let parts = match config.get(key) {
        Some(_) => config.numbers(key)?,
        None => {
            let sparse = if layers > 10 { 10 } else { 0 };
            (0..layers).map(|layer| if layer < sparse { 0.95 } else { 0.0 }).collect()
        }
    };
    if parts.len() as i64 != layers {
        bail!("{path}: {key} has {} numbers, but num_hidden_layers is {layers}", parts.len());
    }
    let cutoff = |part: f64| match part {
        ..=0.0 => Ok(None),
        _ => cutoff(part).map(Some).with_context(|| format!("{path}: {key}")),
    };
    parts.into_iter().map(cutoff).collect()
}

fn layer_settings(
    config: &Config,
    spec: &Spec,
    widths: &[i64],
) -> anyhow::Result<Vec<LayerSettings>> {
    let taking = number_of(config, "num_kv_shared_layers", 15)?;
    let is_sliding: Vec<bool> = spec.attention.windows.iter().map(Option::is_some).collect();
    let givers = givers(&is_sliding, taking as usize)
        .with_context(|| format!("{}: num_kv_shared_layers", config.path().display()))?;
    let cutoffs = cutoffs(config, spec.layers)?;
    let settings = |((giver, width), cutoff): ((&Option<i64>, &i64), &Option<f64>)| LayerSettings {
        kv_heads: spec.attention.kv_heads,
        head_dim: spec.attention.head_dim,
        kv: giver.map_or(KvSource::OwnNormed, KvSource::Layer),
        intermediate: *width,
        gate_cutoff: *cutoff,
    };
    Ok(givers.iter().zip(widths).zip(&cutoffs).map(settings).collect())
}

fn alt_up(config: &Config) -> anyhow::Result<AltUpSpec> {
    let path = config.path().display();
    let states = config.count_or("altup_num_inputs", 4)?;
    let active = number_of(config, "altup_active_idx", 0)?;
    if active >= states || states > 1 << 10 {
        bail!("{path}: altup_active_idx is {active} and altup_num_inputs {states}: not supported");
    }
    let laurel_rank = config.count_or("laurel_rank", 64)?;
    if laurel_rank > MAX_SIZE {
        bail!("{path}: laurel_rank is {laurel_rank}, not from 1 to {MAX_SIZE}");
    }
    let scale = match config.flag_or("altup_correct_scale", true)? {
        true => AltUpScale::Stored,
        false => AltUpScale::None,
    };
    Ok(AltUpSpec { states, active, scale, laurel_rank })
}

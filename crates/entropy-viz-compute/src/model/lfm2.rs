//! LFM2 (`Lfm2ForCausalLM`): short gated convolutions in most layers, attention with norms of the heads of q and k in the others,
//! names of its own.

use anyhow::bail;

use super::mixer_spec::{MixerSpec, ShortConvSpec};
use super::spec::{
    Activation, Architecture, Defaults, LayerNorms, MAX_HEAD_DIM, MAX_SIZE, QkNorm, Spec,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "lfm2", read };

/// Parts of names, as in the files and as in Llama; those of experts stay.
const NAMES: &[(&str, &str)] = &[
    ("model.embedding_norm", "model.norm"),
    ("self_attn.out_proj", "self_attn.o_proj"),
    ("self_attn.q_layernorm", "self_attn.q_norm"),
    ("self_attn.k_layernorm", "self_attn.k_norm"),
    ("feed_forward.w1", "mlp.gate_proj"),
    ("feed_forward.w2", "mlp.down_proj"),
    ("feed_forward.w3", "mlp.up_proj"),
];

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = without_experts(config, 12_288)?;
    spec.intermediate = intermediate(config, spec.intermediate)?;
    Ok(spec)
}

/// What dense models and mixtures of experts have in common. `width` is the default of `intermediate_size`, which is not
/// adjusted here.
pub(super) fn without_experts(config: &Config, width: i64) -> anyhow::Result<Spec> {
    let defaults = Defaults {
        kv_heads: Some(8),
        intermediate: Some(width),
        theta: 1_000_000.0,
        tie_word_embeddings: true,
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.renamed = NAMES;
    spec.epsilon = config.number_or("norm_eps", 1e-5)?;
    // The older key counts.
    spec.tie_word_embeddings = config.flag_or("tie_embedding", spec.tie_word_embeddings)?;
    spec.layer_norms = LayerNorms {
        before_attention: Some("operator_norm"),
        before_feed_forward: Some("ffn_norm"),
        ..LayerNorms::BEFORE
    };
    spec.activation = Activation::Silu;
    spec.attention.qk_norm = Some(QkNorm::Head);
    let conv = ShortConvSpec {
        channels: spec.hidden,
        kernel: config.count_or("conv_L_cache", 3)?,
        bias: config.flag_or("conv_bias", false)?,
    };
    if conv.kernel > MAX_HEAD_DIM {
        let path = config.path().display();
        bail!("{path}: conv_L_cache is {}, not from 1 to {MAX_HEAD_DIM}", conv.kernel);
    }
    spec.mixers = mixers(config, spec.layers, MixerSpec::ShortConv(conv))?;
    Ok(spec)
}

/// The width of the MLP, which config.json has before an adjustment.
fn intermediate(config: &Config, width: i64) -> anyhow::Result<i64> {
    let width = config.count_or("block_ff_dim", width)?;
    if !config.flag_or("block_auto_adjust_ff_dim", true)? {
        return Ok(width);
    }
    let width = 2 * width / 3;
    if config.is_null("block_ffn_dim_multiplier") {
        return Ok(width);
    }
    let multiple = config.count_or("block_multiple_of", 256)?;
    let width = (config.number_or("block_ffn_dim_multiplier", 1.0)? * width as f64) as i64;
    if !(1..=MAX_SIZE).contains(&width) || multiple > MAX_SIZE {
        bail!(
            "{}: the width of the MLP is {width}, not from 1 to {MAX_SIZE}",
            config.path().display()
        );
    }
    Ok((width + multiple - 1) / multiple * multiple)
}

/// The token mixer of each layer: by `layer_types`, else attention in the layers of `full_attn_idxs`, else in all.
fn mixers(config: &Config, layers: i64, conv: MixerSpec) -> anyhow::Result<Vec<MixerSpec>> {
    let path = config.path().display();
    let Some(types) = config.strings("layer_types")? else {
        if config.get("full_attn_idxs").is_none() {
            return Ok(vec![MixerSpec::Attention; layers as usize]);
        }
        let attention = config.numbers("full_attn_idxs")?;
        let mixer = |i| if attention.contains(&(i as f64)) { MixerSpec::Attention } else { conv };
        return Ok((0..layers).map(mixer).collect());
    };
    if types.len() as i64 != layers {
        bail!("{path}: layer_types has {} entries, but num_hidden_layers is {layers}", types.len());
    }
    let mixer = |name| match name {
        "full_attention" => Ok(MixerSpec::Attention),
        "conv" => Ok(conv),
        other => {
            bail!("{path}: layer type {other:?} is not supported; full_attention and conv are")
        }
    };
    types.into_iter().map(mixer).collect()
}

//! Qwen3-Next (`Qwen3NextForCausalLM`): Gated DeltaNet in most layers, attention with an output gate in the others, a mixture of
//! experts.

use anyhow::bail;

use super::mixer_spec::{DeltaInputs, DeltaSpec, MixerSpec};
use super::routing::Routing;
use super::spec::{
    Architecture, Defaults, ExpertNames, ExpertSpec, MAX_HEAD_DIM, MAX_SIZE, NormKind, QkNorm,
    SharedExpert, Spec,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3_next", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = hybrid(config, 2, 5632, DeltaInputs::ByKeyHead)?;
    let dense = match config.get("mlp_only_layers") {
        Some(_) => config.numbers("mlp_only_layers")?,
        None => Vec::new(),
    };
    let every = config.count_or("decoder_sparse_step", 1)?;
    let has_experts = |i: i64| !dense.contains(&(i as f64)) && (i + 1) % every == 0;
    let experts = ExpertSpec {
        count: config.count_or("num_experts", 512)?,
        experts_per_token: config.count_or("num_experts_per_tok", 10)?,
        intermediate: config.count_or("moe_intermediate_size", 512)?,
        latent: None,
        routing: Routing::softmax(config.flag_or("norm_topk_prob", true)?),
        layers: (0..spec.layers).map(has_experts).collect(),
        shared: Some(SharedExpert::gated(config, 512)?),
        names: ExpertNames::QWEN,
    };
    spec.experts = Some(experts.checked(config)?);
    Ok(spec)
}

/// The settings that Qwen3-Next and Qwen3.5 share; `kv_heads` and `intermediate` are those that config.json may omit.
pub(super) fn hybrid(
    config: &Config,
    kv_heads: i64,
    intermediate: i64,
    inputs: DeltaInputs,
) -> anyhow::Result<Spec> {
    // transformers always has the gate.
    config.refuse("attn_output_gate", |value| value == true)?;
    let defaults = Defaults {
        head_dim: Some(256),
        kv_heads: Some(kv_heads),
        intermediate: Some(intermediate),
        partial_rotary_factor: Some(0.25),
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.norm = NormKind::UnitOffset;
    spec.left_out = &["mtp."];
    let attention = &mut spec.attention;
    attention.qk_norm = Some(QkNorm::Head);
    attention.output_gate = true;
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    spec.mixers = mixers(config, spec.layers, MixerSpec::DeltaNet(delta(config, inputs)?))?;
    Ok(spec)
}

fn delta(config: &Config, inputs: DeltaInputs) -> anyhow::Result<DeltaSpec> {
    let path = config.path().display();
    let size = |key: &str, default: i64, limit: i64| {
        let size = config.count_or(key, default)?;
        if size > limit {
            bail!("{path}: {key} is {size}, not from 1 to {limit}");
        }
        Ok(size)
    };
    let delta = DeltaSpec {
        key_heads: size("linear_num_key_heads", 16, MAX_SIZE)?,
        value_heads: size("linear_num_value_heads", 32, MAX_SIZE)?,
        key_dim: size("linear_key_head_dim", 128, MAX_HEAD_DIM)?,
        value_dim: size("linear_value_head_dim", 128, MAX_HEAD_DIM)?,
        kernel: size("linear_conv_kernel_dim", 4, MAX_HEAD_DIM)?,
        inputs,
    };
    if delta.value_heads % delta.key_heads != 0 {
        bail!(
            "{path}: linear_num_value_heads, {}, is not a multiple of linear_num_key_heads, {}",
            delta.value_heads,
            delta.key_heads
        );
    }
    Ok(delta)
}

/// The token mixer of each layer: by `layer_types` if config.json has them, else attention in every fourth, or every
/// `full_attention_interval`-th.
fn mixers(config: &Config, layers: i64, linear: MixerSpec) -> anyhow::Result<Vec<MixerSpec>> {
    let Some(types) = config.strings("layer_types")? else {
        let every = config.count_or("full_attention_interval", 4)?;
        let mixer = |i| if (i + 1) % every == 0 { MixerSpec::Attention } else { linear };
        return Ok((0..layers).map(mixer).collect());
    };
    let path = config.path().display();
    if types.len() as i64 != layers {
        bail!("{path}: layer_types has {} entries, but num_hidden_layers is {layers}", types.len());
    }
    let mixer = |name| match name {
        "full_attention" => Ok(MixerSpec::Attention),
        "linear_attention" => Ok(linear),
        other => bail!(
            "{path}: layer type {other:?} is not supported; full_attention and linear_attention are"
        ),
    };
    types.into_iter().map(mixer).collect()
}

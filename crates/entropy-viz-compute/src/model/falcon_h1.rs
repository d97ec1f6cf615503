//! Falcon-H1 (`FalconH1ForCausalLM`): attention and Mamba 2 beside each other in every layer, and factors everywhere.

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::mixer_spec::{MambaNorm, MambaSpec, MixerSpec, ParallelScales};
use super::spec::{
    Architecture, Defaults, LayerNorms, MAX_HEAD_DIM, MAX_SIZE, MlpScales, Spec, activation,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "falcon_h1", read };

const NAMES: &[(&str, &str)] = &[
    ("model.final_layernorm", "model.norm"),
    ("feed_forward.gate_proj", "mlp.gate_proj"),
    ("feed_forward.up_proj", "mlp.up_proj"),
    ("feed_forward.down_proj", "mlp.down_proj"),
];

fn read(config: &Config) -> anyhow::Result<Spec> {
    let kv_heads = if config.is_null("num_key_value_heads") { None } else { Some(8) };
    let defaults =
        Defaults { epsilon: 1e-5, kv_heads, intermediate: Some(14_336), ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.renamed = NAMES;
    spec.layer_norms =
        LayerNorms { before_feed_forward: Some("pre_ff_layernorm"), ..LayerNorms::BEFORE };
    spec.mamba_activation = activation(config, "hidden_act")?;
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    // The factor of the keys is one of q·k.
    spec.attention.scale *= config.number_or("key_multiplier", 1.0)?;
    spec.mlp_bias = config.flag_or("mlp_bias", false)?;
    spec.mlp_scales =
        factors(config, "mlp_multipliers")?.map(|[gate, down]| MlpScales { gate, down });
    spec.embedding_scale = Some(config.number_or("embedding_multiplier", 1.0)?);
    spec.logits_divisor = Some(1.0 / config.number_or("lm_head_multiplier", 1.0)?);
    let scales = ParallelScales {
        attention_input: config.number_or("attention_in_multiplier", 1.0)?,
        attention_output: config.number_or("attention_out_multiplier", 1.0)?,
        mamba_input: config.number_or("ssm_in_multiplier", 1.0)?,
        mamba_output: config.number_or("ssm_out_multiplier", 1.0)?,
    };
    let mixer = MixerSpec::AttentionAndMamba2(mamba(config, spec.hidden)?, scales);
    spec.mixers = vec![mixer; spec.layers as usize];
    Ok(spec)
}

fn mamba(config: &Config, hidden: i64) -> anyhow::Result<MambaSpec> {
    let path = config.path().display();
    let size = |key: &str, default: i64, limit: i64| {
        let size = config.count_or(key, default)?;
        if size > limit {
            bail!("{path}: {key} is {size}, not from 1 to {limit}");
        }
        Ok(size)
    };
    let wide = match config.is_null("mamba_d_ssm") {
        true => size("mamba_expand", 2, MAX_HEAD_DIM)? * hidden,
        false => size("mamba_d_ssm", 1024, MAX_SIZE)?,
    };
    let heads = size("mamba_n_heads", 128, MAX_SIZE)?;
    let head_dim = match config.get("mamba_d_head") {
        None => wide / heads,
        Some(value) if value == "auto" => wide / heads,
        Some(_) => size("mamba_d_head", 1, MAX_HEAD_DIM)?,
    };
    let groups = size("mamba_n_groups", 1, MAX_SIZE)?;
    if heads * head_dim != wide || heads % groups != 0 {
        bail!(
            "{path}: {heads} heads of {head_dim} in {groups} groups (mamba_n_heads, mamba_d_head, mamba_n_groups) do not make up mamba_d_ssm, {wide}"
        );
    }
    let norm = match config.flag_or("mamba_rms_norm", false)? {
        false => MambaNorm::None,
        true if config.flag_or("mamba_norm_before_gate", true)? => MambaNorm::BeforeGate,
        true => MambaNorm::AfterGate,
    };
    let (min_step, max_step) = step_limits(config)?;
    Ok(MambaSpec {
        heads,
        head_dim,
        groups,
        state: size("mamba_d_state", 256, MAX_HEAD_DIM)?,
        kernel: size("mamba_d_conv", 4, MAX_HEAD_DIM)?,
        min_step,
        max_step,
        conv_bias: config.flag_or("mamba_conv_bias", true)?,
        input_bias: config.flag_or("mamba_proj_bias", false)?,
        output_bias: config.flag_or("projectors_bias", false)?,
        norm,
        input_scales: factors(config, "ssm_multipliers")?,
    })
}

/// A list of factors, unless the key is missing.
fn factors<const N: usize>(config: &Config, key: &str) -> anyhow::Result<Option<[f64; N]>> {
    if config.get(key).is_none() {
        return Ok(None);
    }
    let factors = config.numbers(key)?;
    let count = factors.len();
    match factors.try_into() {
        Ok(factors) => Ok(Some(factors)),
        Err(_) => bail!("{}: {key} has {count} numbers, expected {N}", config.path().display()),
    }
}

/// `time_step_limit`, a list of two numbers. Infinity is an object in transformers 5, and null as `Config` reads it from others.
fn step_limits(config: &Config) -> anyhow::Result<(f64, f64)> {
    let Some(limits) = config.get("time_step_limit") else { return Ok((0.0, f64::INFINITY)) };
    let high = |value: &Value| match value {
        Value::Null => Some(f64::INFINITY),
        Value::Object(infinity) if infinity.get("__float__") == Some(&"Infinity".into()) => {
            Some(f64::INFINITY)
        }
        value => value.as_f64(),
    };
    let limits_of = |list: &Vec<Value>| match &list[..] {
        [low, above] => Some((low.as_f64()?, high(above)?)),
        _ => None,
    };
    limits.as_array().and_then(limits_of).ok_or_else(|| {
        anyhow!(
            "{}: time_step_limit is {limits}, not a list of two numbers",
            config.path().display()
        )
    })
}

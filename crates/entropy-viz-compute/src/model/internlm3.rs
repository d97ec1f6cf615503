//! InternLM3 (loaded as `LlamaForCausalLM`): Llama with other names of the biases' flags.

use anyhow::bail;

use super::spec::{Architecture, Defaults, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "internlm3", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let defaults = Defaults { head_dim: Some(128), epsilon: 1e-5, ..Defaults::LLAMA };
    let mut spec = Spec::llama_like(config, defaults)?;
    let either = |old: &str, new: &str| match config.get(old) {
        Some(_) => config.flag_or(old, false),
        None => config.flag_or(new, false),
    };
    let (qkv, other) = (either("qkv_bias", "attention_bias")?, either("bias", "mlp_bias")?);
    if qkv != other {
        bail!("{}: qkv_bias differs from bias, which is not supported", config.path().display());
    }
    spec.attention.bias = qkv;
    spec.attention.output_bias = qkv;
    spec.mlp_bias = qkv;
    Ok(spec)
}

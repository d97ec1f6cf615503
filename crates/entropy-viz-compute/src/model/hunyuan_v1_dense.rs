//! Hunyuan, dense (`HunYuanDenseV1ForCausalLM`): Llama with norms of the heads of q and k after the rotary embedding, whose
//! base may be stretched by a fixed alpha.

use super::spec::{Architecture, AttentionNames, Defaults, QkNorm, Spec};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "hunyuan_v1_dense", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    let mut spec = Spec::llama_like(config, Defaults { epsilon: 1e-5, ..Defaults::LLAMA })?;
    spec.attention.bias = config.flag_or("attention_bias", false)?;
    spec.attention.output_bias = spec.attention.bias;
    spec.attention.qk_norm = Some(QkNorm::RotatedHead);
    spec.attention.names = AttentionNames {
        q_norm: "query_layernorm",
        k_norm: "key_layernorm",
        ..AttentionNames::LLAMA
    };
    Ok(spec)
}

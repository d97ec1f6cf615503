//! Gemma 3's text models (`Gemma3ForCausalLM`): Gemma 2 without soft caps, norms of the heads of q and k, five layers with
//! a sliding window and a rotary embedding of their own to one without.

use super::gemma2::{self, DEFAULTS, hidden_activation};
use super::rope::LayerRope;
use super::spec::{Architecture, LayerNorms, NormKind, QkNorm, Spec, windows};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma3_text", read };

fn read(config: &Config) -> anyhow::Result<Spec> {
    config.refuse("use_bidirectional_attention", |value| value == false)?;
    // transformers reads it, but does not use it.
    config.refuse("attn_logit_softcapping", |_| false)?;
    let global = LayerRope::full(1_000_000.0);
    let local = LayerRope::sliding(Some("rope_local_base_freq"), 10_000.0);
    let mut spec = Spec::with_layer_ropes(config, DEFAULTS, global, local)?;
    spec.embedding_scale = Some((spec.hidden as f64).sqrt());
    spec.norm = NormKind::UnitOffset;
    spec.layer_norms = LayerNorms::AROUND;
    spec.activation = hidden_activation(config)?;
    spec.softcap = gemma2::cap(config, "final_logit_softcapping", None)?;
    let pattern = config.count_or("sliding_window_pattern", 6)?;
    let attention = &mut spec.attention;
    attention.scale = config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5);
    attention.qk_norm = Some(QkNorm::Head);
    attention.bias = config.flag_or("attention_bias", false)?;
    attention.output_bias = attention.bias;
    attention.windows =
        windows(config, spec.layers, config.window_or(4096)?, |layer| (layer + 1) % pattern != 0)?;
    attention.rotate_by_window();
    Ok(spec)
}

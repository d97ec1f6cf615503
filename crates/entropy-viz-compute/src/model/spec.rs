//! The differences between decoder architectures, read from config.json.

use anyhow::bail;

use super::rope::Rope;
use crate::checkpoint::config::Config;

/// A `model_type` of config.json and the function that reads its other settings.
pub(super) struct Architecture {
    pub(super) model_type: &'static str,
    pub(super) read: fn(&Config) -> anyhow::Result<Spec>,
}

/// The settings of a decoder: sizes, and the variants of its layers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    pub(crate) hidden: i64,
    pub(crate) layers: i64,
    pub(crate) vocabulary: i64,
    /// Maximum sequence length (`max_position_embeddings`), in tokens.
    pub(crate) context: i64,
    /// Whether the head shares the weights of the embedding.
    pub(crate) tie_word_embeddings: bool,
    /// Factor of the embeddings.
    pub(crate) embedding_scale: Option<f64>,
    /// Logit soft cap: logits l become cap·tanh(l / cap).
    pub(crate) softcap: Option<f64>,
    pub(crate) epsilon: f64,
    pub(crate) norm: NormKind,
    /// Additional norms after attention and feed-forward, as in Gemma 2.
    pub(crate) post_norms: bool,
    pub(crate) activation: Activation,
    pub(crate) attention: AttentionSpec,
    /// Width of the MLP.
    pub(crate) intermediate: i64,
    /// Whether gate and up are stored as one tensor.
    pub(crate) fused_gate_up: bool,
    pub(crate) mlp_bias: bool,
    /// Mixture of experts in some or all layers.
    pub(crate) experts: Option<ExpertSpec>,
}

/// The attention settings of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: i64,
    pub(crate) kv_heads: i64,
    pub(crate) head_dim: i64,
    pub(crate) rope: Rope,
    /// Factor of q·k.
    pub(crate) scale: f64,
    /// Attention soft cap: scores s become cap·tanh(s / cap).
    pub(crate) softcap: Option<f64>,
    /// Whether q, k and v have biases.
    pub(crate) bias: bool,
    pub(crate) output_bias: bool,
    /// Whether q, k and v are stored as one tensor.
    pub(crate) fused_qkv: bool,
    /// RMS norms of the heads of q and k, as in Qwen3.
    pub(crate) qk_norm: bool,
    /// Sliding window per layer, in tokens including the current one; `None` for full attention.
    pub(crate) windows: Vec<Option<i64>>,
}

/// The settings of a mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpertSpec {
    pub(crate) count: i64,
    pub(crate) experts_per_token: i64,
    pub(crate) intermediate: i64,
    /// Whether the router weights of the selected experts are scaled to sum to 1.
    pub(crate) norm_topk_prob: bool,
    /// Which layers have experts instead of an MLP.
    pub(crate) layers: Vec<bool>,
}

/// Maximum number of layers; a config.json with a larger `num_hidden_layers` is rejected as broken.
const MAX_LAYERS: i64 = 10_000;
/// Maximum of the other sizes, so that no product of two of them overflows. They are compared with the weights later.
const MAX_SIZE: i64 = 1 << 30;
/// Maximum dimension of a head: the rotary frequencies are computed before the weights are opened.
const MAX_HEAD_DIM: i64 = 1 << 16;

impl Spec {
    /// The settings of Llama, which other architectures modify: full attention, no biases, RMS norm, SiLU.
    /// `head_dim` is the default if config.json has none; without it, it is `hidden_size` / heads.
    pub(super) fn llama_like(config: &Config, head_dim: Option<i64>) -> anyhow::Result<Spec> {
        let hidden = config.count("hidden_size")?;
        let layers = config.count("num_hidden_layers")?;
        if layers > MAX_LAYERS {
            bail!("{}: num_hidden_layers is {layers}", config.path().display());
        }
        let heads = config.count("num_attention_heads")?;
        let kv_heads = config.count_or("num_key_value_heads", heads)?;
        let head_dim = config.count_or("head_dim", head_dim.unwrap_or(hidden / heads))?;
        let vocabulary = config.count("vocab_size")?;
        let intermediate = config.count("intermediate_size")?;
        for (key, size, limit) in [
            ("hidden_size", hidden, MAX_SIZE),
            ("num_attention_heads", heads, MAX_SIZE),
            ("num_key_value_heads", kv_heads, MAX_SIZE),
            ("head_dim", head_dim, MAX_HEAD_DIM),
            ("vocab_size", vocabulary, MAX_SIZE),
            ("intermediate_size", intermediate, MAX_SIZE),
        ] {
            if !(1..=limit).contains(&size) {
                bail!("{}: {key} is {size}, not from 1 to {limit}", config.path().display());
            }
        }
        if heads % kv_heads != 0 {
            bail!(
                "{}: {heads} attention heads are not a multiple of {kv_heads} key-value heads",
                config.path().display()
            );
        }
        Ok(Spec {
            hidden,
            layers,
            vocabulary,
            context: config.count("max_position_embeddings")?,
            tie_word_embeddings: config.flag_or("tie_word_embeddings", false)?,
            embedding_scale: None,
            softcap: None,
            epsilon: config.number_or("rms_norm_eps", 1e-6)?,
            norm: NormKind::Plain,
            post_norms: false,
            activation: activation(config, "hidden_act")?,
            attention: AttentionSpec {
                heads,
                kv_heads,
                head_dim,
                rope: Rope::read(config, head_dim)?,
                scale: (head_dim as f64).powf(-0.5),
                softcap: None,
                bias: false,
                output_bias: false,
                fused_qkv: false,
                qk_norm: false,
                windows: vec![None; layers as usize],
            },
            intermediate,
            fused_gate_up: false,
            mlp_bias: false,
            experts: None,
        })
    }
}

/// The activation function under `key` of config.json.
pub(super) fn activation(config: &Config, key: &str) -> anyhow::Result<Activation> {
    let name = if config.get(key).is_none() { "silu" } else { config.string(key)? };
    Ok(match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        other => bail!(
            "{}: {key} {other:?} is not supported; silu, gelu and gelu_pytorch_tanh are",
            config.path().display()
        ),
    })
}

/// The sliding window of each layer: by `layer_types` if config.json has them, else `window` in the layers for
/// which `default` returns true.
pub(super) fn windows(
    config: &Config,
    layers: i64,
    window: Option<i64>,
    default: impl Fn(i64) -> bool,
) -> anyhow::Result<Vec<Option<i64>>> {
    let Some(types) = config.strings("layer_types")? else {
        return Ok((0..layers).map(|i| window.filter(|_| default(i))).collect());
    };
    let path = config.path().display();
    if types.len() as i64 != layers {
        bail!("{path}: layer_types has {} entries, but num_hidden_layers is {layers}", types.len());
    }
    let of_type = |name: &str| match (name, window) {
        ("full_attention", _) => Ok(None),
        ("sliding_attention", Some(window)) => Ok(Some(window)),
        ("sliding_attention", None) => {
            bail!("{path}: layer_types has sliding_attention, but sliding_window is not set")
        }
        (other, _) => bail!("{path}: layer type {other:?} is not supported"),
    };
    types.into_iter().map(of_type).collect()
}

/// How a norm's stored weight w gives its factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NormKind {
    /// The factor is w.
    Plain,
    /// The factor is 1 + w, as in Gemma.
    UnitOffset,
}

/// The activation function of the MLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
}

//! The settings of attention.

use anyhow::bail;

use super::names::AttentionNames;
use super::rope::Rope;
use super::shared_kv::KvSource;
use crate::checkpoint::config::Config;

/// The attention settings of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: i64,
    pub(crate) kv_heads: i64,
    /// Width of a query and a key of a head.
    pub(crate) head_dim: i64,
    /// Width of a value of a head.
    pub(crate) value_dim: i64,
    /// Keys and values are computed from a latent vector.
    pub(crate) latent: Option<LatentSpec>,
    pub(crate) rope: Rope,
    /// Another rotary embedding, of layers with [`Rotation::Local`].
    pub(crate) local_rope: Option<Rope>,
    /// The rotation of each layer.
    pub(crate) rotations: Vec<Rotation>,
    pub(crate) rope_pairs: RopePairs,
    /// Factor of q·k.
    pub(crate) scale: f64,
    /// Attention soft cap: scores s become cap·tanh(s / cap).
    pub(crate) softcap: Option<f64>,
    /// The tensor, in the module of attention, of one score per head that each query has besides those of the keys: it takes a
    /// share of the softmax and adds nothing to the result.
    pub(crate) sinks: Option<&'static str>,
    /// Whether q, k and v have biases.
    pub(crate) bias: bool,
    pub(crate) output_bias: bool,
    /// Whether `q_proj` also makes a gate of the output, as in Qwen3-Next.
    pub(crate) output_gate: bool,
    /// Whether q, k and v are stored as one tensor.
    pub(crate) fused_qkv: bool,
    /// Norms of q and k.
    pub(crate) qk_norm: Option<QkNorm>,
    /// Where keys and values come from.
    pub(crate) kv: KvSource,
    /// The index of this layer, if later layers take its keys and values.
    pub(crate) given: Option<i64>,
    pub(crate) names: AttentionNames,
    /// Window per layer, in tokens; `None` for full attention.
    pub(crate) windows: Vec<Option<i64>>,
    pub(crate) window_kind: WindowKind,
}

/// The sizes of latent attention.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LatentSpec {
    /// Width of the vector from which queries are computed; `None` if they are computed directly.
    pub(crate) query_rank: Option<i64>,
    /// Width of the latent, from which keys and values are computed.
    pub(crate) rank: i64,
    /// Numbers of a key that are of its head and not rotated.
    pub(crate) plain: i64,
    /// Numbers of a key that are rotated, the same for all heads.
    pub(crate) rotary: i64,
    /// Whether the modules that make the short vectors have biases.
    pub(crate) bias: bool,
}

/// Which tokens a layer with a window attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowKind {
    /// The last ones, including the current one.
    Sliding,
    /// Those since the last position that is a multiple of the window, as in Llama 4.
    Chunk,
}

/// What a norm of q and k normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QkNorm {
    /// Each head, as in Qwen3.
    Head,
    /// Each head after the rotary embedding, as in Hunyuan.
    RotatedHead,
    /// Each head after the rotary embedding, without weights, in layers that have one, as in Llama 4.
    RotatedWithoutWeights,
    /// Each head with weights of its own, as in Cohere.
    EachHead,
    /// All heads together, as in OLMo 2.
    Width,
}

/// The rotary embedding of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    None,
    Main,
    /// That of [`AttentionSpec::local_rope`].
    Local,
}

/// Which numbers of a head a rotary embedding rotates together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RopePairs {
    /// One of the first half and one of the second half.
    Halves,
    /// Neighbours, as in GLM.
    Neighbours,
}

impl AttentionSpec {
    /// Gives layers with a sliding window the local rotary embedding.
    pub(super) fn rotate_by_window(&mut self) {
        let rotation = |window: &Option<i64>| match window {
            Some(_) => Rotation::Local,
            None => Rotation::Main,
        };
        self.rotations = self.windows.iter().map(rotation).collect();
    }

    /// Whether the rotary angles of all positions change when a sequence grows to `length` tokens: its cached keys are
    /// then invalid.
    pub(crate) fn angles_change_at(&self, length: i64) -> bool {
        self.rope.changes_at(length)
            || self.local_rope.as_ref().is_some_and(|rope| rope.changes_at(length))
    }
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

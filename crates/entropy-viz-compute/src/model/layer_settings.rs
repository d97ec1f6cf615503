//! What differs between the layers of a decoder besides their windows, rotations and mixers, and what only single layers take.

use super::shared_kv::KvSource;

/// The settings of one layer that replace those of all layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LayerSettings {
    pub(crate) kv_heads: i64,
    /// Width of a query, key or value of a head.
    pub(crate) head_dim: i64,
    pub(crate) kv: KvSource,
    /// Width of the MLP.
    pub(crate) intermediate: i64,
    /// The cutoff of the gates of the MLP, in standard deviations above their mean.
    pub(crate) gate_cutoff: Option<f64>,
}

/// The sizes of the inputs of single layers, as in Gemma 3n and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PerLayerSpec {
    /// Width of a layer's vector of a token.
    pub(crate) width: i64,
    /// Tokens that have vectors. Those behind them have that of token 0.
    pub(crate) vocabulary: i64,
}

/// The sizes of alternating updates, as in Gemma 3n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AltUpSpec {
    /// Hidden states of a token.
    pub(crate) states: i64,
    /// The index of the state that attention and feed-forward take.
    pub(crate) active: i64,
    pub(crate) scale: AltUpScale,
    /// Rank of the path beside attention.
    pub(crate) laurel_rank: i64,
}

/// Factors of the active state before it meets the layer's own input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AltUpScale {
    None,
    /// Those of the checkpoint.
    Stored,
}

//! What differs between the layers of a decoder besides their windows, rotations and mixers, and what only single layers take.

use super::shared_kv::KvSource;

/// The settings of one layer that replace those of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerSettings {
    pub(crate) kv_heads: i64,
    /// Width of a query, key or value of a head.
    pub(crate) head_dim: i64,
    pub(crate) kv: KvSource,
    /// Width of the MLP.
    pub(crate) intermediate: i64,
}

/// The sizes of the inputs of single layers, as in Gemma 3n and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PerLayerSpec {
    /// Width of a layer's vector of a token.
    pub(crate) width: i64,
    /// Tokens that have vectors, at least as many as the vocabulary has.
    pub(crate) vocabulary: i64,
}

//! The cache of attention.

use tch::{TchError, Tensor};

use super::attention_spec::AttentionSpec;
use crate::checkpoint::weights::TensorOptions;

/// Keys and values of one layer, each slots × capacity × kv heads × their dimension.
pub(super) struct LayerKv {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

impl LayerKv {
    pub(super) fn new(
        slots: i64,
        capacity: i64,
        spec: &AttentionSpec,
        options: TensorOptions,
    ) -> Result<LayerKv, TchError> {
        // Initialised with zeros: a NaN in uninitialised memory would survive masking.
        let empty = |width: i64| {
            Tensor::f_zeros([slots, capacity, spec.kv_heads, width], (options.kind, options.device))
        };
        Ok(LayerKv { keys: empty(spec.head_dim)?, values: empty(spec.value_dim)? })
    }

    /// Keeps only these slots, in this order.
    pub(super) fn retain(&mut self, slots: &Tensor) -> Result<(), TchError> {
        let slots = slots.f_to_device(self.keys.device())?;
        self.keys = self.keys.f_index_select(0, &slots)?;
        self.values = self.values.f_index_select(0, &slots)?;
        Ok(())
    }

    /// Keys and values.
    #[cfg(test)]
    pub(super) fn tensors(&self) -> [&Tensor; 2] {
        [&self.keys, &self.values]
    }

    /// Numbers of one layer per token.
    pub(super) fn numbers_per_token(spec: &AttentionSpec) -> i64 {
        spec.kv_heads * (spec.head_dim + spec.value_dim)
    }
}

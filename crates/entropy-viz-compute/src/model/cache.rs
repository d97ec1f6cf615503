//! What a decoder keeps of the tokens so far: keys and values of attention, which grow with each token, and the states of
//! recurrent mixers, which do not.

use tch::{TchError, Tensor};

use super::attention::LayerKv;
use super::mixer_spec::MixerSpec;
use super::recurrent::{self, RecurrentState};
use super::spec::Spec;
use crate::checkpoint::weights::TensorOptions;

/// The cache of all layers. Each sequence has a slot in it.
pub(crate) struct KvCache {
    pub(super) layers: Vec<LayerCache>,
    /// Maximum tokens per sequence.
    pub(crate) capacity: i64,
}

/// The cache of one layer.
pub(super) enum LayerCache {
    KeysAndValues(LayerKv),
    State(RecurrentState),
}

/// What a sequence takes in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheBytes {
    pub(crate) per_token: usize,
    /// Besides, whatever the length.
    pub(crate) per_sequence: usize,
}

impl CacheBytes {
    pub(super) fn of(spec: &Spec, options: TensorOptions) -> CacheBytes {
        let kv = LayerKv::numbers_per_token(&spec.attention) as usize;
        let attention = spec.mixers.iter().filter(|mixer| **mixer == MixerSpec::Attention).count();
        let states = spec.mixers.iter().filter_map(|mixer| mixer.state_shape());
        CacheBytes {
            per_token: attention * kv * options.kind.elt_size_in_bytes(),
            per_sequence: states.map(|shape| recurrent::bytes(shape, options.kind)).sum(),
        }
    }

    /// The bytes of a sequence with room for `tokens` tokens.
    pub(crate) fn of_sequence(self, tokens: usize) -> usize {
        self.per_token * tokens + self.per_sequence
    }
}

impl KvCache {
    pub(super) fn new(
        spec: &Spec,
        slots: i64,
        capacity: i64,
        options: TensorOptions,
    ) -> Result<KvCache, TchError> {
        let layer = |mixer: &MixerSpec| match mixer.state_shape() {
            None => LayerKv::new(slots, capacity, &spec.attention, options)
                .map(LayerCache::KeysAndValues),
            Some(shape) => RecurrentState::new(slots, shape, options).map(LayerCache::State),
        };
        let layers = spec.mixers.iter().map(layer).collect::<Result<_, _>>()?;
        Ok(KvCache { layers, capacity })
    }

    /// Keeps only these slots, in this order.
    pub(crate) fn retain_slots(&mut self, slots: &[i64]) -> Result<(), TchError> {
        let slots = Tensor::f_from_slice(slots)?;
        for layer in &mut self.layers {
            match layer {
                LayerCache::KeysAndValues(kv) => kv.retain(&slots)?,
                LayerCache::State(state) => state.retain(&slots)?,
            }
        }
        Ok(())
    }
}

impl LayerCache {
    pub(super) fn keys_and_values(&mut self) -> &mut LayerKv {
        match self {
            LayerCache::KeysAndValues(kv) => kv,
            LayerCache::State(_) => unreachable!("BUG: the cache of another mixer"),
        }
    }

    pub(super) fn state(&mut self) -> &mut RecurrentState {
        match self {
            LayerCache::State(state) => state,
            LayerCache::KeysAndValues(_) => unreachable!("BUG: the cache of another mixer"),
        }
    }
}

//! What a decoder keeps of the tokens so far: keys and values of attention, which grow with each token, and the states of
//! recurrent mixers, which do not.

use tch::{TchError, Tensor};

use super::layer_kv::LayerKv;
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
    Both(LayerKv, RecurrentState),
    Nothing,
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
        let with_kv = (0..spec.layers).filter(|layer| spec.keeps_kv(*layer));
        let numbers = with_kv.map(|i| LayerKv::numbers_per_token(&spec.of_layer(i).attention));
        let numbers = numbers.sum::<i64>() as usize;
        let states = spec.mixers.iter().filter_map(|mixer| mixer.state_shape());
        CacheBytes {
            per_token: numbers * options.kind.elt_size_in_bytes(),
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
        let layer = |(i, mixer): (usize, &MixerSpec)| -> Result<LayerCache, TchError> {
            let i = i as i64;
            let kv = || LayerKv::new(slots, capacity, &spec.of_layer(i).attention, options);
            Ok(match (spec.keeps_kv(i), mixer.state_shape()) {
                (true, None) => LayerCache::KeysAndValues(kv()?),
                (true, Some(shape)) => {
                    LayerCache::Both(kv()?, RecurrentState::new(slots, shape, options)?)
                }
                (false, Some(shape)) => {
                    LayerCache::State(RecurrentState::new(slots, shape, options)?)
                }
                (false, None) => LayerCache::Nothing,
            })
        };
        let layers = spec.mixers.iter().enumerate().map(layer).collect::<Result<_, _>>()?;
        Ok(KvCache { layers, capacity })
    }

    /// Keeps only these slots, in this order.
    pub(crate) fn retain_slots(&mut self, slots: &[i64]) -> Result<(), TchError> {
        let slots = Tensor::f_from_slice(slots)?;
        for layer in &mut self.layers {
            match layer {
                LayerCache::KeysAndValues(kv) => kv.retain(&slots)?,
                LayerCache::State(state) => state.retain(&slots)?,
                LayerCache::Both(kv, state) => {
                    kv.retain(&slots)?;
                    state.retain(&slots)?;
                }
                LayerCache::Nothing => {}
            }
        }
        Ok(())
    }
}

impl LayerCache {
    pub(super) fn keys_and_values(&mut self) -> &mut LayerKv {
        match self {
            LayerCache::KeysAndValues(kv) | LayerCache::Both(kv, _) => kv,
            LayerCache::State(_) | LayerCache::Nothing => {
                unreachable!("BUG: the cache of another mixer")
            }
        }
    }

    pub(super) fn both(&mut self) -> (&mut LayerKv, &mut RecurrentState) {
        match self {
            LayerCache::Both(kv, state) => (kv, state),
            _ => unreachable!("BUG: the cache of another mixer"),
        }
    }

    pub(super) fn state(&mut self) -> &mut RecurrentState {
        match self {
            LayerCache::State(state) | LayerCache::Both(_, state) => state,
            LayerCache::KeysAndValues(_) | LayerCache::Nothing => {
                unreachable!("BUG: the cache of another mixer")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tch::{Device, Kind};

    use super::*;
    use crate::checkpoint::config::Config;

    #[test]
    fn bytes_are_those_of_the_tensors() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/compute");
        let states = 2 * (4 * 8 * 6 * 4 + 3 * 56 * 2); // of two layers
        for (name, per_sequence) in
            [("qwen2", 0), ("gemma4_text", 0), ("nemotron_h", states), ("qwen3_next", states)]
        {
            let spec = super::super::spec(&Config::read(&fixtures.join(name)).unwrap()).unwrap();
            let options = TensorOptions { device: Device::Cpu, kind: Kind::BFloat16 };
            let bytes = CacheBytes::of(&spec, options);
            assert_eq!(bytes.per_sequence, per_sequence, "{name}");
            let size = |x: &Tensor| x.numel() * x.kind().elt_size_in_bytes();
            let of_kv = |kv: &LayerKv| kv.tensors().map(size).iter().sum::<usize>();
            let of_state = |state: &RecurrentState| size(&state.state) + size(&state.tail);
            let layer = |layer: &LayerCache| match layer {
                LayerCache::KeysAndValues(kv) => of_kv(kv),
                LayerCache::State(state) => of_state(state),
                LayerCache::Both(kv, state) => of_kv(kv) + of_state(state),
                LayerCache::Nothing => 0,
            };
            let cache = KvCache::new(&spec, 3, 50, options).unwrap();
            let all: usize = cache.layers.iter().map(layer).sum();
            assert_eq!(all, 3 * bytes.of_sequence(50), "{name}");
        }
    }
}

//! Keys and values that layers take from earlier ones, as in Gemma 3n and 4.
//!
//! While packed sequences are scored, those that are needed later are kept here. In sampling, a layer reads the cache of the
//! layer that it takes them from.

use std::collections::BTreeMap;

use anyhow::bail;
use tch::Tensor;

/// Where the keys and values of a layer come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KvSource {
    /// Its own modules, as in Llama.
    Own,
    /// Its own modules; values have a norm without weights.
    OwnNormed,
    /// `k_proj` makes both: its output has one norm as keys and another, without weights, as values.
    OneModule,
    /// The layer with this index.
    Layer(i64),
}

/// Which layer's keys and values the last `count` layers take: of the layers before them, the last one of their kind.
/// Layers of a kind have equal `kinds`. `None` for a layer that makes its own.
///
/// # Errors
/// If there is a kind of which no layer makes keys and values.
pub(super) fn givers<Kind: PartialEq>(
    kinds: &[Kind],
    count: usize,
) -> anyhow::Result<Vec<Option<i64>>> {
    let own = kinds.len().saturating_sub(count);
    let giver = |kind: &Kind| kinds[..own].iter().rposition(|other| other == kind);
    // transformers demands this of kinds that no later layer has, too.
    if count > 0 && kinds.iter().any(|kind| giver(kind).is_none()) {
        bail!(
            "the last {count} of {} layers take keys and values from earlier ones, but no earlier layer has their type",
            kinds.len()
        );
    }
    let of_layer = |(i, kind)| if i < own { None } else { giver(kind).map(|giver| giver as i64) };
    Ok(kinds.iter().enumerate().map(of_layer).collect())
}

/// Keys and values of all packed tokens, each tokens × heads × dimension, by the index of the layer that made them.
#[derive(Default)]
pub(super) struct SharedKv(BTreeMap<i64, (Tensor, Tensor)>);

impl SharedKv {
    pub(super) fn keep(&mut self, layer: i64, keys: &Tensor, values: &Tensor) {
        self.0.insert(layer, (keys.shallow_clone(), values.shallow_clone()));
    }

    pub(super) fn of_layer(&self, layer: i64) -> (Tensor, Tensor) {
        let (keys, values) = self.0.get(&layer).expect("BUG: a layer takes keys that are not kept");
        (keys.shallow_clone(), values.shallow_clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_take_keys_from_the_last_earlier_layer_of_their_kind() {
        let kinds = ["sliding", "full", "sliding", "sliding", "full", "sliding", "full"];
        let expected = [None, None, None, None, Some(1), Some(3), Some(1)];
        assert_eq!(givers(&kinds, 3).unwrap(), expected);
        assert_eq!(givers(&kinds, 0).unwrap(), [None; 7]);
        assert!(givers(&kinds, 6).is_err());
        assert!(givers(&kinds, 7).is_err());
        assert!(givers(&kinds, 8).is_err());
    }
}

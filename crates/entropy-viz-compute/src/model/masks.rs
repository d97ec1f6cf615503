//! Masks of attention: for blocks of queries of a sequence, and for one new token per sequence.

use std::collections::BTreeMap;

use tch::{Device, Kind, TchError, Tensor};

use super::attention_spec::WindowKind;
use crate::checkpoint::weights::TensorOptions;

/// Additive masks, shared by all layers: 0 where a query attends to a key, −∞ elsewhere.
#[derive(Default)]
pub(super) struct MaskCache(BTreeMap<(i64, i64, i64), Tensor>);

impl MaskCache {
    /// The mask of `count` queries from `first` on, and of the keys from `first_key` to the last query.
    pub(super) fn get(
        &mut self,
        first: i64,
        count: i64,
        first_key: i64,
        window: i64,
        like: &Tensor,
    ) -> Result<Tensor, TchError> {
        // Only their distance counts, so that blocks can share a mask.
        let first = first - first_key;
        let key = (first, count, window);
        if let Some(mask) = self.0.get(&key) {
            return Ok(mask.shallow_clone());
        }
        let options = (Kind::Int64, like.device());
        let queries = Tensor::f_arange_start(first, first + count, options)?.f_unsqueeze(1)?;
        let keys = Tensor::f_arange(first + count, options)?.f_unsqueeze(0)?;
        let behind = queries.f_sub(&keys)?;
        let hidden = behind.f_lt(0)?.f_logical_or(&behind.f_ge(window)?)?;
        let mask = hidden
            .f_zeros_like()?
            .f_to_kind(like.kind())?
            .f_masked_fill(&hidden, f64::NEG_INFINITY)?;
        self.0.insert(key, mask.shallow_clone());
        Ok(mask)
    }
}

/// The positions of the sequences in one decoding step, and the masks that follow from them.
pub(super) struct DecodeStep {
    /// The index of each new token in the cache, viewed as (slots · capacity) × ….
    pub(super) cache_rows: Tensor,
    /// Length of the longest sequence, with the new token.
    pub(super) longest: i64,
    positions: Vec<i64>,
    options: TensorOptions,
    masks: BTreeMap<Option<i64>, Tensor>,
}

impl DecodeStep {
    pub(super) fn new(
        positions: &[i64],
        capacity: i64,
        options: TensorOptions,
    ) -> Result<DecodeStep, TchError> {
        let cache_rows: Vec<i64> =
            positions.iter().enumerate().map(|(slot, at)| slot as i64 * capacity + at).collect();
        Ok(DecodeStep {
            cache_rows: Tensor::f_from_slice(&cache_rows)?.f_to_device(options.device)?,
            longest: positions.iter().max().map_or(0, |at| at + 1),
            positions: positions.to_owned(),
            options,
            masks: BTreeMap::new(),
        })
    }

    /// The additive mask of the new tokens, slots × 1 × 1 × longest: 0 where one attends to a key, −∞ elsewhere.
    pub(super) fn mask(
        &mut self,
        window: Option<i64>,
        kind: WindowKind,
    ) -> Result<Tensor, TchError> {
        if let Some(mask) = self.masks.get(&window) {
            return Ok(mask.shallow_clone());
        }
        let at = Tensor::f_from_slice(&self.positions)?.f_unsqueeze(1)?;
        let behind =
            at.f_sub(&Tensor::f_arange(self.longest, (Kind::Int64, Device::Cpu))?.f_unsqueeze(0)?)?;
        let hidden = behind.f_lt(0)?;
        let hidden = match (window, kind) {
            (None, _) => hidden,
            (Some(window), WindowKind::Sliding) => hidden.f_logical_or(&behind.f_ge(window)?)?,
            (Some(chunk), WindowKind::Chunk) => {
                hidden.f_logical_or(&behind.f_gt_tensor(&at.f_remainder(chunk)?)?)?
            }
        };
        let mask = hidden
            .f_zeros_like()?
            .f_to_kind(Kind::Float)?
            .f_masked_fill(&hidden, f64::NEG_INFINITY)?;
        let mask = mask
            .f_to_kind(self.options.kind)?
            .f_to_device(self.options.device)?
            .f_unsqueeze(1)?
            .f_unsqueeze(1)?;
        self.masks.insert(window, mask.shallow_clone());
        Ok(mask)
    }
}

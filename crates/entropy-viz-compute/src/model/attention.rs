//! Grouped-query attention, over packed sequences and, token by token, over a cache.
//!
//! Neighbours of one length go through one causal call without a mask, which is what the fast kernels
//! take. A sliding window or a soft cap needs its scores masked: then queries go in blocks, so that
//! memory does not grow with the square of the length.

use std::collections::BTreeMap;

use tch::{Device, Kind, TchError, Tensor};

use super::Packed;
use super::decoder::{AttentionSpec, Spec};
use super::layer::{Linear, Norm, precise};
use super::rope::Table;
use crate::checkpoint::weights::{Place, Weights};

/// Numbers in the scores of one block of queries, where scores are made at all: 128 MiB.
const MOST_SCORES: i64 = 1 << 25;

/// The attention of one layer.
pub(super) struct Attention {
    qkv: Linear,
    output: Linear,
    norms: Option<(Norm, Norm)>, // of q and k
    spec: AttentionSpec,
}

/// Masks of queries against keys, made once for all layers: 0 where a key is seen, −∞ elsewhere.
#[derive(Default)]
pub(super) struct Masks(BTreeMap<(i64, i64, i64, i64), Tensor>);

impl Masks {
    /// Queries from `first` on, keys from `first_key` to the last query.
    fn get(
        &mut self,
        first: i64,
        count: i64,
        first_key: i64,
        window: i64,
        like: &Tensor,
    ) -> Result<Tensor, TchError> {
        let key = (first, count, first_key, window);
        if let Some(mask) = self.0.get(&key) {
            return Ok(mask.shallow_clone());
        }
        let options = (Kind::Int64, like.device());
        let queries = Tensor::f_arange_start(first, first + count, options)?.f_unsqueeze(1)?;
        let keys = Tensor::f_arange_start(first_key, first + count, options)?.f_unsqueeze(0)?;
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

/// Keys and values of what was generated so far.
pub(crate) struct Cache {
    pub(super) layers: Vec<Kept>,
    /// Tokens that each sequence has room for.
    pub(crate) capacity: i64,
}

/// Of one layer: slots × capacity × heads × head size.
pub(super) struct Kept {
    keys: Tensor,
    values: Tensor,
}

impl Cache {
    pub(super) fn new(
        layers: i64,
        slots: i64,
        capacity: i64,
        spec: &AttentionSpec,
        place: Place,
    ) -> Result<Cache, TchError> {
        let shape = [slots, capacity, spec.kv_heads, spec.head_dim];
        // Zeros, not whatever was there: a masked NaN is still a NaN.
        let empty = || Tensor::f_zeros(shape, (place.kind, place.device));
        let layers = (0..layers).map(|_| Ok(Kept { keys: empty()?, values: empty()? }));
        Ok(Cache { layers: layers.collect::<Result<_, TchError>>()?, capacity })
    }

    /// Keeps only these rows, in this order.
    pub(crate) fn keep(&mut self, slots: &[i64]) -> Result<(), TchError> {
        let Some(device) = self.layers.first().map(|kept| kept.keys.device()) else {
            return Ok(());
        };
        let slots = Tensor::f_from_slice(slots)?.f_to_device(device)?;
        for kept in &mut self.layers {
            kept.keys = kept.keys.f_index_select(0, &slots)?;
            kept.values = kept.values.f_index_select(0, &slots)?;
        }
        Ok(())
    }
}

/// Where the sequences of one decoding step stand.
pub(super) struct Step {
    places: Tensor, // of the new tokens in the cache, slots and capacity as one dimension
    longest: i64,
    positions: Vec<i64>,
    place: Place,
    masks: BTreeMap<Option<i64>, Tensor>,
}

impl Step {
    pub(super) fn new(positions: &[i64], capacity: i64, place: Place) -> Result<Step, TchError> {
        let places: Vec<i64> =
            positions.iter().enumerate().map(|(slot, at)| slot as i64 * capacity + at).collect();
        Ok(Step {
            places: Tensor::f_from_slice(&places)?.f_to_device(place.device)?,
            longest: positions.iter().max().map_or(0, |at| at + 1),
            positions: positions.to_owned(),
            place,
            masks: BTreeMap::new(),
        })
    }

    /// 0 where a sequence has a key that its new token sees, −∞ elsewhere: slots × 1 × 1 × longest.
    fn mask(&mut self, window: Option<i64>) -> Result<Tensor, TchError> {
        if let Some(mask) = self.masks.get(&window) {
            return Ok(mask.shallow_clone());
        }
        let at = Tensor::f_from_slice(&self.positions)?.f_unsqueeze(1)?;
        let behind =
            at.f_sub(&Tensor::f_arange(self.longest, (Kind::Int64, Device::Cpu))?.f_unsqueeze(0)?)?;
        let hidden = behind.f_lt(0)?;
        let hidden = match window {
            Some(window) => hidden.f_logical_or(&behind.f_ge(window)?)?,
            None => hidden,
        };
        let mask = hidden
            .f_zeros_like()?
            .f_to_kind(Kind::Float)?
            .f_masked_fill(&hidden, f64::NEG_INFINITY)?;
        let mask = mask
            .f_to_kind(self.place.kind)?
            .f_to_device(self.place.device)?
            .f_unsqueeze(1)?
            .f_unsqueeze(1)?;
        self.masks.insert(window, mask.shallow_clone());
        Ok(mask)
    }
}

impl Attention {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        spec: &Spec,
        place: Place,
    ) -> anyhow::Result<Attention> {
        let of = spec.attention.clone();
        let (wide, narrow) = (of.heads * of.head_dim, of.kv_heads * of.head_dim);
        let qkv = match of.fused {
            true => vec![(format!("{at}.qkv_proj"), wide + 2 * narrow)],
            false => [("q", wide), ("k", narrow), ("v", narrow)]
                .map(|(x, rows)| (format!("{at}.{x}_proj"), rows))
                .to_vec(),
        };
        let output = [(format!("{at}.o_proj"), spec.hidden)];
        let head_norm = |weights: &mut Weights, name: &str| {
            Norm::load(weights, &format!("{at}.{name}.weight"), of.head_dim, spec, place)
        };
        let norms = match of.head_norm {
            true => Some((head_norm(weights, "q_norm")?, head_norm(weights, "k_norm")?)),
            false => None,
        };
        Ok(Attention {
            qkv: Linear::load(weights, &qkv, spec.hidden, of.bias, place)?,
            output: Linear::load(weights, &output, wide, of.output_bias, place)?,
            norms,
            spec: of,
        })
    }

    /// Queries, keys and values of tokens, each tokens × heads × head size; the first two rotated.
    fn project(&self, x: &Tensor, table: &Table) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        let qkv = self.qkv.forward(x)?.f_view([-1, heads + 2 * kv_heads, head_dim])?;
        let values = qkv.f_narrow(1, heads + kv_heads, kv_heads)?;
        if let Some((of_q, of_k)) = &self.norms {
            let queries = of_q.forward(&qkv.f_narrow(1, 0, heads)?)?;
            let keys = of_k.forward(&qkv.f_narrow(1, heads, kv_heads)?)?;
            return Ok((self.rotate(&queries, table)?, self.rotate(&keys, table)?, values));
        }
        let both = self.rotate(&qkv.f_narrow(1, 0, heads + kv_heads)?, table)?;
        Ok((both.f_narrow(1, 0, heads)?, both.f_narrow(1, heads, kv_heads)?, values))
    }

    /// Turns the first half of a head's numbers against the second by the token's angles.
    fn rotate(&self, x: &Tensor, table: &Table) -> Result<Tensor, TchError> {
        let (dim, half) = (self.spec.rope.dim, self.spec.rope.dim / 2);
        let (a, b) = (x.f_narrow(2, 0, half)?, x.f_narrow(2, half, half)?);
        let mut parts = vec![
            a.f_mul(&table.cos)?.f_sub(&b.f_mul(&table.sin)?)?,
            b.f_mul(&table.cos)?.f_add(&a.f_mul(&table.sin)?)?,
        ];
        if dim < self.spec.head_dim {
            parts.push(x.f_narrow(2, dim, self.spec.head_dim - dim)?);
        }
        Tensor::f_cat(&parts, 2)
    }

    /// `x` is tokens × hidden, of packed sequences.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        packed: &Packed,
        table: &Table,
        window: Option<i64>,
        masks: &mut Masks,
        mut keep: Option<(&mut Kept, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, head_dim, .. } = self.spec;
        let (queries, keys, values) = self.project(x, table)?;
        let mut attended = Vec::with_capacity(packed.groups.len());
        let mut sequence = 0;
        for group in &packed.groups {
            let tokens = group.count * group.length;
            let of_group = |t: &Tensor| -> Result<Tensor, TchError> {
                let (heads, size) = (t.size()[1], t.size()[2]);
                t.f_narrow(0, group.start, tokens)?.f_reshape([
                    group.count,
                    group.length,
                    heads,
                    size,
                ])
            };
            let (q, k, v) = (of_group(&queries)?, of_group(&keys)?, of_group(&values)?);
            if let Some((kept, slots)) = &mut keep {
                for i in 0..group.count {
                    let slot = slots[sequence];
                    let room = |t: &Tensor| t.f_get(slot)?.f_narrow(0, 0, group.length);
                    room(&kept.keys)?.f_copy_(&k.f_get(i)?)?;
                    room(&kept.values)?.f_copy_(&v.f_get(i)?)?;
                    sequence += 1;
                }
            }
            let (q, k, v) = (q.f_transpose(1, 2)?, k.f_transpose(1, 2)?, v.f_transpose(1, 2)?);
            let window = window.filter(|window| *window < group.length);
            let mixed = match (window, self.spec.softcap) {
                (None, None) => {
                    let grouped = self.spec.heads != self.spec.kv_heads;
                    Tensor::f_scaled_dot_product_attention::<Tensor>(
                        &q,
                        &k,
                        &v,
                        None,
                        0.0,
                        true,
                        self.spec.scale,
                        grouped,
                    )?
                }
                _ => self.in_blocks(&q, &k, &v, window, masks)?,
            };
            attended.push(mixed.f_transpose(1, 2)?.f_reshape([tokens, heads * head_dim])?);
        }
        let attended =
            if attended.len() == 1 { attended.remove(0) } else { Tensor::f_cat(&attended, 0)? };
        self.output.forward(&attended)
    }

    /// Masked attention of sequences × heads × tokens × head size, some queries at a time.
    fn in_blocks(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        window: Option<i64>,
        masks: &mut Masks,
    ) -> Result<Tensor, TchError> {
        let (count, length) = (q.size()[0], q.size()[2]);
        let seen = window.unwrap_or(length);
        let block = (MOST_SCORES / (count * self.spec.heads * length)).clamp(16, length.max(16));
        let mut done = Vec::new();
        let mut first = 0;
        while first < length {
            let queries = block.min(length - first);
            let first_key = (first - seen + 1).max(0);
            let keys = first + queries - first_key;
            let mask = masks.get(first, queries, first_key, seen, q)?;
            let (q, k, v) = (
                q.f_narrow(2, first, queries)?,
                k.f_narrow(2, first_key, keys)?,
                v.f_narrow(2, first_key, keys)?,
            );
            done.push(self.masked(&self.grouped(&q, queries)?, &k, &v, &mask, queries)?);
            first += queries;
        }
        if done.len() == 1 { Ok(done.remove(0)) } else { Tensor::f_cat(&done, 2) }
    }

    /// Queries that share a key as neighbours: sequences × kv heads × (group · tokens) × size.
    fn grouped(&self, q: &Tensor, tokens: i64) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        q.f_reshape([-1, kv_heads, heads / kv_heads * tokens, head_dim])
    }

    /// Scores, soft cap, mask, softmax in f32, as the reference code has them.
    fn masked(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: &Tensor,
        tokens: i64,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, scale, softcap, .. } = self.spec;
        let (sequences, keys) = (q.size()[0], k.size()[2]);
        let mut scores = q.f_matmul(&k.f_transpose(2, 3)?)?.f_mul_scalar(scale)?;
        if let Some(cap) = softcap {
            scores = scores.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?;
        }
        let scores = scores.f_view([sequences, kv_heads, heads / kv_heads, tokens, keys])?;
        let mask = if mask.dim() == 4 { mask.f_unsqueeze(2)? } else { mask.shallow_clone() };
        let weights =
            precise(&scores.f_add(&mask)?)?.f_softmax(-1, Kind::Float)?.f_to_kind(v.kind())?;
        let weights = weights.f_view([sequences, kv_heads, heads / kv_heads * tokens, keys])?;
        weights.f_matmul(v)?.f_view([sequences, heads, tokens, head_dim])
    }

    /// One new token of each sequence: `x` is sequences × hidden.
    pub(super) fn step(
        &self,
        x: &Tensor,
        table: &Table,
        step: &mut Step,
        window: Option<i64>,
        kept: &mut Kept,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        let sequences = x.size()[0];
        let (queries, keys, values) = self.project(x, table)?;
        let write = |to: &Tensor, new: &Tensor| -> Result<(), TchError> {
            to.f_view([-1, kv_heads, head_dim])?.f_index_copy_(0, &step.places, new).map(|_| ())
        };
        write(&kept.keys, &keys)?;
        write(&kept.values, &values)?;
        let of_sequences = |t: &Tensor| {
            t.f_narrow(0, 0, sequences)?.f_narrow(1, 0, step.longest)?.f_transpose(1, 2)
        };
        let (k, v) = (of_sequences(&kept.keys)?, of_sequences(&kept.values)?);
        let mask = step.mask(window.filter(|window| *window < step.longest))?;
        // Heads that share keys stand as rows of one query, so keys need not be repeated.
        let q = queries.f_reshape([sequences, kv_heads, heads / kv_heads, head_dim])?;
        let mixed = match self.spec.softcap {
            None => Tensor::f_scaled_dot_product_attention(
                &q,
                &k,
                &v,
                Some(&mask),
                0.0,
                false,
                self.spec.scale,
                false,
            )?,
            Some(_) => self.masked(&q, &k, &v, &mask, 1)?,
        };
        self.output.forward(&mixed.f_reshape([sequences, heads * head_dim])?)
    }
}

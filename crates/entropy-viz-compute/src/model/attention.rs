//! Grouped-query attention: over packed sequences, and for one new token per sequence over a KV cache.
//!
//! Sequences of equal length are computed in one causal call without a mask, as the fast kernels require. A sliding
//! window, a soft cap or sinks need explicit scores and masks; queries are then computed in blocks, so that memory does
//! not grow with the square of the length.

use tch::{Kind, TchError, Tensor};

use super::latent::Latent;
use super::layer::{Linear, Norm};
use super::layer_kv::LayerKv;
use super::masks::{DecodeStep, MaskCache};
use super::normed_heads::NormedHeads;
use super::output_gate::OutputGate;
use super::packed::Packed;
use super::rope::RotaryTable;
use super::rotate::rotate;
use super::shared_kv::{KvSource, SharedKv};
use super::spec::{AttentionSpec, QkNorm, Spec, WindowKind};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// Size of the score tensor of one block of queries, in numbers: 128 MiB of f32.
const MAX_SCORES: i64 = 1 << 25;

/// The attention module of one layer.
pub(super) struct Attention {
    inputs: Inputs,
    output: Linear,
    output_gate: Option<OutputGate>,
    /// One score per head; see [`AttentionSpec::sinks`].
    sinks: Option<Tensor>,
    spec: AttentionSpec,
}

/// The modules that make queries, keys and values.
enum Inputs {
    Heads { qkv: Linear, qk_norms: Option<(Norm, Norm)> },
    Latent(Box<Latent>),
    Normed(Box<NormedHeads>),
}

/// A pass over packed sequences: what the attention of all layers shares.
pub(super) struct AttentionPass<'a> {
    pub(super) packed: &'a Packed,
    pub(super) masks: MaskCache,
    pub(super) shared: SharedKv,
}

/// Keys and values, each tokens × heads × its dimension.
type KeysAndValues = (Tensor, Tensor);

impl Attention {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Attention> {
        let attention = spec.attention.clone();
        let names = attention.names;
        let output = |weights: &mut Weights| {
            let (modules, columns) = (
                [(format!("{at}.{}", names.output), spec.hidden)],
                attention.heads * attention.value_dim,
            );
            Linear::load(weights, &modules, columns, attention.output_bias, options)
        };
        let inputs = match (&attention.latent, attention.kv) {
            (Some(sizes), _) => {
                Some(Inputs::Latent(Box::new(Latent::load(weights, at, sizes, spec, options)?)))
            }
            (None, KvSource::Own) => None,
            (None, _) => {
                Some(Inputs::Normed(Box::new(NormedHeads::load(weights, at, spec, options)?)))
            }
        };
        if let Some(inputs) = inputs {
            return Ok(Attention {
                inputs,
                output_gate: None,
                sinks: None,
                output: output(weights)?,
                spec: attention,
            });
        }
        let (q_size, kv_size) =
            (attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim);
        let qkv = match attention.fused_qkv {
            true => vec![(format!("{at}.qkv_proj"), q_size + 2 * kv_size)],
            false => [("q", q_size), ("k", kv_size), ("v", kv_size)]
                .map(|(x, rows)| (format!("{at}.{x}_proj"), rows))
                .to_vec(),
        };
        let mut load_norm = |kind: QkNorm, name: &str, heads: i64| {
            let (name, head_dim) = (format!("{at}.{name}.weight"), attention.head_dim);
            match kind {
                QkNorm::Head | QkNorm::RotatedHead => {
                    Norm::load(weights, &name, head_dim, spec, options)
                }
                QkNorm::RotatedWithoutWeights => {
                    Ok(Norm::without_weights(head_dim, spec, options)?)
                }
                QkNorm::EachHead => {
                    Norm::load_of_heads(weights, &name, [heads, head_dim], spec, options)
                }
                QkNorm::Width => Norm::load(weights, &name, heads * head_dim, spec, options),
            }
        };
        let qk_norms = match attention.qk_norm {
            Some(kind) => Some((
                load_norm(kind, names.q_norm, attention.heads)?,
                load_norm(kind, names.k_norm, attention.kv_heads)?,
            )),
            None => None,
        };
        let (qkv, output_gate) = match attention.output_gate {
            true => {
                let heads = (attention.heads, attention.head_dim);
                let columns = (spec.hidden, attention.bias);
                let (qkv, gate) =
                    OutputGate::load(weights, &qkv[0].0, heads, &qkv[1..], columns, options)?;
                (qkv, Some(gate))
            }
            false => (Linear::load(weights, &qkv, spec.hidden, attention.bias, options)?, None),
        };
        let sinks = match attention.sinks {
            Some(name) => {
                Some(weights.take(&format!("{at}.{name}"), &[attention.heads], options)?)
            }
            None => None,
        };
        Ok(Attention {
            inputs: Inputs::Heads { qkv, qk_norms },
            output_gate,
            sinks,
            output: output(weights)?,
            spec: attention,
        })
    }

    /// Queries, keys and values, each tokens × heads × its dimension; queries and keys are rotated, and queries scaled
    /// by their positions. Without keys and values, they are those of another layer.
    fn project(
        &self,
        x: &Tensor,
        table: Option<&RotaryTable>,
    ) -> Result<(Tensor, Option<KeysAndValues>), TchError> {
        let (queries, own) = match &self.inputs {
            Inputs::Normed(heads) => heads.project(x, table)?,
            Inputs::Heads { .. } | Inputs::Latent(_) => {
                let (queries, keys, values) = self.project_unscaled(x, table)?;
                (queries, Some((keys, values)))
            }
        };
        match table.and_then(|table| table.query_scale.as_ref()) {
            Some(scale) => Ok((queries.f_mul(scale)?, own)),
            None => Ok((queries, own)),
        }
    }

    fn project_unscaled(
        &self,
        x: &Tensor,
        table: Option<&RotaryTable>,
    ) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        let (qkv, qk_norms) = match &self.inputs {
            Inputs::Heads { qkv, qk_norms } => (qkv, qk_norms),
            Inputs::Latent(latent) => return latent.project(x, table),
            Inputs::Normed(_) => unreachable!("BUG: these make queries, keys and values elsewhere"),
        };
        let qkv = qkv.forward(x)?.f_view([-1, heads + 2 * kv_heads, head_dim])?;
        let values = qkv.f_narrow(1, heads + kv_heads, kv_heads)?;
        if let Some((q_norm, k_norm)) = qk_norms {
            let rotated = |norm: &Norm, start: i64, heads: i64| {
                let x = qkv.f_narrow(1, start, heads)?;
                match self.spec.qk_norm {
                    Some(QkNorm::Width) => {
                        let x = norm.forward(&x.f_reshape([-1, heads * head_dim])?)?.f_view_as(&x);
                        self.rotate(&x?, table)
                    }
                    Some(QkNorm::RotatedHead) => norm.forward(&self.rotate(&x, table)?),
                    Some(QkNorm::RotatedWithoutWeights) => match table {
                        Some(table) if table.rotates() => {
                            norm.forward(&rotate(&x, table, self.spec.rope_pairs)?)
                        }
                        _ => Ok(x),
                    },
                    _ => self.rotate(&norm.forward(&x)?, table),
                }
            };
            let queries = rotated(q_norm, 0, heads)?;
            return Ok((queries, rotated(k_norm, heads, kv_heads)?, values));
        }
        let both = self.rotate(&qkv.f_narrow(1, 0, heads + kv_heads)?, table)?;
        Ok((both.f_narrow(1, 0, heads)?, both.f_narrow(1, heads, kv_heads)?, values))
    }

    /// Rotary embedding of the pairs of numbers of each head; without a table, none.
    fn rotate(&self, x: &Tensor, table: Option<&RotaryTable>) -> Result<Tensor, TchError> {
        table.map_or_else(|| Ok(x.shallow_clone()), |table| rotate(x, table, self.spec.rope_pairs))
    }

    /// Attention of packed sequences; `x` and the result are tokens × hidden. With `cache`, the keys and values
    /// of the i-th sequence are also written to the slot `slots[i]`, unless they are those of another layer.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        pass: &mut AttentionPass,
        table: Option<&RotaryTable>,
        window: Option<i64>,
        mut cache: Option<(&mut LayerKv, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, value_dim, .. } = self.spec;
        let AttentionPass { packed, masks, shared } = pass;
        let (queries, own) = self.project(x, table)?;
        let (keys, values) = match (own, self.spec.kv) {
            (None, KvSource::Layer(giver)) => shared.of_layer(giver),
            (own, _) => own.expect("BUG: a layer without keys"),
        };
        if let Some(layer) = self.spec.given {
            shared.keep(layer, &keys, &values);
        }
        let mut attended = Vec::with_capacity(packed.groups.len());
        let mut sequence = 0;
        for group in &packed.groups {
            let tokens = group.count * group.length;
            let group_view = |t: &Tensor| -> Result<Tensor, TchError> {
                let (heads, size) = (t.size()[1], t.size()[2]);
                t.f_narrow(0, group.start, tokens)?.f_reshape([
                    group.count,
                    group.length,
                    heads,
                    size,
                ])
            };
            let (q, k, v) = (group_view(&queries)?, group_view(&keys)?, group_view(&values)?);
            if let Some((layer_kv, slots)) = &mut cache {
                for i in 0..group.count {
                    let slot = slots[sequence];
                    let room = |t: &Tensor| t.f_get(slot)?.f_narrow(0, 0, group.length);
                    room(&layer_kv.keys)?.f_copy_(&k.f_get(i)?)?;
                    room(&layer_kv.values)?.f_copy_(&v.f_get(i)?)?;
                    sequence += 1;
                }
            }
            let (q, k, v) = (q.f_transpose(1, 2)?, k.f_transpose(1, 2)?, v.f_transpose(1, 2)?);
            let window = window.filter(|window| *window < group.length);
            let mixed = match window {
                _ if self.needs_scores() => self.forward_in_blocks(&q, &k, &v, window, masks)?,
                Some(chunk) if self.spec.window_kind == WindowKind::Chunk => {
                    self.forward_in_chunks(&q, &k, &v, chunk)?
                }
                None => self.causal(&q, &k, &v)?,
                Some(_) => self.forward_in_blocks(&q, &k, &v, window, masks)?,
            };
            attended.push(mixed.f_transpose(1, 2)?.f_reshape([tokens, heads * value_dim])?);
        }
        let attended =
            if attended.len() == 1 { attended.remove(0) } else { Tensor::f_cat(&attended, 0)? };
        self.finish(x, attended)
    }

    /// Whether the fast kernels cannot compute this attention: they have neither a soft cap nor sinks.
    fn needs_scores(&self) -> bool {
        self.spec.softcap.is_some() || self.sinks.is_some()
    }

    /// The output gate and projection.
    fn finish(&self, x: &Tensor, attended: Tensor) -> Result<Tensor, TchError> {
        match &self.output_gate {
            Some(gate) => self.output.forward(&gate.apply(x, &attended)?),
            None => self.output.forward(&attended),
        }
    }

    /// Attention of chunks of tokens that do not see each other.
    fn forward_in_chunks(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        chunk: i64,
    ) -> Result<Tensor, TchError> {
        let of = |x: &Tensor| x.f_split(chunk, 2);
        let parts = of(q)?.into_iter().zip(of(k)?).zip(of(v)?);
        let done: Vec<Tensor> =
            parts.map(|((q, k), v)| self.causal(&q, &k, &v)).collect::<Result<_, _>>()?;
        Tensor::f_cat(&done, 2)
    }

    /// Attention of whole sequences; each argument is sequences × heads × tokens × its dimension.
    fn causal(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
        let grouped = self.spec.heads != self.spec.kv_heads;
        let [q, k, v] = self.of_one_width([q, k, v])?;
        let mixed = Tensor::f_scaled_dot_product_attention::<Tensor>(
            &q,
            &k,
            &v,
            None,
            0.0,
            true,
            self.spec.scale,
            grouped,
        )?;
        mixed.f_narrow(3, 0, self.spec.value_dim)
    }

    /// Queries, keys and values filled up with zeros to one width, which the fast kernels require; others need memory
    /// that grows with the square of the length.
    fn of_one_width(&self, all: [&Tensor; 3]) -> Result<[Tensor; 3], TchError> {
        let AttentionSpec { head_dim, value_dim, .. } = self.spec;
        let fill = |x: &Tensor, missing: i64| match missing {
            ..=0 => Ok(x.shallow_clone()),
            _ => x.f_constant_pad_nd([0, missing]),
        };
        let [q, k, v] = all;
        Ok([
            fill(q, value_dim - head_dim)?,
            fill(k, value_dim - head_dim)?,
            fill(v, head_dim - value_dim)?,
        ])
    }

    /// Masked attention in blocks of queries; `q`, `k` and `v` are sequences × heads × tokens × head dimension.
    fn forward_in_blocks(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        window: Option<i64>,
        masks: &mut MaskCache,
    ) -> Result<Tensor, TchError> {
        let (count, length) = (q.size()[0], q.size()[2]);
        let seen = window.unwrap_or(length);
        let block = (MAX_SCORES / (count * self.spec.heads * length)).clamp(16, length.max(16));
        let mut done = Vec::new();
        let mut first = 0;
        while first < length {
            let queries = block.min(length - first);
            let first_key = (first - seen + 1).max(0);
            let keys = first + queries - first_key;
            // Without a window, the keys before the block are visible to all its queries and need no mask: it would take
            // memory that grows with the square of the length.
            let first_masked = if window.is_some() { first_key } else { first };
            let mask = masks.get(first, queries, first_masked, seen, q)?;
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

    /// Reshapes queries so that those sharing a key head are adjacent: sequences × kv heads × (heads per kv head ·
    /// tokens) × head dimension.
    fn grouped(&self, q: &Tensor, tokens: i64) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        q.f_reshape([-1, kv_heads, heads / kv_heads * tokens, head_dim])
    }

    /// Scores, soft cap, mask, sinks and softmax in f32, in the order of transformers' eager attention. `mask` is of the last
    /// keys; the others are visible to all queries.
    fn masked(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: &Tensor,
        tokens: i64,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, value_dim, scale, softcap, .. } = self.spec;
        let (sequences, keys) = (q.size()[0], k.size()[2]);
        let mut scores = q.f_matmul(&k.f_transpose(2, 3)?)?.f_mul_scalar(scale)?;
        if let Some(cap) = softcap {
            scores = scores.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?;
        }
        let scores = scores.f_view([sequences, kv_heads, heads / kv_heads, tokens, keys])?;
        let mask = if mask.dim() == 4 { mask.f_unsqueeze(2)? } else { mask.shallow_clone() };
        let masked = mask.size().last().copied().unwrap_or_default();
        let _ = scores.f_narrow(4, keys - masked, masked)?.f_add_(&mask)?;
        let scores = scores.f_to_kind(Kind::Float)?;
        let weights = match &self.sinks {
            None => scores.f_softmax(-1, Kind::Float)?,
            Some(sinks) => {
                let sinks = sinks
                    .f_to_kind(Kind::Float)?
                    .f_view([1, kv_heads, heads / kv_heads, 1, 1])?
                    .f_expand([sequences, kv_heads, heads / kv_heads, tokens, 1], false)?;
                let all = Tensor::f_cat(&[scores, sinks], 4)?;
                all.f_softmax(-1, Kind::Float)?.f_narrow(4, 0, keys)?
            }
        };
        let weights = weights.f_to_kind(v.kind())?.f_contiguous()?;
        let weights = weights.f_view([sequences, kv_heads, heads / kv_heads * tokens, keys])?;
        weights.f_matmul(v)?.f_view([sequences, heads, tokens, value_dim])
    }

    /// Attention of one new token per sequence; `x` and the result are sequences × hidden. `layer_kv` is the cache of the layer
    /// that makes the keys and values.
    pub(super) fn step(
        &self,
        x: &Tensor,
        table: Option<&RotaryTable>,
        step: &mut DecodeStep,
        window: Option<i64>,
        layer_kv: &mut LayerKv,
    ) -> Result<Tensor, TchError> {
        let AttentionSpec { heads, kv_heads, head_dim, value_dim, .. } = self.spec;
        let sequences = x.size()[0];
        let (queries, own) = self.project(x, table)?;
        let write = |to: &Tensor, new: &Tensor| -> Result<(), TchError> {
            to.f_flatten(0, 1)?.f_index_copy_(0, &step.cache_rows, new).map(|_| ())
        };
        if let Some((keys, values)) = own {
            write(&layer_kv.keys, &keys)?;
            write(&layer_kv.values, &values)?;
        }
        let active_rows = |t: &Tensor| {
            t.f_narrow(0, 0, sequences)?.f_narrow(1, 0, step.longest)?.f_transpose(1, 2)
        };
        let (k, v) = (active_rows(&layer_kv.keys)?, active_rows(&layer_kv.values)?);
        let mask =
            step.mask(window.filter(|window| *window < step.longest), self.spec.window_kind)?;
        // Heads that share keys become rows of one query, so that keys need not be repeated.
        let q = queries.f_reshape([sequences, kv_heads, heads / kv_heads, head_dim])?;
        let mixed = match self.needs_scores() {
            false => Tensor::f_scaled_dot_product_attention(
                &q,
                &k,
                &v,
                Some(&mask),
                0.0,
                false,
                self.spec.scale,
                false,
            )?,
            true => self.masked(&q, &k, &v, &mask, 1)?,
        };
        self.finish(x, mixed.f_reshape([sequences, heads * value_dim])?)
    }
}

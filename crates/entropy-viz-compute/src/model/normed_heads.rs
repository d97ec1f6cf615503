//! Queries, keys and values of which each head has a norm, as in Gemma 3n and 4. Keys and values may be those of an earlier layer,
//! or have one module.

use tch::{TchError, Tensor};

use super::layer::{Linear, Norm};
use super::rope::RotaryTable;
use super::rotate::rotate;
use super::shared_kv::KvSource;
use super::spec::{AttentionSpec, RopePairs, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The modules of one layer.
pub(super) struct NormedHeads {
    /// Queries, followed by keys and values if the layer makes them.
    projection: Linear,
    query_norm: Norm,
    /// The norms of keys and values; `None` if they are those of another layer.
    kv_norms: Option<[Norm; 2]>,
    source: KvSource,
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
    rope_pairs: RopePairs,
}

impl NormedHeads {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<NormedHeads> {
        let AttentionSpec { heads, kv_heads, head_dim, kv: source, names, .. } = spec.attention;
        let made: &[(&str, i64)] = match source {
            KvSource::Own | KvSource::OwnNormed => {
                &[("q", heads), ("k", kv_heads), ("v", kv_heads)]
            }
            KvSource::OneModule => &[("q", heads), ("k", kv_heads)],
            KvSource::Layer(_) => &[("q", heads)],
        };
        let modules: Vec<(String, i64)> =
            made.iter().map(|(x, heads)| (format!("{at}.{x}_proj"), heads * head_dim)).collect();
        let bias = spec.attention.bias;
        let projection = Linear::load(weights, &modules, spec.hidden, bias, options)?;
        let mut norm = |name: &str| {
            Norm::load(weights, &format!("{at}.{name}.weight"), head_dim, spec, options)
        };
        let query_norm = norm(names.q_norm)?;
        let kv_norms = match source {
            KvSource::Layer(_) => None,
            _ => Some([norm(names.k_norm)?, Norm::without_weights(head_dim, spec, options)?]),
        };
        let rope_pairs = spec.attention.rope_pairs;
        Ok(NormedHeads {
            projection,
            query_norm,
            kv_norms,
            source,
            heads,
            kv_heads,
            head_dim,
            rope_pairs,
        })
    }

    /// Queries, and keys and values unless they are those of another layer; each tokens × heads × dimension.
    pub(super) fn project(
        &self,
        x: &Tensor,
        table: Option<&RotaryTable>,
    ) -> Result<(Tensor, Option<(Tensor, Tensor)>), TchError> {
        let NormedHeads { heads, kv_heads, head_dim, .. } = *self;
        let all = self.projection.forward(x)?;
        let all = all.f_view([x.size()[0], -1, head_dim])?;
        let rotated = |norm: &Norm, x: &Tensor| {
            let normed = norm.forward(x)?;
            table.map_or(Ok(normed.shallow_clone()), |t| rotate(&normed, t, self.rope_pairs))
        };
        let queries = rotated(&self.query_norm, &all.f_narrow(1, 0, heads)?)?;
        let Some([key_norm, value_norm]) = &self.kv_norms else { return Ok((queries, None)) };
        let keys = all.f_narrow(1, heads, kv_heads)?;
        let values = match self.source {
            KvSource::OneModule => keys.shallow_clone(),
            _ => all.f_narrow(1, heads + kv_heads, kv_heads)?,
        };
        let values = value_norm.forward(&values)?;
        Ok((queries, Some((rotated(key_norm, &keys)?, values))))
    }
}

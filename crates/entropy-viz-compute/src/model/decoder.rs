//! The decoder of all supported architectures: embedding, layers of attention and feed-forward with residual
//! connections, a final norm, and the head. [`Spec`] has the differences.

#[cfg(target_arch = "x86_64")]
use tch::Device;
use tch::{Kind, TchError, Tensor};

use super::attention::{Attention, DecodeStep, KvCache, MaskCache};
#[cfg(target_arch = "x86_64")]
use super::decode_matmul;
use super::layer::{Linear, Mlp, Norm};
use super::moe::Experts;
use super::packed::Packed;
use super::spec::Spec;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// A decoder with its weights.
pub(crate) struct Decoder {
    pub(crate) spec: Spec,
    pub(crate) options: TensorOptions,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
}

struct Layer {
    attention_norm: Norm,
    attention: Attention,
    post_attention_norm: Option<Norm>,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
    post_feed_forward_norm: Option<Norm>,
    window: Option<i64>,
}

enum FeedForward {
    Mlp(Mlp),
    Experts(Experts),
}

impl Decoder {
    pub(super) fn load(
        spec: Spec,
        mut weights: Weights,
        options: TensorOptions,
    ) -> anyhow::Result<Decoder> {
        let w = &mut weights;
        let table = [spec.vocabulary, spec.hidden];
        let (embedding, head) = embedding_and_head(w, spec.tie_word_embeddings, &table, options)?;
        let norm_of =
            |w: &mut Weights, name: String| Norm::load(w, &name, spec.hidden, &spec, options);
        let mut layers = Vec::new();
        for i in 0..spec.layers {
            let at = |name: &str| format!("model.layers.{i}.{name}");
            let post_attention = at("post_attention_layernorm.weight");
            let (post_attention_norm, feed_forward_norm, post_feed_forward_norm) =
                match spec.post_norms {
                    false => (None, post_attention, None),
                    true => (
                        Some(norm_of(w, post_attention)?),
                        at("pre_feedforward_layernorm.weight"),
                        Some(norm_of(w, at("post_feedforward_layernorm.weight"))?),
                    ),
                };
            let experts = spec.experts.as_ref().filter(|experts| experts.layers[i as usize]);
            layers.push(Layer {
                attention_norm: norm_of(w, at("input_layernorm.weight"))?,
                attention: Attention::load(w, &at("self_attn"), &spec, options)?,
                post_attention_norm,
                feed_forward_norm: norm_of(w, feed_forward_norm)?,
                feed_forward: match experts {
                    Some(experts) => {
                        FeedForward::Experts(Experts::load(w, &at("mlp"), experts, &spec, options)?)
                    }
                    None => FeedForward::Mlp(Mlp::load(w, &at("mlp"), &spec, options)?),
                },
                post_feed_forward_norm,
                window: spec.attention.windows[i as usize],
            });
        }
        let norm = norm_of(w, "model.norm.weight".to_owned())?;
        weights.finish()?;
        Ok(Decoder { spec, options, embedding, layers, norm, head })
    }

    fn embed(&self, ids: &[i64]) -> Result<Tensor, TchError> {
        let ids = Tensor::f_from_slice(ids)?.f_to_device(self.options.device)?;
        let hidden = self.embedding.f_index_select(0, &ids)?;
        let Some(scale) = self.spec.embedding_scale else { return Ok(hidden) };
        // Gemma's reference code rounds the factor to the type of the weights first.
        let scale = Tensor::f_from_slice(&[scale as f32])?
            .f_to_kind(self.options.kind)?
            .f_to_device(self.options.device)?;
        hidden.f_mul(&scale)
    }

    /// Runs packed sequences; returns the hidden states after the final norm at the tokens with indices `rows`.
    pub(super) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<Tensor, TchError> {
        self.run(packed, rows, None)
    }

    /// Runs packed sequences like [`Decoder::forward`], and writes the keys and values of the i-th sequence to the
    /// cache slot `slots[i]`.
    pub(crate) fn prefill(
        &self,
        packed: &Packed,
        rows: &[i64],
        cache: &mut KvCache,
        slots: &[i64],
    ) -> Result<Tensor, TchError> {
        self.run(packed, rows, Some((cache, slots)))
    }

    fn run(
        &self,
        packed: &Packed,
        rows: &[i64],
        mut cache: Option<(&mut KvCache, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let (positions, lengths) = packed.positions();
        let table = self.spec.attention.rope.table(&positions, &lengths, self.options.device)?;
        let table = table.to_kind(self.options.kind)?;
        let mut masks = MaskCache::default();
        let mut hidden = self.embed(&packed.ids)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let layer_cache = cache.as_mut().map(|(cache, slots)| (&mut cache.layers[i], *slots));
            let normed = layer.attention_norm.forward(&hidden)?;
            let attended = layer.attention.forward(
                &normed,
                packed,
                &table,
                layer.window,
                &mut masks,
                layer_cache,
            )?;
            hidden = layer.after_attention(hidden, attended)?;
        }
        let rows = Tensor::f_from_slice(rows)?.f_to_device(self.options.device)?;
        self.norm.forward(&hidden.f_index_select(0, &rows)?)
    }

    /// Runs one new token in each of the first `ids.len()` cache slots, at `positions` of sequences of these
    /// `lengths`; returns the logits of the next token, sequences × vocabulary.
    pub(crate) fn decode(
        &self,
        ids: &[i64],
        positions: &[i64],
        lengths: &[i64],
        cache: &mut KvCache,
    ) -> Result<Tensor, TchError> {
        let mut step = || self.head(&self.step(ids, positions, lengths, cache)?);
        #[cfg(target_arch = "x86_64")]
        if self.options == (TensorOptions { device: Device::Cpu, kind: Kind::Float })
            && decode_matmul::supports(ids.len())
        {
            return decode_matmul::with_decode_matmul(step);
        }
        step()
    }

    fn step(
        &self,
        ids: &[i64],
        positions: &[i64],
        lengths: &[i64],
        cache: &mut KvCache,
    ) -> Result<Tensor, TchError> {
        let table = self.spec.attention.rope.table(positions, lengths, self.options.device)?;
        let table = table.to_kind(self.options.kind)?;
        let mut step = DecodeStep::new(positions, cache.capacity, self.options)?;
        let mut hidden = self.embed(ids)?;
        for (layer, layer_kv) in self.layers.iter().zip(&mut cache.layers) {
            let normed = layer.attention_norm.forward(&hidden)?;
            let attended =
                layer.attention.step(&normed, &table, &mut step, layer.window, layer_kv)?;
            hidden = layer.after_attention(hidden, attended)?;
        }
        self.norm.forward(&hidden)
    }

    /// The logits of hidden states.
    pub(crate) fn head(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let logits = self.head.forward(hidden)?;
        match self.spec.softcap {
            None => Ok(logits),
            Some(cap) => (logits.f_div_scalar(cap)?.f_tanh()?).f_mul_scalar(cap),
        }
    }

    /// Bytes per token in the KV cache.
    pub(crate) fn cache_bytes(&self) -> usize {
        let of = &self.spec.attention;
        let numbers = 2 * self.spec.layers * of.kv_heads * of.head_dim;
        numbers as usize * self.options.kind.elt_size_in_bytes()
    }

    /// An empty cache for `slots` sequences of at most `capacity` tokens.
    pub(crate) fn cache(&self, slots: i64, capacity: i64) -> Result<KvCache, TchError> {
        KvCache::new(self.spec.layers, slots, capacity, &self.spec.attention, self.options)
    }
}

/// Loads the embedding and the head. Tied models store one tensor for both, under either name. If both are stored
/// and differ, they are not tied, whatever config.json says: transformers does the same.
fn embedding_and_head(
    weights: &mut Weights,
    tie_word_embeddings: bool,
    table: &[i64],
    options: TensorOptions,
) -> anyhow::Result<(Tensor, Linear)> {
    let (input, output) = ("model.embed_tokens.weight", "lm_head.weight");
    if tie_word_embeddings && !(weights.has(input) && weights.has(output)) {
        let stored = if weights.has(output) { output } else { input };
        let [embedding, head] = weights.take_tied(stored, [input, output], table, options)?;
        return Ok((embedding, Linear::of(head, None)));
    }
    let embedding = weights.take(input, table, options)?;
    let head = weights.take(output, table, options)?;
    let head = if tie_word_embeddings && head.f_equal(&embedding)? {
        embedding.shallow_clone()
    } else {
        head
    };
    Ok((embedding, Linear::of(head, None)))
}

impl Layer {
    /// The part of the layer after attention: residual connections, norms and feed-forward.
    fn after_attention(&self, hidden: Tensor, attended: Tensor) -> Result<Tensor, TchError> {
        let attended = match &self.post_attention_norm {
            Some(norm) => norm.forward(&attended)?,
            None => attended,
        };
        let hidden = hidden.f_add(&attended)?;
        let normed = self.feed_forward_norm.forward(&hidden)?;
        let fed = match &self.feed_forward {
            FeedForward::Mlp(mlp) => mlp.forward(&normed)?,
            FeedForward::Experts(experts) => experts.forward(&normed)?,
        };
        let fed = match &self.post_feed_forward_norm {
            Some(norm) => norm.forward(&fed)?,
            None => fed,
        };
        hidden.f_add(&fed)
    }
}

//! The decoder that all supported architectures share, and the list of ways in which they differ.
//!
//! Embedding, then layers of attention and feed-forward around a residual stream, a norm, the head.
//! What decides a number is in [`Spec`], read from config.json by the architecture's own file.

use anyhow::bail;
#[cfg(target_arch = "x86_64")]
use tch::Device;
use tch::{Kind, TchError, Tensor};

use super::Packed;
use super::attention::{Attention, Cache, Masks, Step};
use super::layer::{Activation, Feed, Linear, Norm, NormKind};
use super::moe::Experts;
use super::rope::Rope;
#[cfg(target_arch = "x86_64")]
use super::skinny;
use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{Place, Weights};

/// Everything that makes one architecture differ from another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    pub(crate) hidden: i64,
    pub(crate) layers: i64,
    pub(crate) vocabulary: i64,
    /// The longest sequence it was made for, in tokens.
    pub(crate) context: i64,
    /// Whether the head is the embedding again.
    pub(crate) tied: bool,
    /// What embeddings are multiplied by.
    pub(crate) embedding_scale: Option<f64>,
    /// Logits l become cap·tanh(l / cap).
    pub(crate) softcap: Option<f64>,
    pub(crate) epsilon: f64,
    pub(crate) norm: NormKind,
    /// Norms after attention and feed-forward too, as Gemma 2 has.
    pub(crate) sandwiched: bool,
    pub(crate) activation: Activation,
    pub(crate) attention: AttentionSpec,
    /// How wide the feed-forward part is.
    pub(crate) intermediate: i64,
    /// Whether gate and up are stored as one tensor.
    pub(crate) fused_feed: bool,
    pub(crate) feed_bias: bool,
    /// Mixture of experts, and the layers that have it.
    pub(crate) experts: Option<ExpertSpec>,
}

/// How attention differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: i64,
    pub(crate) kv_heads: i64,
    pub(crate) head_dim: i64,
    pub(crate) rope: Rope,
    /// What q·k is multiplied by.
    pub(crate) scale: f64,
    /// Scores s become cap·tanh(s / cap).
    pub(crate) softcap: Option<f64>,
    /// Whether q, k and v have biases.
    pub(crate) bias: bool,
    pub(crate) output_bias: bool,
    /// Whether q, k and v are stored as one tensor.
    pub(crate) fused: bool,
    /// Norms of each head of q and k.
    pub(crate) head_norm: bool,
    /// For each layer, how many tokens it sees: itself and those before; `None` is all.
    pub(crate) windows: Vec<Option<i64>>,
}

/// A mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpertSpec {
    pub(crate) count: i64,
    pub(crate) chosen: i64,
    pub(crate) intermediate: i64,
    /// Whether the weights of the chosen are made to sum to 1.
    pub(crate) normalised: bool,
    /// For each layer, whether it has experts.
    pub(crate) layers: Vec<bool>,
}

/// More layers than any model has: a config.json that says so is broken.
const MOST_LAYERS: i64 = 10_000;

impl Spec {
    /// What Llama has and the others changed: no biases but those of the config, full attention, RMS
    /// norm, SiLU. `head_dim` is the default where config.json has none.
    pub(super) fn llama_like(config: &Config, head_dim: Option<i64>) -> anyhow::Result<Spec> {
        let hidden = config.count("hidden_size")?;
        let layers = config.count("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            bail!("{}: num_hidden_layers is {layers}", config.path().display());
        }
        let heads = config.count("num_attention_heads")?;
        let kv_heads = config.count_or("num_key_value_heads", heads)?;
        let head_dim = config.count_or("head_dim", head_dim.unwrap_or(hidden / heads))?;
        if heads % kv_heads != 0 {
            bail!(
                "{}: {heads} heads do not share {kv_heads} key-value heads evenly",
                config.path().display()
            );
        }
        Ok(Spec {
            hidden,
            layers,
            vocabulary: config.count("vocab_size")?,
            context: config.count("max_position_embeddings")?,
            tied: config.flag_or("tie_word_embeddings", false)?,
            embedding_scale: None,
            softcap: None,
            epsilon: config.number_or("rms_norm_eps", 1e-6)?,
            norm: NormKind::Plain,
            sandwiched: false,
            activation: activation(config, "hidden_act")?,
            attention: AttentionSpec {
                heads,
                kv_heads,
                head_dim,
                rope: Rope::read(config, head_dim)?,
                scale: (head_dim as f64).powf(-0.5),
                softcap: None,
                bias: false,
                output_bias: false,
                fused: false,
                head_norm: false,
                windows: vec![None; layers as usize],
            },
            intermediate: config.count("intermediate_size")?,
            fused_feed: false,
            feed_bias: false,
            experts: None,
        })
    }
}

/// The activation function that a key of config.json names.
pub(super) fn activation(config: &Config, key: &str) -> anyhow::Result<Activation> {
    let name = if config.get(key).is_none() { "silu" } else { config.text(key)? };
    Ok(match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        other => bail!(
            "{}: {key} {other:?} is not supported; silu, gelu and gelu_pytorch_tanh are",
            config.path().display()
        ),
    })
}

/// The window of each layer: by `layer_types` if the config has them, else as `default` says.
pub(super) fn windows(
    config: &Config,
    layers: i64,
    window: Option<i64>,
    default: impl Fn(i64) -> bool,
) -> anyhow::Result<Vec<Option<i64>>> {
    let Some(types) = config.texts("layer_types")? else {
        return Ok((0..layers).map(|i| window.filter(|_| default(i))).collect());
    };
    let path = config.path().display();
    if types.len() as i64 != layers {
        bail!("{path}: layer_types names {} layers, num_hidden_layers is {layers}", types.len());
    }
    let of_type = |name: &str| match (name, window) {
        ("full_attention", _) => Ok(None),
        ("sliding_attention", Some(window)) => Ok(Some(window)),
        ("sliding_attention", None) => {
            bail!("{path}: layer_types has sliding_attention, and no sliding_window is set")
        }
        (other, _) => bail!("{path}: layer type {other:?} is not supported"),
    };
    types.into_iter().map(of_type).collect()
}

/// A model on its device.
pub(crate) struct Decoder {
    pub(crate) spec: Spec,
    pub(crate) place: Place,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
}

struct Layer {
    before_attention: Norm,
    attention: Attention,
    after_attention: Option<Norm>,
    before_feed: Norm,
    feed: Part,
    after_feed: Option<Norm>,
    window: Option<i64>,
}

enum Part {
    Feed(Feed),
    Experts(Experts),
}

impl Decoder {
    pub(super) fn load(spec: Spec, mut weights: Weights, place: Place) -> anyhow::Result<Decoder> {
        let w = &mut weights;
        let table = [spec.vocabulary, spec.hidden];
        let (embedding, head) = embedding_and_head(w, spec.tied, &table, place)?;
        let norm_of =
            |w: &mut Weights, name: String| Norm::load(w, &name, spec.hidden, &spec, place);
        let mut layers = Vec::new();
        for i in 0..spec.layers {
            let at = |name: &str| format!("model.layers.{i}.{name}");
            let after_attention = at("post_attention_layernorm.weight");
            let (after_attention, before_feed, after_feed) = match spec.sandwiched {
                false => (None, after_attention, None),
                true => (
                    Some(norm_of(w, after_attention)?),
                    at("pre_feedforward_layernorm.weight"),
                    Some(norm_of(w, at("post_feedforward_layernorm.weight"))?),
                ),
            };
            let experts = spec.experts.as_ref().filter(|experts| experts.layers[i as usize]);
            layers.push(Layer {
                before_attention: norm_of(w, at("input_layernorm.weight"))?,
                attention: Attention::load(w, &at("self_attn"), &spec, place)?,
                after_attention,
                before_feed: norm_of(w, before_feed)?,
                feed: match experts {
                    Some(experts) => {
                        Part::Experts(Experts::load(w, &at("mlp"), experts, &spec, place)?)
                    }
                    None => Part::Feed(Feed::load(w, &at("mlp"), &spec, place)?),
                },
                after_feed,
                window: spec.attention.windows[i as usize],
            });
        }
        let norm = norm_of(w, "model.norm.weight".to_owned())?;
        weights.finish()?;
        Ok(Decoder { spec, place, embedding, layers, norm, head })
    }

    fn embed(&self, ids: &[i64]) -> Result<Tensor, TchError> {
        let ids = Tensor::f_from_slice(ids)?.f_to_device(self.place.device)?;
        let hidden = self.embedding.f_index_select(0, &ids)?;
        let Some(scale) = self.spec.embedding_scale else { return Ok(hidden) };
        // The factor is rounded to the model's type first, as Gemma's own code does.
        let scale = Tensor::f_from_slice(&[scale as f32])?
            .f_to_kind(self.place.kind)?
            .f_to_device(self.place.device)?;
        hidden.f_mul(&scale)
    }

    /// Runs packed sequences; the hidden states of the tokens at `rows`, after the last norm.
    pub(super) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<Tensor, TchError> {
        self.run(packed, rows, None)
    }

    /// As [`Decoder::forward`], leaving keys and values in the cache: those of the i-th sequence in
    /// row `slots[i]`.
    pub(crate) fn prefill(
        &self,
        packed: &Packed,
        rows: &[i64],
        cache: &mut Cache,
        slots: &[i64],
    ) -> Result<Tensor, TchError> {
        self.run(packed, rows, Some((cache, slots)))
    }

    fn run(
        &self,
        packed: &Packed,
        rows: &[i64],
        mut cache: Option<(&mut Cache, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let (positions, lengths) = packed.positions();
        let table = self.spec.attention.rope.table(&positions, &lengths, self.place.device)?;
        let table = table.to_kind(self.place.kind)?;
        let mut masks = Masks::default();
        let mut hidden = self.embed(&packed.ids)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let keep = cache.as_mut().map(|(cache, slots)| (&mut cache.layers[i], *slots));
            let normed = layer.before_attention.forward(&hidden)?;
            let attended =
                layer.attention.forward(&normed, packed, &table, layer.window, &mut masks, keep)?;
            hidden = layer.rest(hidden, attended)?;
        }
        let rows = Tensor::f_from_slice(rows)?.f_to_device(self.place.device)?;
        self.norm.forward(&hidden.f_index_select(0, &rows)?)
    }

    /// One more token of each of the first `ids.len()` rows of the cache, which stand at `positions` of
    /// sequences of these lengths; logits of what may follow.
    pub(crate) fn decode(
        &self,
        ids: &[i64],
        positions: &[i64],
        lengths: &[i64],
        cache: &mut Cache,
    ) -> Result<Tensor, TchError> {
        let mut step = || self.head(&self.step(ids, positions, lengths, cache)?);
        #[cfg(target_arch = "x86_64")]
        if self.place == (Place { device: Device::Cpu, kind: Kind::Float })
            && skinny::takes(ids.len())
        {
            return skinny::stepping(step);
        }
        step()
    }

    fn step(
        &self,
        ids: &[i64],
        positions: &[i64],
        lengths: &[i64],
        cache: &mut Cache,
    ) -> Result<Tensor, TchError> {
        let table = self.spec.attention.rope.table(positions, lengths, self.place.device)?;
        let table = table.to_kind(self.place.kind)?;
        let mut step = Step::new(positions, cache.capacity, self.place)?;
        let mut hidden = self.embed(ids)?;
        for (layer, kept) in self.layers.iter().zip(&mut cache.layers) {
            let normed = layer.before_attention.forward(&hidden)?;
            let attended = layer.attention.step(&normed, &table, &mut step, layer.window, kept)?;
            hidden = layer.rest(hidden, attended)?;
        }
        self.norm.forward(&hidden)
    }

    /// Logits of hidden states.
    pub(crate) fn head(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let logits = self.head.forward(hidden)?;
        match self.spec.softcap {
            None => Ok(logits),
            Some(cap) => (logits.f_div_scalar(cap)?.f_tanh()?).f_mul_scalar(cap),
        }
    }

    /// Bytes that one token of one sequence takes in the cache.
    pub(crate) fn cache_bytes(&self) -> usize {
        let of = &self.spec.attention;
        let numbers = 2 * self.spec.layers * of.kv_heads * of.head_dim;
        numbers as usize * self.place.kind.elt_size_in_bytes()
    }

    /// An empty cache of so many sequences and tokens each.
    pub(crate) fn cache(&self, slots: i64, capacity: i64) -> Result<Cache, TchError> {
        Cache::new(self.spec.layers, slots, capacity, &self.spec.attention, self.place)
    }
}

/// The embedding and the head, which are one tensor in a tied model; whichever of the two is stored
/// serves as both. If both are and differ, transformers does not tie them, whatever the config says.
fn embedding_and_head(
    weights: &mut Weights,
    tied: bool,
    table: &[i64],
    place: Place,
) -> anyhow::Result<(Tensor, Linear)> {
    let (input, output) = ("model.embed_tokens.weight", "lm_head.weight");
    if tied && !(weights.has(input) && weights.has(output)) {
        let stored = if weights.has(output) { output } else { input };
        let both = weights.take(stored, table, place)?;
        return Ok((both.shallow_clone(), Linear::of(both, None)));
    }
    let embedding = weights.take(input, table, place)?;
    let head = weights.take(output, table, place)?;
    let head = if tied && head.f_equal(&embedding)? { embedding.shallow_clone() } else { head };
    Ok((embedding, Linear::of(head, None)))
}

impl Layer {
    /// All that follows attention.
    fn rest(&self, hidden: Tensor, attended: Tensor) -> Result<Tensor, TchError> {
        let attended = match &self.after_attention {
            Some(norm) => norm.forward(&attended)?,
            None => attended,
        };
        let hidden = hidden.f_add(&attended)?;
        let normed = self.before_feed.forward(&hidden)?;
        let fed = match &self.feed {
            Part::Feed(feed) => feed.forward(&normed)?,
            Part::Experts(experts) => experts.forward(&normed)?,
        };
        let fed = match &self.after_feed {
            Some(norm) => norm.forward(&fed)?,
            None => fed,
        };
        hidden.f_add(&fed)
    }
}

/// The type of a tensor's numbers while norms are computed.
pub(super) const PRECISE: Kind = Kind::Float;

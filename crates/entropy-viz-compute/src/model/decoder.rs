//! The decoder of all supported architectures: embedding, layers of a token mixer and feed-forward with residual
//! connections, a final norm, and the head. [`Spec`] has the differences.

use tch::{TchError, Tensor};

use super::alt_up::{AltUp, AltUpEnds, Laurel};
use super::cache::{CacheBytes, KvCache};
use super::embedding::{Embedding, embedding_and_head};
use super::layer::{Linear, Mlp, Norm};
use super::masks::DecodeStep;
use super::mixer::{Mixer, Pass};
use super::mlp_and_experts::MlpAndExperts;
use super::moe::Experts;
use super::packed::Packed;
use super::per_layer_inputs::{LayerInput, PerLayerInputs, TokenInputs};
use super::rope::{Rope, RotaryTable};
use super::spec::{Arrangement, ExpertsPlace, Rotation, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// A decoder with its weights.
pub(crate) struct Decoder {
    pub(crate) spec: Spec,
    pub(crate) options: TensorOptions,
    embedding: Embedding,
    inputs: Option<PerLayerInputs>,
    alt_up: Option<AltUpEnds>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
}

struct Layer {
    before_attention: Option<Norm>,
    mixer: Option<Mixer>,
    after_attention: Option<Norm>,
    before_feed_forward: Option<Norm>,
    feed_forward: FeedForward,
    after_feed_forward: Option<Norm>,
    window: Option<i64>,
    rotation: Rotation,
    arrangement: Arrangement,
    residual_scale: Option<f64>,
    /// Several hidden states of each token, and the path beside attention.
    alt_up: Option<(AltUp, Laurel)>,
    /// What is added after the feed-forward part.
    input: Option<LayerInput>,
    /// A factor of the layer's result.
    scalar: Option<Tensor>,
    /// The index of the layer whose cache this one reads.
    cache: usize,
}

enum FeedForward {
    Mlp(Mlp),
    Experts(Box<Experts>),
    Both(Box<MlpAndExperts>),
    None,
}

impl Decoder {
    pub(super) fn load(
        spec: Spec,
        mut weights: Weights,
        options: TensorOptions,
    ) -> anyhow::Result<Decoder> {
        if spec.picture_tokens.is_some() || spec.may_be_nested {
            weights.keep_language_model()?;
        }
        let predicting = 0..spec.prediction_layers;
        let predicting = predicting.map(|i| format!("model.layers.{}.", spec.layers + i));
        let unused: Vec<String> = predicting.chain(spec.unused_kv()).collect();
        weights.leave_out(spec.left_out.iter().copied().chain(unused.iter().map(String::as_str)));
        weights.rename(spec.renamed)?;
        let w = &mut weights;
        let table = [spec.vocabulary, spec.hidden];
        let (embedding, head) = embedding_and_head(w, spec.tie_word_embeddings, &table, options)?;
        let head = match spec.head_bias {
            true => head.with_bias(w.take("lm_head.bias", &[spec.vocabulary], options)?),
            false => head,
        };
        let inputs = match spec.per_layer_inputs {
            Some(sizes) => Some(PerLayerInputs::load(w, sizes, &spec, options)?),
            None => None,
        };
        let alt_up = match spec.alt_up {
            Some(sizes) => Some(AltUpEnds::load(w, sizes, &spec, options)?),
            None => None,
        };
        let norm_of =
            |w: &mut Weights, name: String| Norm::load(w, &name, spec.hidden, &spec, options);
        let mut layers = Vec::new();
        for i in 0..spec.layers {
            let at = |name: &str| format!("model.layers.{i}.{name}");
            let optional = |w: &mut Weights, name: Option<&str>| {
                name.map(|name| norm_of(w, at(&format!("{name}.weight")))).transpose()
            };
            let own = spec.of_layer(i);
            let names = spec.layer_norms;
            let experts = spec.experts.as_ref().filter(|experts| experts.layers[i as usize]);
            let mixer = Mixer::load(w, at, spec.mixers[i as usize], &own, options)?;
            let (mixes, feeds) = (mixer.is_some(), spec.feed_forwards[i as usize]);
            layers.push(Layer {
                before_attention: optional(w, names.before_attention.filter(|_| mixes))?,
                mixer,
                after_attention: optional(w, names.after_attention)?,
                before_feed_forward: optional(w, names.before_feed_forward.filter(|_| feeds))?,
                feed_forward: match experts {
                    _ if !feeds => FeedForward::None,
                    Some(experts) if spec.experts_place == ExpertsPlace::BesideMlp => {
                        FeedForward::Both(Box::new(MlpAndExperts::load(
                            w, at, experts, &own, options,
                        )?))
                    }
                    Some(experts) => {
                        let is_stored = |name: &str| w.has(&at(name));
                        let at = at(experts.names.stored_module(is_stored));
                        FeedForward::Experts(Box::new(Experts::load(
                            w, &at, experts, &spec, options,
                        )?))
                    }
                    None => {
                        let (at, wide) = (at(spec.mlp_names.module), own.intermediate);
                        FeedForward::Mlp(Mlp::load(w, &at, wide, &own, options)?)
                    }
                },
                after_feed_forward: optional(w, names.after_feed_forward)?,
                window: spec.attention.windows[i as usize],
                rotation: spec.attention.rotations[i as usize],
                arrangement: spec.arrangement,
                residual_scale: spec.residual_scale,
                alt_up: match spec.alt_up {
                    Some(sizes) => Some((
                        AltUp::load(w, at, sizes, &spec, options)?,
                        Laurel::load(w, at, sizes.laurel_rank, &spec, options)?,
                    )),
                    None => None,
                },
                input: match &inputs {
                    Some(common) => Some(LayerInput::load(w, at, i, common, &spec, options)?),
                    None => None,
                },
                scalar: match spec.layer_scalar {
                    Some(name) => Some(w.take(&at(name), &[1], options)?),
                    None => None,
                },
                cache: spec.cache_layer(i) as usize,
            });
        }
        let norm = norm_of(w, format!("model.{}.weight", spec.final_norm))?;
        weights.finish()?;
        Ok(Decoder { spec, options, embedding, inputs, alt_up, layers, norm, head })
    }

    fn embed(&self, ids: &[i64]) -> Result<Tensor, TchError> {
        let hidden = match &self.embedding {
            Embedding::Tied => self.head.weight_rows(ids)?,
            Embedding::Own(table) => {
                let ids = Tensor::f_from_slice(ids)?.f_to_device(self.options.device)?;
                table.f_index_select(0, &ids)?
            }
        };
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
    /// cache slot `slots[i]`, with the states of recurrent layers.
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
        let tables = self.rotary_tables(&positions, &lengths)?;
        let mut pass = Pass::new(packed, &self.spec.mixers, self.options.device)?;
        let (mut hidden, inputs) = self.begin(&packed.ids)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let layer_cache = cache.as_mut().map(|(cache, slots)| (&mut cache.layers[i], *slots));
            let table = tables.of(layer.rotation);
            hidden = layer.forward(hidden, inputs.as_ref(), |mixer, normed| {
                mixer.forward(normed, &mut pass, table, layer.window, layer_cache)
            })?;
        }
        let rows = Tensor::f_from_slice(rows)?.f_to_device(self.options.device)?;
        self.end(&hidden.f_index_select(0, &rows)?)
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
        self.head(&self.step(ids, positions, lengths, cache)?)
    }

    fn step(
        &self,
        ids: &[i64],
        positions: &[i64],
        lengths: &[i64],
        cache: &mut KvCache,
    ) -> Result<Tensor, TchError> {
        let tables = self.rotary_tables(positions, lengths)?;
        let mut step = DecodeStep::new(positions, cache.capacity, self.options)?;
        let (mut hidden, inputs) = self.begin(ids)?;
        for layer in &self.layers {
            let layer_cache = &mut cache.layers[layer.cache];
            let table = tables.of(layer.rotation);
            hidden = layer.forward(hidden, inputs.as_ref(), |mixer, normed| {
                mixer.step(normed, &mut step, table, layer.window, layer_cache)
            })?;
        }
        self.end(&hidden)
    }

    /// The hidden states of tokens before the first layer, and what single layers take of the tokens, if they take anything.
    fn begin(&self, ids: &[i64]) -> Result<(Tensor, Option<TokenInputs<'_>>), TchError> {
        let embedded = self.embed(ids)?;
        let inputs = self.inputs.as_ref().map(|inputs| inputs.of_tokens(ids, &embedded));
        let hidden = match &self.alt_up {
            Some(alt_up) => alt_up.expand(&embedded)?,
            None => embedded,
        };
        Ok((hidden, inputs.transpose()?))
    }

    /// The hidden states after the final norm.
    fn end(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        match &self.alt_up {
            Some(alt_up) => self.norm.forward(&alt_up.merge(hidden)?),
            None => self.norm.forward(hidden),
        }
    }

    /// Cosines and sines of the layers; see [`Rope::table`].
    fn rotary_tables(&self, positions: &[i64], lengths: &[i64]) -> Result<Tables, TchError> {
        let table = |rope: &Rope| {
            rope.table(positions, lengths, self.options.device)?.to_kind(self.options.kind)
        };
        let attention = &self.spec.attention;
        let local = attention.local_rope.as_ref().map(table).transpose()?;
        Ok(Tables { main: table(&attention.rope)?, local })
    }

    /// The logits of hidden states.
    pub(crate) fn head(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let logits = self.head.forward(hidden)?;
        let logits = match self.spec.logits_divisor {
            None => logits,
            Some(divisor) => logits.f_div_scalar(divisor)?,
        };
        match self.spec.softcap {
            None => Ok(logits),
            Some(cap) => (logits.f_div_scalar(cap)?.f_tanh()?).f_mul_scalar(cap),
        }
    }

    /// Bytes of a sequence in the cache.
    pub(crate) fn cache_bytes(&self) -> CacheBytes {
        CacheBytes::of(&self.spec, self.options)
    }

    /// An empty cache for `slots` sequences of at most `capacity` tokens.
    pub(crate) fn cache(&self, slots: i64, capacity: i64) -> Result<KvCache, TchError> {
        KvCache::new(&self.spec, slots, capacity, self.options)
    }
}

/// The rotary tables of a forward pass.
struct Tables {
    main: RotaryTable,
    local: Option<RotaryTable>,
}

impl Tables {
    fn of(&self, rotation: Rotation) -> Option<&RotaryTable> {
        match rotation {
            Rotation::None => None,
            Rotation::Main => Some(&self.main),
            Rotation::Local => self.local.as_ref(),
        }
    }
}

fn norm_or_same(norm: Option<&Norm>, x: &Tensor) -> Result<Tensor, TchError> {
    norm.map_or_else(|| Ok(x.shallow_clone()), |norm| norm.forward(x))
}

impl Layer {
    /// The hidden states after this layer. `mix` runs the token mixer, if there is one, on normalised states; `inputs` are those
    /// of single layers.
    fn forward(
        &self,
        hidden: Tensor,
        inputs: Option<&TokenInputs>,
        mix: impl FnOnce(&Mixer, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, TchError> {
        if let (Some((alt_up, _)), Some(input), Some(inputs)) = (&self.alt_up, &self.input, inputs)
        {
            let predicted = alt_up.predict(&hidden)?;
            let active = self.mix_and_feed(alt_up.active(&predicted)?, mix)?;
            let corrected = alt_up.correct(&predicted, &active)?;
            let input = input.forward(&alt_up.for_input(&corrected)?, inputs)?;
            return alt_up.add_input(corrected, &input);
        }
        let hidden = self.mix_and_feed(hidden, mix)?;
        let hidden = match (&self.input, inputs) {
            (Some(input), Some(inputs)) => hidden.f_add(&input.forward(&hidden, inputs)?)?,
            _ => hidden,
        };
        match &self.scalar {
            Some(scalar) => hidden.f_mul(scalar),
            None => Ok(hidden),
        }
    }

    /// The hidden states after mixer and feed-forward.
    fn mix_and_feed(
        &self,
        hidden: Tensor,
        mix: impl FnOnce(&Mixer, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, TchError> {
        let mixer_input = norm_or_same(self.before_attention.as_ref(), &hidden)?;
        let hidden = match &self.mixer {
            Some(mixer) => {
                let mixed = mix(mixer, &mixer_input)?;
                self.add(&hidden, &norm_or_same(self.after_attention.as_ref(), &mixed)?)?
            }
            None => hidden,
        };
        let hidden = match &self.alt_up {
            Some((_, laurel)) => laurel.add(&hidden, &mixer_input)?,
            None => hidden,
        };
        let normed = || match self.arrangement {
            Arrangement::Sequential => norm_or_same(self.before_feed_forward.as_ref(), &hidden),
            Arrangement::Parallel => Ok(mixer_input.shallow_clone()),
        };
        let fed = match &self.feed_forward {
            FeedForward::Mlp(mlp) => mlp.forward(&normed()?)?,
            FeedForward::Experts(experts) => experts.forward(&normed()?)?,
            FeedForward::Both(both) => both.forward(&hidden, &normed()?)?,
            FeedForward::None => return Ok(hidden),
        };
        let fed = norm_or_same(self.after_feed_forward.as_ref(), &fed)?;
        self.add(&hidden, &fed)
    }

    fn add(&self, residual: &Tensor, change: &Tensor) -> Result<Tensor, TchError> {
        match self.residual_scale {
            None => residual.f_add(change),
            Some(scale) => residual.f_add(&change.f_mul_scalar(scale)?),
        }
    }
}

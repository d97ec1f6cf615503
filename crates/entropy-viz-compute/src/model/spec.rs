//! The differences between decoder architectures, read from config.json.

use anyhow::bail;

pub(super) use super::attention_spec::{
    AttentionSpec, LatentSpec, QkNorm, RopePairs, Rotation, WindowKind, windows,
};
pub(super) use super::defaults::{Defaults, MAX_HEAD_DIM, MAX_SIZE};
pub(super) use super::expert_spec::{
    ExpertBiases, ExpertLayout, ExpertNames, ExpertSpec, SharedExpert,
};
use super::layer_settings::{AltUpSpec, LayerSettings, PerLayerSpec};
use super::mixer_spec::MixerSpec;
pub(super) use super::mlp_spec::{Activation, MlpKind, MlpScales, activation, activation_or};
pub(super) use super::names::{AttentionNames, MlpNames};
use super::rope::{LayerRope, Rope};
use super::shared_kv::KvSource;
use crate::checkpoint::config::Config;

/// A `model_type` of config.json and the function that reads its other settings.
pub(super) struct Architecture {
    pub(super) model_type: &'static str,
    pub(super) read: fn(&Config) -> anyhow::Result<Spec>,
}

/// The settings of a decoder: sizes, and the variants of its layers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    pub(crate) hidden: i64,
    pub(crate) layers: i64,
    pub(crate) vocabulary: i64,
    /// Maximum sequence length (`max_position_embeddings`), in tokens.
    pub(crate) context: i64,
    /// Whether the head shares the weights of the embedding.
    pub(crate) tie_word_embeddings: bool,
    /// Factor of the embeddings.
    pub(crate) embedding_scale: Option<f64>,
    /// Factor of what attention and feed-forward add to the residual.
    pub(crate) residual_scale: Option<f64>,
    /// Divisor of the logits, before the soft cap.
    pub(crate) logits_divisor: Option<f64>,
    /// Logit soft cap: logits l become cap·tanh(l / cap).
    pub(crate) softcap: Option<f64>,
    pub(crate) epsilon: f64,
    pub(crate) norm: NormKind,
    pub(crate) layer_norms: LayerNorms,
    /// The module of the norm after the last layer, in `model`.
    pub(crate) final_norm: &'static str,
    pub(crate) arrangement: Arrangement,
    pub(crate) activation: Activation,
    pub(crate) attention: AttentionSpec,
    /// Sizes and keys of each layer, if layers differ in them.
    pub(crate) layer_settings: Vec<LayerSettings>,
    /// The token mixer of each layer.
    pub(crate) mixers: Vec<MixerSpec>,
    /// Which layers have a feed-forward part.
    pub(crate) feed_forwards: Vec<bool>,
    /// That of the convolutions of Mamba 2.
    pub(crate) mamba_activation: Activation,
    /// Width of the MLP.
    pub(crate) intermediate: i64,
    pub(crate) mlp: MlpKind,
    pub(crate) mlp_names: MlpNames,
    pub(crate) mlp_bias: bool,
    pub(crate) head_bias: bool,
    /// Factors in a gated MLP.
    pub(crate) mlp_scales: Option<MlpScales>,
    /// Mixture of experts in some or all layers.
    pub(crate) experts: Option<ExpertSpec>,
    pub(crate) experts_place: ExpertsPlace,
    /// Inputs of single layers.
    pub(crate) per_layer_inputs: Option<PerLayerSpec>,
    /// Several hidden states of each token.
    pub(crate) alt_up: Option<AltUpSpec>,
    /// The cutoff of the gates of the MLP, in standard deviations above their mean.
    pub(crate) gate_cutoff: Option<f64>,
    /// The tensor, in a layer, of a number that multiplies the hidden states after it.
    pub(crate) layer_scalar: Option<&'static str>,
    /// Stored layers after the last one, for the prediction of further tokens; they are not used.
    pub(crate) prediction_layers: i64,
    /// Token ids that stand for pictures, if this is the language model of a model of pictures and text.
    pub(crate) picture_tokens: Option<Vec<i64>>,
    /// Whether the tensors may have the names of those in a model of pictures and text, `model.language_model.…`, although it is
    /// none: transformers saves a language model that it took out of one so.
    pub(crate) may_be_nested: bool,
    /// Parts of the names of tensors that are called otherwise here, each (there, here).
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// The first parts of names of tensors that are no part of the decoder, such as `mtp.` for heads that predict further tokens.
    pub(crate) left_out: &'static [&'static str],
}

/// The norms of a layer by their names, before and after attention and feed-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerNorms {
    pub(crate) before_attention: Option<&'static str>,
    pub(crate) after_attention: Option<&'static str>,
    pub(crate) before_feed_forward: Option<&'static str>,
    pub(crate) after_feed_forward: Option<&'static str>,
}

impl LayerNorms {
    /// Before each part, as in Llama.
    pub(super) const BEFORE: LayerNorms = LayerNorms {
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_feed_forward: Some("post_attention_layernorm"),
        after_feed_forward: None,
    };
    /// One norm, before attention and feed-forward, which are parallel.
    pub(super) const FIRST: LayerNorms =
        LayerNorms { before_feed_forward: None, ..LayerNorms::BEFORE };
    /// Before and after each part, as in Gemma 2.
    pub(super) const AROUND: LayerNorms = LayerNorms {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_attention_layernorm"),
        before_feed_forward: Some("pre_feedforward_layernorm"),
        after_feed_forward: Some("post_feedforward_layernorm"),
    };
    /// Before and after each part, with the names of GLM-4.
    pub(super) const AROUND_GLM4: LayerNorms = LayerNorms {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_self_attn_layernorm"),
        before_feed_forward: Some("post_attention_layernorm"),
        after_feed_forward: Some("post_mlp_layernorm"),
    };
    /// After each part, as in OLMo 2.
    pub(super) const AFTER: LayerNorms = LayerNorms {
        before_attention: None,
        after_attention: Some("post_attention_layernorm"),
        before_feed_forward: None,
        after_feed_forward: Some("post_feedforward_layernorm"),
    };
}

/// How attention and feed-forward of a layer follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// Feed-forward takes the sum of the residual and attention, as in Llama.
    Sequential,
    /// Both take the output of the norm before attention, and both are added to the residual, as in Phi-2.
    Parallel,
}

/// Where a layer with experts has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertsPlace {
    /// In the place of the MLP.
    InsteadOfMlp,
    /// Beside the MLP, as in Gemma 4.
    BesideMlp,
}

/// Maximum number of layers; a config.json with a larger `num_hidden_layers` is rejected as broken.
const MAX_LAYERS: i64 = 10_000;

impl Spec {
    /// The settings of Llama, which other architectures modify: full attention, no biases, RMS norm, SiLU.
    pub(super) fn llama_like(config: &Config, defaults: Defaults) -> anyhow::Result<Spec> {
        Spec::with_rope(config, defaults, None, None)
    }

    /// Like [`Spec::llama_like`], with one rotary embedding for layers without a sliding window and one for those with it.
    pub(super) fn with_layer_ropes(
        config: &Config,
        defaults: Defaults,
        full: LayerRope,
        sliding: LayerRope,
    ) -> anyhow::Result<Spec> {
        let mut spec = Spec::with_rope(config, defaults, Some(&full), None)?;
        let head_dim = spec.attention.head_dim;
        spec.attention.local_rope = Some(Rope::read(config, head_dim, defaults, Some(&sliding))?);
        Ok(spec)
    }

    /// Like [`Spec::with_layer_ropes`], with heads of the width `full_dim` in layers without a sliding window.
    pub(super) fn with_layer_heads(
        config: &Config,
        defaults: Defaults,
        (full, full_dim): (LayerRope, i64),
        sliding: LayerRope,
    ) -> anyhow::Result<Spec> {
        let mut spec = Spec::with_rope(config, defaults, Some(&sliding), None)?;
        spec.attention.local_rope = Some(spec.attention.rope);
        let rope = Rope::read(config, full_dim, defaults, Some(&full))?;
        let context = config.count("max_position_embeddings")?;
        spec.context = rope.stretched_context().unwrap_or(context);
        spec.attention.rope = rope;
        Ok(spec)
    }

    /// Like [`Spec::llama_like`], for heads of which only a part of this width is rotated, whatever `head_dim` says.
    pub(super) fn with_rotary_dim(
        config: &Config,
        defaults: Defaults,
        rotary_dim: i64,
    ) -> anyhow::Result<Spec> {
        Spec::with_rope(config, defaults, None, Some(rotary_dim))
    }

    /// The number of layers.
    pub(super) fn layers_of(config: &Config) -> anyhow::Result<i64> {
        let layers = config.count("num_hidden_layers")?;
        if layers > MAX_LAYERS {
            bail!("{}: num_hidden_layers is {layers}", config.path().display());
        }
        Ok(layers)
    }

    fn with_rope(
        config: &Config,
        defaults: Defaults,
        layer_rope: Option<&LayerRope>,
        rotary_dim: Option<i64>,
    ) -> anyhow::Result<Spec> {
        let hidden = config.count("hidden_size")?;
        let layers = Spec::layers_of(config)?;
        let heads = config.count("num_attention_heads")?;
        let kv_heads =
            config.count_or("num_key_value_heads", defaults.kv_heads.unwrap_or(heads))?;
        let head_dim = match rotary_dim {
            Some(rotary_dim) => rotary_dim,
            None => config.count_or("head_dim", defaults.head_dim.unwrap_or(hidden / heads))?,
        };
        let vocabulary = config.count("vocab_size")?;
        let intermediate = match defaults.intermediate {
            Some(default) => config.count_or("intermediate_size", default)?,
            None => config.count("intermediate_size")?,
        };
        for (key, size, limit) in [
            ("hidden_size", hidden, MAX_SIZE),
            ("num_attention_heads", heads, MAX_SIZE),
            ("num_key_value_heads", kv_heads, MAX_SIZE),
            ("head_dim", head_dim, MAX_HEAD_DIM),
            ("vocab_size", vocabulary, MAX_SIZE),
            ("intermediate_size", intermediate, MAX_SIZE),
        ] {
            if !(1..=limit).contains(&size) {
                bail!("{}: {key} is {size}, not from 1 to {limit}", config.path().display());
            }
        }
        if heads % kv_heads != 0 {
            bail!(
                "{}: {heads} attention heads are not a multiple of {kv_heads} key-value heads",
                config.path().display()
            );
        }
        let rope = Rope::read(config, head_dim, defaults, layer_rope)?;
        let context = config.count("max_position_embeddings")?;
        Ok(Spec {
            hidden,
            layers,
            vocabulary,
            context: rope.stretched_context().unwrap_or(context),
            tie_word_embeddings: config
                .flag_or("tie_word_embeddings", defaults.tie_word_embeddings)?,
            embedding_scale: None,
            residual_scale: None,
            logits_divisor: None,
            softcap: None,
            epsilon: config.number_or(defaults.epsilon_key, defaults.epsilon)?,
            norm: NormKind::Plain,
            layer_norms: LayerNorms::BEFORE,
            final_norm: "norm",
            arrangement: Arrangement::Sequential,
            activation: activation(config, "hidden_act")?,
            attention: AttentionSpec {
                heads,
                kv_heads,
                head_dim,
                value_dim: head_dim,
                latent: None,
                rope,
                local_rope: None,
                rotations: vec![Rotation::Main; layers as usize],
                rope_pairs: RopePairs::Halves,
                scale: (head_dim as f64).powf(-0.5),
                softcap: None,
                sinks: None,
                bias: false,
                output_bias: false,
                output_gate: false,
                fused_qkv: false,
                qk_norm: None,
                kv: KvSource::Own,
                given: None,
                names: AttentionNames::LLAMA,
                windows: vec![None; layers as usize],
                window_kind: WindowKind::Sliding,
            },
            layer_settings: Vec::new(),
            mixers: vec![MixerSpec::Attention; layers as usize],
            feed_forwards: vec![true; layers as usize],
            mamba_activation: Activation::Silu,
            intermediate,
            mlp: MlpKind::Gated,
            mlp_names: MlpNames::LLAMA,
            mlp_bias: false,
            head_bias: false,
            mlp_scales: None,
            experts: None,
            experts_place: ExpertsPlace::InsteadOfMlp,
            per_layer_inputs: None,
            alt_up: None,
            gate_cutoff: None,
            layer_scalar: None,
            prediction_layers: 0,
            picture_tokens: None,
            may_be_nested: false,
            renamed: &[],
            left_out: &[],
        })
    }
}

/// What a norm does, and how its stored weight w gives its factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NormKind {
    /// RMS norm; the factor is w.
    Plain,
    /// RMS norm; the factor is 1 + w, as in Gemma.
    UnitOffset,
    /// Layer norm, which subtracts the mean first; the factor is w, as in Cohere.
    Layer,
    /// Layer norm with a bias; the factor is w, as in StarCoder2.
    LayerWithBias,
    /// Layer norm with a bias; the factor is 1 + w, as in Nemotron.
    LayerUnitOffset,
}

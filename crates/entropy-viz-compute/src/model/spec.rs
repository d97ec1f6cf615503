//! The differences between decoder architectures, read from config.json.

use anyhow::{Context as _, bail};

pub(super) use super::defaults::Defaults;
use super::mixer_spec::MixerSpec;
pub(super) use super::names::{AttentionNames, MlpNames};
use super::rope::{LayerRope, Rope};
use super::routing::Routing;
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

/// The attention settings of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: i64,
    pub(crate) kv_heads: i64,
    /// Width of a query and a key of a head.
    pub(crate) head_dim: i64,
    /// Width of a value of a head.
    pub(crate) value_dim: i64,
    /// Keys and values are computed from a latent vector.
    pub(crate) latent: Option<LatentSpec>,
    pub(crate) rope: Rope,
    /// Another rotary embedding, of layers with [`Rotation::Local`].
    pub(crate) local_rope: Option<Rope>,
    /// The rotation of each layer.
    pub(crate) rotations: Vec<Rotation>,
    pub(crate) rope_pairs: RopePairs,
    /// Factor of q·k.
    pub(crate) scale: f64,
    /// Attention soft cap: scores s become cap·tanh(s / cap).
    pub(crate) softcap: Option<f64>,
    /// The tensor, in the module of attention, of one score per head that each query has besides those of the keys: it takes a
    /// share of the softmax and adds nothing to the result.
    pub(crate) sinks: Option<&'static str>,
    /// Whether q, k and v have biases.
    pub(crate) bias: bool,
    pub(crate) output_bias: bool,
    /// Whether `q_proj` also makes a gate of the output, as in Qwen3-Next.
    pub(crate) output_gate: bool,
    /// Whether q, k and v are stored as one tensor.
    pub(crate) fused_qkv: bool,
    /// Norms of q and k.
    pub(crate) qk_norm: Option<QkNorm>,
    pub(crate) names: AttentionNames,
    /// Window per layer, in tokens; `None` for full attention.
    pub(crate) windows: Vec<Option<i64>>,
    pub(crate) window_kind: WindowKind,
}

/// The sizes of latent attention.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LatentSpec {
    /// Width of the vector from which queries are computed; `None` if they are computed directly.
    pub(crate) query_rank: Option<i64>,
    /// Width of the latent, from which keys and values are computed.
    pub(crate) rank: i64,
    /// Numbers of a key that are of its head and not rotated.
    pub(crate) plain: i64,
    /// Numbers of a key that are rotated, the same for all heads.
    pub(crate) rotary: i64,
    /// Whether the modules that make the short vectors have biases.
    pub(crate) bias: bool,
}

/// The settings of a mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpertSpec {
    pub(crate) count: i64,
    pub(crate) experts_per_token: i64,
    pub(crate) intermediate: i64,
    /// Width of the experts' inputs and outputs, if it is not that of the model, as in Nemotron 3.
    pub(crate) latent: Option<i64>,
    pub(crate) routing: Routing,
    /// Which layers have experts instead of an MLP.
    pub(crate) layers: Vec<bool>,
    /// An MLP that takes every token besides.
    pub(crate) shared: Option<SharedExpert>,
    pub(crate) names: ExpertNames,
}

/// An MLP beside the experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedExpert {
    pub(crate) width: i64,
    pub(crate) name: &'static str,
    /// The module of a gate, whose σ multiplies the output, as in Qwen2-MoE.
    pub(crate) gate: Option<&'static str>,
}

impl SharedExpert {
    /// That of Qwen's mixtures, with a gate.
    pub(super) fn gated(config: &Config, width: i64) -> anyhow::Result<SharedExpert> {
        Ok(SharedExpert {
            width: config.count_or("shared_expert_intermediate_size", width)?,
            name: "shared_expert",
            gate: Some("shared_expert_gate"),
        })
    }
}

impl ExpertSpec {
    /// The settings, if they fit each other.
    pub(super) fn checked(self, config: &Config) -> anyhow::Result<ExpertSpec> {
        if self.experts_per_token > self.count {
            bail!(
                "{}: num_experts_per_tok is {}, but there are only {} experts",
                config.path().display(),
                self.experts_per_token,
                self.count
            );
        }
        let shared = self.shared.map_or(1, |shared| shared.width);
        for (what, size) in [
            ("the number of experts", self.count),
            ("moe_intermediate_size", self.intermediate),
            ("the width of the shared experts", shared),
        ] {
            if !(1..=MAX_SIZE).contains(&size) {
                bail!("{}: {what} is {size}, not from 1 to {MAX_SIZE}", config.path().display());
            }
        }
        self.routing
            .check(self.count, self.experts_per_token)
            .with_context(|| config.path().display().to_string())?;
        Ok(self)
    }
}

/// Names of the tensors of a mixture of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExpertNames {
    /// The module of router and experts in a layer.
    pub(crate) module: &'static str,
    /// The router in this module; if there are several names, the first that is stored.
    pub(crate) router: &'static [&'static str],
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    /// Gate and up, and down, of all experts, if the files have them as one tensor each.
    pub(crate) fused: Option<[&'static str; 2]>,
    pub(crate) layout: ExpertLayout,
    pub(crate) biases: ExpertBiases,
}

/// Which parts of a mixture of experts have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertBiases {
    None,
    /// The router, and all experts in one tensor: `gate_up_proj_bias`, experts × 2·intermediate, and `down_proj_bias`,
    /// experts × hidden.
    All,
}

/// The order of dimensions of experts that are stored as one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertLayout {
    /// Experts × out × in; if the shape says so, experts × in × out.
    OutputFirst,
    /// Always experts × in × out.
    InputFirst,
    /// Always experts × in × out; the outputs of gate and up take turns, as in gpt-oss.
    Interleaved,
}

impl ExpertNames {
    /// The module of router and experts in the files: transformers 5 has `mlp` for all in memory, and so have trainers'
    /// shards. `is_stored` tells whether the layer has a tensor of a name.
    pub(super) fn stored_module(&self, is_stored: impl Fn(&str) -> bool) -> &'static str {
        let in_memory = ExpertNames::QWEN.module;
        let is_there = |router: &&str| is_stored(&format!("{in_memory}.{router}.weight"));
        if self.router.iter().any(is_there) { in_memory } else { self.module }
    }

    pub(super) const QWEN: ExpertNames = ExpertNames {
        module: "mlp",
        router: &["gate"],
        gate: "gate_proj",
        up: "up_proj",
        down: "down_proj",
        fused: None,
        layout: ExpertLayout::OutputFirst,
        biases: ExpertBiases::None,
    };
    pub(super) const MIXTRAL: ExpertNames = ExpertNames {
        module: "block_sparse_moe",
        gate: "w1",
        up: "w3",
        down: "w2",
        ..ExpertNames::QWEN
    };
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

/// Which tokens a layer with a window attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowKind {
    /// The last ones, including the current one.
    Sliding,
    /// Those since the last position that is a multiple of the window, as in Llama 4.
    Chunk,
}

/// What a norm of q and k normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QkNorm {
    /// Each head, as in Qwen3.
    Head,
    /// Each head after the rotary embedding, as in Hunyuan.
    RotatedHead,
    /// Each head after the rotary embedding, without weights, in layers that have one, as in Llama 4.
    RotatedWithoutWeights,
    /// Each head with weights of its own, as in Cohere.
    EachHead,
    /// All heads together, as in OLMo 2.
    Width,
}

/// The rotary embedding of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    None,
    Main,
    /// That of [`AttentionSpec::local_rope`].
    Local,
}

/// Which numbers of a head a rotary embedding rotates together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RopePairs {
    /// One of the first half and one of the second half.
    Halves,
    /// Neighbours, as in GLM.
    Neighbours,
}

/// The linear modules of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MlpKind {
    /// Gate, up and down.
    Gated,
    /// Gated, with gate and up in one tensor, `gate_up_proj`.
    GatedInOne,
    /// Up, the activation, and down.
    Plain,
}

impl MlpKind {
    /// How many matrices the input is multiplied by.
    pub(super) fn ups(self) -> i64 {
        match self {
            MlpKind::Gated | MlpKind::GatedInOne => 2,
            MlpKind::Plain => 1,
        }
    }

    /// Names of all experts' matrices as transformers 5 may save them: gate and up, or only up, and down.
    pub(super) fn fused_experts(self) -> [&'static str; 2] {
        match self {
            MlpKind::Gated | MlpKind::GatedInOne => ["gate_up_proj", "down_proj"],
            MlpKind::Plain => ["up_proj", "down_proj"],
        }
    }
}

/// Factors of the gate before its activation, and of the result of an MLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MlpScales {
    pub(crate) gate: f64,
    pub(crate) down: f64,
}

/// Maximum number of layers; a config.json with a larger `num_hidden_layers` is rejected as broken.
const MAX_LAYERS: i64 = 10_000;
/// Maximum of the other sizes, so that no product of two of them overflows. They are compared with the weights later.
pub(super) const MAX_SIZE: i64 = 1 << 30;
/// Maximum dimension of a head: the rotary frequencies are computed before the weights are opened.
pub(super) const MAX_HEAD_DIM: i64 = 1 << 16;

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

    /// Like [`Spec::llama_like`], for heads of which only a part of this width is rotated, whatever `head_dim` says.
    pub(super) fn with_rotary_dim(
        config: &Config,
        defaults: Defaults,
        rotary_dim: i64,
    ) -> anyhow::Result<Spec> {
        Spec::with_rope(config, defaults, None, Some(rotary_dim))
    }

    fn with_rope(
        config: &Config,
        defaults: Defaults,
        layer_rope: Option<&LayerRope>,
        rotary_dim: Option<i64>,
    ) -> anyhow::Result<Spec> {
        let hidden = config.count("hidden_size")?;
        let layers = config.count("num_hidden_layers")?;
        if layers > MAX_LAYERS {
            bail!("{}: num_hidden_layers is {layers}", config.path().display());
        }
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
                names: AttentionNames::LLAMA,
                windows: vec![None; layers as usize],
                window_kind: WindowKind::Sliding,
            },
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
            prediction_layers: 0,
            picture_tokens: None,
            may_be_nested: false,
            renamed: &[],
            left_out: &[],
        })
    }
}

impl AttentionSpec {
    /// Gives layers with a sliding window the local rotary embedding.
    pub(super) fn rotate_by_window(&mut self) {
        let rotation = |window: &Option<i64>| match window {
            Some(_) => Rotation::Local,
            None => Rotation::Main,
        };
        self.rotations = self.windows.iter().map(rotation).collect();
    }

    /// Whether the rotary angles of all positions change when a sequence grows to `length` tokens: its cached keys are
    /// then invalid.
    pub(crate) fn angles_change_at(&self, length: i64) -> bool {
        self.rope.changes_at(length)
            || self.local_rope.as_ref().is_some_and(|rope| rope.changes_at(length))
    }
}

/// The activation function under `key` of config.json, by default SiLU.
pub(super) fn activation(config: &Config, key: &str) -> anyhow::Result<Activation> {
    activation_or(config, key, Activation::Silu)
}

/// The activation function under `key` of config.json.
pub(super) fn activation_or(
    config: &Config,
    key: &str,
    default: Activation,
) -> anyhow::Result<Activation> {
    if config.get(key).is_none() {
        return Ok(default);
    }
    Ok(match config.string(key)? {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        // They differ in rounding only.
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        "relu2" => Activation::SquaredRelu,
        other => bail!(
            "{}: {key} {other:?} is not supported; silu, gelu, gelu_pytorch_tanh, gelu_new, gelu_fast, relu and relu2 are",
            config.path().display()
        ),
    })
}

/// The sliding window of each layer: by `layer_types` if config.json has them, else `window` in the layers for
/// which `default` returns true.
pub(super) fn windows(
    config: &Config,
    layers: i64,
    window: Option<i64>,
    default: impl Fn(i64) -> bool,
) -> anyhow::Result<Vec<Option<i64>>> {
    let Some(types) = config.strings("layer_types")? else {
        return Ok((0..layers).map(|i| window.filter(|_| default(i))).collect());
    };
    let path = config.path().display();
    if types.len() as i64 != layers {
        bail!("{path}: layer_types has {} entries, but num_hidden_layers is {layers}", types.len());
    }
    let of_type = |name: &str| match (name, window) {
        ("full_attention", _) => Ok(None),
        ("sliding_attention", Some(window)) => Ok(Some(window)),
        ("sliding_attention", None) => {
            bail!("{path}: layer_types has sliding_attention, but sliding_window is not set")
        }
        (other, _) => bail!("{path}: layer type {other:?} is not supported"),
    };
    types.into_iter().map(of_type).collect()
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

/// The activation function of the MLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
    /// max(x, 0)².
    SquaredRelu,
    /// x·σ(alpha·x), with x at most `limit`. What a gate multiplies is limited to ±`limit`, and 1 is added to it.
    Clamped {
        alpha: f64,
        limit: f64,
    },
}

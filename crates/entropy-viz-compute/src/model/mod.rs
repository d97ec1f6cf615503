//! Causal language models: token ids in, logits at chosen positions out.
//!
//! [`decoder`] is common to all architectures. Each architecture has a file that reads config.json into a [`Spec`];
//! `ARCHITECTURES` lists them.

mod alt_up;
mod arcee;
mod attention;
mod attention_spec;
pub(crate) mod cache;
mod chunks;
mod cohere;
mod cohere2;
mod conv;
pub(crate) mod decoder;
mod deepseek_v2;
mod deepseek_v3;
mod defaults;
mod delta_net;
mod delta_rule;
mod embedding;
mod ernie4_5;
mod exaone4;
mod expert_spec;
mod expert_weights;
mod falcon_h1;
mod gemma;
mod gemma2;
mod gemma3_text;
mod gemma3n_text;
mod gemma4_heads;
mod gemma4_text;
mod glm;
mod glm4;
mod glm4_moe;
mod glm4_moe_lite;
mod gpt_oss;
mod granite;
mod granitemoe;
mod hunyuan_v1_dense;
mod internlm3;
mod latent;
mod layer;
mod layer_kv;
mod layer_settings;
mod lfm2;
mod lfm2_moe;
mod llama;
mod llama4;
mod long_frequencies;
mod low_rank;
mod mamba2;
mod masks;
mod matrix;
mod minimax_m2;
mod ministral;
mod ministral3;
mod mistral;
mod mixer;
pub(crate) mod mixer_spec;
mod mixtral;
mod mlp_and_experts;
mod mlp_spec;
mod moe;
mod names;
mod nemotron;
mod nemotron_h;
mod normed_heads;
mod of_layer;
mod olmo2;
mod olmo3;
mod output_gate;
pub(crate) mod packed;
mod per_layer_inputs;
mod phi;
mod phi3;
mod pictures;
mod proportional;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_5;
mod qwen3_5_moe;
mod qwen3_moe;
mod qwen3_next;
mod qwen3_vl_moe;
mod recurrent;
mod rope;
mod rotate;
mod routing;
mod scan;
mod seed_oss;
mod shared_kv;
mod short_conv;
mod smollm3;
mod sparse_gate;
pub(crate) mod spec;
mod starcoder2;
pub(crate) mod torchscript;

use anyhow::bail;
use tch::{Kind, TchError, Tensor};

use crate::checkpoint::config::Config;
use crate::checkpoint::quantisation::Quantisation;
use crate::checkpoint::weights::{TensorOptions, Weights};
use decoder::Decoder;
use packed::Packed;
use spec::{Architecture, Spec};
use torchscript::TorchScript;

const ARCHITECTURES: &[Architecture] = &[
    arcee::ARCHITECTURE,
    cohere::ARCHITECTURE,
    cohere2::ARCHITECTURE,
    deepseek_v2::ARCHITECTURE,
    deepseek_v3::ARCHITECTURE,
    ernie4_5::ARCHITECTURE,
    exaone4::ARCHITECTURE,
    falcon_h1::ARCHITECTURE,
    gemma::ARCHITECTURE,
    gemma2::ARCHITECTURE,
    gemma3_text::ARCHITECTURE,
    gemma3n_text::ARCHITECTURE,
    gemma4_text::ARCHITECTURE,
    glm::ARCHITECTURE,
    glm4::ARCHITECTURE,
    glm4_moe::ARCHITECTURE,
    glm4_moe_lite::ARCHITECTURE,
    gpt_oss::ARCHITECTURE,
    granite::ARCHITECTURE,
    granitemoe::ARCHITECTURE,
    hunyuan_v1_dense::ARCHITECTURE,
    internlm3::ARCHITECTURE,
    deepseek_v3::KIMI_K2,
    lfm2::ARCHITECTURE,
    lfm2_moe::ARCHITECTURE,
    llama::ARCHITECTURE,
    llama4::ARCHITECTURE,
    minimax_m2::ARCHITECTURE,
    ministral::ARCHITECTURE,
    ministral3::ARCHITECTURE,
    mistral::ARCHITECTURE,
    mixtral::ARCHITECTURE,
    nemotron::ARCHITECTURE,
    nemotron_h::ARCHITECTURE,
    olmo2::ARCHITECTURE,
    olmo3::ARCHITECTURE,
    phi::ARCHITECTURE,
    phi3::ARCHITECTURE,
    qwen2::ARCHITECTURE,
    qwen2_moe::ARCHITECTURE,
    qwen3::ARCHITECTURE,
    qwen3_5_moe::ARCHITECTURE,
    qwen3_5::ARCHITECTURE,
    qwen3_moe::ARCHITECTURE,
    qwen3_next::ARCHITECTURE,
    seed_oss::ARCHITECTURE,
    smollm3::ARCHITECTURE,
    starcoder2::ARCHITECTURE,
];

/// Reads the architecture of a model from config.json.
///
/// # Errors
/// If the architecture or one of its settings is not supported; the message names it.
pub(crate) fn spec(config: &Config) -> anyhow::Result<Spec> {
    let model_type = config.string("model_type")?;
    Quantisation::read(config)?;
    if let Some(spec) = pictures::spec(config, model_type) {
        return spec;
    }
    let Some(architecture) = architecture(model_type) else {
        let supported = supported();
        let likeness = |name: &str| strsim::jaro_winkler(name, model_type);
        let nearest = supported.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        bail!(
            "{}: model_type {model_type:?} is not supported (the nearest name is {}); {} are",
            config.path().display(),
            nearest.unwrap_or_default(),
            supported.collect::<Vec<_>>().join(", ")
        );
    };
    (architecture.read)(config)
}

fn architecture(model_type: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| architecture.model_type == model_type)
}

/// The supported values of `model_type`.
fn supported() -> impl Iterator<Item = &'static str> + Clone {
    let text = ARCHITECTURES.iter().map(|architecture| architecture.model_type);
    text.chain(pictures::PICTURE_MODELS.iter().map(|model| model.name))
}

/// A model on its device.
pub(crate) enum Model {
    Decoder(Box<Decoder>),
    TorchScript(TorchScript),
}

/// The output of a model at selected tokens: hidden states before the head, or logits. One row per token.
pub(crate) enum ModelOutput {
    Hidden(Tensor),
    Logits(Tensor),
}

impl ModelOutput {
    pub(crate) fn len(&self) -> i64 {
        let (ModelOutput::Hidden(rows) | ModelOutput::Logits(rows)) = self;
        rows.size()[0]
    }
}

impl Model {
    /// Loads the weights of a decoder.
    pub(crate) fn load(
        spec: Spec,
        weights: Weights,
        options: TensorOptions,
    ) -> anyhow::Result<Model> {
        Ok(Model::Decoder(Box::new(Decoder::load(spec, weights, options)?)))
    }

    /// The number of logits; unknown for TorchScript.
    pub(crate) fn vocabulary(&self) -> Option<i64> {
        match self {
            Model::Decoder(decoder) => Some(decoder.spec.vocabulary),
            Model::TorchScript(_) => None,
        }
    }

    /// Maximum sequence length in tokens; unknown for TorchScript.
    pub(crate) fn context(&self) -> Option<i64> {
        match self {
            Model::Decoder(decoder) => Some(decoder.spec.context),
            Model::TorchScript(_) => None,
        }
    }

    /// Runs the sequences and returns the output at the tokens with indices `rows` in `packed`.
    pub(crate) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<ModelOutput, TchError> {
        match self {
            Model::Decoder(decoder) => decoder.forward(packed, rows).map(ModelOutput::Hidden),
            Model::TorchScript(script) => script.forward(packed, rows).map(ModelOutput::Logits),
        }
    }

    /// The logits of `count` rows from `start` on, in f32: count × vocabulary.
    pub(crate) fn logits(
        &self,
        rows: &ModelOutput,
        start: i64,
        count: i64,
    ) -> Result<Tensor, TchError> {
        let logits = match (self, rows) {
            (Model::Decoder(decoder), ModelOutput::Hidden(hidden)) => {
                decoder.head(&hidden.f_narrow(0, start, count)?)?
            }
            (_, ModelOutput::Logits(logits) | ModelOutput::Hidden(logits)) => {
                logits.f_narrow(0, start, count)?
            }
        };
        logits.f_to_kind(Kind::Float)?.f_contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_sorted_by_name() {
        assert!(ARCHITECTURES.is_sorted_by_key(|a| a.model_type));
    }
}

//! Models of pictures and text: their language model alone, for prompts of text.
//!
//! The settings of the language model are under `text_config`, or at the top level of config.json where transformers 4
//! wrote Qwen2-VL's. On text, the rotary embedding with sections for time, height and width (`mrope`) is the plain one.

use std::ops::Range;

use anyhow::bail;

use super::spec::Spec;
use super::{architecture, qwen3_vl_moe};
use crate::checkpoint::config::Config;

/// A model of pictures and text.
pub(super) struct PictureModel {
    /// `model_type` of config.json.
    pub(super) name: &'static str,
    /// That of the language model; `None` if `text_config` names it.
    text: Option<&'static str>,
    /// The default of `rope_theta`, if it is not that of the language model alone.
    theta: Option<f64>,
}

impl PictureModel {
    const fn new(name: &'static str, text: &'static str) -> PictureModel {
        PictureModel { name, text: Some(text), theta: None }
    }
}

pub(super) const PICTURE_MODELS: [PictureModel; 11] = [
    PictureModel::new("gemma3", "gemma3_text"),
    PictureModel::new("gemma3n", "gemma3n_text"),
    PictureModel::new("gemma4", "gemma4_text"),
    PictureModel::new("llama4", "llama4_text"),
    PictureModel { name: "mistral3", text: None, theta: None },
    PictureModel { theta: Some(1_000_000.0), ..PictureModel::new("qwen2_5_vl", "qwen2") },
    PictureModel { theta: Some(1_000_000.0), ..PictureModel::new("qwen2_vl", "qwen2") },
    PictureModel::new("qwen3_5", "qwen3_5_text"),
    PictureModel::new("qwen3_5_moe", "qwen3_5_moe_text"),
    PictureModel { theta: Some(500_000.0), ..PictureModel::new("qwen3_vl", "qwen3") },
    PictureModel::new("qwen3_vl_moe", "qwen3_vl_moe_text"),
];

/// The keys of token ids that stand for pictures, videos and sounds.
const PICTURE_TOKENS: [&str; 5] = [
    "image_token_id",
    "image_token_index",
    "video_token_id",
    "video_token_index",
    "audio_token_id",
];

/// Maximum number of tokens for pictures and sounds at the end of a vocabulary.
const MAX_OWN_EMBEDDINGS: i64 = 1 << 16;

/// The language model of such a config; `None` for other configs.
pub(super) fn spec(config: &Config, model_type: &str) -> Option<anyhow::Result<Spec>> {
    let model = PICTURE_MODELS.iter().find(|model| model.name == model_type)?;
    Some(read(config, model))
}

fn read(config: &Config, model: &PictureModel) -> anyhow::Result<Spec> {
    let nested = config.section("text_config");
    let text = nested.as_ref().unwrap_or(config);
    let with_theta = model
        .theta
        .filter(|_| text.get("rope_theta").is_none())
        .map(|theta| text.with("rope_theta", theta.into()));
    let text = with_theta.as_ref().unwrap_or(text);
    let text_type = match model.text {
        Some(text_type) => text_type,
        None => text.string("model_type")?,
    };
    let only_here = [&qwen3_vl_moe::ARCHITECTURE];
    let Some(architecture) = architecture(text_type)
        .or_else(|| only_here.into_iter().find(|found| found.model_type == text_type))
    else {
        bail!(
            "{}: the model_type {text_type:?} of text_config is not supported",
            config.path().display()
        );
    };
    let mut spec = (architecture.read)(text)?;
    // In transformers, these have a default of their own.
    let is_tied =
        spec.tie_word_embeddings || ["gemma3n", "gemma4", "mistral3"].contains(&model.name);
    spec.tie_word_embeddings = config.flag_or("tie_word_embeddings", is_tied)?;
    let mut tokens = Vec::new();
    for key in PICTURE_TOKENS.iter().filter(|key| config.get(key).is_some()) {
        tokens.push(config.count(key)?);
    }
    if model.name == "gemma3n" {
        tokens.extend(own_embeddings(config, spec.vocabulary)?);
    }
    Ok(Spec { picture_tokens: Some(tokens), ..spec })
}

/// The tokens of Gemma 3n whose vectors are not those of the language model: the last ones of the vocabulary stand for pictures and
/// sounds.
fn own_embeddings(config: &Config, vocabulary: i64) -> anyhow::Result<Range<i64>> {
    let offset = |part: &str, default: i64| match config.section(part) {
        Some(part) => part.count_or("vocab_offset", default),
        None => Ok(default),
    };
    let first = offset("vision_config", 262_144)?.min(offset("audio_config", 262_272)?);
    if vocabulary - first > MAX_OWN_EMBEDDINGS {
        bail!(
            "{}: vocab_offset is {first}, too far from vocab_size, {vocabulary}",
            config.path().display()
        );
    }
    Ok(first..vocabulary)
}

//! Models of pictures and text: their language model alone, for prompts of text.
//!
//! The settings of the language model are under `text_config`, or at the top level of config.json where transformers 4
//! wrote Qwen2-VL's. On text, the rotary embedding with sections for time, height and width (`mrope`) is the plain one.

use anyhow::bail;

use super::spec::Spec;
use super::{architecture, qwen3_vl_moe};
use crate::checkpoint::config::Config;

/// `model_type` of config.json, and that of the language model; `None` if `text_config` names it.
pub(super) const PICTURE_MODELS: [(&str, Option<&str>); 9] = [
    ("gemma3", Some("gemma3_text")),
    ("llama4", Some("llama4_text")),
    ("mistral3", None),
    ("qwen2_5_vl", Some("qwen2")),
    ("qwen2_vl", Some("qwen2")),
    ("qwen3_5", Some("qwen3_5_text")),
    ("qwen3_5_moe", Some("qwen3_5_moe_text")),
    ("qwen3_vl", Some("qwen3")),
    ("qwen3_vl_moe", Some("qwen3_vl_moe_text")),
];

/// The keys of token ids that stand for pictures.
const PICTURE_TOKENS: [&str; 4] =
    ["image_token_id", "image_token_index", "video_token_id", "video_token_index"];

/// The language model of such a config; `None` for other configs.
pub(super) fn spec(config: &Config, model_type: &str) -> Option<anyhow::Result<Spec>> {
    let (_, text_type) = PICTURE_MODELS.iter().find(|(name, _)| *name == model_type)?;
    Some(read(config, *text_type))
}

fn read(config: &Config, text_type: Option<&str>) -> anyhow::Result<Spec> {
    let nested = config.section("text_config");
    let text = nested.as_ref().unwrap_or(config);
    text.refuse("quantization_config", |_| false)?;
    let text_type = match text_type {
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
    // In transformers, mistral3 has a default of its own.
    let is_tied = spec.tie_word_embeddings || config.string("model_type")? == "mistral3";
    spec.tie_word_embeddings = config.flag_or("tie_word_embeddings", is_tied)?;
    let mut tokens = Vec::new();
    for key in PICTURE_TOKENS.iter().filter(|key| config.get(key).is_some()) {
        tokens.push(config.count(key)?);
    }
    Ok(Spec { picture_tokens: Some(tokens), ..spec })
}

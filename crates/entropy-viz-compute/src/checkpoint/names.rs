//! Names of tensors in checkpoints that hold more than a model.

use std::path::Path;

use anyhow::anyhow;
use entropy_shell::CliError;

use super::lora_state::PREFIX as PEFT_PREFIX;
use super::megatron_names;

/// The embedding, which every model has; what is before its name is the prefix of the model.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Those of Nemotron-H.
const NEMOTRON_EMBEDDINGS: [&str; 2] = ["backbone.embeddings.weight", "model.embeddings.weight"];
/// That of the language model in a model of pictures and text.
const NESTED_EMBEDDING: &str = "model.language_model.embed_tokens.weight";

/// What is before the names of the model's tensors: `""`, `"model."`, `"app.model."`.
pub(super) fn model_prefix<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    directory: &Path,
) -> Result<String, CliError> {
    let shown = directory.display();
    let mut prefixes: Vec<&str> = names
        .clone()
        .filter_map(|name| {
            [
                NESTED_EMBEDDING,
                EMBEDDING,
                NEMOTRON_EMBEDDINGS[0],
                NEMOTRON_EMBEDDINGS[1],
                megatron_names::EMBEDDING,
            ]
            .iter()
            .find_map(|embedding| name.strip_suffix(embedding))
        })
        .map(|prefix| prefix.strip_suffix(PEFT_PREFIX).unwrap_or(prefix))
        .filter(|prefix| (prefix.is_empty() || prefix.ends_with('.')) && !prefix.contains("optim"))
        .collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    match prefixes.as_slice() {
        [prefix] => Ok((*prefix).to_owned()),
        [first, second, ..] => Err(anyhow!(
            "cannot use {shown}: it has more than one model, behind the prefixes {first:?} and {second:?}"
        )
        .into()),
        [] => {
            let first = names.clone().next().unwrap_or("no tensor");
            Err(anyhow!("cannot use {shown}: no tensor is named {EMBEDDING} or {} behind any prefix; the first is {first}", megatron_names::EMBEDDING).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix_of(names: &[&str]) -> Result<String, String> {
        model_prefix(names.iter().copied(), Path::new("step_10"))
            .map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn models_are_found_behind_the_prefixes_of_trainers() {
        let prime = [
            "app.model.model.embed_tokens.weight",
            "app.optimizers.state.model.embed_tokens.weight",
        ];
        assert_eq!(prefix_of(&prime).unwrap(), "app.model.");
        assert_eq!(prefix_of(&["model.model.embed_tokens.weight"]).unwrap(), "model.");
        assert_eq!(prefix_of(&["lm_head.weight", "model.embed_tokens.weight"]).unwrap(), "");
        let pictures = ["model.model.language_model.embed_tokens.weight", "model.model.visual.x"];
        assert_eq!(prefix_of(&pictures).unwrap(), "model.");
        let megatron = [
            "embedding.word_embeddings.weight",
            "chained_0.optimizer.state.exp_avg.embedding.word_embeddings.weight",
        ];
        assert_eq!(prefix_of(&megatron).unwrap(), "");
        let peft = ["model.base_model.model.model.embed_tokens.weight"];
        assert_eq!(prefix_of(&peft).unwrap(), "model.");
    }

    #[test]
    fn other_names_are_refused() {
        let two = ["model.model.embed_tokens.weight", "ema.model.embed_tokens.weight"];
        assert!(prefix_of(&two).unwrap_err().contains("more than one model"));
        let both = ["model.embed_tokens.weight", "ref.embedding.word_embeddings.weight"];
        assert!(prefix_of(&both).unwrap_err().contains("more than one model"));
        assert!(prefix_of(&["model.0.weight"]).unwrap_err().contains("model.0.weight"));
    }
}

//! The model that a run began with, where the trainer left its name or a copy of its config: the base of an adapter, and
//! the config and tokenizer of weights that have none beside them.
//!
//! It is looked for in other checkpoints of the run, and by the name that the trainer wrote down: in
//! `adapter_config.json`, in NeMo-RL's `step_N/config.yaml` (`policy.model_name`), in prime-rl's
//! `configs/trainer.json` (`model.name`), and in the arguments in slime's `iter_N/common.pt` (`hf_checkpoint`). A name is a
//! directory, or a model in the cache of `huggingface_hub`:
//!
//! ```text
//! ~/.cache/huggingface/hub/models--Qwen--Qwen3-4B/refs/main        the name of a snapshot
//! ~/.cache/huggingface/hub/models--Qwen--Qwen3-4B/snapshots/<it>/  its files
//! ```

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint, io_message};
use saphyr_parser::{Event, Parser};
use serde_json::Value;

use super::config::read_json;
use super::run_layout::{directory_with_config, run_of};
use super::tensor_file;
use super::torch_file::TorchFile;
use super::{Checkpoint, no_checkpoint, without_adapter};
use crate::bounded;
use crate::pickle::Globals;

const WEIGHTS_HINT: &str = "give the model that the run began with by --base-model DIR: its config.json and tokenizer are used, not its weights";

/// The directory with the config.json and the tokenizer of weights without one.
pub(super) fn of_run(checkpoint: &Path) -> Result<PathBuf, CliError> {
    if let Some(directory) = directory_with_config(checkpoint) {
        return Ok(directory);
    }
    let shown = checkpoint.display();
    let named = named_by_trainer(checkpoint)
        .map_err(|failure| CliError { hint: Some(WEIGHTS_HINT.to_owned()), ..failure })?;
    let Some(named) = named else {
        return Err(anyhow!("cannot use {shown} alone: it has weights but no config.json"))
            .hint(WEIGHTS_HINT);
    };
    named.local().ok_or_else(|| CliError {
        error: anyhow!(
            "cannot use {shown} alone: it has weights but no config.json, and the model {:?}, which {} names, is not on this machine",
            named.name,
            named.source.display()
        ),
        hint: Some(WEIGHTS_HINT.to_owned()),
    })
}

/// The base model of an adapter.
pub(super) fn of_adapter(adapter: &Path) -> Result<Checkpoint, CliError> {
    let source = adapter.join("adapter_config.json");
    let config = read_json(&source)?;
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    let named = NamedModel {
        name: text("base_model_name_or_path").unwrap_or_default(),
        revision: text("revision"),
        source,
    };
    if let Some(directory) = named.local() {
        let found = without_adapter(&directory, None);
        let base = found.and_then(|found| found.ok_or_else(|| no_checkpoint(&directory)));
        return base.and_then(Checkpoint::full_model).map_err(|failure| CliError {
            error: failure
                .error
                .context(format!("cannot use the base model of {}", adapter.display())),
            ..failure
        });
    }
    let name = match named.name.as_str() {
        "" => "an unnamed model".to_owned(),
        name => format!("{name}, which is not on this machine"),
    };
    Err(anyhow!("cannot use {} alone: it is a LoRA adapter of {name}", adapter.display()))
        .hint("give its base model with --base-model DIR")
}

/// A model that a trainer's file names.
struct NamedModel {
    /// A directory, or `ORGANISATION/NAME` on the hub.
    name: String,
    /// A branch, a tag or a commit.
    revision: Option<String>,
    source: PathBuf,
}

impl NamedModel {
    /// The directory of the model, if it is on this machine.
    fn local(&self) -> Option<PathBuf> {
        if self.name.is_empty() {
            return None;
        }
        let directory = PathBuf::from(&self.name);
        if directory.join("config.json").is_file() {
            return Some(directory);
        }
        let is_hub_name = self.name.split('/').count() <= 2
            && self.name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        let models = is_hub_name.then(hub_cache).flatten()?;
        let model = models.join(format!("models--{}", self.name.replace('/', "--")));
        let revision = self.revision.as_deref().unwrap_or("main");
        let snapshot = fs::read_to_string(model.join("refs").join(revision));
        let snapshot = snapshot.as_deref().map_or(revision, str::trim);
        let directory = model.join("snapshots").join(snapshot);
        directory.join("config.json").is_file().then_some(directory)
    }
}

/// The cache of `huggingface_hub`, by its environment variables.
fn hub_cache() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".cache"));
    set("HF_HUB_CACHE").or_else(|| {
        let home = set("HF_HOME")
            .or_else(|| Some(set("XDG_CACHE_HOME").or_else(home)?.join("huggingface")));
        Some(home?.join("hub"))
    })
}

/// The model that the trainer's own settings name.
fn named_by_trainer(checkpoint: &Path) -> Result<Option<NamedModel>, CliError> {
    let Some(run) = run_of(checkpoint) else { return Ok(None) };
    let named = |name: Option<String>, source: PathBuf| {
        name.map(|name| NamedModel { name, revision: None, source })
    };
    // NeMo-RL: in the directory of each step.
    for directory in checkpoint.ancestors().take_while(|directory| **directory != run).take(4) {
        let source = directory.join("config.yaml");
        if source.is_file() {
            return Ok(named(yaml_text(&source, &["policy", "model_name"])?, source));
        }
        let source = directory.join("common.pt");
        if source.is_file() {
            return Ok(named(argument_of_megatron(&source, "hf_checkpoint")?, source));
        }
    }
    let source = run.join("configs/trainer.json"); // prime-rl
    if !source.is_file() {
        return Ok(None);
    }
    let name =
        read_json(&source)?.pointer("/model/name").and_then(Value::as_str).map(str::to_owned);
    Ok(named(name, source))
}

/// A text among the arguments in Megatron's `common.pt`. Their other values may be of any type, and nothing of them is run.
fn argument_of_megatron(path: &Path, name: &str) -> Result<Option<String>, CliError> {
    let map = tensor_file::map(path)?;
    let file = TorchFile::read_with(path, &map, 0..map.len(), Globals::Any)?;
    let pickle = &file.pickle;
    let argument = pickle.field(pickle.root(), "args").and_then(|args| pickle.field(args, name));
    Ok(argument.and_then(|id| pickle.text(id)).map(str::to_owned))
}

/// A text in a YAML file, by the keys of the mappings that lead to it. The file is read as a stream of events: aliases
/// are not expanded, so that no small file takes much memory.
fn yaml_text(path: &Path, keys: &[&str]) -> Result<Option<String>, CliError> {
    let shown = path.display();
    let text = bounded::read(path, bounded::MAX_JSON)
        .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
        .map_err(|error| anyhow!("cannot read {shown}: {}", io_message(&error)))?;
    // The mappings and lists around an event; of a mapping, the key whose value comes next.
    let mut around: Vec<Container> = Vec::new();
    for event in Parser::new_from_str(&text) {
        let (event, _) = event.map_err(|error| anyhow!("cannot read {shown}: {error}"))?;
        let scalar = match event {
            Event::MappingStart(..) => {
                around.push(Container::Mapping(None));
                continue;
            }
            Event::SequenceStart(..) => {
                around.push(Container::List);
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                around.pop();
                None
            }
            Event::Scalar(text, ..) => Some(text.into_owned()),
            Event::Alias(_) => None,
            _ => continue,
        };
        let is_wanted = around.len() == keys.len()
            && around.iter().zip(keys).all(|(container, wanted)| {
                matches!(container, Container::Mapping(Some(key)) if key == wanted)
            });
        if is_wanted {
            return Ok(scalar);
        }
        if let Some(Container::Mapping(key)) = around.last_mut() {
            *key = match key {
                None => Some(scalar.unwrap_or_default()), // keys that are no text are empty
                Some(_) => None,
            };
        }
    }
    Ok(None)
}

enum Container {
    Mapping(Option<String>),
    List,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_text_is_found_by_the_keys_around_it() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("config.yaml");
        let text = |yaml: &str| {
            fs::write(&path, yaml).unwrap();
            yaml_text(&path, &["policy", "model_name"]).map_err(|failure| failure.error.to_string())
        };
        // What PyYAML's safe_dump writes, with an anchor, a list and a null.
        let dumped = "checkpointing: &id001\n  enabled: true\nloss:\n- model_name: no\n- {policy: {model_name: no}}\n\
            policy:\n  again: *id001\n  dtensor: {model_name: no}\n  model_name: Qwen/Qwen3-4B\n";
        assert_eq!(text(dumped), Ok(Some("Qwen/Qwen3-4B".to_owned())));
        assert_eq!(text("policy: {? {a: 1} : 2, model_name: \"a b\"}"), Ok(Some("a b".to_owned())));
        assert_eq!(text("policy: {}\nmodel_name: no\n"), Ok(None));
        assert_eq!(text("model_name: no\npolicy:\n- model_name\n- no\n"), Ok(None));
        assert_eq!(text(""), Ok(None));
        assert!(text("policy: [").unwrap_err().contains("config.yaml"));
    }
}

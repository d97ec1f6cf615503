//! Files with the configuration of a run, in its directory.
//!
//! | file | who writes it |
//! | --- | --- |
//! | `config.yaml`, `config.yml`, `config.json` | trainers, their start scripts, Tinker-cookbook |
//! | `files/config.yaml` | W&B and SwanLab: each value is a map with the name `value` |
//! | `.hydra/config.yaml` | Hydra |
//! | `experiment_config.json` | EasyR1 |
//! | `args.json`, `training_args.json` | ms-swift and others |
//!
//! A `config.json` of a model is not the configuration of a run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{LoggedConfig, parse_json, parse_yaml};
use crate::run_config::Tree;
use crate::text::io_message;

const NAMES: [&str; 9] = [
    "config.yaml",
    "config.yml",
    "files/config.yaml",
    ".hydra/config.yaml",
    "experiment_config.json",
    "args.json",
    "training_args.json",
    "training_args.yaml",
    "config.json",
];
/// A larger file is not a configuration.
const MOST_BYTES: u64 = 4 << 20;

/// The configurations in a directory, and the files that cannot be read, with the reason.
pub(crate) fn of_directory(directory: &Path) -> (Vec<LoggedConfig>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in NAMES.map(|name| directory.join(name)).iter().filter(|path| path.is_file()) {
        match read(path) {
            Ok(tree) if is_model(&tree) => {}
            Ok(tree) => {
                let source = path.to_string_lossy().into_owned();
                found.push(LoggedConfig::new(None, unwrapped(tree), source));
            }
            Err(what) => {
                problems
                    .push(format!("cannot read the configuration in {}: {what}", path.display()));
            }
        }
    }
    (found, problems)
}

fn read(path: &Path) -> Result<Tree, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| io_message(&e))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| io_message(&e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
    }
    if path.extension().is_some_and(|extension| extension == "json") {
        return parse_json(&bytes).map_err(|e| e.to_string());
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())?;
    parse_yaml(&text)
}

/// Whether it is the configuration of a model: transformers, PEFT and diffusers write these names.
fn is_model(tree: &Tree) -> bool {
    let has = |name| tree.get(name).is_some();
    has("architectures")
        || has("peft_type")
        || has("_class_name")
        || has("model_type") && has("vocab_size")
}

/// W&B and SwanLab write `lr: {value: 1e-06}`, with a description or an order beside the value.
fn unwrapped(tree: Tree) -> Tree {
    let is_wrapped = |part: &Tree| {
        let names = part.parts();
        part.get("value").is_some()
            && names.iter().all(|(name, _)| matches!(name.as_str(), "value" | "desc" | "sort"))
    };
    let is_own = |name: &str| name == "_wandb" || name == "wandb_version";
    let parts = tree.parts();
    let mut others = parts.iter().filter(|(name, _)| !is_own(name)).peekable();
    if others.peek().is_none() || !others.all(|(_, part)| is_wrapped(part)) {
        return tree;
    }
    let values = parts.iter().filter(|(name, _)| !is_own(name));
    let values = values.filter_map(|(name, part)| Some((name.clone(), part.get("value")?.clone())));
    Tree::Map(values.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::run_config::RunConfig;

    fn entries(directory: &Path) -> (Vec<String>, Vec<String>) {
        let (found, problems) = of_directory(directory);
        let mut config = RunConfig::default();
        for LoggedConfig { tree, source, .. } in found {
            config.add_missing(RunConfig::from_tree(&tree, source));
        }
        let show =
            |(key, v): &(String, crate::run_config::ConfigValue)| format!("{key}={}", v.text());
        (config.entries().iter().map(show).collect(), problems)
    }

    #[test]
    fn values_of_wandb_and_swanlab_are_unwrapped() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("files")).unwrap();
        let path = tmp.path().join("files/config.yaml");
        let text = "wandb_version: 1\n_wandb:\n    value:\n        cli_version: 0.31.0\n\
                    optim:\n    desc: null\n    value:\n        lr: 1e-06\nseed:\n    value: 1\n";
        fs::write(&path, text).unwrap();
        assert_eq!(entries(tmp.path()).0, ["optim.lr=1e-06", "seed=1"]);
        // A configuration that happens to have a value is not wrapped.
        fs::write(&path, "optim:\n  value: 1\nseed: 2\n").unwrap();
        assert_eq!(entries(tmp.path()).0, ["optim.value=1", "seed=2"]);
    }

    #[test]
    fn configuration_of_a_model_is_not_that_of_the_run() {
        let tmp = tempfile::tempdir().unwrap();
        let model = r#"{"architectures": ["Qwen3ForCausalLM"], "hidden_size": 64}"#;
        fs::write(tmp.path().join("config.json"), model).unwrap();
        fs::write(tmp.path().join("args.json"), r#"{"learning_rate": 1e-06}"#).unwrap();
        assert_eq!(entries(tmp.path()), (vec!["learning_rate=1e-06".to_owned()], vec![]));
    }

    #[test]
    fn file_that_cannot_be_read_is_named_with_the_reason() {
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join("config.yaml"), "a:\n\tb: 1\n").unwrap();
        fs::write(tmp.path().join("args.json"), "{\"a\": 1").unwrap();
        fs::write(tmp.path().join("config.json"), " ".repeat(MOST_BYTES as usize + 1)).unwrap();
        let (found, problems) = entries(tmp.path());
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(problems.len(), 3);
        assert!(problems[0].contains("config.yaml: line 2"), "{problems:?}");
        assert!(problems[1].contains("args.json: line 1, column 7: the file ends"), "{problems:?}");
        assert!(problems[2].contains("config.json: it is larger than 4 MiB"), "{problems:?}");
    }
}

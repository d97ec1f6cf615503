//! The configuration in an event file.
//!
//! ```text
//! args/text_summary                 the arguments of a Hugging Face trainer, as a JSON text
//! _hparams_/session_start_info      the hyperparameters of SummaryWriter.add_hparams: a message in the metadata
//!     3 {1 hyperparameter, repeated: 1 name | 2 value {1 null | 2 double | 3 string | 4 bool}}
//! ```
//!
//! `add_hparams` writes them to an event file in a new directory whose name is the time:
//! `1795399397.4662635/events.out.tfevents.…`. (transformers 5.23.0, torch 2.11.0, TensorBoard 2.21.0.)

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::formats::compressed::Decompressed;
use crate::formats::reader_api::ReadError;
use crate::formats::run_config::{LoggedConfig, parse_json};
use crate::framing::protobuf::{Fields, Malformed, Wire};
use crate::framing::tfrecord::TfRecordReader;
use crate::run_config::{ConfigValue, Tree};

const ARGUMENTS: &[u8] = b"args/text_summary";
const HYPERPARAMETERS: &[u8] = b"_hparams_/session_start_info";

pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let mut found = LoggedConfig::new(None, Tree::default(), String::new());
    let hyperparameters = files_of_add_hparams(path);
    for file in hyperparameters.iter().map(PathBuf::as_path).chain([path]) {
        let before = found.tree.parts().len();
        read_file(file, &mut found.tree)?;
        if found.tree.parts().len() > before || found.source.is_empty() {
            found.source = file.to_string_lossy().into_owned();
        }
    }
    Ok(vec![found])
}

/// The event files that `add_hparams` wrote below the directory of an event file.
fn files_of_add_hparams(path: &Path) -> Vec<PathBuf> {
    let is_time = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.parse::<f64>().is_ok_and(|seconds| seconds > 1e9)
    };
    let listed = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let directories = listed(path.parent().unwrap_or(Path::new("")));
    let directories = directories.iter().filter(|path| is_time(path) && path.is_dir());
    let is_event_file = |path: &PathBuf| path.to_string_lossy().contains(".tfevents.");
    directories.flat_map(|directory| listed(directory)).filter(is_event_file).collect()
}

fn read_file(path: &Path, tree: &mut Tree) -> Result<(), ReadError> {
    let mut file = File::open(path)?;
    let mut source = Decompressed::new(&mut file)?;
    let mut records = TfRecordReader::new(&mut source);
    while let Some(record) = records.next_record()? {
        // A record that is not well-formed was counted when the series were read.
        let _ = read_event(record, tree);
    }
    Ok(())
}

fn read_event(record: &[u8], tree: &mut Tree) -> Result<(), Malformed> {
    for field in Fields::new(record) {
        let (5, Wire::Bytes(summary)) = field? else { continue };
        for field in Fields::new(summary) {
            let (1, Wire::Bytes(value)) = field? else { continue };
            let (mut tag, mut tensor, mut metadata): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
            for field in Fields::new(value) {
                match field? {
                    (1, Wire::Bytes(bytes)) => tag = bytes,
                    (8, Wire::Bytes(bytes)) => tensor = bytes,
                    (9, Wire::Bytes(bytes)) => metadata = bytes,
                    _ => {}
                }
            }
            match tag {
                ARGUMENTS => arguments(tensor, tree)?,
                HYPERPARAMETERS => hyperparameters(metadata, tree)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Adds the arguments of a trainer; a text that is not JSON is of another program.
fn arguments(tensor: &[u8], tree: &mut Tree) -> Result<(), Malformed> {
    for field in Fields::new(tensor) {
        if let (8, Wire::Bytes(text)) = field?
            && let Ok(Tree::Map(parts)) = parse_json(text)
        {
            parts.into_iter().for_each(|(name, part)| tree.set(&[&name], part));
        }
    }
    Ok(())
}

fn hyperparameters(metadata: &[u8], tree: &mut Tree) -> Result<(), Malformed> {
    // The message is in the content of the plugin's data.
    for session in messages(metadata, [1, 2, 3]) {
        for field in Fields::new(session) {
            let (1, Wire::Bytes(entry)) = field? else { continue };
            let (mut name, mut value): (&str, &[u8]) = ("", b"");
            for field in Fields::new(entry) {
                match field? {
                    (1, Wire::Bytes(text)) => name = utf8(text)?,
                    (2, Wire::Bytes(bytes)) => value = bytes,
                    _ => {}
                }
            }
            tree.set(&[name], Tree::Leaf(self::value(value)?));
        }
    }
    Ok(())
}

/// The messages at a path of field numbers.
fn messages(message: &[u8], path: [u32; 3]) -> Vec<&[u8]> {
    let mut found = vec![message];
    for wanted in path {
        let fields = found.into_iter().flat_map(Fields::new).flatten();
        let inner = fields.filter_map(|(number, wire)| match wire {
            Wire::Bytes(bytes) if number == wanted => Some(bytes),
            _ => None,
        });
        found = inner.collect();
    }
    found
}

fn value(message: &[u8]) -> Result<ConfigValue, Malformed> {
    let mut value = ConfigValue::plain("null");
    for field in Fields::new(message) {
        value = match field? {
            (2, Wire::Fixed64(bits)) => ConfigValue::plain(&number_text(f64::from_bits(bits))),
            (3, Wire::Bytes(text)) => match utf8(text)? {
                "None" => ConfigValue::plain("None"), // there is no null: trainers log its text
                text => ConfigValue::quoted(text),
            },
            (4, Wire::Varint(word)) => ConfigValue::plain(if word == 0 { "false" } else { "true" }),
            _ => value,
        };
    }
    Ok(value)
}

/// The shortest text of a number, with an exponent where Python writes one.
fn number_text(number: f64) -> String {
    match number.abs() {
        0.0 | 1e-4..1e16 => number.to_string(),
        _ => format!("{number:e}"),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::log_configs::LogConfigs;

    fn entries(name: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tensorboard");
        let config = LogConfigs::read("tensorboard", &root.join(name)).unwrap().of_run(None);
        config.entries().iter().map(|(key, value)| format!("{key}={}", value.text())).collect()
    }

    #[test]
    fn arguments_of_a_trainer_are_read() {
        // Python's json.loads of the tensor of args/text_summary, decoded by hand from its protobuf.
        let entries = entries("qwen3-tiny_questioner_s1/events.out.tfevents.1795398824.vm.25755.0");
        let has = |entry: &str| entries.iter().any(|other| other == entry);
        assert!(has("max_steps=120") && has("per_device_train_batch_size=64"), "{entries:?}");
        assert!(!entries.iter().any(|entry| entry.starts_with("architectures")), "a model's");
    }

    #[test]
    fn hyperparameters_are_read_from_the_directory_beside_the_events() {
        // The HParamsPluginData of the same file, decoded by hand.
        let entries = entries("rzero_tensorboard_log/events.out.tfevents.1795399397.vm.29142.0");
        let has = |entry: &str| entries.iter().any(|other| other == entry);
        assert!(has("data/max_prompt_length=64") && has("data/seed=1"), "{entries:?}");
        assert!(has("worker/actor/optim/lr=0.0001") && has("algorithm/use_kl_loss=1"));
        let torch = self::entries("torch/hp/events.out.tfevents.1795473324.node0.9570.1");
        assert_eq!(torch, ["kl=0", "lr=0.0001", "algo=grpo"]);
        let torch = self::entries("tensorboardx/hp/events.out.tfevents.1795473324.node0");
        assert_eq!(torch, ["kl=false", "lr=0.0001", "algo=grpo"]);
    }

    #[test]
    fn numbers_have_an_exponent_where_python_writes_one() {
        let texts = [0.0, 64.0, 1e-4, 1e-6, 3.5e-5, 1e16].map(number_text);
        assert_eq!(texts, ["0", "64", "0.0001", "1e-6", "3.5e-5", "1e16"]);
    }
}

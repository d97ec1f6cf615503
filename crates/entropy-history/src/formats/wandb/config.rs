//! The configuration in a run file: what the run began with, and every later change.
//!
//! ```text
//! Run     4 config          Config  1 update, repeated | 2 remove, repeated
//! update  1 key | 2 nested_key, repeated | 16 value_json
//! ```

use std::fs::File;
use std::path::Path;

use crate::formats::compressed::Decompressed;
use crate::formats::reader_api::ReadError;
use crate::formats::run_config::{LoggedConfig, parse_json_value};
use crate::formats::run_file::HEADER;
use crate::framing::leveldb::LevelDbReader;
use crate::framing::protobuf::{Fields, Malformed, Wire};
use crate::run_config::Tree;

pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let mut file = File::open(path)?;
    let mut source = Decompressed::new(&mut file)?;
    let mut records = LevelDbReader::new(&mut source, HEADER)?;
    let mut tree = Tree::default();
    while let Some(record) = records.next_record()? {
        // A record that is not well-formed was counted when the series were read.
        let _ = read_record(record, &mut tree);
    }
    let tree = tree.without(|name| name == "_wandb"); // W&B's own
    Ok(vec![LoggedConfig::new(None, tree, path.to_string_lossy().into_owned())])
}

fn read_record(record: &[u8], tree: &mut Tree) -> Result<(), Malformed> {
    for field in Fields::new(record) {
        match field? {
            (5, Wire::Bytes(config)) => update(config, tree)?,
            (17, Wire::Bytes(run)) => {
                for field in Fields::new(run) {
                    if let (4, Wire::Bytes(config)) = field? {
                        update(config, tree)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn update(config: &[u8], tree: &mut Tree) -> Result<(), Malformed> {
    for field in Fields::new(config) {
        let (number, Wire::Bytes(item)) = field? else { continue };
        let (mut path, mut json): (Vec<&str>, &[u8]) = (Vec::new(), b"");
        for field in Fields::new(item) {
            match field? {
                (1 | 2, Wire::Bytes(name)) if !name.is_empty() => {
                    path.push(std::str::from_utf8(name).map_err(|_| Malformed)?);
                }
                (16, Wire::Bytes(value)) => json = value,
                _ => {}
            }
        }
        match number {
            1 => tree.set(&path, parse_json_value(json).unwrap_or(Tree::LeftOut)),
            2 => tree.remove(&path),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::formats::log_configs::LogConfigs;
    use crate::framing::leveldb::append_record;
    use crate::framing::protobuf::Message;

    fn fixture(name: &str) -> std::path::PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/wandb");
        root.join(name)
    }

    fn entries(path: &Path) -> Vec<String> {
        let config = LogConfigs::read("wandb", path).unwrap().of_run(None);
        config.entries().iter().map(|(key, value)| format!("{key}={}", value.text())).collect()
    }

    #[test]
    fn both_versions_hold_what_the_run_was_started_with() {
        // From the protobuf classes of wandb 0.31.0 and 0.16.6: `record.run.config.update`.
        let versions = [
            (
                "rzero_0.31.0/offline-run-20261123_020316-yf1qlipl/run-yf1qlipl.wandb",
                "questioner_s1",
            ),
            ("rzero_0.16.6/offline-run-20261123_020319-3ptzi3v8/run-3ptzi3v8.wandb", "solver_s1"),
        ];
        for (name, experiment) in versions {
            let entries = entries(&fixture(name));
            let has = |entry: &str| entries.iter().any(|other| other == entry);
            assert!(has("algorithm.kl_coef=0.01"), "{entries:?}");
            assert!(has("worker.rollout.temperature=1.0") && has("worker.rollout.top_p=0.99"));
            assert!(
                has(&format!("trainer.experiment_name=qwen3-tiny_{experiment}")),
                "{entries:?}"
            );
            assert!(!entries.iter().any(|entry| entry.starts_with("_wandb")));
        }
    }

    #[test]
    fn later_records_change_and_remove_keys() {
        let item = |key: &str, json: &str| Message::new().text(1, key).text(16, json);
        let nested = Message::new().text(2, "optim").text(2, "lr").text(16, "2e-06");
        let begin = Message::new()
            .message(1, &item("optim", r#"{"lr": 1e-06, "eps": 1e-08}"#))
            .message(1, &item("old", "1"))
            .message(1, &item("broken", "{\"a\":"));
        let change = Message::new().message(1, &nested).message(2, &Message::new().text(1, "old"));
        let mut bytes = b":W&B\xe1\xbe\x00".to_vec();
        for record in [
            Message::new().message(17, &Message::new().text(1, "id").message(4, &begin)),
            Message::new().message(5, &change),
        ] {
            append_record(&mut bytes, record.bytes());
        }
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("run-id.wandb");
        fs::write(&path, bytes).unwrap();
        assert_eq!(entries(&path), ["optim.lr=2e-06", "optim.eps=1e-08"]);
        let config = LogConfigs::read("wandb", &path).unwrap().of_run(None);
        assert_eq!(config.left_out(), 1, "the broken value is counted");
    }
}

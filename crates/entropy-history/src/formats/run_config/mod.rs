//! The configuration of a run: from its log, and from files in the directory of the run.
//!
//! ```text
//! run-….wandb                       Run and Config records
//! events.out.tfevents.…             the text args/text_summary, or hyperparameters of add_hparams
//! mlflow.db, mlruns/<…>/params/     params            <project>.db    trackio's table configs
//! what verl and EasyR1 print        the dictionary or the block "Config" before the first row
//! files in the directory of a run   [`files`]
//! ```
//!
//! Not read: pickles such as `training_args.bin`, because a pickle is a program.

mod files;
mod json;
mod python;
mod yaml;

use std::path::Path;

pub(crate) use files::of_directory;
pub(crate) use json::{parse_json, parse_json_value};
pub(crate) use python::parse_python;
pub(crate) use yaml::parse_yaml;

use super::error::ReadError;
use super::registry::by_name;
use crate::run_config::{RunConfig, Tree};
use crate::text::io_message;

/// The configuration of a run of a log.
#[derive(Debug)]
pub(crate) struct LoggedConfig {
    /// The name of the run, if the log has several; `None` for all runs that no other one names.
    pub(crate) run: Option<String>,
    pub(crate) tree: Tree,
    /// Where it was read from.
    pub(crate) source: String,
}

/// The configurations that one file of a log has.
#[derive(Debug, Default)]
pub struct LogConfigs(Vec<LoggedConfig>);

impl LogConfigs {
    /// Reads the configurations in a file of a log of this format.
    ///
    /// # Errors
    /// Why the configuration cannot be read, with the file.
    pub fn read(format: &str, path: &Path) -> Result<LogConfigs, String> {
        let Some(format) = by_name(format) else { return Ok(LogConfigs(Vec::new())) };
        let configs = (format.config)(path).map_err(|error| {
            let what = match &error {
                ReadError::Io(error) => io_message(error),
                error => error.to_string(),
            };
            format!("cannot read the configuration in {}: {what}", path.display())
        });
        configs.map(LogConfigs)
    }

    /// Whether none has a key.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|config| config.tree.parts().is_empty())
    }

    /// The configuration of a run of the log; empty if it has none.
    pub fn of_run(&self, run: Option<&str>) -> RunConfig {
        let named = || self.0.iter().find(|config| run.is_some() && config.run.as_deref() == run);
        let unnamed = || self.0.iter().find(|config| config.run.is_none());
        let found = named().or_else(unnamed);
        found.map_or_else(RunConfig::default, |found| {
            RunConfig::from_tree(&found.tree, found.source.as_str())
        })
    }
}

/// The configuration that files in a directory of a run have, and the files that cannot be read, with the reason.
pub fn config_in(directory: &Path) -> (RunConfig, Vec<String>) {
    let (found, problems) = of_directory(directory);
    let mut config = RunConfig::default();
    for LoggedConfig { tree, source, .. } in found {
        config.add_missing(RunConfig::from_tree(&tree, source));
    }
    (config, problems)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn texts_cut_at_any_byte_do_not_panic() {
        let text =
            "{'a': {\"b\": [1, 'x', (2, \"é\\n\")], \"c\": <e: 'f'>}, 'd': &g *g, !!h i: null}";
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            for start in (0..end).filter(|start| text.is_char_boundary(*start)) {
                let part = &text[start..end];
                let parsed = catch_unwind(|| {
                    let _ = (parse_python(part), parse_yaml(part), parse_json(part.as_bytes()));
                });
                assert!(parsed.is_ok(), "{part}");
            }
        }
    }

    #[test]
    fn log_cut_at_any_place_gives_the_keys_before_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let tmp = tempfile::tempdir().unwrap();
        for (format, log) in [
            ("wandb", "wandb/quirks_0.31.0/run-lk5rog2v.wandb"),
            ("tensorboard", "tensorboard/torch/hp/events.out.tfevents.1795473324.node0.9570.1"),
            ("verl-console", "verl-console/verl_0_4.out"),
        ] {
            let bytes = fs::read(root.join(log)).unwrap();
            let path = tmp.path().join("log");
            let whole = LogConfigs::read(format, &root.join(log)).unwrap().of_run(None);
            assert!(!whole.is_empty(), "{log}");
            for end in (0..bytes.len().min(3000)).step_by(7) {
                fs::write(&path, &bytes[..end]).unwrap();
                let Ok(configs) = LogConfigs::read(format, &path) else { continue };
                let cut = configs.of_run(None);
                let is_known = |entry| whole.entries().contains(entry);
                assert!(cut.entries().iter().all(is_known), "{log} cut at {end}: {cut:?}");
            }
        }
    }
}

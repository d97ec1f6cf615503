//! The configurations of the runs of a log, read by the log's format.

use std::path::Path;

use super::error::ReadError;
use super::registry::by_name;
use super::run_config::LoggedConfig;
use crate::run_config::RunConfig;
use crate::text::io_message;

/// The configurations that one file of a log has.
#[derive(Debug, Default)]
pub struct LogConfigs(Vec<LoggedConfig>);

fn cannot_read(path: &Path, what: &str) -> String {
    format!("cannot read the configuration in {}: {what}", path.display())
}

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
            cannot_read(path, &what)
        });
        configs.map(LogConfigs)
    }

    /// What is wrong with the configurations of the file at `path`.
    pub fn problems(&self, path: &Path) -> Vec<String> {
        let mut problems = Vec::new();
        for config in &self.0 {
            problems.extend(config.problem.as_ref().map(|what| cannot_read(path, what)));
            let read = RunConfig::from_tree(&config.tree, "");
            problems.extend(read.repeated_in(&path.display().to_string()));
        }
        problems
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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

//! The configurations of runs: from their logs, and from files in their directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::discover::{self, Input, Location};
use crate::formats::log_configs::LogConfigs;
use crate::formats::run_config::config_in;
use crate::run_config::RunConfig;
use crate::text::plural;

/// How the directories of W&B's and SwanLab's runs begin.
const RUN_DIRECTORIES: [&str; 2] = ["run-", "offline-run-"];

/// Reads the configurations of runs; each log and each directory once.
#[derive(Debug, Default)]
pub struct ConfigReader {
    logs: BTreeMap<PathBuf, LogConfigs>,
    directories: BTreeMap<PathBuf, RunConfig>,
    problems: Vec<String>,
}

impl ConfigReader {
    /// Forgets what had no configuration: the trainer may have written it since.
    pub(super) fn forget_empty(&mut self) {
        self.logs.retain(|_, configs| !configs.is_empty());
        self.directories.retain(|_, config| !config.is_empty());
    }

    /// The configuration of a run in a log that was read as `format`. Of the files of a log, the last one counts: a job
    /// that is resumed writes its own. What its directory has is added.
    pub fn of_run(&mut self, input: &Input, format: &str, run: Option<&str>) -> RunConfig {
        let mut config = RunConfig::default();
        for segment in input.segments.iter().rev() {
            if let Location::File(path) = segment {
                config.add_missing(self.of_file(path, format, run));
            }
        }
        for directory in directories(input) {
            config.add_missing(self.of_directory(directory));
        }
        if config.left_out() > 0 {
            let keys = plural(config.left_out(), "key", "keys");
            let log = input.name();
            self.problems.push(format!(
                "{log}: {keys} of its configuration left out: over the limits, aliases of YAML, or damaged"
            ));
        }
        config
    }

    /// The files that could not be read since the last call, with the reason.
    pub fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    fn of_file(&mut self, path: &Path, format: &str, run: Option<&str>) -> RunConfig {
        if !self.logs.contains_key(path) {
            let configs = LogConfigs::read(format, path).unwrap_or_else(|problem| {
                self.problems.push(problem);
                LogConfigs::default()
            });
            self.problems.extend(configs.problems(path));
            self.logs.insert(path.to_owned(), configs);
        }
        self.logs[path].of_run(run)
    }

    fn of_directory(&mut self, directory: PathBuf) -> RunConfig {
        if let Some(config) = self.directories.get(&directory) {
            return config.clone();
        }
        let (config, problems) = config_in(&directory);
        self.problems.extend(problems);
        self.directories.insert(directory, config.clone());
        config
    }
}

/// The directories whose files are those of the run: from that of the log up to that of the run. None for a log that
/// may lie among the logs of other runs.
fn directories(input: &Input) -> Vec<PathBuf> {
    let first = input.segments.first().and_then(Location::absolute);
    let Some(own) = first.as_deref().and_then(Path::parent) else { return Vec::new() };
    let name = own.file_name().unwrap_or_default().to_string_lossy();
    let top = match discover::run_directory(input) {
        Some(directory) => directory,
        None if RUN_DIRECTORIES.iter().any(|start| name.starts_with(start)) => own.to_owned(),
        None => return Vec::new(),
    };
    let up = own.ancestors().take_while(|directory| directory.starts_with(&top));
    up.map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Origin;

    #[test]
    fn directories_end_with_that_of_the_run() {
        let of = |path: &str| {
            let found = directories(&Input::file(path.into(), Origin::Named));
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("/x/grpo/trainer_state.json"), ["/x/grpo"]);
        assert_eq!(
            of("/x/grpo/checkpoint-20/trainer_state.json"),
            ["/x/grpo/checkpoint-20", "/x/grpo"]
        );
        assert_eq!(of("/x/wandb/run-1-a/run-a.wandb"), ["/x/wandb/run-1-a"]);
        assert_eq!(of("/x/logs/seed_1.jsonl"), [""; 0], "other runs may be beside it");
    }
}

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

use crate::run_config::{RunConfig, Tree};

/// The configuration of a run of a log.
#[derive(Debug)]
pub(crate) struct LoggedConfig {
    /// The name of the run, if the log has several; `None` for all runs that no other one names.
    pub(crate) run: Option<String>,
    pub(crate) tree: Tree,
    /// Where it was read from.
    pub(crate) source: String,
    /// Why a part of what was logged cannot be read.
    pub(crate) problem: Option<String>,
}

impl LoggedConfig {
    /// A configuration of which everything was read.
    pub(crate) fn new(run: Option<String>, tree: Tree, source: String) -> LoggedConfig {
        LoggedConfig { run, tree, source, problem: None }
    }
}

/// The configuration that files in a directory of a run have, and what is wrong with them.
pub fn config_in(directory: &Path) -> (RunConfig, Vec<String>) {
    let (found, mut problems) = of_directory(directory);
    let mut config = RunConfig::default();
    for LoggedConfig { tree, source, .. } in found {
        let of_file = RunConfig::from_tree(&tree, source.as_str());
        problems.extend(of_file.repeated_in(&source));
        config.add_missing(of_file);
    }
    (config, problems)
}

#[cfg(test)]
mod tests {
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
}

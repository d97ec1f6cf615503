//! INPUT and `--labels`: which logs to read, and what their runs are called.

use std::ffi::OsString;

use anyhow::anyhow;
use clap::Args;

use super::hints::cli_error;
use super::load::LoadArgs;
use entropy_history::discover::{self, Found, Input};
use entropy_history::history::Comparison;
use entropy_history::store::AuxRequest;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};

/// The logs to read.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// Log files, directories, quoted globs, - for stdin, or LABEL=INPUT.
    #[arg(value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// One name per input, in the same order: --labels A B.
    ///
    /// With several --metric, give one name per metric.
    #[arg(long, num_args = 1.., value_name = "LABEL")]
    labels: Vec<String>,
    /// The inputs, as the flag of the original Python script.
    #[arg(long = "entropy_files", alias = "entropy_file", num_args = 1.., hide = true)]
    entropy_files: Vec<OsString>,
    #[command(flatten)]
    pub(super) reading: LoadArgs,
}

impl InputArgs {
    /// Reads the runs of all inputs.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<(Comparison, Outcome), CliError> {
        self.load_with(AuxRequest::default(), terminal)
    }

    /// Reads the runs of all inputs, with auxiliary series.
    pub(super) fn load_with(
        &self,
        aux: AuxRequest,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), CliError> {
        let arguments: Vec<&OsString> = self.inputs.iter().chain(&self.entropy_files).collect();
        if arguments.is_empty() {
            let error = Err(anyhow!("no input is given"));
            return match self.labels.len() {
                0 => error.hint("name a log file, a directory, a quoted glob, or - for stdin"),
                _ => error.hint("--labels took all words after it as labels: put the files first"),
            };
        }
        self.reading.load(resolve(&arguments)?, &self.labels, aux, terminal)
    }
}

/// Finds the logs that the arguments name.
///
/// # Errors
/// When nothing matches an argument, or stdin is given twice.
pub(super) fn resolve(arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<Found<Input>, CliError> {
    discover::resolve_all(arguments).map_err(|error| cli_error(error.into()))
}

//! From arguments to logs: what is named, and what it is to be called.

use std::ffi::{OsStr, OsString};

use anyhow::anyhow;
use clap::Args;

use super::curves::AuxRequest;
use super::labels::Labels;
use super::load::Reading;
use entropy_history::discover::{self, DiscoverError, Input, Location};
use entropy_history::history::Comparison;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};

/// The logs to read.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// Log files, directories, quoted globs, - for stdin, or LABEL=INPUT.
    #[arg(value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// One name per input, in the same order: --labels A B.
    #[arg(long, num_args = 1.., value_name = "LABEL")]
    labels: Vec<String>,
    /// The inputs, as the original Python script took them.
    #[arg(long = "entropy_files", alias = "entropy_file", num_args = 1.., hide = true)]
    entropy_files: Vec<OsString>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

impl InputArgs {
    /// Reads everything named.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<(Comparison, Outcome), Failure> {
        self.load_with(&AuxRequest::default(), terminal)
    }

    /// The same, with what is to stand beside the entropies.
    pub(super) fn load_with(
        &self,
        besides: &AuxRequest<'_>,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), Failure> {
        let arguments: Vec<&OsString> = self.inputs.iter().chain(&self.entropy_files).collect();
        if arguments.is_empty() {
            let error = Err(anyhow!("no input is given"));
            return match self.labels.len() {
                0 => error.hint("name a log file, a directory, a quoted glob, or - for stdin"),
                _ => error.hint("--labels took every word behind it: put the files first"),
            };
        }
        let (mut inputs, unreadable) = resolve(&arguments)?;
        let labels = Labels::new(&self.labels, &mut inputs)?;
        self.reading.load(inputs, &unreadable, &labels, besides, terminal)
    }
}

/// The logs that arguments stand for, and what could not be looked into.
pub(super) fn resolve(
    arguments: &[impl AsRef<OsStr>],
) -> Result<(Vec<Input>, Vec<String>), Failure> {
    let (mut inputs, mut unreadable) = (Vec::new(), Vec::new());
    for argument in arguments {
        let found = discover::resolve(argument.as_ref()).map_err(unresolved)?;
        inputs.extend(found.files);
        unreadable.extend(found.unreadable);
    }
    let segments = inputs.iter().flat_map(|input: &Input| &input.segments);
    if segments.filter(|location| **location == Location::Stdin).count() > 1 {
        return Err(anyhow!("stdin is given twice")).hint("name each log once");
    }
    Ok((inputs, unreadable))
}

/// Why an argument names nothing, with what to do about it.
fn unresolved(error: DiscoverError) -> Failure {
    let hint = match &error {
        DiscoverError::Missing(_) => {
            "check the path, or quote a glob so that the shell leaves it alone"
        }
        DiscoverError::NoMatch(_) => {
            let storage = std::env::var_os("STORAGE_PATH").filter(|path| !path.is_empty());
            let storage =
                storage.map_or("not set".to_owned(), |s| s.to_string_lossy().into_owned());
            let hint = format!(
                "a pattern is matched from the current directory, and $STORAGE_PATH is {storage}; {NO_HISTORY_HINT}"
            );
            return Failure { error: error.into(), hint: Some(hint) };
        }
        DiscoverError::NoLog(_) => {
            let hint = format!("name the log file itself; {NO_HISTORY_HINT}");
            return Failure { error: error.into(), hint: Some(hint) };
        }
        DiscoverError::ManySegments(_) => "name the files of one run with + between them",
        DiscoverError::BadPattern(..) => {
            "put * ? or [ in brackets, as in [*], to mean the character"
        }
        DiscoverError::OneLabelForMany { .. } => "use --labels with one label a log",
    };
    Failure { error: error.into(), hint: Some(hint.to_owned()) }
}

/// Why there may be no history where one is expected.
pub(super) const NO_HISTORY_HINT: &str = "either training did not finish (the trainer writes the file at its end), or it ran before entropy \
     was recorded; `entropy-viz compute` on its checkpoints makes one";

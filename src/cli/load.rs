//! `--metric`, `--format` and the other arguments on how logs are read; what is printed while reading.

use clap::Args;
use regex::Regex;

use super::hints::failure;
use entropy_history::discover::{Found, Input};
use entropy_history::formats::{self, Format};
use entropy_history::history::Comparison;
use entropy_history::store::{AuxRequest, LoadOptions, Notice, Store};
use entropy_shell::{Failure, Outcome, Terminal, plural};

/// How logs are read.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The series to take, where a log has several: a key, or a quoted glob; may be given again for
    /// more series.
    #[arg(long, value_name = "KEY")]
    metric: Vec<String>,
    /// The format of the logs, instead of recognising it (see `entropy-viz formats`).
    #[arg(long, value_name = "NAME", value_parser = format_by_name)]
    format: Option<&'static Format>,
    /// Join training stages into one run: the first group names the run, the second orders its stages, as
    /// in '(.*)_v([0-9]+)'.
    #[arg(long, value_name = "REGEX", value_parser = two_groups)]
    chain: Option<Regex>,
    /// Vocabulary size; warn when a mean entropy exceeds ln(N), the largest possible value [default: 262144].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    vocabulary: Option<u32>,
    /// Exit 0 even if some files matched by a glob or directory could not be read.
    #[arg(long)]
    allow_partial: bool,
}

pub(super) fn format_by_name(name: &str) -> Result<&'static Format, String> {
    let names = || formats::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    formats::by_name(name).ok_or_else(|| format!("known are {}", names()))
}

fn two_groups(text: &str) -> Result<Regex, String> {
    let regex = Regex::new(text).map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    match regex.captures_len() {
        3 => Ok(regex),
        n => Err(format!("it has {} groups in parentheses, not two", n - 1)),
    }
}

impl LoadArgs {
    /// Reads the inputs and prints what the user should know about them.
    ///
    /// # Errors
    /// When a named input or every found one cannot be used.
    pub(super) fn load(
        &self,
        sources: Found<Input>,
        labels: &[String],
        aux: AuxRequest,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), Failure> {
        let options = LoadOptions { labels: labels.to_vec(), ..self.options(aux) };
        let progress = terminal.progress("reading", sources.files.len());
        let opened = Store::load(sources, &options, || progress.advance(1));
        drop(progress);
        match opened {
            Ok(store) => {
                print_notices(store.notices(), terminal);
                let outcome = self.outcome(store.skipped());
                Ok((store.into_comparison(), outcome))
            }
            Err(error) => {
                print_notices(&error.notices, terminal);
                Err(failure(error.error))
            }
        }
    }

    /// The options that the arguments stand for.
    pub(super) fn options(&self, aux: AuxRequest) -> LoadOptions {
        let default = LoadOptions::default();
        LoadOptions {
            format: self.format,
            metrics: self.metric.clone(),
            aux,
            vocabulary: self.vocabulary.unwrap_or(default.vocabulary),
            stages: self.chain.clone(),
            ..default
        }
    }

    /// The outcome when this many files and directories that were found could not be read.
    pub(super) fn outcome(&self, skipped: usize) -> Outcome {
        if skipped > 0 && !self.allow_partial { Outcome::Partial } else { Outcome::Done }
    }
}

fn print_notices(notices: &[Notice], terminal: &Terminal) {
    for notice in notices {
        match notice {
            Notice::Warning(text) => terminal.warn(text),
            Notice::Info(text) => terminal.info(text),
            Notice::Verbose(text) => terminal.verbose(|| text.clone()),
            Notice::WithoutEntropy(files) => terminal.info(&without_entropy(*files)),
            Notice::WithoutStage(runs) => {
                let runs = plural(*runs, "run is", "runs are");
                terminal.warn(&format!("{runs} in no chain: --chain does not match the label"));
            }
            notice => terminal.warn(&format!("{notice:?}")),
        }
    }
}

/// A sentence on files that were left out because they hold no entropy.
pub(super) fn without_entropy(files: usize) -> String {
    let files = match files {
        1 => "1 other file holds no entropy and was left out".to_owned(),
        n => format!("{n} other files hold no entropy and were left out"),
    };
    format!("{files} (-v says which)")
}

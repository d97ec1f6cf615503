//! `--metric`, `--format` and the other flags for reading logs, and the messages about what was read.

use anyhow::anyhow;
use clap::Args;
use regex::Regex;

use super::args::SeriesArgs;
use super::args::values::regex;
use super::hints::cli_error;
use entropy_history::discover::{Found, Input, Location};
use entropy_history::history::Comparison;
use entropy_history::run_config::ConfigKeys;
use entropy_history::store::{AuxRequest, LabelFrom, LoadOptions, Notice, Store};
use entropy_shell::output::protect_input;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, plural};

/// How logs are read.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    #[command(flatten)]
    series: SeriesArgs,
    /// Make labels from the paths of the logs, e.g. 'runs/([^/]+)/seed([0-9]+)', or from the configuration, e.g.
    /// config.lr,config.seed.
    ///
    /// A value that begins with `config.` names keys of the configuration that the trainer wrote; the label is
    /// `lr=1e-06, seed=1`. Another value is a pattern: its capture groups, joined with _, are the label; without groups,
    /// the whole match. It is searched in the absolute path. Logs given as LABEL=INPUT keep their label.
    #[arg(long, value_name = "REGEX|config.KEY", value_parser = label_from)]
    label_from: Option<LabelFrom>,
    /// Join training stages into one run by label, e.g. '(.*)_v([0-9]+)'.
    ///
    /// The first capture group is the name of the run, the second one orders its stages.
    #[arg(long, value_name = "REGEX", value_parser = two_groups)]
    chain: Option<Regex>,
    /// Vocabulary size; warn above ln(N), the largest possible mean [default: 262144].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), hide_short_help = true)]
    vocabulary: Option<u32>,
    /// Exit 0 even if files matched by a glob or directory could not be read.
    #[arg(long)]
    allow_partial: bool,
}

fn two_groups(text: &str) -> Result<Regex, String> {
    let regex = regex(text)?;
    match regex.captures_len() {
        3 => Ok(regex),
        n => Err(format!("it has {} capture groups, not two", n - 1)),
    }
}

/// Keys of a configuration, or a pattern.
fn label_from(text: &str) -> Result<LabelFrom, String> {
    match ConfigKeys::is_list(text) {
        true => ConfigKeys::parse(text).map(LabelFrom::Config),
        false => regex(text).map(LabelFrom::Path),
    }
}

impl LoadArgs {
    /// Reads the inputs and prints what the user should know about them.
    ///
    /// # Errors
    /// When a named input cannot be used, or none of the found ones.
    pub(super) fn load(
        &self,
        sources: Found<Input>,
        labels: &[String],
        aux: AuxRequest,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), CliError> {
        if self.label_from.is_some() && !labels.is_empty() {
            return Err(anyhow!("--labels and --label-from both name the runs"))
                .hint("give only one of them");
        }
        for segment in sources.files.iter().flat_map(|input| &input.segments) {
            if let Location::File(path) = segment {
                protect_input(path);
            }
        }
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
                Err(cli_error(error.error))
            }
        }
    }

    /// The options that these flags set.
    pub(super) fn options(&self, aux: AuxRequest) -> LoadOptions {
        let default = LoadOptions::default();
        LoadOptions {
            format: self.series.format,
            metrics: self.series.metric.clone(),
            step_key: self.series.step_key.clone(),
            aux,
            vocabulary: self.vocabulary.unwrap_or(default.vocabulary),
            stages: self.chain.clone(),
            label_from: self.label_from.clone(),
            ..default
        }
    }

    /// The outcome of a command for which this number of found files and directories could not be read.
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
            Notice::NotRecognised(files) => terminal.warn(&not_recognised_message(files)),
            Notice::OtherRecords(files) => {
                let files = plural(*files, "file is another record", "files are other records");
                terminal.info(&format!("{files} of a run that was read (-v says which)"));
            }
            Notice::WithoutStage(runs) => {
                let runs = plural(*runs, "run is", "runs are");
                terminal
                    .warn(&format!("{runs} not part of a chain: --chain does not match the label"));
            }
            notice => terminal.warn(&format!("{notice:?}")),
        }
    }
}

/// A sentence on files that look like logs and could not be read.
pub(super) fn not_recognised_message(files: &[String]) -> String {
    let count = match files.len() {
        1 => "1 file looks like a log and was not read, because its format is not recognised"
            .to_owned(),
        n => format!(
            "{n} files look like logs and were not read, because their format is not recognised"
        ),
    };
    let more = if files.len() > 3 { ", …" } else { "" };
    format!("{count}: {}{more}", files[..files.len().min(3)].join(", "))
}

/// A sentence on files that were left out because they hold no entropy.
pub(super) fn without_entropy(files: usize) -> String {
    let files = match files {
        1 => "1 other file holds no entropy and was left out".to_owned(),
        n => format!("{n} other files hold no entropy and were left out"),
    };
    format!("{files} (-v says which)")
}

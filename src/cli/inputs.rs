//! From arguments to a comparison: resolve, label, read in parallel, and say what was odd.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Args;
use rayon::prelude::*;

use super::Outcome;
use super::failure::{Failure, WithHint};
use super::terminal::Terminal;
use crate::discover::{self, DiscoverError, Input, Location, Origin};
use crate::history::{Comparison, History, Run};
use crate::input::{self, Format, ReadAhead, ReadError};
use crate::quantity::kind_of;

/// Files from so many bytes on are read ahead, where a second core can do it.
const LARGE: u64 = 8 << 20;

/// The logs to read.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// Log files, directories, quoted globs, `-` for stdin, or LABEL=INPUT.
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
    /// Names of the runs, one a file, in the order of the files.
    #[arg(long, num_args = 1.., value_name = "LABEL")]
    labels: Vec<String>,
    /// As the Python script took its files.
    #[arg(long = "entropy_files", alias = "entropy_file", num_args = 1.., hide = true)]
    entropy_files: Vec<String>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// How logs are read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// The series to take, where a log has several.
    #[arg(long, value_name = "KEY")]
    metric: Option<String>,
    /// The format of the logs, instead of recognising it (see `entropy-viz formats`).
    #[arg(long, value_name = "NAME", value_parser = format_by_name)]
    format: Option<&'static Format>,
    /// Leave with 0 even if files found by a pattern could not be used.
    #[arg(long)]
    allow_partial: bool,
}

fn format_by_name(name: &str) -> Result<&'static Format, String> {
    let names = || input::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    input::by_name(name).ok_or_else(|| format!("known are {}", names()))
}

impl InputArgs {
    /// Reads everything named.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<(Comparison, Outcome), Failure> {
        let arguments: Vec<&String> = self.inputs.iter().chain(&self.entropy_files).collect();
        if arguments.is_empty() {
            let error = Err(anyhow!("no input is given"));
            return match self.labels.len() {
                0 => error.hint("name a log file, a directory, a quoted glob, or - for stdin"),
                _ => error.hint("--labels took every word behind it: put the files first"),
            };
        }
        let mut inputs = Vec::new();
        let mut unreadable = Vec::new();
        for argument in arguments {
            let found = discover::resolve(argument).map_err(|error| {
                let hint = match &error {
                    DiscoverError::Missing(_) => {
                        "check the path, or quote a glob so that the shell leaves it alone"
                    }
                    DiscoverError::NoMatch(_) => {
                        "the pattern is matched from the current directory"
                    }
                    DiscoverError::NoLog { .. } => "name the log file itself",
                    DiscoverError::BadPattern(..) => {
                        "put * ? or [ in brackets, as in [*], to mean the character"
                    }
                    DiscoverError::OneLabelForMany { .. } => "use --labels with one label a file",
                };
                Failure { error: error.into(), hint: Some(hint.to_owned()) }
            })?;
            inputs.extend(found.files);
            unreadable.extend(found.unreadable);
        }
        self.apply_labels(&mut inputs)?;
        self.reading.load(inputs, &unreadable, terminal)
    }

    /// Gives each file its label of `--labels`, or refuses: a curve is never mislabelled.
    fn apply_labels(&self, inputs: &mut [Input]) -> Result<(), Failure> {
        if self.labels.is_empty() {
            return Ok(());
        }
        if self.labels.len() != inputs.len() {
            let files: Vec<String> = inputs
                .iter()
                .enumerate()
                .map(|(i, input)| format!("\n  {}. {}", i + 1, input.location.name()))
                .collect();
            let (labels, n) = (self.labels.len(), inputs.len());
            let swallowed = self.labels.iter().any(|label| std::path::Path::new(label).is_file());
            return Err(anyhow!(
                "cannot name the runs: {} for {}:{}",
                plural(labels, "label", "labels"),
                plural(n, "file", "files"),
                files.concat()
            ))
            .hint(if swallowed {
                "--labels took file names too: put the files first"
            } else {
                "give one label a file, in this order"
            });
        }
        for (input, label) in inputs.iter_mut().zip(&self.labels) {
            if let Some(other) = &input.label {
                return Err(anyhow!(
                    "{} is called both {other:?} and {label:?}",
                    input.location.name()
                ))
                .hint("use LABEL=INPUT or --labels, not both");
            }
            input.label = Some(label.clone());
        }
        Ok(())
    }
}

impl Reading {
    /// Reads the inputs in parallel; one that was named must be usable, one that was found may be
    /// skipped with a warning.
    pub(super) fn load(
        &self,
        inputs: Vec<Input>,
        unreadable: &[String],
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), Failure> {
        let locations: Vec<&Location> = inputs.iter().map(|input| &input.location).collect();
        let defaults = discover::default_labels(&locations);
        let labels: Vec<String> = inputs
            .iter()
            .zip(defaults)
            .map(|(input, default)| input.label.clone().unwrap_or(default))
            .collect();
        refuse_equal_labels(&inputs, &labels)?;

        let start = Instant::now();
        let progress = terminal.progress("reading", inputs.len());
        let results: Vec<Result<(Run, Vec<String>), Failure>> = inputs
            .par_iter()
            .zip(&labels)
            .map(|(input, label)| {
                let run = self.read(&input.location, label);
                progress.advance();
                run
            })
            .collect();
        drop(progress);

        let mut partial = !unreadable.is_empty();
        for directory in unreadable {
            terminal.warn(&format!("skipped {directory}"));
        }
        let mut runs = Vec::new();
        for (input, result) in inputs.iter().zip(results) {
            match result {
                Ok((run, asides)) => {
                    for warning in &run.warnings {
                        terminal.warn(&format!("{}: {warning}", run.source));
                    }
                    terminal.explain(|| describe(&run, &asides));
                    runs.push(run);
                }
                Err(failure) if input.origin == Origin::Named => return Err(failure),
                Err(failure) => {
                    terminal.warn(&format!("skipped: {:#}", failure.error));
                    partial = true;
                }
            }
        }
        if runs.is_empty() {
            let found = inputs.len();
            return Err(anyhow!("none of the {found} files found could be read"))
                .hint("the warnings above say why");
        }
        let points: usize = runs.iter().map(|run| run.history.points().len()).sum();
        terminal.explain(|| {
            format!("read {points} points of {} runs in {:.1?}", runs.len(), start.elapsed())
        });
        let comparison = Comparison::new(runs)?;
        warn_of_mixed_kinds(&comparison, terminal);
        let outcome = if partial && !self.allow_partial { Outcome::Partial } else { Outcome::Done };
        Ok((comparison, outcome))
    }

    fn read(&self, location: &Location, label: &str) -> Result<(Run, Vec<String>), Failure> {
        let source = location.name();
        let mut reader: Box<dyn Read> = match location {
            Location::Stdin => Box::new(io::stdin().lock()),
            Location::File(path) => {
                let file =
                    File::open(path).map_err(|e| anyhow!("cannot read {source}: {}", say(&e)))?;
                let large = file.metadata().is_ok_and(|metadata| metadata.len() >= LARGE);
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                if large && cores > 1 { Box::new(ReadAhead::new(file)) } else { Box::new(file) }
            }
        };
        let (format, log) = input::read(&mut *reader, self.format, self.metric.as_deref())
            .map_err(|error| self.explain_read_error(&source, error))?;
        let kind = kind_of(format.name, &log.metric);
        let (history, repairs) = History::from_raw(label, kind, log.points)
            .with_context(|| format!("cannot use {source}"))
            .hint(
                "the trainer logged nothing usable under this metric; --metric KEY takes another",
            )?;
        let (loud, quiet): (Vec<_>, Vec<_>) = log.notes.iter().partition(|note| note.is_warning());
        let mut run = Run {
            history,
            source,
            format: format.name,
            metric: log.metric,
            repairs,
            warnings: loud.iter().map(ToString::to_string).collect(),
        };
        run.warnings.extend(oddities(&run));
        Ok((run, quiet.iter().map(ToString::to_string).collect()))
    }

    fn explain_read_error(&self, source: &str, error: ReadError) -> Failure {
        let hint = match &error {
            ReadError::NoMetric { wanted, .. } => match error.near_miss() {
                Some(key) => format!("try --metric {key}"),
                None if wanted == &["step"] => "each row needs a \"step\"".to_owned(),
                None => "--metric KEY names the series to take".to_owned(),
            },
            ReadError::Unrecognised(what) if what.contains("UTF-16") => {
                "convert it: iconv -f UTF-16 -t UTF-8".to_owned()
            }
            ReadError::Unrecognised(_) => "`entropy-viz formats` lists what can be read".to_owned(),
            ReadError::Nothing(_) => {
                "the trainer writes it at the end of training, which may not have come".to_owned()
            }
            ReadError::Scan(_) | ReadError::Row { .. } => {
                "repair the file there, or leave it out".to_owned()
            }
            ReadError::Io(_) => "check that it is a file that you may read".to_owned(),
        };
        let error = match &error {
            ReadError::Io(e) | ReadError::Scan(input::frame::json::ScanError::Io(e)) => {
                anyhow!("cannot read {source}: {}", say(e))
            }
            _ => anyhow!("cannot read {source}: {error}"),
        };
        Failure { error, hint: Some(hint) }
    }
}

/// What the system says, without Rust's `(os error 2)`.
pub fn say(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect())
}

fn refuse_equal_labels(inputs: &[Input], labels: &[String]) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        let Some(first) = seen.insert(label, i) else { continue };
        let (a, b) = (inputs[first].location.name(), inputs[i].location.name());
        if a == b && inputs[i].label.is_none() {
            return Err(anyhow!("{a} is given twice")).hint("name each log once");
        }
        return Err(anyhow!("two runs are called {label:?}: {a} and {b}"))
            .hint("give each run a label of its own");
    }
    Ok(())
}

fn warn_of_mixed_kinds(comparison: &Comparison, terminal: &Terminal) {
    let kinds = comparison.kinds();
    if kinds.len() > 1 {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let names = names.join(" and ");
        terminal.warn(&format!(
            "the runs hold different quantities ({names}); their values do not compare"
        ));
    }
}

/// The count with its noun.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// What was put right in a run, and what looks wrong and was left.
fn oddities(run: &Run) -> Vec<String> {
    let mut odd = Vec::new();
    let repairs = run.repairs;
    if repairs.not_finite > 0 {
        let what = plural(repairs.not_finite, "value is", "values are");
        odd.push(format!("{what} not finite; the line breaks there"));
    }
    if repairs.relogged > 0 {
        let what = plural(repairs.relogged, "row was", "rows were");
        odd.push(format!("{what} logged again for the same step; the later one counts"));
    }
    // A resumed run goes back to the steps that it logs again: that is said already.
    if repairs.reordered > 0 && repairs.relogged == 0 {
        let what = plural(repairs.reordered, "row stands", "rows stand");
        odd.push(format!("{what} behind a later step; rows were sorted by step"));
    }
    let points = run.history.points();
    let negative = points.iter().filter(|p| p.entropy < 0.0).count();
    if negative > 0 {
        let what = plural(negative, "value is", "values are");
        odd.push(format!("{what} below 0, which the entropy of a token cannot be"));
    }
    if points.iter().all(|p| p.entropy == 0.0) {
        odd.push("every value is 0: entropy was not recorded".to_owned());
    }
    // A run that logs every 5 steps starts at step 5; one that starts at 21 and logs each is a rest.
    if let [first, second, ..] = points
        && first.step > 1.0
        && first.step > second.step - first.step
    {
        let step = crate::plot::exact(first.step);
        odd.push(format!("starts at step {step}: its baseline is not the start of training"));
    }
    odd
}

fn describe(run: &Run, asides: &[String]) -> String {
    let points = run.history.points().len();
    let mut text =
        format!("{}: {} read as {}, {points} points", run.source, run.metric, run.format);
    for aside in asides {
        text.push_str("; ");
        text.push_str(aside);
    }
    text
}

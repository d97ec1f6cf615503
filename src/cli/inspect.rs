//! `entropy-viz inspect`: what is in a log, what of it would be taken, and what is odd.

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::hints::failure;
use super::inputs::resolve;
use super::load::{LoadArgs, without_entropy};
use entropy_history::discover::{Found, Location, Origin};
use entropy_history::formats::{self, Format, Log, Note, ReadError, SeriesSelector, Source, Tally};
use entropy_history::label::visible;
use entropy_history::number::exact;
use entropy_history::quantity::{EntropyKind, Sign};
use entropy_history::store::{AuxRequest, LoadError, holds_no_entropy, looks_like_log, open_log};
use entropy_shell::Failure;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::plural;

const EXAMPLES: &str = "\
Examples:
  entropy-viz inspect run-abc.wandb
  entropy-viz inspect output_dir --metric '*/entropy*'
  entropy-viz inspect trainer_state.json --json | jq -r '.logs[0].series[].metric'";

/// Shows what is in logs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// A log file, a directory, a quoted glob, or `-` for stdin.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<OsString>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: LoadArgs,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    schema: u32,
    logs: Vec<Contents>,
}

/// What is in one file.
#[derive(Serialize)]
struct Contents {
    source: String,
    format: &'static str,
    recognised_by: &'static str,
    step: Option<String>,
    taken: Vec<Taken>,
    series: Vec<Listed>,
    odd: Vec<String>,
}

/// A series that the other commands would take.
#[derive(Serialize)]
struct Taken {
    run: Option<String>,
    metric: String,
    quantity: &'static str,
    sign: Sign,
    why: &'static str,
    #[serde(skip)]
    kind: EntropyKind,
}

/// A series of numbers in the log.
#[derive(Serialize)]
struct Listed {
    run: Option<String>,
    metric: String,
    #[serde(flatten)]
    tally: Tally,
}

impl Inspect {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let Found { files: inputs, unreadable } = resolve(&self.inputs)?;
        let options = self.reading.options(AuxRequest::default());
        let wanted = options.selector().map_err(failure)?.with_survey();
        for directory in &unreadable {
            terminal.warn(&format!("skipped {directory}"));
        }
        let found: Vec<(&Location, Origin)> =
            inputs.iter().flat_map(|i| i.segments.iter().map(|file| (file, i.origin))).collect();
        let (mut logs, mut without, mut unread) = (Vec::new(), Vec::new(), 0);
        for &(location, origin) in &found {
            match inspect(location, origin, options.format, &wanted) {
                Ok(Looked::Log(contents)) => logs.push(contents),
                Ok(Looked::NoEntropy(why, contents)) => without.push((why, contents)),
                Ok(Looked::NoLog) => {}
                Err(failure) if found.len() == 1 => return Err(failure),
                Err(failure) => {
                    terminal.warn(&format!("skipped: {:#}", failure.error));
                    unread += 1;
                }
            }
        }
        without.iter().for_each(|(why, _)| terminal.verbose(|| why.clone()));
        if !logs.is_empty() {
            if !without.is_empty() {
                terminal.info(&without_entropy(without.len()));
            }
        } else {
            // Where nothing holds an entropy, what the files hold instead is what is looked for.
            let (why, contents): (Vec<_>, Vec<_>) = without.into_iter().unzip();
            logs.extend(contents.into_iter().flatten());
            if logs.is_empty() {
                let files = found.iter().map(|(location, _)| location.name()).collect();
                return Err(failure(LoadError::nothing_found(files, unread, why)));
            }
        }
        let text = if self.json {
            let text = serde_json::to_string_pretty(&Document { schema: 1, logs });
            text.expect("BUG: the document has string keys") + "\n"
        } else {
            logs.iter().map(describe).collect::<Vec<_>>().join("\n")
        };
        terminal.print(text.as_bytes())?;
        Ok(self.reading.outcome(unread + unreadable.len()))
    }
}

/// What one file holds. A file that was found by scanning a directory may be no log, and may hold no
/// entropy.
fn inspect(
    location: &Location,
    origin: Origin,
    format: Option<&'static Format>,
    wanted: &SeriesSelector,
) -> Result<Looked, Failure> {
    let source = location.name();
    let failed = |error: ReadError| failure(LoadError::Read { log: source.clone(), error });
    let is_scanned = origin == Origin::Scanned;
    if let (Location::File(path), true, None) = (location, is_scanned, format)
        && !looks_like_log(path).map_err(|e| failed(e.into()))?
    {
        return Ok(Looked::NoLog);
    }
    let (mut reader, path) = open_log(location).map_err(|e| failed(e.into()))?;
    let (format, log) = match formats::read(Source { reader: &mut *reader, path }, format, wanted) {
        Ok(read) => read,
        Err(error) if is_scanned && holds_no_entropy(&error) => {
            return Ok(Looked::NoEntropy(format!("{source}: {error}"), None));
        }
        Err(error) => return Err(failed(error)),
    };
    let (contents, none) = contents(source, format, log, wanted);
    match none.filter(|_| is_scanned) {
        Some(why) => {
            let why = format!("{}: {why}", contents.source);
            Ok(Looked::NoEntropy(why, Some(contents)))
        }
        None => Ok(Looked::Log(contents)),
    }
}

/// What became of a file.
enum Looked {
    /// It is a log with an entropy, or was named.
    Log(Contents),
    /// It was found among others and holds no entropy: why, and what it holds if that could be told.
    NoEntropy(String, Option<Contents>),
    /// It is no log.
    NoLog,
}

/// What is in a log, and why nothing of it would be taken if that is so.
fn contents(
    source: String,
    format: &'static Format,
    mut log: Log,
    wanted: &SeriesSelector,
) -> (Contents, Option<String>) {
    let series = std::mem::take(&mut log.survey).into_iter();
    let mut series: Vec<Listed> =
        series.map(|(run, metric, tally)| Listed { run, metric, tally }).collect();
    series.sort_by(|a, b| (&a.run, &a.metric).cmp(&(&b.run, &b.metric)));
    let step = log.step_key.clone();
    let in_file = log.notes.clone();
    let (taken, notes, none) = match log.choose(wanted, format) {
        Ok((taken, notes)) => (taken, notes, None),
        Err(error) => (Vec::new(), in_file, Some(error.to_string())),
    };
    let notes = notes.iter().chain(taken.iter().flat_map(|s| &s.notes)).map(Note::to_string);
    let odd = none.iter().cloned().chain(notes).collect();
    let why = if wanted.is_known() { "the first known key it has" } else { "--metric" };
    let taken = taken.into_iter().map(|series| {
        let (kind, sign) = series.quantity(format.name);
        Taken { quantity: kind.name(), kind, sign, why, run: series.run, metric: series.metric }
    });
    let contents = Contents {
        source,
        format: format.name,
        recognised_by: format.recognised_by,
        step,
        taken: taken.collect(),
        series,
        odd,
    };
    (contents, none)
}

fn describe(log: &Contents) -> String {
    let mut text =
        format!("{}\n  format  {}: {}\n", visible(&log.source), log.format, log.recognised_by);
    if let Some(step) = &log.step {
        text.push_str(&format!("  step    {}\n", visible(step)));
    }
    for taken in &log.taken {
        let run = taken.run.as_ref().map_or(String::new(), |run| format!(" of {}", visible(run)));
        let turned = if taken.sign == Sign::Flipped { ", the sign turned" } else { "" };
        text.push_str(&format!(
            "  taken   {}{run}: {}{turned} ({}), being {}\n",
            visible(&taken.metric),
            taken.kind.words(),
            taken.kind.describe(),
            taken.why,
        ));
    }
    if log.taken.is_empty() {
        text.push_str("  taken   nothing\n");
    }
    for odd in &log.odd {
        text.push_str(&format!("  odd     {}\n", visible(odd)));
    }
    text.push_str(&table(log));
    text
}

/// The series with what they span, those that are taken marked.
fn table(log: &Contents) -> String {
    let several_runs = log.series.iter().any(|series| series.run != log.series[0].run);
    let names: Vec<String> = log
        .series
        .iter()
        .map(|series| {
            let metric = visible(&series.metric);
            match &series.run {
                Some(run) if several_runs => format!("{} · {metric}", visible(run)),
                _ => metric.into_owned(),
            }
        })
        .collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0).max("series".len());
    let mut text = format!("  {}\n", plural(names.len(), "series of numbers", "series of numbers"));
    if names.is_empty() {
        return text;
    }
    let pad = |name: &str| " ".repeat(width - name.width());
    text.push_str(&format!("    series{}   values  not finite  steps\n", pad("series")));
    for (name, series) in names.iter().zip(&log.series) {
        let is_taken = log.taken.iter().any(|t| t.run == series.run && t.metric == series.metric);
        let tally = series.tally;
        text.push_str(&format!(
            "  {} {name}{}  {:>7}  {:>10}  {} → {}\n",
            if is_taken { "*" } else { " " },
            pad(name),
            tally.rows,
            tally.not_finite,
            exact(tally.first_step),
            exact(tally.last_step),
        ));
    }
    text
}

//! `entropy-viz inspect`: the series of a log, which of them would be plotted, and warnings about the data.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::args::{JsonArgs, to_json};
use super::hints::cli_error;
use super::inputs::resolve;
use super::inspect_config::{self, ListedConfig};
use super::load::{LoadArgs, not_recognised_message, without_entropy};
use entropy_history::discover::{Found, Input, Location, Origin};
use entropy_history::formats::{
    self, Format, Log, LogNote, ReadError, SeriesExtent, SeriesSelector, Source,
};
use entropy_history::label::visible;
use entropy_history::number::exact;
use entropy_history::quantity::{EntropyKind, Sign, known_key};
use entropy_history::run_config::RunConfig;
use entropy_history::store::{
    AuxRequest, ConfigReader, LoadError, LoadOptions, Store, holds_no_entropy, looks_like_log,
    looks_like_rows, open_log,
};
use entropy_shell::{CliError, Outcome, Terminal, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz inspect run-abc.wandb
  entropy-viz inspect output_dir --metric '*/entropy*'
  entropy-viz inspect wandb/latest-run --config
  entropy-viz inspect trainer_state.json --json | jq -r '.logs[0].series[].metric'";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct InspectArgs {
    /// Log files, directories, quoted globs, or - for stdin.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<OsString>,
    /// List the configuration that the trainer wrote. Values that may be passwords are hidden.
    #[arg(long)]
    config: bool,
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    reading: LoadArgs,
}

/// The JSON document of `inspect --json`.
#[derive(Serialize)]
struct InspectDocument {
    schema: u32,
    logs: Vec<LogContents>,
}

/// The contents of one file.
#[derive(Serialize)]
struct LogContents {
    source: String,
    /// `None` for standard input.
    #[serde(skip)]
    path: Option<PathBuf>,
    /// Set if the run of this log is recorded in other logs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordOfRun>,
    format: &'static str,
    recognised_by: &'static str,
    step: Option<String>,
    taken: Vec<SelectedSeries>,
    series: Vec<ListedSeries>,
    /// Of each run of the log that has one; with `--config`, of each run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configs: Vec<ListedConfig>,
    odd: Vec<String>,
}

/// The run of a log that is recorded in several logs.
#[derive(Clone, Serialize)]
struct RecordOfRun {
    run: String,
    /// Whether the other commands use its values.
    used: bool,
}

/// A series that the other commands would read.
#[derive(Serialize)]
struct SelectedSeries {
    run: Option<String>,
    metric: String,
    quantity: &'static str,
    sign: Sign,
    why: &'static str,
    /// How the values of some trainers differ under this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    caveat: Option<&'static str>,
    #[serde(skip)]
    kind: EntropyKind,
}

/// A numeric series of the log.
#[derive(Serialize)]
struct ListedSeries {
    run: Option<String>,
    metric: String,
    #[serde(flatten)]
    tally: SeriesExtent,
}

impl InspectArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let Found { files: inputs, unreadable, .. } = resolve(&self.inputs)?;
        let options = self.reading.options(AuxRequest::default());
        let selector = options.selector().map_err(cli_error)?.with_all_series();
        for directory in &unreadable {
            terminal.warn(&format!("skipped: {directory}"));
        }
        let found: Vec<(&Location, Origin)> =
            inputs.iter().flat_map(|i| i.segments.iter().map(|file| (file, i.origin))).collect();
        let (mut logs, mut without, mut unread) = (Vec::new(), Vec::new(), 0);
        let mut not_recognised = Vec::new();
        for &(location, origin) in &found {
            match inspect(location, origin, options.format, &selector) {
                Ok(InspectedFile::Log(contents)) => logs.push(contents),
                Ok(InspectedFile::NoEntropy(why, contents)) => without.push((why, contents)),
                Ok(InspectedFile::NotALog) => {
                    if let Location::File(path) = location
                        && looks_like_rows(path)
                    {
                        not_recognised.push(location.name());
                    }
                }
                Err(failure) if found.len() == 1 => return Err(failure),
                Err(failure) => {
                    terminal.warn(&format!("skipped: {:#}", failure.error));
                    unread += 1;
                }
            }
        }
        if !not_recognised.is_empty() {
            terminal.warn(&not_recognised_message(&not_recognised));
        }
        without.iter().for_each(|(why, _)| terminal.verbose(|| why.clone()));
        if !logs.is_empty() {
            if !without.is_empty() {
                terminal.info(&without_entropy(without.len()));
            }
        } else {
            // Without any entropy, show what the files hold instead.
            let (why, contents): (Vec<_>, Vec<_>) = without.into_iter().unzip();
            logs.extend(contents.into_iter().flatten());
            if logs.is_empty() {
                let named = || found.iter().map(|(location, _)| location.name()).collect();
                let files = if not_recognised.is_empty() { named() } else { not_recognised };
                return Err(cli_error(LoadError::nothing_found(files, unread, why)));
            }
        }
        let mut reader = ConfigReader::default();
        logs.iter_mut().for_each(|log| self.add_configs(log, &mut reader));
        if inputs.len() > 1 {
            set_records(&mut logs, inputs.clone(), &options);
        }
        let text = if self.json.json {
            to_json(&InspectDocument { schema: 1, logs })
        } else {
            logs.iter().map(describe).collect::<Vec<_>>().join("\n")
        };
        terminal.print(text.as_bytes())?;
        Ok(self.reading.outcome(unread + unreadable.len() + not_recognised.len()))
    }
}

impl InspectArgs {
    /// Adds the configurations of the runs of a log, with their keys if these are asked for.
    fn add_configs(&self, log: &mut LogContents, reader: &mut ConfigReader) {
        let Some(path) = log.path.clone() else {
            if self.config {
                log.configs.push(ListedConfig::new(None, &RunConfig::default()));
            }
            return;
        };
        let input = Input::file(path, Origin::Named);
        let mut runs: Vec<Option<String>> = log.series.iter().map(|s| s.run.clone()).collect();
        runs.dedup();
        if runs.is_empty() {
            runs.push(None);
        }
        let several = runs.len() > 1;
        for run in runs {
            let config = reader.of_run(&input, log.format, run.as_deref());
            if config.is_empty() && !self.config {
                continue;
            }
            let listed = ListedConfig::new(run.filter(|_| several), &config);
            log.configs.push(if self.config { listed.with_values(&config) } else { listed });
        }
        log.odd.extend(reader.take_problems());
    }
}

/// Sets the run of each log that is one of several records of a run.
fn set_records(logs: &mut [LogContents], inputs: Vec<Input>, options: &LoadOptions) {
    let files = |input: &Input| (input.name(), input.segments.clone());
    let files: Vec<(String, Vec<Location>)> = inputs.iter().map(files).collect();
    let sources = Found { files: inputs, ..Found::default() };
    let Ok(store) = Store::load(sources, options, || {}) else { return };
    for records in store.records() {
        let others = records.others.iter().map(|(log, _)| (log, false));
        for (log, used) in others.chain([(&records.used, true)]) {
            let files = files.iter().filter(|(name, _)| name == log).flat_map(|(_, files)| files);
            for file in files.map(Location::name) {
                for contents in logs.iter_mut().filter(|contents| contents.source == file) {
                    contents.record = Some(RecordOfRun { run: records.label.clone(), used });
                }
            }
        }
    }
}

/// Reads one file. A file found by scanning a directory may not be a log, or may hold no entropy.
///
/// # Errors
/// When the file cannot be read, or is named and not a log.
fn inspect(
    location: &Location,
    origin: Origin,
    format: Option<&'static Format>,
    selector: &SeriesSelector,
) -> Result<InspectedFile, CliError> {
    let source = location.name();
    let failed = |error: ReadError| cli_error(LoadError::Read { log: source.clone(), error });
    let is_scanned = origin == Origin::Scanned;
    if let (Location::File(path), true, None) = (location, is_scanned, format)
        && !looks_like_log(path).map_err(|e| failed(e.into()))?
    {
        return Ok(InspectedFile::NotALog);
    }
    let (mut reader, path) = open_log(location).map_err(|e| failed(e.into()))?;
    let (format, log) = match formats::read(Source { reader: &mut *reader, path }, format, selector)
    {
        Ok(read) => read,
        Err(ReadError::NoRows(_)) if is_scanned => return Ok(InspectedFile::NotALog),
        Err(error) if is_scanned && holds_no_entropy(&error) => {
            return Ok(InspectedFile::NoEntropy(format!("{source}: {error}"), None));
        }
        Err(error) => return Err(failed(error)),
    };
    let path = path.map(Path::to_owned);
    let (contents, none) = contents(source, path, format, log, selector);
    match none.filter(|_| is_scanned) {
        Some(why) => {
            let why = format!("{}: {why}", contents.source);
            Ok(InspectedFile::NoEntropy(why, Some(contents)))
        }
        None => Ok(InspectedFile::Log(contents)),
    }
}

/// The recognised kind of a file.
enum InspectedFile {
    /// A log with an entropy, or any log that was named.
    Log(LogContents),
    /// A log without entropy that was found in a directory: the reason, and its contents if it could be read.
    NoEntropy(String, Option<LogContents>),
    /// A file of another kind.
    NotALog,
}

/// The contents of a log; if no series of it would be read, also the reason.
fn contents(
    source: String,
    path: Option<PathBuf>,
    format: &'static Format,
    mut log: Log,
    selector: &SeriesSelector,
) -> (LogContents, Option<String>) {
    let series = std::mem::take(&mut log.all_series).into_iter();
    let mut series: Vec<ListedSeries> =
        series.map(|(run, metric, tally)| ListedSeries { run, metric, tally }).collect();
    series.sort_by(|a, b| (&a.run, &a.metric).cmp(&(&b.run, &b.metric)));
    let step = log.step_key.clone();
    let in_file = log.notes.clone();
    let (taken, notes, none) = match log.choose(selector, format) {
        Ok((taken, notes)) => (taken, notes, None),
        Err(error) => (Vec::new(), in_file, Some(error.to_string())),
    };
    let notes = notes.iter().chain(taken.iter().flat_map(|s| &s.notes)).map(LogNote::to_string);
    let odd = none.iter().cloned().chain(notes).collect();
    let why = |metric: &str| match (selector.uses_default_keys(), known_key(metric)) {
        (false, _) => "selected by --metric",
        (true, Some(_)) => "best-known key in this log, override with --metric",
        (true, None) => "the only key that looks like an entropy, override with --metric",
    };
    let taken = taken.into_iter().map(|series| {
        let (kind, sign) = series.quantity(format);
        SelectedSeries {
            quantity: kind.name(),
            kind,
            sign,
            why: why(&series.metric),
            caveat: known_key(&series.metric).and_then(|known| known.caveat),
            run: series.run,
            metric: series.metric,
        }
    });
    let contents = LogContents {
        source,
        path,
        record: None,
        format: format.name,
        recognised_by: format.recognised_by,
        step,
        taken: taken.collect(),
        series,
        configs: Vec::new(),
        odd,
    };
    (contents, none)
}

fn describe(log: &LogContents) -> String {
    let mut text =
        format!("{}\n  format  {}: {}\n", visible(&log.source), log.format, log.recognised_by);
    if let Some(RecordOfRun { run, used }) = &log.record {
        let role = if *used { "the record of it that is used" } else { "another record of it" };
        text.push_str(&format!("  run     {}: {role}\n", visible(run)));
    }
    if let Some(step) = &log.step {
        text.push_str(&format!("  step    {}\n", visible(step)));
    }
    for taken in &log.taken {
        let run = taken.run.as_ref().map_or(String::new(), |run| format!(" of {}", visible(run)));
        let flipped = if taken.sign == Sign::Flipped { ", sign flipped" } else { "" };
        text.push_str(&format!(
            "  plotted {}{run}: {}{flipped} ({}); {}\n",
            visible(&taken.metric),
            taken.kind.words(),
            taken.kind.describe(),
            taken.why,
        ));
        if let Some(caveat) = taken.caveat {
            text.push_str(&format!("  note    {caveat}\n"));
        }
    }
    if log.taken.is_empty() {
        text.push_str("  plotted nothing; select a series with --metric\n");
    }
    text.push_str(&inspect_config::describe(&log.configs));
    for odd in &log.odd {
        text.push_str(&format!("  warning {}\n", visible(odd)));
    }
    text.push_str(&table(log));
    text
}

/// The table of series; a star marks those that would be read.
fn table(log: &LogContents) -> String {
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
    let mut text = format!("  {}\n", plural(names.len(), "numeric series", "numeric series"));
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

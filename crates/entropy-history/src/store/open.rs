//! Logs read once, in parallel, to labelled runs.

use std::ffi::OsStr;
use std::time::Instant;

use rayon::prelude::*;
use regex::Regex;
use thiserror::Error;

use super::dedupe::find_copies;
use super::error::LoadError;
use super::load::{LogContents, LogLoader, UnlabelledRun};
use super::name::{GivenLabels, RunName};
use super::options::LoadOptions;
use crate::discover::{self, Found, Input, Origin};
use crate::history::{Comparison, Run};
use crate::stages::concat_stages;
use crate::text::plural;

/// Runs that were read from logs.
#[derive(Debug)]
pub struct Store {
    comparison: Comparison,
    notices: Vec<Notice>,
    skipped: usize,
}

/// Something a user should know about logs that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A problem that did not stop the reading.
    Warning(String),
    /// A fact.
    Info(String),
    /// A detail.
    Verbose(String),
    /// How many files of scanned directories hold no entropy; a `Verbose` before it names each of them.
    WithoutEntropy(usize),
    /// How many runs do not match the pattern of training stages.
    WithoutStage(usize),
}

/// Why no run could be read, and the notices up to that point.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct OpenError {
    /// The reason.
    pub error: LoadError,
    /// What a user should know about the logs that were read.
    pub notices: Vec<Notice>,
}

impl Store {
    /// Reads the runs of files, directories, globs and `LABEL=PATH` (see [`discover::resolve`]).
    ///
    /// A named path must be a usable log. Files found by a glob or in a directory are skipped with a
    /// notice if they are not usable.
    ///
    /// # Errors
    /// When a named log is not usable, when none of the found logs is, or when labels do not fit the runs.
    ///
    /// ```
    /// use entropy_history::store::{LoadOptions, Store};
    ///
    /// let tmp = tempfile::tempdir()?;
    /// let log = tmp.path().join("solver.jsonl");
    /// std::fs::write(&log, "{\"step\": 1, \"entropy\": 2.5}\n{\"step\": 2, \"entropy\": 2.25}\n")?;
    /// let store = Store::open(&[log], &LoadOptions::default())?;
    /// let run = &store.runs()[0];
    /// assert_eq!((run.history.label(), run.history.points().len()), ("solver", 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(
        paths: &[impl AsRef<OsStr>],
        options: &LoadOptions,
    ) -> Result<Store, Box<OpenError>> {
        match discover::resolve_all(paths) {
            Ok(sources) => Store::load(sources, options, || {}),
            Err(error) => Err(Box::new(OpenError { error: error.into(), notices: Vec::new() })),
        }
    }

    /// Reads the runs of logs that were found; `advance` is called after each log, from any thread.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn load(
        sources: Found<Input>,
        options: &LoadOptions,
        advance: impl Fn() + Sync,
    ) -> Result<Store, Box<OpenError>> {
        let mut notices = Vec::new();
        match load(sources, options, advance, &mut notices) {
            Ok((comparison, skipped)) => Ok(Store { comparison, notices, skipped }),
            Err(error) => Err(Box::new(OpenError { error, notices })),
        }
    }

    /// The runs, at least one, each with a label of its own.
    pub fn runs(&self) -> &[Run] {
        self.comparison.runs()
    }

    /// The runs, ready to compare.
    pub fn into_comparison(self) -> Comparison {
        self.comparison
    }

    /// What a user should know, in the order in which it was found.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// How many files and directories that were found could not be read.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

/// The runs, and how many files and directories were skipped.
fn load(
    sources: Found<Input>,
    options: &LoadOptions,
    advance: impl Fn() + Sync,
    notices: &mut Vec<Notice>,
) -> Result<(Comparison, usize), LoadError> {
    let Found { files: mut inputs, unreadable } = sources;
    let labels = GivenLabels::assign(&options.labels, &mut inputs)?;
    let selector = options.selector()?;
    let loader = LogLoader::new(options, &selector);
    let start = Instant::now();
    let read = |input| {
        let result = loader.read(input);
        advance();
        result
    };
    let results: Vec<Result<LogContents, LoadError>> = inputs.par_iter().map(read).collect();

    notices.extend(unreadable.iter().map(|what| Notice::Warning(format!("skipped {what}"))));
    let mut unlabelled: Vec<(&Input, UnlabelledRun)> = Vec::new();
    let (mut without_entropy, mut other_files, mut unread) = (Vec::new(), 0, 0);
    for (input, result) in inputs.iter().zip(results) {
        match result {
            Ok(LogContents::Runs(runs, errors)) => {
                let left_out = errors.iter().map(|e| Notice::Warning(format!("left out: {e}")));
                notices.extend(left_out);
                unlabelled.extend(runs.into_iter().map(|run| (input, run)));
            }
            Ok(LogContents::NoEntropy { log, error }) => {
                without_entropy.push(format!("{log}: {error}"));
            }
            Ok(LogContents::NotALog) => other_files += 1,
            Err(error) if input.origin == Origin::Named => return Err(error),
            Err(error) => {
                notices.push(Notice::Warning(format!("skipped: {error}")));
                unread += 1;
            }
        }
    }
    if other_files > 0 {
        let files = plural(other_files, "file is not a log", "files are not logs");
        notices.push(Notice::Verbose(files));
    }
    leave_out_copies(&mut unlabelled, notices);
    unread += leave_out_incomplete(&mut unlabelled, notices)?;
    if unlabelled.is_empty() {
        let files = inputs.iter().map(Input::name).collect();
        return Err(LoadError::nothing_found(files, unread, without_entropy));
    }
    if !without_entropy.is_empty() {
        let count = Notice::WithoutEntropy(without_entropy.len());
        notices.extend(without_entropy.into_iter().map(Notice::Verbose));
        notices.push(count);
    }
    let names: Vec<RunName<'_>> =
        unlabelled.iter().map(|(input, run)| RunName::new(input, run)).collect();
    let labels = labels.label(&names, unread)?;
    let mut runs = Vec::new();
    for ((_, UnlabelledRun { run, remarks, .. }), label) in unlabelled.into_iter().zip(labels) {
        let warnings = run.warnings.iter();
        notices.extend(warnings.map(|text| Notice::Warning(format!("{}: {text}", run.source))));
        notices.push(Notice::Verbose(describe(&run, &remarks)));
        runs.push(Run { history: run.history.relabelled(label), ..run });
    }
    let points: usize = runs.iter().map(|run| run.history.points().len()).sum();
    let (points, count) = (plural(points, "point", "points"), plural(runs.len(), "run", "runs"));
    notices.push(Notice::Verbose(format!("read {points} of {count} in {:.1?}", start.elapsed())));
    if let Some(pattern) = &options.stages {
        runs = join_stages(runs, pattern, notices)?;
    }
    let comparison = Comparison::new(runs)?;
    notices.extend(mixed_kinds(&comparison));
    Ok((comparison, unread + unreadable.len()))
}

/// Leaves out runs with the same points as another run.
fn leave_out_copies(runs: &mut Vec<(&Input, UnlabelledRun)>, notices: &mut Vec<Notice>) {
    let all: Vec<(&Input, &UnlabelledRun)> =
        runs.iter().map(|(input, run)| (*input, run)).collect();
    let copies = find_copies(&all);
    let log = |i: usize| &runs[i].1.run.source;
    notices.extend(copies.iter().map(|(copy, original)| {
        Notice::Info(format!("{} is left out: same points as {}", log(*copy), log(*original)))
    }));
    let mut i = 0..;
    runs.retain(|_| i.next().is_some_and(|i| !copies.contains_key(&i)));
}

/// Leaves out runs without a requested auxiliary series: an error for a log that was named, a warning
/// for one that was found and for one of several runs of a log. Returns how many logs are left out.
fn leave_out_incomplete(
    runs: &mut Vec<(&Input, UnlabelledRun)>,
    notices: &mut Vec<Notice>,
) -> Result<usize, LoadError> {
    let is_incomplete = |(_, run): &mut (&Input, UnlabelledRun)| run.missing_aux.is_some();
    let incomplete: Vec<_> = runs.extract_if(.., is_incomplete).collect();
    let mut logs = 0;
    for (input, UnlabelledRun { missing_aux, name, .. }) in incomplete {
        let Some(error) = missing_aux else { continue };
        if runs.iter().any(|(other, _)| std::ptr::eq(*other, input)) {
            let name = name.map_or(String::new(), |name| format!("{name}: "));
            notices.push(Notice::Warning(format!("left out: {name}{error}")));
        } else if input.origin == Origin::Named {
            return Err(error);
        } else {
            notices.push(Notice::Warning(format!("skipped: {error}")));
            logs += 1;
        }
    }
    Ok(logs)
}

/// Joins the training stages of runs whose labels match; the others stay as they are.
fn join_stages(
    runs: Vec<Run>,
    pattern: &Regex,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Run>, LoadError> {
    let stage = |label: &str| {
        let groups = pattern.captures(label)?;
        Some((groups.get(1)?.as_str().to_owned(), groups.get(2)?.as_str().to_owned()))
    };
    let labels: Vec<String> = runs.iter().map(|run| run.history.label().to_owned()).collect();
    let without = labels.iter().filter(|label| stage(label).is_none()).count();
    if without == runs.len() {
        return Err(LoadError::NoStages { pattern: pattern.to_string(), labels });
    }
    let (runs, _) = concat_stages(runs, stage)?;
    if without > 0 {
        notices.push(Notice::WithoutStage(without));
    }
    Ok(runs)
}

fn mixed_kinds(comparison: &Comparison) -> Option<Notice> {
    let kinds = comparison.kinds();
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let names = names.join(" and ");
    (kinds.len() > 1).then(|| {
        Notice::Warning(format!(
            "the runs hold different quantities ({names}); their values do not compare"
        ))
    })
}

fn describe(run: &Run, remarks: &[String]) -> String {
    let points = plural(run.history.points().len(), "point", "points");
    let text = format!("{}: {} read as {}, {points}", run.source, run.metric, run.format);
    [&[text], remarks].concat().join("; ")
}

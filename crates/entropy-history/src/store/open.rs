//! The store of runs, and reading logs once.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use rayon::prelude::*;
use thiserror::Error;

use super::assemble::{Assembled, RunRecords, assemble};
use super::config::ConfigReader;
use super::error::LoadError;
use super::load::{LogLoader, ReadMode};
use super::log_record::{LogChange, LogRecord, LogState};
use super::name::GivenLabels;
use super::notice::Notice;
use super::options::LoadOptions;
use super::search::Search;
use super::unread::looks_like_rows;
use crate::discover::{self, Found, Input, Location, Origin};
use crate::history::{Comparison, Run};
use crate::text::plural;

/// Logs and the runs in them.
pub struct Store {
    pub(super) loader: LogLoader,
    pub(super) logs: Vec<LogRecord>,
    pub(super) configs: ConfigReader,
    pub(super) assembled: Assembled,
    pub(super) notices: Vec<Notice>,
    pub(super) skipped: usize,
    pub(super) search: Search,
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

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("runs", &self.runs()).field("notices", &self.notices).finish()
    }
}

impl Store {
    pub(super) fn new(loader: LogLoader, search: Search) -> Store {
        let (assembled, notices) = (Assembled::default(), Vec::new());
        let configs = ConfigReader::default();
        Store { loader, logs: Vec::new(), configs, assembled, notices, skipped: 0, search }
    }

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
        let failed = |error, notices| Box::new(OpenError { error, notices });
        let loader = LogLoader::new(options.clone(), ReadMode::Once);
        let mut store = match loader {
            Ok(loader) => Store::new(loader, Search::default()),
            Err(error) => return Err(failed(error, Vec::new())),
        };
        match store.read_once(sources, advance) {
            Ok(()) => Ok(store),
            Err(error) => Err(failed(error, store.notices)),
        }
    }

    /// The runs, each with a label of its own; none only while a followed store waits for the first.
    pub fn runs(&self) -> &[Run] {
        self.comparison().map_or(&[], Comparison::runs)
    }

    /// The runs, ready to compare; `None` if there is none yet.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.assembled.comparison.as_ref()
    }

    /// The runs, ready to compare, of a store that was opened.
    ///
    /// # Panics
    /// When a followed store has no run yet.
    pub fn into_comparison(self) -> Comparison {
        self.assembled.comparison.expect("a store that was opened has a run")
    }

    /// What a user should know, in the order in which it was found.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// How many files and directories that were found could not be read.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The runs that are recorded in several logs, with these logs.
    pub fn records(&self) -> &[RunRecords] {
        &self.assembled.records
    }

    /// When the log of each run was last written to.
    pub fn modified(&self) -> &[Option<SystemTime>] {
        &self.assembled.modified
    }

    /// For each run, whether it may be the start of a file that is being written.
    pub fn provisional(&self) -> &[bool] {
        &self.assembled.provisional
    }

    fn read_once(
        &mut self,
        sources: Found<Input>,
        advance: impl Fn() + Sync,
    ) -> Result<(), LoadError> {
        let Found { files: mut inputs, unreadable, directories } = sources;
        let given = self.loader.options.labels.clone();
        let labels = GivenLabels::assign(&given, &mut inputs)?;
        let loader = &self.loader;
        let logs = inputs.into_iter().map(|input| LogRecord::new(0, input, None, loader));
        self.logs = logs.collect::<Result<_, _>>()?;
        let start = Instant::now();
        let read = |log: &mut LogRecord| {
            let change = log.poll(loader, start);
            advance();
            change
        };
        let changes: Vec<LogChange> = self.logs.par_iter_mut().map(read).collect();

        let skipped = unreadable.iter().map(|what| Notice::Warning(format!("skipped: {what}")));
        self.notices.extend(skipped);
        let mut unread = 0;
        for (log, change) in self.logs.iter().zip(changes) {
            let warning = |text| Notice::Warning(text);
            match change {
                LogChange::Updated(errors) => {
                    self.notices.extend(errors.iter().map(|e| warning(format!("left out: {e}"))));
                }
                LogChange::Failed(problem) if log.input.origin == Origin::Named => {
                    return Err(problem.error);
                }
                LogChange::Failed(problem) => {
                    self.notices.push(warning(format!("skipped: {}", problem.error)));
                    unread += 1;
                }
                LogChange::None | LogChange::Truncated(_) => {}
            }
        }
        let (without_entropy, not_recognised) = self.logs_without_runs();
        let options = &self.loader.options;
        self.notices.extend(unmatched(&options.metrics, &self.logs));
        let (configs, notices) = (&mut self.configs, &mut self.notices);
        let assembled = assemble(&self.logs, options, &labels, unread, configs, notices)?;
        unread += assembled.incomplete;
        if assembled.comparison.is_none() {
            let named = || self.logs.iter().map(|log| log.input.name()).collect();
            let files = if not_recognised.is_empty() { named() } else { not_recognised };
            return Err(LoadError::nothing_found(files, unread, without_entropy));
        }
        if !without_entropy.is_empty() {
            let count = Notice::WithoutEntropy(without_entropy.len());
            self.notices.extend(without_entropy.into_iter().map(Notice::Verbose));
            self.notices.push(count);
        }
        let without_run = self.without_run(&directories);
        self.skipped = unread + unreadable.len() + not_recognised.len() + without_run.len();
        self.notices.extend(without_run);
        if !not_recognised.is_empty() {
            self.notices.push(Notice::NotRecognised(not_recognised));
        }
        self.assembled = assembled;
        let points: usize = self.runs().iter().map(|run| run.history.points().len()).sum();
        let points = plural(points, "point", "points");
        let count = plural(self.runs().len(), "run", "runs");
        let text = format!("read {points} of {count} in {:.1?}", start.elapsed());
        self.notices.push(Notice::Verbose(text));
        Ok(())
    }

    /// A warning about each directory with neither a run nor a log that could not be read.
    fn without_run(&self, directories: &[PathBuf]) -> Vec<Notice> {
        let is_used = |log: &&LogRecord| !log.runs.is_empty() || log.error().is_some();
        let files = self.logs.iter().filter(is_used).flat_map(|log| &log.input.segments);
        let files: Vec<PathBuf> = files.filter_map(Location::absolute).collect();
        let has_run = |directory: &&PathBuf| match std::path::absolute(directory) {
            Ok(directory) => files.iter().any(|file| file.starts_with(&directory)),
            Err(_) => false,
        };
        let warning = |directory: &PathBuf| {
            Notice::Warning(format!(
                "skipped: {}: no file in it holds an entropy",
                directory.display()
            ))
        };
        directories.iter().filter(|directory| !has_run(directory)).map(warning).collect()
    }

    /// Scanned files that hold no entropy, each with the reason, and those that look like logs and are not
    /// recognised.
    fn logs_without_runs(&mut self) -> (Vec<String>, Vec<String>) {
        let mut without_entropy = Vec::new();
        let mut others: Vec<&Input> = Vec::new();
        for log in &self.logs {
            match &log.state {
                LogState::WithoutEntropy(reason) => without_entropy.push(reason.clone()),
                LogState::NotALog => others.push(&log.input),
                _ => {}
            }
        }
        let is_unread = |input: &&&Input| match input.segments.first() {
            Some(Location::File(path)) => looks_like_rows(path),
            _ => false,
        };
        let not_recognised: Vec<String> =
            others.par_iter().filter(is_unread).map(|input| input.name()).collect();
        if others.len() > not_recognised.len() {
            let count = others.len() - not_recognised.len();
            let files = plural(count, "file is not a log", "files are not logs");
            self.notices.push(Notice::Verbose(files));
        }
        (without_entropy, not_recognised)
    }
}

/// A warning about each `--metric` that no series matches, although others do.
fn unmatched(metrics: &[String], logs: &[LogRecord]) -> Vec<Notice> {
    let is_used = |at: usize| logs.iter().flat_map(|log| &log.runs).any(|run| run.pattern == at);
    if !(0..metrics.len()).any(is_used) {
        return Vec::new(); // an error says so
    }
    let unused = metrics.iter().enumerate().filter(|(at, _)| !is_used(*at));
    unused.map(|(_, metric)| Notice::Warning(format!("no log has {metric:?}"))).collect()
}

//! Follows logs: reads what was appended, finds new logs, and labels runs as [`super::Store`] does.
//!
//! [`LogStore::poll`] reports whether anything changed; [`LogStore::comparison`] is then what a fresh
//! reading of all logs would give.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rayon::prelude::*;

use super::dedupe::find_copies;
use super::error::LoadError;
use super::load::{LogLoader, UnlabelledRun};
use super::log_state::{LogChange, LogState, Problem};
use super::name::{GivenLabels, RunName};
use crate::discover::{self, Depth, Found, Input, Location, Origin, default_label};
use crate::history::{Comparison, Run};

/// The pause between two searches for new logs is at least this many times the duration of a search.
const SEARCH_REST: u32 = 40;

/// Where logs are searched for.
#[derive(Debug)]
pub enum SearchPath {
    /// A file, a directory, a glob or `LABEL=PATH`.
    Argument(OsString),
    /// A directory of models, which may be empty.
    Models(PathBuf),
}

impl SearchPath {
    fn name(&self) -> String {
        match self {
            SearchPath::Argument(argument) => argument.to_string_lossy().into_owned(),
            SearchPath::Models(directory) => directory.to_string_lossy().into_owned(),
        }
    }
}

/// What changed since the last poll.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The runs changed: one has new points, is new, or is gone.
    pub updated: bool,
    /// New problems.
    pub problems: Vec<Problem>,
    /// [`LogStore::errors`] changed.
    pub errors: bool,
}

/// Follows logs that grow.
pub struct LogStore<'a> {
    paths: Vec<SearchPath>,
    loader: LogLoader<'a>,
    interval: Duration,
    logs: Vec<LogState<'a>>,
    unreadable: BTreeSet<String>,
    copies: BTreeSet<String>, // logs with the same points as another log
    comparison: Option<Comparison>,
    modified: Vec<Option<SystemTime>>,
    provisional: Vec<bool>,
    next_search: Option<Instant>,    // `None` before the first poll
    absent: BTreeMap<usize, String>, // search paths that never had a log, with the error
    comparison_error: Option<String>,
    errors: Vec<String>,
}

impl<'a> LogStore<'a> {
    /// Follows the logs in these paths; new ones are searched for at most once per `interval`.
    pub fn new(paths: Vec<SearchPath>, loader: LogLoader<'a>, interval: Duration) -> LogStore<'a> {
        LogStore {
            paths,
            loader,
            interval,
            logs: Vec::new(),
            unreadable: BTreeSet::new(),
            copies: BTreeSet::new(),
            comparison: None,
            modified: Vec::new(),
            provisional: Vec::new(),
            next_search: None,
            absent: BTreeMap::new(),
            comparison_error: None,
            errors: Vec::new(),
        }
    }

    /// The search paths as the user would write them.
    pub fn paths(&self) -> String {
        self.paths.iter().map(SearchPath::name).collect::<Vec<_>>().join(", ")
    }

    /// The present runs; `None` if there is none yet.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// When the log of each run was last written to.
    pub fn modified(&self) -> &[Option<SystemTime>] {
        &self.modified
    }

    /// For each run, whether it may be the start of a file that is being written.
    pub fn provisional(&self) -> &[bool] {
        &self.provisional
    }

    /// The present errors, in the order in which they appeared.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Searches for new logs, and reads what was appended to the known ones.
    ///
    /// # Errors
    /// On the first poll, when a named path is missing or cannot be followed. Later, a log that cannot
    /// be read keeps its runs and is a problem.
    pub fn poll(&mut self, now: Instant) -> Result<Changes, LoadError> {
        let mut changes = Changes::default();
        let is_first = self.next_search.is_none();
        let mut is_changed = false;
        if self.next_search.is_none_or(|time| now >= time) {
            let start = Instant::now();
            is_changed = self.search(&mut changes)?;
            self.next_search = Some(now + self.interval.max(start.elapsed() * SEARCH_REST));
        }
        let loader = self.loader;
        // Later polls find little to read: waking other cores would cost more.
        let results: Vec<LogChange> = match is_first {
            true => self.logs.par_iter_mut().map(|log| log.poll(&loader, now)).collect(),
            false => self.logs.iter_mut().map(|log| log.poll(&loader, now)).collect(),
        };
        for (result, log) in results.into_iter().zip(&self.logs) {
            let errors = match result {
                LogChange::None => continue,
                LogChange::Failed(problem) => {
                    changes.problems.push(problem);
                    continue;
                }
                LogChange::Truncated(error) => vec![error],
                LogChange::Updated(errors) => errors,
            };
            is_changed = true;
            let origin = log.input.origin;
            let problem = |error| Problem { error, origin, may_resolve: true };
            changes.problems.extend(errors.into_iter().map(problem));
        }
        if is_changed {
            match self.compare() {
                Ok(()) => {
                    changes.updated = true;
                    self.comparison_error = None;
                }
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    let text = Some(error.to_string());
                    if self.comparison_error != text {
                        let origin = Origin::Found;
                        changes.problems.push(Problem { error, origin, may_resolve: true });
                    }
                    self.comparison_error = text;
                }
            }
        }
        changes.errors = self.collect_errors();
        Ok(changes)
    }

    /// Updates the present errors; returns whether they changed.
    fn collect_errors(&mut self) -> bool {
        // Without a run, absent logs are not errors: the program waits for them.
        let absent = self.absent.values().filter(|_| self.comparison.is_some());
        let of_logs = self.logs.iter().flat_map(|log| log.error.iter().chain(&log.series_errors));
        let all = absent.chain(&self.unreadable).chain(of_logs).chain(&self.comparison_error);
        let mut new: BTreeSet<&String> = all.collect();
        let mut errors = self.errors.clone();
        errors.retain(|known| new.remove(known));
        errors.extend(new.into_iter().cloned());
        let is_changed = errors != self.errors;
        self.errors = errors;
        is_changed
    }

    /// Searches for logs; returns whether they changed.
    fn search(&mut self, changes: &mut Changes) -> Result<bool, LoadError> {
        let is_first = self.next_search.is_none();
        let mut found: Vec<(usize, Input)> = Vec::new();
        let mut unreadable: BTreeSet<String> = BTreeSet::new();
        for (i, path) in self.paths.iter().enumerate() {
            let resolved = match path {
                SearchPath::Models(directory) => Ok(discover::logs_in(directory, Depth::Runs)),
                SearchPath::Argument(argument) => discover::resolve_all(&[argument]),
            };
            match resolved.map_err(LoadError::from) {
                Ok(Found { files, unreadable: directories }) => {
                    self.absent.remove(&i);
                    for error in directories.into_iter().map(LoadError::UnreadableDirectory) {
                        let text = error.to_string();
                        if unreadable.insert(text.clone()) && !self.unreadable.contains(&text) {
                            let origin = Origin::Found;
                            changes.problems.push(Problem { error, origin, may_resolve: false });
                        }
                    }
                    found.extend(files.into_iter().map(|input| (i, input)));
                }
                Err(error) if is_first && !error.is_absence() => return Err(error),
                Err(error) => {
                    let kept = self.logs.iter().filter(|log| log.search_path == i && !log.deleted);
                    found.extend(kept.map(|log| (i, log.input.clone())));
                    if is_first {
                        let origin = Origin::Named;
                        self.absent.insert(i, error.to_string());
                        changes.problems.push(Problem { error, origin, may_resolve: true });
                    }
                }
            }
        }
        self.unreadable = unreadable;
        let known = self.logs.iter().filter(|log| !log.deleted).map(|log| &log.input);
        if known.eq(found.iter().map(|(_, input)| input)) {
            return Ok(false);
        }
        self.take_over(found)?;
        Ok(true)
    }

    /// Replaces the followed logs by those found; known ones keep their state.
    fn take_over(&mut self, found: Vec<(usize, Input)>) -> Result<(), LoadError> {
        let logs = std::mem::take(&mut self.logs).into_iter().enumerate();
        let mut before: BTreeMap<String, (usize, LogState<'a>)> =
            logs.map(|(i, log)| (key(&log.input), (i, log))).collect();
        let known: Vec<Option<LogState<'a>>> =
            found.iter().map(|(_, input)| before.remove(&key(input)).map(|(_, log)| log)).collect();
        for ((path, input), mut log) in found.into_iter().zip(known) {
            if log.is_none() {
                // A newer file of a run, such as that of its next checkpoint, replaces the older.
                let label = default_label(&input);
                let is_older = |log: &LogState<'a>| {
                    log.search_path == path
                        && !log.runs.is_empty()
                        && default_label(&log.input) == label
                };
                let older = before.iter().find(|(_, (_, log))| is_older(log));
                let older = older.map(|(key, _)| key.clone());
                log = older.and_then(|key| before.remove(&key)).map(|(_, log)| log);
                self.copies.clear();
            }
            self.logs.push(LogState::new(path, input, log, &self.loader)?);
        }
        if !before.is_empty() {
            self.copies.clear(); // their originals may be gone
        }
        // A deleted log keeps its runs and its position; a file that exists belongs to another log now.
        let mut deleted: Vec<(usize, LogState<'a>)> = before.into_values().collect();
        deleted.retain(|(_, log)| !log.runs.is_empty() && log.is_missing());
        deleted.sort_by_key(|(i, _)| *i);
        for (i, mut log) in deleted {
            log.deleted = true;
            self.logs.insert(i.min(self.logs.len()), log);
        }
        Ok(())
    }

    /// Labels the runs and makes the comparison.
    fn compare(&mut self) -> Result<(), LoadError> {
        let all = self.logs.iter().flat_map(|log| log.runs.iter().map(move |run| (log, run)));
        // A copy may be a row behind its original for a moment, and remains a copy.
        let all = all.filter(|(_, run)| !self.copies.contains(&run.run.source));
        let mut runs: Vec<(usize, (&LogState<'a>, &UnlabelledRun))> = all.enumerate().collect();
        // Logs that exist come first, so that of two copies the deleted one is left out.
        runs.sort_by_key(|(_, (log, _))| log.deleted);
        let inputs: Vec<(&Input, &UnlabelledRun)> =
            runs.iter().map(|(_, (log, run))| (&log.input, *run)).collect();
        let copies = find_copies(&inputs);
        let (left_out, kept): (Vec<_>, Vec<_>) =
            runs.into_iter().enumerate().partition(|(i, _)| copies.contains_key(i));
        let mut kept: Vec<_> = kept.into_iter().map(|(_, run)| run).collect();
        kept.sort_by_key(|(i, _)| *i);

        let names: Vec<RunName<'_>> =
            kept.iter().map(|(_, (log, run))| RunName::new(&log.input, run)).collect();
        let labels = GivenLabels::none().label(&names, 0)?;
        let labelled =
            kept.iter().zip(labels).map(|((_, (_, UnlabelledRun { run, .. })), label)| Run {
                history: run.history.clone().relabelled(label),
                ..run.clone()
            });
        let labelled: Vec<Run> = labelled.collect();
        let states = kept.iter().map(|(_, (log, _))| (log.modified(), log.provisional));
        (self.modified, self.provisional) = states.unzip();
        let sources = left_out.iter().map(|(_, (_, (_, run)))| run.run.source.clone());
        let sources: Vec<String> = sources.collect();
        self.comparison = if labelled.is_empty() { None } else { Some(Comparison::new(labelled)?) };
        self.copies.extend(sources);
        Ok(())
    }
}

/// Identifies a log across searches, though it may have more files later.
fn key(input: &Input) -> String {
    let first = input.segments.first().map(Location::name).unwrap_or_default();
    format!("{:?} {first}", input.label)
}

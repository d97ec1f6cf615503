//! Following logs: reading what was appended, and finding new logs.
//!
//! [`Store::poll`] reports whether anything changed; the runs are then what a fresh reading of all logs would
//! give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::assemble::assemble;
use super::error::LoadError;
use super::load::{LogLoader, ReadMode};
use super::log_record::{LogChange, LogRecord, LogState, Problem};
use super::name::GivenLabels;
use super::open::Store;
use super::options::LoadOptions;
use super::search::{Search, SearchPath};
use crate::discover::{self, Found, Input, Location, Origin, default_label};

/// The pause between two searches for new logs is at least this many times the duration of a search.
const SEARCH_REST: u32 = 40;

/// What changed since the last poll.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The runs changed: one has new points, is new, or is gone.
    pub updated: bool,
    /// New problems.
    pub problems: Vec<Problem>,
    /// [`Store::errors`] changed.
    pub errors: bool,
}

impl Store {
    /// A store that follows the logs in these paths; new ones are searched for at most once per `interval`.
    /// It has no runs before the first [`Store::poll`].
    ///
    /// # Errors
    /// When a metric or a reward of the options is not a valid glob.
    pub fn follow(
        paths: Vec<SearchPath>,
        options: &LoadOptions,
        interval: Duration,
    ) -> Result<Store, LoadError> {
        let loader = LogLoader::new(options.clone(), ReadMode::Follow)?;
        Ok(Store::new(loader, Search { paths, interval, ..Search::default() }))
    }

    /// The search paths as the user would write them.
    pub fn paths(&self) -> String {
        self.search.paths.iter().map(SearchPath::name).collect::<Vec<_>>().join(", ")
    }

    /// The present errors, in the order in which they appeared.
    pub fn errors(&self) -> &[String] {
        &self.search.errors
    }

    /// Searches for new logs, and reads what was appended to the known ones.
    ///
    /// # Errors
    /// On the first poll, when a named path is missing or cannot be followed. Later, a log that cannot
    /// be read keeps its runs and is a problem.
    pub fn poll(&mut self, now: Instant) -> Result<Changes, LoadError> {
        let mut changes = Changes::default();
        let is_first = self.search.next.is_none();
        let mut is_changed = false;
        if self.search.next.is_none_or(|time| now >= time) {
            let start = Instant::now();
            is_changed = self.search_logs(&mut changes)?;
            self.search.next = Some(now + self.search.interval.max(start.elapsed() * SEARCH_REST));
        }
        let loader = &self.loader;
        // Later polls find little to read: waking other cores would cost more.
        let results: Vec<LogChange> = match is_first {
            true => self.logs.par_iter_mut().map(|log| log.poll(loader, now)).collect(),
            false => self.logs.iter_mut().map(|log| log.poll(loader, now)).collect(),
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
                    self.search.comparison_error = None;
                }
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    let text = Some(error.to_string());
                    if self.search.comparison_error != text {
                        let origin = Origin::Found;
                        changes.problems.push(Problem { error, origin, may_resolve: true });
                    }
                    self.search.comparison_error = text;
                }
            }
        }
        changes.errors = self.collect_errors();
        Ok(changes)
    }

    /// Updates the present errors; returns whether they changed.
    fn collect_errors(&mut self) -> bool {
        // Without a run, absent logs are not errors: the program waits for them.
        let absent = self.search.absent.values().filter(|_| self.comparison().is_some());
        let of_logs =
            self.logs.iter().flat_map(|log| log.error().into_iter().chain(&log.series_errors));
        let all = absent
            .chain(&self.search.unreadable)
            .chain(of_logs)
            .chain(&self.search.comparison_error);
        let mut new: BTreeSet<&String> = all.collect();
        let mut errors = self.search.errors.clone();
        errors.retain(|known| new.remove(known));
        errors.extend(new.into_iter().cloned());
        let is_changed = errors != self.search.errors;
        self.search.errors = errors;
        is_changed
    }

    /// Searches for logs; returns whether they changed.
    fn search_logs(&mut self, changes: &mut Changes) -> Result<bool, LoadError> {
        let is_first = self.search.next.is_none();
        let mut found: Vec<(usize, Input)> = Vec::new();
        let mut unreadable: BTreeSet<String> = BTreeSet::new();
        for (i, path) in self.search.paths.iter().enumerate() {
            let resolved = match path {
                SearchPath::Models(directory) => Ok(discover::logs_in(directory)),
                SearchPath::Argument(argument) => discover::resolve_all(&[argument]),
            };
            match resolved.map_err(LoadError::from) {
                Ok(Found { mut files, unreadable: directories, .. }) => {
                    for input in files.iter_mut().filter(|input| input.place.is_some()) {
                        input.place = Some(i);
                    }
                    self.search.absent.remove(&i);
                    for error in directories.into_iter().map(LoadError::UnreadableDirectory) {
                        let text = error.to_string();
                        if unreadable.insert(text.clone())
                            && !self.search.unreadable.contains(&text)
                        {
                            let origin = Origin::Found;
                            changes.problems.push(Problem { error, origin, may_resolve: false });
                        }
                    }
                    found.extend(files.into_iter().map(|input| (i, input)));
                }
                Err(error) if is_first && !error.is_absence() => return Err(error),
                Err(error) => {
                    let kept =
                        self.logs.iter().filter(|log| log.search_path == i && !log.is_deleted());
                    found.extend(kept.map(|log| (i, log.input.clone())));
                    if is_first {
                        let origin = Origin::Named;
                        self.search.absent.insert(i, error.to_string());
                        changes.problems.push(Problem { error, origin, may_resolve: true });
                    }
                }
            }
        }
        self.search.unreadable = unreadable;
        let known = self.logs.iter().filter(|log| !log.is_deleted()).map(|log| &log.input);
        if known.eq(found.iter().map(|(_, input)| input)) {
            return Ok(false);
        }
        self.take_over(found)?;
        Ok(true)
    }

    /// Replaces the followed logs by those found; known ones keep their state.
    fn take_over(&mut self, found: Vec<(usize, Input)>) -> Result<(), LoadError> {
        let logs = std::mem::take(&mut self.logs).into_iter().enumerate();
        let mut before: BTreeMap<String, (usize, LogRecord)> =
            logs.map(|(i, log)| (key(&log.input), (i, log))).collect();
        let known: Vec<Option<LogRecord>> =
            found.iter().map(|(_, input)| before.remove(&key(input)).map(|(_, log)| log)).collect();
        for ((path, input), mut log) in found.into_iter().zip(known) {
            if log.is_none() {
                // A newer file of a run, such as that of its next checkpoint, replaces the older.
                let label = default_label(&input);
                let is_older = |log: &LogRecord| {
                    log.search_path == path
                        && !log.runs.is_empty()
                        && default_label(&log.input) == label
                };
                let older = before.iter().find(|(_, (_, log))| is_older(log));
                let older = older.map(|(key, _)| key.clone());
                log = older.and_then(|key| before.remove(&key)).map(|(_, log)| log);
            }
            self.logs.push(LogRecord::new(path, input, log, &self.loader)?);
        }
        // A deleted log keeps its runs and its position; a file that exists belongs to another log now.
        let mut deleted: Vec<(usize, LogRecord)> = before.into_values().collect();
        deleted.retain(|(_, log)| !log.runs.is_empty() && log.is_missing());
        deleted.sort_by_key(|(i, _)| *i);
        for (i, mut log) in deleted {
            log.state = LogState::Deleted(log.error().cloned());
            self.logs.insert(i.min(self.logs.len()), log);
        }
        Ok(())
    }

    /// Labels the runs and makes the comparison.
    fn compare(&mut self) -> Result<(), LoadError> {
        self.notices.clear();
        let labels = GivenLabels::none();
        let (options, configs) = (&self.loader.options, &mut self.configs);
        self.assembled = assemble(&self.logs, options, &labels, 0, configs, &mut self.notices)?;
        Ok(())
    }
}

/// Identifies a log across searches, though it may have more files later.
fn key(input: &Input) -> String {
    let first = input.segments.first().map(Location::name).unwrap_or_default();
    format!("{:?} {first}", input.label)
}

//! The state of a followed log: what was read of it, and whether that can be trusted while it is being
//! written.
//!
//! A trainer that rewrites its file leaves, for a moment, only the start of it. A file that has fewer points
//! than before and is truncated is not used until it is complete, or unchanged for [`REWRITE_TIMEOUT`].

use std::time::{Duration, Instant, SystemTime};

use super::error::LoadError;
use super::load::{FileResult, LogContents, LogLoader, UnlabelledRun};
use super::load::{holds_no_entropy, looks_like_log};
use super::tail::FileTail;
use crate::discover::{Input, Location, Origin};
use crate::formats::{Log, LogNote, ReadError};

/// A truncated file is taken to be in the middle of a rewrite until it was unchanged for this long.
const REWRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A followed log.
pub(super) struct LogState<'a> {
    /// The index of the search path that it was found by.
    pub(super) search_path: usize,
    pub(super) input: Input,
    tails: Vec<FileTail<'a>>,
    pub(super) runs: Vec<UnlabelledRun>,
    /// The present error of the log, if any.
    pub(super) error: Option<String>,
    /// Errors of other series in it.
    pub(super) series_errors: Vec<String>,
    /// When it was last read and found truncated.
    truncated_since: Option<Instant>,
    /// The runs were read from a truncated file that was never complete.
    pub(super) provisional: bool,
    /// Its files were deleted after they were read.
    pub(super) deleted: bool,
}

/// A log that could not be read, or not yet.
#[derive(Debug)]
pub struct Problem {
    /// The reason.
    pub error: LoadError,
    /// How the log was found.
    pub origin: Origin,
    /// The log does not exist yet, or holds nothing yet.
    pub may_resolve: bool,
}

/// The result of polling one log.
pub(super) enum LogChange {
    /// Nothing new, or nothing that can be used.
    None,
    /// It has other points than before; new errors of other series in it.
    Updated(Vec<LoadError>),
    /// It stays truncated; the part that is there is used.
    Truncated(LoadError),
    /// It cannot be read, for a new reason.
    Failed(Problem),
}

impl<'a> LogState<'a> {
    /// A log to follow; `before` is its state so far, if it was followed already.
    ///
    /// # Errors
    /// When it is standard input.
    pub(super) fn new(
        search_path: usize,
        input: Input,
        before: Option<LogState<'a>>,
        loader: &LogLoader<'a>,
    ) -> Result<LogState<'a>, LoadError> {
        let mut state = before.unwrap_or_else(|| LogState {
            search_path,
            input: input.clone(),
            tails: Vec::new(),
            runs: Vec::new(),
            error: None,
            series_errors: Vec::new(),
            truncated_since: None,
            provisional: false,
            deleted: false,
        });
        let mut known = std::mem::take(&mut state.tails);
        let mut tails = Vec::new();
        for segment in &input.segments {
            let Location::File(path) = segment else { return Err(LoadError::FollowStdin) };
            tails.push(match known.iter().position(|tail| tail.path() == path) {
                Some(at) => known.swap_remove(at),
                None => FileTail::new(path.clone(), loader.options.format, loader.selector),
            });
        }
        Ok(LogState { search_path, input, tails, deleted: false, ..state })
    }

    /// Whether none of its files exists.
    pub(super) fn is_missing(&self) -> bool {
        self.tails.iter().all(|tail| !tail.path().exists())
    }

    /// When one of its files was last written to.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.tails.iter().filter_map(FileTail::modified).max()
    }

    /// Reads the files of the log if one of them changed.
    pub(super) fn poll(&mut self, loader: &LogLoader<'_>, now: Instant) -> LogChange {
        let has_waited = self
            .truncated_since
            .is_some_and(|since| now.saturating_duration_since(since) >= REWRITE_TIMEOUT);
        let stays_truncated = has_waited && !self.tails.iter().any(FileTail::is_modified);
        if !stays_truncated && !self.tails.iter().any(|tail| tail.is_due(now)) {
            return LogChange::None;
        }
        let is_first = self.runs.is_empty();
        let is_scanned = self.input.origin == Origin::Scanned && loader.options.format.is_none();
        let mut files: Vec<FileResult> = Vec::new();
        let mut truncated: Option<(String, String)> = None;
        let mut is_rewritten = false;
        for tail in &mut self.tails {
            let name = tail.path().to_string_lossy().into_owned();
            if is_scanned && is_first && !looks_like_log(tail.path()).unwrap_or(true) {
                tail.skip();
                files.push(Ok(None));
                continue;
            }
            let read = tail.read(now);
            let reason = match &read {
                Ok((_, log)) => truncation(log).map(ToString::to_string),
                // Before its first bytes are written, a file that is rewritten is empty.
                Err(error) => holds_no_entropy(error).then(|| error.to_string()),
            };
            // A file that is appended to ends inside a row most of the time, and can be used.
            let is_console = matches!(&read, Ok((format, _)) if format.is_console);
            is_rewritten |= reason.is_some() && !tail.is_resumable() && !is_console;
            truncated = truncated.or(reason.map(|reason| (name.clone(), reason)));
            files.push(loader.select(name, read));
        }
        let may_resolve = files.iter().all(|file| match file {
            Ok(file) => file.is_none(),
            // A file that is not a log at its start will not become one.
            Err((ReadError::Unrecognised(_), _)) => false,
            Err((error, _)) => holds_no_entropy(error),
        });
        let may_be_partial = truncated.is_some() && !is_first && !stays_truncated;
        // A log that could be read keeps its runs: it may be in the middle of a rewrite.
        let error = match loader.runs(&self.input, files.into_iter()) {
            Ok(LogContents::Runs(runs, errors)) => {
                if may_be_partial && points(&runs) < points(&self.runs) {
                    return self.wait(now);
                }
                self.runs = runs;
                self.error = None;
                self.provisional = is_first && is_rewritten;
                self.truncated_since = self.provisional.then_some(now);
                return match truncated.filter(|_| stays_truncated) {
                    Some((log, reason)) => {
                        let error = LoadError::Truncated { log, reason };
                        self.error = Some(error.to_string());
                        LogChange::Truncated(error)
                    }
                    None => LogChange::Updated(self.new_series_errors(errors)),
                };
            }
            _ if may_be_partial => return self.wait(now),
            Ok(LogContents::NoEntropy { log, error }) if !is_first => {
                LoadError::Read { log, error }
            }
            Ok(LogContents::NoEntropy { .. } | LogContents::NotALog) => {
                (self.truncated_since, self.error) = (None, None);
                return LogChange::None;
            }
            Err(error) => error,
        };
        self.truncated_since = None;
        let text = Some(error.to_string());
        if self.error == text {
            return LogChange::None;
        }
        self.error = text;
        LogChange::Failed(Problem { error, origin: self.input.origin, may_resolve })
    }

    /// Waits for the rest of a file; until then the runs read before are kept.
    fn wait(&mut self, now: Instant) -> LogChange {
        (self.truncated_since, self.error) = (Some(now), None);
        LogChange::None
    }

    /// Records the present errors of series and returns those that are new.
    fn new_series_errors(&mut self, mut errors: Vec<LoadError>) -> Vec<LoadError> {
        let present = errors.iter().map(ToString::to_string).collect();
        let known = std::mem::replace(&mut self.series_errors, present);
        errors.retain(|error| !known.contains(&error.to_string()));
        errors
    }
}

fn points(runs: &[UnlabelledRun]) -> usize {
    runs.iter().map(|run| run.run.history.points().len()).sum()
}

/// The note that a log is truncated, if it is.
fn truncation(log: &Log) -> Option<&LogNote> {
    log.notes.iter().find(|note| matches!(note, LogNote::Cut { .. } | LogNote::CompressionCut(_)))
}

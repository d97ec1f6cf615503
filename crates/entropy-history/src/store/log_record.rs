//! The state of a log: what was read of it, and whether that can be trusted while it is being written.
//!
//! A trainer that rewrites its file leaves, for a moment, only the start of it. A file that has fewer points
//! than before and is truncated is not used until it is complete, or unchanged for [`REWRITE_TIMEOUT`].

use std::time::{Duration, Instant, SystemTime};

use super::error::LoadError;
use super::load::{FileResult, LogContents, LogLoader, ReadMode, UnlabelledRun};
use super::load::{holds_no_entropy, looks_like_log};
use super::tail::FileTail;
use crate::discover::{Input, Location, Origin};
use crate::formats::{Log, LogNote, ReadError};

/// A truncated file is taken to be in the middle of a rewrite until it was unchanged for this long.
const REWRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a log is between its first reading and its deletion. Its runs are kept in all states.
#[derive(Debug)]
pub(super) enum LogState {
    /// It was not read yet.
    Unread,
    /// It is not recognised as a log.
    NotALog,
    /// It holds no entropy, or none yet: the log and the reason.
    WithoutEntropy(String),
    /// Its runs are what its files hold.
    Ready,
    /// Its runs are the start of a file that was never seen complete, and that last changed at this time.
    Provisional(Instant),
    /// Its files are being rewritten since this time; its runs were read before that.
    Rewriting(Instant),
    /// Its files stay truncated for the reason given; its runs are what is there.
    Truncated(String),
    /// Its files cannot be read for the reason given; its runs were read before that.
    Failed(String),
    /// Its files were deleted after they were read; the reason why reading fails, once it was tried.
    Deleted(Option<String>),
}

/// A log, read once or followed.
pub(super) struct LogRecord {
    /// The index of the search path that it was found by.
    pub(super) search_path: usize,
    pub(super) input: Input,
    tails: Vec<FileTail>,
    pub(super) runs: Vec<UnlabelledRun>,
    pub(super) state: LogState,
    /// Errors of other series in it.
    pub(super) series_errors: Vec<String>,
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

impl LogRecord {
    /// A log to read; `before` is its record so far, if it was followed already.
    ///
    /// # Errors
    /// When standard input is to be followed.
    pub(super) fn new(
        search_path: usize,
        input: Input,
        before: Option<LogRecord>,
        loader: &LogLoader,
    ) -> Result<LogRecord, LoadError> {
        let mut record = before.unwrap_or_else(|| LogRecord {
            search_path,
            input: input.clone(),
            tails: Vec::new(),
            runs: Vec::new(),
            state: LogState::Unread,
            series_errors: Vec::new(),
        });
        let mut known = std::mem::take(&mut record.tails);
        let mut tails = Vec::new();
        for segment in &input.segments {
            if *segment == Location::Stdin && loader.mode == ReadMode::Follow {
                return Err(LoadError::FollowStdin);
            }
            tails.push(match known.iter().position(|tail| tail.location() == segment) {
                Some(at) => known.swap_remove(at),
                None => FileTail::new(segment.clone(), loader),
            });
        }
        let state = match record.state {
            LogState::Deleted(Some(error)) => LogState::Failed(error),
            LogState::Deleted(None) => LogState::Unread,
            state => state,
        };
        Ok(LogRecord { search_path, input, tails, state, ..record })
    }

    /// Whether its files were deleted.
    pub(super) fn is_deleted(&self) -> bool {
        matches!(self.state, LogState::Deleted(_))
    }

    /// Whether its runs may be the start of a file that is being written.
    pub(super) fn is_provisional(&self) -> bool {
        matches!(self.state, LogState::Provisional(_))
    }

    /// The present error of the log, if any.
    pub(super) fn error(&self) -> Option<&String> {
        match &self.state {
            LogState::Truncated(error) | LogState::Failed(error) => Some(error),
            LogState::Deleted(error) => error.as_ref(),
            _ => None,
        }
    }

    /// Whether none of its files exists.
    pub(super) fn is_missing(&self) -> bool {
        self.tails.iter().all(FileTail::is_missing)
    }

    /// When one of its files was last written to.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.tails.iter().filter_map(FileTail::modified).max()
    }

    /// Reads the files of the log if one of them changed.
    pub(super) fn poll(&mut self, loader: &LogLoader, now: Instant) -> LogChange {
        let stays_truncated = match self.state {
            LogState::Provisional(since) | LogState::Rewriting(since) => {
                now.saturating_duration_since(since) >= REWRITE_TIMEOUT
                    && !self.tails.iter().any(FileTail::is_modified)
            }
            _ => false,
        };
        if !stays_truncated && !self.tails.iter().any(|tail| tail.is_due(now)) {
            return LogChange::None;
        }
        let is_first = self.runs.is_empty();
        let is_scanned = self.input.origin == Origin::Scanned && loader.options.format.is_none();
        let mut files: Vec<FileResult> = Vec::new();
        let mut truncated: Option<(String, String)> = None;
        let mut is_rewritten = false;
        for tail in &mut self.tails {
            let name = tail.location().name();
            if let Location::File(path) = tail.location()
                && is_scanned
                && is_first
                && !looks_like_log(path).unwrap_or(true)
            {
                tail.skip();
                files.push(Ok(None));
                continue;
            }
            let read = tail.read(loader, now);
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
            Err((ReadError::CutFirstRow(_), _)) => true,
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
                if let Some((log, reason)) = truncated.filter(|_| stays_truncated) {
                    let error = LoadError::Truncated { log, reason };
                    self.state = LogState::Truncated(error.to_string());
                    return LogChange::Truncated(error);
                }
                self.state = match is_first && is_rewritten {
                    true => LogState::Provisional(now),
                    false => LogState::Ready,
                };
                return LogChange::Updated(self.new_series_errors(errors));
            }
            _ if may_be_partial => return self.wait(now),
            Ok(LogContents::NoEntropy { log, error }) if !is_first => {
                LoadError::Read { log, error }
            }
            Ok(LogContents::NoEntropy { log, error }) => {
                self.state = LogState::WithoutEntropy(format!("{log}: {error}"));
                return LogChange::None;
            }
            Ok(LogContents::NotALog) => {
                self.state = LogState::NotALog;
                return LogChange::None;
            }
            Err(error) => error,
        };
        self.fail(error, may_resolve)
    }

    fn fail(&mut self, error: LoadError, may_resolve: bool) -> LogChange {
        let text = error.to_string();
        if self.error() == Some(&text) {
            return LogChange::None;
        }
        self.state = match self.state {
            LogState::Deleted(_) => LogState::Deleted(Some(text)),
            _ => LogState::Failed(text),
        };
        LogChange::Failed(Problem { error, origin: self.input.origin, may_resolve })
    }

    /// Waits for the rest of a file; until then the runs read before are kept.
    fn wait(&mut self, now: Instant) -> LogChange {
        self.state = match self.state {
            LogState::Provisional(_) => LogState::Provisional(now),
            _ => LogState::Rewriting(now),
        };
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

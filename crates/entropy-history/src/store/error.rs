//! Why no runs could be loaded.

use thiserror::Error;

use crate::discover::DiscoverError;
use crate::formats::{ReadError, quoted};
use crate::framing::json::ScanError;
use crate::history::{ComparisonError, HistoryError};
use crate::run_config::ConfigKeyError;
use crate::stages::StageError;
use crate::text::{io_message, plural};
use crate::x_axis::XAxisError;

/// Why no runs could be loaded. `log` is a log as the user would write it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// An argument cannot be resolved to logs.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// A directory below a searched path cannot be read: its name and the reason.
    #[error("skipped {0}")]
    UnreadableDirectory(String),
    /// A file cannot be read as a log.
    #[error("cannot read {log}: {}", reason(.error))]
    Read {
        /// The file.
        log: String,
        /// The reason.
        error: ReadError,
    },
    /// A file that is no longer written to ends inside a row.
    #[error("{log}: {reason}")]
    Truncated {
        /// The file.
        log: String,
        /// Where it ends.
        reason: String,
    },
    /// The rows of a series are not a history.
    #[error("cannot use {log}: {metric:?}: {error}")]
    History {
        /// The log.
        log: String,
        /// The key of the series.
        metric: String,
        /// The reason.
        error: HistoryError,
    },
    /// The log lacks a requested auxiliary series.
    #[error(transparent)]
    Aux(#[from] AuxError),
    /// Two files of one run hold different kinds of entropy.
    #[error("cannot join {log}: it holds {kind} and {segment} holds {other}")]
    MixedSegments {
        /// The log.
        log: String,
        /// The kind in its first file.
        kind: &'static str,
        /// A later file.
        segment: String,
        /// The kind in the later file.
        other: &'static str,
    },
    /// A requested metric is not a valid glob.
    #[error("metric {pattern:?} is not a glob pattern: {reason}")]
    MetricPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key of another requested quantity is not a valid glob.
    #[error("{pattern:?} is not a glob pattern: {reason}")]
    QuantityPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// None of these files is recognised as a log.
    #[error("no entropy found: {}", not_recognised(.0))]
    NotRecognised(Vec<String>),
    /// No file could be read, for reasons given in notices: how many there are.
    #[error("{}", nothing_readable(*.0))]
    NothingReadable(usize),
    /// Logs could be read, and none holds an entropy.
    #[error("{}", no_entropy(*.files, .reasons))]
    NoEntropy {
        /// How many files there are.
        files: usize,
        /// Logs without an entropy, at least one, each with the reason.
        reasons: Vec<String>,
    },
    /// A given label is empty: its position from 1.
    #[error("label {0} is empty")]
    EmptyLabel(usize),
    /// A log is given two labels.
    #[error("{log} is called both {first:?} and {second:?}")]
    TwoLabels {
        /// The log.
        log: String,
        /// The label given with its path.
        first: String,
        /// The label from the list of labels.
        second: String,
    },
    /// The number of labels fits neither the logs nor the runs.
    #[error(
        "cannot name the runs: {} for {}:{}",
        plural(.labels.len(), "label", "labels"),
        plural(.items.len(), .unit, &format!("{}s", .unit)),
        numbered(.items)
    )]
    LabelCount {
        /// The labels.
        labels: Vec<String>,
        /// The files or runs to label.
        items: Vec<String>,
        /// The noun for one of them: `file` or `run`.
        unit: &'static str,
    },
    /// One log is given twice.
    #[error("{0} is given twice")]
    GivenTwice(String),
    /// Two logs have one label.
    #[error("two runs are called {label:?}: {first} and {second}")]
    SameLabel {
        /// The label.
        label: String,
        /// The earlier log.
        first: String,
        /// The later log.
        second: String,
    },
    /// No label can be made from the path of a log.
    #[error("label-from {pattern} does not match {path}")]
    LabelFrom {
        /// The pattern.
        pattern: String,
        /// The absolute path of the log.
        path: String,
    },
    /// The pattern makes one label from two paths.
    #[error("label-from {pattern} makes the label {label:?} of both {first} and {second}")]
    SameLabelFrom {
        /// The pattern.
        pattern: String,
        /// The label.
        label: String,
        /// The earlier log.
        first: String,
        /// The later log.
        second: String,
    },
    /// A configuration has no such key, or several.
    #[error(transparent)]
    ConfigKey(#[from] ConfigKeyError),
    /// No label can be made from the configuration of a run.
    #[error("label-from {keys} cannot name {run}: its configuration lacks one of these keys")]
    LabelFromConfig {
        /// The keys.
        keys: String,
        /// The log, and the name of the run if it has several.
        run: String,
    },
    /// No label matches the pattern of training stages.
    #[error("chain {pattern} matches none of the runs: {}", .labels.join(", "))]
    NoStages {
        /// The pattern.
        pattern: String,
        /// The labels of the runs.
        labels: Vec<String>,
    },
    /// Training stages cannot be joined.
    #[error(transparent)]
    Stages(#[from] StageError),
    /// The runs cannot be compared.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    /// Standard input cannot be followed.
    #[error("cannot follow stdin: it is read once")]
    FollowStdin,
}

/// Why a log has no usable series of a requested quantity, or no clock. `log` is a log as the user would write it.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AuxError {
    /// The log has no usable clock.
    #[error("cannot place {log} in time: {}", self.reason())]
    Clock {
        /// The log.
        log: String,
        /// The reason.
        error: XAxisError,
    },
    /// The log has none of the requested keys.
    #[error("cannot use {log}: {}", self.reason())]
    NoQuantity {
        /// The log.
        log: String,
        /// The requested keys and globs.
        requested: Vec<String>,
        /// Keys of the log, the most likely first.
        found: Vec<String>,
    },
    /// Several series of the log match a requested glob.
    #[error("cannot use {log}: {}", self.reason())]
    Ambiguous {
        /// The log.
        log: String,
        /// The requested key or glob.
        pattern: String,
        /// The keys that match, the most likely first.
        matches: Vec<String>,
    },
    /// The series has no finite value.
    #[error("cannot use {log}: {}", self.reason())]
    NotFinite {
        /// The log.
        log: String,
        /// Its key.
        metric: String,
    },
}

impl AuxError {
    /// What is wrong, without the name of the log.
    pub(super) fn reason(&self) -> String {
        match self {
            AuxError::Clock { error, .. } => error.to_string(),
            AuxError::NoQuantity { requested, found, .. } => {
                format!("no row has {}; the log has {}", alternatives(requested), quoted(found))
            }
            AuxError::Ambiguous { pattern, matches, .. } => {
                format!("{pattern:?} may be {}", quoted(matches))
            }
            AuxError::NotFinite { metric, .. } => format!("no value of {metric:?} is finite"),
        }
    }
}

impl LoadError {
    /// The error when none of `files` could be used: `unreadable` of them could not be read, and those
    /// of `without_entropy` hold none for the reason given.
    pub fn nothing_found(
        files: Vec<String>,
        unreadable: usize,
        without_entropy: Vec<String>,
    ) -> LoadError {
        match (&without_entropy[..], unreadable) {
            ([], 0) => LoadError::NotRecognised(files),
            ([], _) => LoadError::NothingReadable(files.len()),
            _ => LoadError::NoEntropy { files: files.len(), reasons: without_entropy },
        }
    }

    /// Whether what is missing may appear later: a file, a match of a pattern, or a log in a directory.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            LoadError::Discover(
                DiscoverError::NoMatch(_) | DiscoverError::NoLog(_) | DiscoverError::Missing(_)
            )
        )
    }
}

fn reason(error: &ReadError) -> String {
    match error {
        ReadError::Io(e) | ReadError::Scan(ScanError::Io(e)) => io_message(e),
        _ => error.to_string(),
    }
}

fn not_recognised(files: &[String]) -> String {
    match files {
        [file] => format!("the format of {file} is not recognised"),
        _ => {
            let more = if files.len() > 3 { ", …" } else { "" };
            let first = files[..files.len().min(3)].join(", ");
            format!("the format of none of {} files is recognised: {first}{more}", files.len())
        }
    }
}

fn nothing_readable(files: usize) -> String {
    match files {
        1 => "the file found could not be read".to_owned(),
        _ => format!("none of the {files} files found could be read"),
    }
}

fn no_entropy(files: usize, reasons: &[String]) -> String {
    match reasons {
        [reason] => format!("no entropy found in {reason}"),
        _ => format!("none of the {files} files found holds an entropy; {}", reasons[0]),
    }
}

/// Up to four keys, or the first two and the number of the others: a known name stands for many.
fn alternatives(keys: &[String]) -> String {
    const MAX_KEYS: usize = 4;
    const FIRST: usize = 2;
    let shown = if keys.len() > MAX_KEYS { FIRST } else { keys.len() };
    let mut words: Vec<String> = keys[..shown].iter().map(|key| format!("{key:?}")).collect();
    if shown < keys.len() {
        words.push(format!("one of {} other keys", keys.len() - shown));
    }
    words.join(" or ")
}

fn numbered(items: &[String]) -> String {
    items.iter().enumerate().map(|(i, item)| format!("\n  {}. {item}", i + 1)).collect()
}

//! Where a store that follows logs searches for them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where logs are searched for.
#[derive(Debug)]
pub enum SearchPath {
    /// A file, a directory, a glob or `LABEL=PATH`.
    Argument(OsString),
    /// A directory of models, which may be empty.
    Models(PathBuf),
}

impl SearchPath {
    pub(super) fn name(&self) -> String {
        match self {
            SearchPath::Argument(argument) => argument.to_string_lossy().into_owned(),
            SearchPath::Models(directory) => directory.to_string_lossy().into_owned(),
        }
    }
}

/// Where a followed store searches for logs, and what it found there.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) paths: Vec<SearchPath>,
    pub(super) interval: Duration,
    pub(super) next: Option<Instant>, // `None` before the first poll
    pub(super) unreadable: BTreeSet<String>,
    pub(super) absent: BTreeMap<usize, String>, // paths that never had a log, with the error
    pub(super) comparison_error: Option<String>,
    pub(super) errors: Vec<String>,
}

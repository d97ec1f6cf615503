//! A log to read: its files and how it was found.

use std::path::{Path, PathBuf};

/// Where a log is read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Location {
    /// As the user would write it.
    pub fn name(&self) -> String {
        match self {
            Location::Stdin => "stdin".to_owned(),
            Location::File(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// The absolute path of the file; `None` for standard input.
    pub fn absolute(&self) -> Option<PathBuf> {
        match self {
            Location::Stdin => None,
            Location::File(path) => std::path::absolute(path).ok(),
        }
    }
}

/// How an input was found: a named one must be usable, the others may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was named.
    Named,
    /// A pattern matched it, or it has the file name that a trainer gives to its history.
    Found,
    /// It was in a directory, among files of any kind: it may not be a log.
    Scanned,
}

/// One log to read; it holds one run or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its files, in the order in which they were written; most logs have one.
    pub segments: Vec<Location>,
    /// The directory of its files, if a trainer writes several into one.
    pub directory: Option<PathBuf>,
    /// The label that the user gave.
    pub label: Option<String>,
    /// How it was found.
    pub origin: Origin,
    /// The number of the argument in whose directory it was found; `None` if it was named or a pattern matched
    /// it. Logs of one directory may be records of one run; logs that a user chose are runs of their own.
    pub place: Option<usize>,
}

impl Input {
    /// A log of one file.
    pub fn file(path: PathBuf, origin: Origin) -> Input {
        let segments = vec![Location::File(path)];
        Input { segments, directory: None, label: None, origin, place: None }
    }

    /// As the user would write it.
    pub fn name(&self) -> String {
        match &self.directory {
            Some(directory) => directory.to_string_lossy().into_owned(),
            None => self.segments.iter().map(Location::name).collect::<Vec<_>>().join("+"),
        }
    }

    /// The path that its label is made from.
    pub(super) fn path(&self) -> Option<&Path> {
        match (&self.directory, self.segments.first()) {
            (Some(directory), _) => Some(directory),
            (None, Some(Location::File(path))) => Some(path),
            _ => None,
        }
    }
}

/// What was found for a pattern or an argument.
#[derive(Debug, PartialEq)]
pub struct Found<T> {
    /// The files, in natural order (`v2` before `v10`).
    pub files: Vec<T>,
    /// Directories and other things that could not be read, with the reason.
    pub unreadable: Vec<String>,
    /// Directories that were named or that a pattern matched: in each, a run is expected.
    pub directories: Vec<PathBuf>,
}

impl<T> Default for Found<T> {
    fn default() -> Found<T> {
        Found { files: Vec::new(), unreadable: Vec::new(), directories: Vec::new() }
    }
}

/// Sorts paths in natural order: `v2` before `v10`.
pub fn sort_naturally(paths: &mut [PathBuf]) {
    paths.sort_by(|a, b| natural_order(a, b));
}

/// Natural order: `v2` before `v10`.
pub(super) fn natural_order(a: &Path, b: &Path) -> std::cmp::Ordering {
    alphanumeric_sort::compare_str(a.to_string_lossy(), b.to_string_lossy()).then(a.cmp(b))
}

//! The steps of an existing file of rows, and where each is in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Why the rows of a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is not a row of compute, as the end of a sentence that begins with the file.
    #[error("{0}")]
    Foreign(String),
}

/// The settings of the rows of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredSettings {
    /// They have none: an earlier version wrote them.
    Unknown,
    One(String),
    Several,
}

/// The rows of a step in a file.
#[derive(Debug)]
pub(super) struct StoredStep {
    pub(super) settings: StoredSettings,
    /// Ranges of bytes in JSON lines, or of row groups in Parquet; in the order of the file.
    pub(super) places: Vec<Range<u64>>,
}

/// The rows of a file by step. The rows themselves stay in the file.
#[derive(Debug)]
pub(super) struct StoredRows {
    pub(super) file: File,
    pub(super) steps: BTreeMap<u64, StoredStep>,
}

impl StoredRows {
    pub(super) fn new(file: File) -> StoredRows {
        StoredRows { file, steps: BTreeMap::new() }
    }

    /// Adds rows of a step at a place after all earlier ones.
    pub(super) fn add(&mut self, step: u64, settings: Option<String>, place: Range<u64>) {
        let settings = settings.map_or(StoredSettings::Unknown, StoredSettings::One);
        let stored = self
            .steps
            .entry(step)
            .or_insert_with(|| StoredStep { settings: settings.clone(), places: Vec::new() });
        if stored.settings != settings {
            stored.settings = StoredSettings::Several;
        }
        match stored.places.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => stored.places.push(place),
        }
    }
}

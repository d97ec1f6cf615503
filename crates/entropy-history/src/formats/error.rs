//! Why a log cannot be read.

use std::io;

use thiserror::Error;

use crate::framing::json::{ScanError, TextPosition};
use crate::framing::sqlite::DatabaseError;
use crate::text::without_ansi;

/// Why a log cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The text is not JSON.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The file ends inside its first row: at this place.
    #[error("{0}: the file ends inside its first row")]
    CutFirstRow(TextPosition),
    /// A row is not valid in its format.
    #[error("row {row} ({place}): {what}")]
    Row {
        /// Number of the row, from 1.
        row: usize,
        /// Line and column.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A record of a binary file is not valid in its format.
    #[error("{place}: {what}")]
    Record {
        /// Number of the record and its offset.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A database was not written by trackio, or cannot be read.
    #[error(transparent)]
    Trackio(#[from] TrackioError),
    /// A database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The log has rows, but none has a selected key.
    #[error("no row has {}; the log has {}", quoted(.wanted), quoted(.found))]
    NoMetric {
        /// The keys looked for.
        wanted: Vec<String>,
        /// The keys found: those most like a key that the user named first, else those most like an entropy.
        found: Vec<String>,
    },
    /// The log has rows, but none has a step.
    #[error("no row has {}; the log has {}", step_name(.requested), quoted(.found))]
    NoStep {
        /// The requested key of the steps.
        requested: Option<String>,
        /// The keys found (a bounded number).
        found: Vec<String>,
    },
    /// The first column of a table is a time and there is no column of steps.
    #[error("its first column is {0:?}, which is time, and it has no column of steps")]
    OverTime(String),
    /// The columns of a Parquet file use a compression codec that is not supported.
    #[error("its columns are compressed with {0}, which is not supported")]
    Codec(String),
    /// The log is empty.
    #[error("{0}")]
    Nothing(&'static str),
    /// No format claims the log.
    #[error("the format is not recognised: {0}")]
    Unrecognised(String),
    /// The log is a text in which no row was found; it may be too young to have one.
    #[error("the format is not recognised: {0} and has no row of a known trainer")]
    NoRows(String),
    /// Reading the file failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// The key of the log to suggest for `--metric`: the one most like the key that the user named, or an entropy.
    pub fn near_miss(&self) -> Option<&str> {
        let ReadError::NoMetric { wanted, found } = self else { return None };
        let is_near = |key: &&String| {
            let of = |wanted: &String| strsim::normalized_damerau_levenshtein(wanted, key);
            key.to_lowercase().contains("entropy") || wanted.iter().any(|wanted| of(wanted) >= 0.7)
        };
        found.first().filter(is_near).map(String::as_str)
    }
}

/// Why an SQLite database cannot be read as trackio's.
#[derive(Debug, Error)]
pub enum TrackioError {
    /// Another program wrote the database.
    #[error(
        "it is an SQLite database, but not of trackio, MLflow or SwanLab: it has {}",
        listed(.0)
    )]
    Foreign(Vec<String>),
    /// The metrics of a row are not a JSON object.
    #[error("row {id} of the table metrics: {what}")]
    Row {
        /// Its row id.
        id: i64,
        /// What is wrong with it.
        what: serde_json::Error,
    },
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

fn listed(tables: &[String]) -> String {
    match tables {
        [] => "no tables".to_owned(),
        [table] => format!("the table {table}"),
        tables => format!("the tables {}", tables.join(", ")),
    }
}

/// The keys in quotes, separated by commas; of many keys the first ten and the number of the others.
pub fn quoted(keys: &[String]) -> String {
    const SHOWN: usize = 10;
    if keys.is_empty() {
        return "no keys".to_owned();
    }
    let shown: Vec<String> = keys.iter().take(SHOWN).map(|k| format!("{k:?}")).collect();
    match keys.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Describes the first bytes of a file that no format recognises.
pub(crate) fn describe(head: &[u8]) -> String {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return "it is UTF-16 text, and must be UTF-8".into();
    }
    let start = &head[..head.len().min(64)];
    let text = String::from_utf8_lossy(start);
    let text = without_ansi(&text);
    let start_of_text: String = text
        .trim_start()
        .chars()
        .filter(|c| !c.is_control() || c.is_whitespace())
        .take(24)
        .collect();
    let odd = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    match start.contains(&0) || odd * 4 > text.chars().count() {
        false => format!("it begins with {start_of_text:?}"),
        true => {
            let bytes: Vec<_> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("it is binary, beginning with the bytes {}", bytes.join(" "))
        }
    }
}

fn step_name(requested: &Option<String>) -> String {
    requested.as_ref().map_or("a step".to_owned(), |key| format!("the step key {key:?}"))
}

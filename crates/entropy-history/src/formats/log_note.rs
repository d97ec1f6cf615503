//! Notes about a file that do not stop its reading.

use std::fmt;

use crate::formats::error::quoted;
use crate::framing::Damage;
use crate::quantity::EntropyKind;

/// Something unusual about a file, or a choice that the user should know of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LogNote {
    /// The file ends inside a row or a record; the ones before it were read.
    Cut {
        /// "row", "line" or "record".
        unit: &'static str,
        /// Number of rows or records read.
        read: usize,
        /// Position of the end.
        place: String,
    },
    /// The compressed stream ends too early or is damaged; the data before that was read.
    CompressionCut(String),
    /// A part of the file is damaged and was skipped, or ended the reading.
    Damaged {
        /// Position of the damage.
        place: String,
        /// What is wrong, and how it was handled.
        what: String,
    },
    /// Rows without the metric, or without a step, were skipped.
    RowsWithout {
        /// The missing key.
        key: String,
        /// Number of rows.
        rows: usize,
        /// Number of the first such row, from 1.
        first: usize,
    },
    /// Rows that have no entropy by design, such as verl's validation rows.
    OtherRows(usize),
    /// Rows without a step in a log that mixes kinds of rows.
    RowsWithoutStep(usize),
    /// A comma precedes the closing bracket, which JSON does not allow.
    TrailingComma,
    /// A step beyond 2^53 is shown as the nearest 64-bit float.
    RoundedStep {
        /// As logged.
        logged: i128,
        /// As shown.
        shown: f64,
    },
    /// The log holds two entropies of different kinds.
    OtherKind {
        /// The key and kind that was chosen.
        taken: (String, EntropyKind),
        /// The other key and kind.
        other: (String, EntropyKind),
    },
    /// The columns of a table are taken as runs, because none is named after a metric.
    ColumnsAsRuns(Vec<String>),
    /// No key of the log is known; a key that contains "entropy" was chosen.
    UnknownMetric {
        /// The key that was chosen.
        taken: String,
        /// Other keys that contain "entropy".
        others: Vec<String>,
    },
    /// The log has no steps, so its rows are numbered.
    RowsNumbered,
    /// Lines with other text than rows were skipped.
    OtherText {
        /// Number of lines.
        lines: usize,
        /// Number of the first of them, from 1.
        first: usize,
    },
    /// Rows that are not valid were skipped.
    BrokenRows {
        /// Number of rows.
        rows: usize,
        /// The place of the first, and what is wrong with it.
        first: String,
    },
    /// Another warning.
    Odd(String),
    /// Another remark, shown with `--verbose`.
    Remark(String),
}

impl LogNote {
    /// Whether the note is shown without `--verbose`.
    pub fn is_warning(&self) -> bool {
        !matches!(self, LogNote::OtherRows(_) | LogNote::RowsWithoutStep(_) | LogNote::Remark(_))
    }
}

impl fmt::Display for LogNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogNote::Cut { unit, read, place } => write!(
                f,
                "the file ends inside a {unit} ({place}); {read} complete {unit}{} read",
                if *read == 1 { " was" } else { "s were" }
            ),
            LogNote::CompressionCut(why) => {
                write!(f, "its compression ends too early ({why}); the data before that was read")
            }
            LogNote::Damaged { place, what } => write!(f, "{place}: {what}"),
            LogNote::RowsWithout { key, rows: 1, first } => {
                write!(f, "row {first} has no {key:?} and was skipped")
            }
            LogNote::RowsWithout { key, rows, first } => {
                write!(f, "{rows} rows have no {key:?} and were skipped, the first is row {first}")
            }
            LogNote::OtherRows(1) => write!(f, "1 row has no entropy"),
            LogNote::OtherRows(rows) => write!(f, "{rows} rows have no entropy"),
            LogNote::RowsWithoutStep(1) => write!(f, "1 row has no step"),
            LogNote::RowsWithoutStep(rows) => write!(f, "{rows} rows have no step"),
            LogNote::TrailingComma => write!(f, "there is a comma before the closing bracket"),
            LogNote::RoundedStep { logged, shown } => {
                write!(f, "step {logged} is beyond 2^53 and shown as {shown}")
            }
            LogNote::OtherKind { taken: (taken, kind), other: (other, other_kind) } => write!(
                f,
                "it holds {taken:?} ({}) and {other:?} ({}); the first is taken, --metric picks the other",
                kind.words(),
                other_kind.words()
            ),
            LogNote::ColumnsAsRuns(columns) => write!(
                f,
                "no column is named after a metric, so each is taken as a run: {}",
                columns.join(", ")
            ),
            LogNote::UnknownMetric { taken, others } => {
                write!(
                    f,
                    "no known key of an entropy; {taken:?} is taken, whose meaning is not known"
                )?;
                if others.is_empty() {
                    return Ok(());
                }
                write!(f, ", --metric picks {}", quoted(others))
            }
            LogNote::RowsNumbered => write!(f, "the log has no steps; its rows are numbered"),
            LogNote::OtherText { lines: 1, first } => {
                write!(f, "line {first} is not a row and was skipped")
            }
            LogNote::OtherText { lines, first } => {
                write!(f, "{lines} lines are not rows and were skipped, the first is line {first}")
            }
            LogNote::BrokenRows { rows: 1, first } => {
                write!(f, "a broken row was skipped ({first})")
            }
            LogNote::BrokenRows { rows, first } => {
                write!(f, "{rows} broken rows were skipped, the first in {first}")
            }
            LogNote::Odd(what) | LogNote::Remark(what) => f.write_str(what),
        }
    }
}

/// Notes about damage in a framed file of which `read` records were read. `malformed` is the number of
/// records with a valid checksum but invalid content, and a description of them.
pub(crate) fn damage_notes(damage: &Damage, read: usize, malformed: (usize, &str)) -> Vec<LogNote> {
    let mut notes = Vec::new();
    if let Some((place, what)) = &damage.first {
        let more = match damage.places {
            1 => String::new(),
            places => format!("; {} more places are damaged", places - 1),
        };
        notes.push(LogNote::Damaged { place: place.clone(), what: format!("{what}{more}") });
    }
    if let (records @ 1.., what) = malformed {
        notes.push(LogNote::Odd(format!("it has {records} records {what}; they were skipped")));
    }
    if let Some(place) = &damage.cut {
        notes.push(LogNote::Cut { unit: "record", read, place: place.clone() });
    }
    notes
}

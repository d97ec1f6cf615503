//! Something odd about a file that did not stop its reading.

use std::fmt;

use crate::quantity::EntropyKind;

/// Something odd about a file, or a choice that the user should know of.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The file ends inside a row or a record; those before it were read.
    Cut {
        /// "row", "line" or "record".
        unit: &'static str,
        /// How many were read.
        read: usize,
        /// Where it ends.
        place: String,
    },
    /// The compressed stream ends too early or is damaged; what came out of it before was read.
    CompressionCut(String),
    /// A part of the file is damaged and was passed over, or ended the reading.
    Damaged {
        /// Where.
        place: String,
        /// What is wrong there, and what was done.
        what: String,
    },
    /// Rows without the metric, or without a step, were passed over.
    RowsWithout {
        /// The key they lack.
        key: String,
        /// How many.
        rows: usize,
        /// The first of them, from 1.
        first: usize,
    },
    /// Rows of another kind that carry no value by design, such as verl's validation rows.
    OtherRows(usize),
    /// Rows without a step in a log that mixes kinds of rows.
    RowsWithoutStep(usize),
    /// A comma stands before the closing bracket, which JSON does not allow.
    TrailingComma,
    /// A step beyond 2^53 is shown as the nearest number that a 64-bit float holds.
    RoundedStep {
        /// As logged.
        logged: i128,
        /// As shown.
        shown: f64,
    },
    /// The log holds two entropies that are different quantities.
    OtherKind {
        /// The one taken.
        taken: (String, EntropyKind),
        /// The other.
        other: (String, EntropyKind),
    },
    /// The columns of a table were taken as runs, since no name of theirs is that of a metric.
    ColumnsAsRuns(Vec<String>),
    /// No key of the log is known; this one is an entropy by its name.
    UnknownMetric {
        /// The one taken.
        taken: String,
        /// Others of which that could be said.
        others: Vec<String>,
    },
    /// The log holds no steps, so that its rows were numbered.
    RowsNumbered,
    /// Anything else that the user should hear of.
    Odd(String),
    /// Anything else that is said when asked for.
    Remark(String),
}

impl Note {
    /// Whether the user should hear of it unasked.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Note::OtherRows(_) | Note::RowsWithoutStep(_) | Note::Remark(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Cut { unit, read, place } => write!(
                f,
                "the file ends inside a {unit} ({place}); {read} whole {unit}{} read",
                if *read == 1 { " was" } else { "s were" }
            ),
            Note::CompressionCut(why) => {
                write!(f, "its compression ends too early ({why}); what came before was read")
            }
            Note::Damaged { place, what } => write!(f, "{place}: {what}"),
            Note::RowsWithout { key, rows: 1, first } => {
                write!(f, "row {first} has no {key:?} and was passed over")
            }
            Note::RowsWithout { key, rows, first } => {
                write!(
                    f,
                    "{rows} rows have no {key:?} and were passed over, the first is row {first}"
                )
            }
            Note::OtherRows(1) => write!(f, "1 row carries no entropy"),
            Note::OtherRows(rows) => write!(f, "{rows} rows carry no entropy"),
            Note::RowsWithoutStep(1) => write!(f, "1 row carries no step"),
            Note::RowsWithoutStep(rows) => write!(f, "{rows} rows carry no step"),
            Note::TrailingComma => write!(f, "a comma stands before the closing bracket"),
            Note::RoundedStep { logged, shown } => {
                write!(f, "step {logged} is beyond 2^53 and shown as {shown}")
            }
            Note::OtherKind { taken: (taken, kind), other: (other, other_kind) } => write!(
                f,
                "it holds {taken:?} ({}) and {other:?} ({}); the first is taken, --metric picks the other",
                kind.words(),
                other_kind.words()
            ),
            Note::ColumnsAsRuns(columns) => write!(
                f,
                "no column is named after a metric, so each is taken as a run: {}",
                columns.join(", ")
            ),
            Note::UnknownMetric { taken, others } => {
                write!(f, "no column is named after a known metric; {taken:?} is taken")?;
                if others.is_empty() {
                    return Ok(());
                }
                write!(f, ", --metric picks {}", super::quoted(others))
            }
            Note::RowsNumbered => write!(f, "the log has no steps; its rows are numbered"),
            Note::Odd(what) | Note::Remark(what) => f.write_str(what),
        }
    }
}

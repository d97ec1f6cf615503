//! Reading logs: the table of formats, recognition by content, and what a reader gives back.
//!
//! A format is one file with a [`Format`] constant and one line in [`FORMATS`]. It is handed a byte
//! stream, never a path, so the same reader serves files, stdin and (later) compressed files. It
//! returns raw points in log order; [`crate::history::History::from_raw`] checks them.

mod ahead;
pub mod frame;
mod rzero;
mod table;
mod verl;

use std::fmt;
use std::io::{self, Read};

use thiserror::Error;

pub use ahead::ReadAhead;

use crate::history::Point;
use frame::json::{ScanError, Shape, shape};

/// Every format that can be read, in the order in which they are asked.
pub static FORMATS: &[Format] = &[rzero::FORMAT, verl::FORMAT];

/// The first bytes of a log are enough to recognise it.
const HEAD: usize = 1 << 16;

/// A log format: how it is recognised and read.
#[derive(Debug)]
pub struct Format {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What gives it away, in words.
    pub recognised_by: &'static str,
    /// The keys looked for when `--metric` names none, best first.
    pub metrics: &'static [&'static str],
    recognise: fn(&Head) -> Confidence,
    read: fn(&Head, &mut dyn Read, &[&str]) -> Result<Log, ReadError>,
}

/// How sure a format is that a log is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It is not.
    No,
    /// It might be, if nobody else claims it: the reader will say what is wrong with it.
    Maybe,
    /// It looks like it.
    Likely,
    /// Nothing else looks like this.
    Certain,
}

/// What recognition sees.
#[derive(Debug)]
struct Head {
    shape: Shape,
}

/// One series of a log, in log order, as it stands there.
#[derive(Debug, PartialEq)]
pub struct Log {
    /// The key the values were logged under.
    pub metric: String,
    /// The rows; values may be NaN or infinite, steps may repeat.
    pub points: Vec<Point>,
    /// What the user should know about the file.
    pub notes: Vec<Note>,
}

/// Something odd about a file that did not stop its reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The file ends inside a row; the rows before it were read.
    Cut {
        /// Rows read.
        rows: usize,
        /// Where it ends.
        place: String,
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
    /// A comma stands before the closing bracket, which JSON does not allow.
    TrailingComma,
    /// A step beyond 2^53 is shown as the nearest number that a 64-bit float holds.
    RoundedStep {
        /// As logged.
        logged: i128,
        /// As shown.
        shown: f64,
    },
}

impl Note {
    /// Whether the user should hear of it unasked.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Note::OtherRows(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Cut { rows, place } => write!(
                f,
                "the file ends inside a row ({place}); {rows} whole {} read",
                if *rows == 1 { "row was" } else { "rows were" }
            ),
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
            Note::TrailingComma => write!(f, "a comma stands before the closing bracket"),
            Note::RoundedStep { logged, shown } => {
                write!(f, "step {logged} is beyond 2^53 and shown as {shown}")
            }
        }
    }
}

/// Why a log could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The input does not scan.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A row is not what the format says.
    #[error("row {row} ({place}): {what}")]
    Row {
        /// From 1.
        row: usize,
        /// Line and column.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The log has rows, and none has the key.
    #[error("no row has {}; the log has {}", quoted(.wanted), quoted(.found))]
    NoMetric {
        /// The keys looked for.
        wanted: Vec<String>,
        /// The keys found, as many as were kept.
        found: Vec<String>,
    },
    /// There is nothing in it.
    #[error("{0}")]
    Nothing(&'static str),
    /// No format claims it.
    #[error("the format is not recognised: {0}")]
    Unrecognised(String),
    /// The head could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// The key of the log that is most like the one looked for, to offer as `--metric`.
    pub fn near_miss(&self) -> Option<&str> {
        let ReadError::NoMetric { wanted, found } = self else { return None };
        if wanted == &["step"] {
            return None; // another metric would not help
        }
        let like = |k: &&String| k.to_lowercase().contains("entropy");
        found.iter().filter(like).min_by_key(|k| k.len()).map(String::as_str)
    }
}

fn quoted(keys: &[String]) -> String {
    match keys {
        [] => "no keys".to_owned(),
        keys => keys.iter().map(|k| format!("{k:?}")).collect::<Vec<_>>().join(", "),
    }
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// Reads a log: recognises its format unless one is given, and takes the series `metric`, or the
/// first of the format's own metrics that the log has.
///
/// The stream is read once, front to back; memory holds the points and a window of the text.
pub fn read(
    source: &mut dyn Read,
    format: Option<&'static Format>,
    metric: Option<&str>,
) -> Result<(&'static Format, Log), ReadError> {
    let mut head = Vec::new();
    source.take(HEAD as u64).read_to_end(&mut head)?;
    let seen = Head { shape: shape(&head) };
    if head.is_empty() {
        return Err(ReadError::Nothing("the file is empty"));
    }
    if seen.shape == Shape::Blank {
        return Err(ReadError::Nothing("the file holds nothing but white space"));
    }
    let format = match format.or_else(|| recognise(&seen)) {
        Some(format) => format,
        None => return Err(ReadError::Unrecognised(describe(&head))),
    };
    let metrics = metric.as_ref().map_or(format.metrics, std::slice::from_ref);
    let log = (format.read)(&seen, &mut head.chain(source), metrics)?;
    Ok((format, log))
}

/// The format that claims this head most firmly; the earlier in the table where two are as sure.
fn recognise(head: &Head) -> Option<&'static Format> {
    let claims = FORMATS.iter().map(|format| ((format.recognise)(head), format)).rev();
    let (claim, format) = claims.max_by_key(|(claim, _)| *claim)?;
    (claim > Confidence::No).then_some(format)
}

/// What a file that no format claims begins with, in words.
fn describe(head: &[u8]) -> String {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return "it is UTF-16 text, and must be UTF-8".into();
    }
    let start = &head[..head.len().min(24)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
            format!("it begins with {text:?}")
        }
        _ => {
            let bytes: Vec<_> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("it is binary, beginning with the bytes {}", bytes.join(" "))
        }
    }
}

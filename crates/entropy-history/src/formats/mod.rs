//! Reading logs: the table of formats, recognition by content, and what a reader gives back.
//!
//! A format is one file with a [`Format`] constant and one line in [`FORMATS`]. It is handed a byte
//! stream, so the same reader serves files, stdin and compressed files (a database alone needs its
//! path), and a [`book::Book`] for the rows it finds. What comes back are raw points in log order;
//! [`crate::history::History::from_raw`] checks them.

mod ahead;
mod beside;
mod book;
mod compressed;
mod console;
mod csv;
mod easyr1;
mod flat;
pub mod frame;
mod growing;
mod log;
mod note;
mod parquet;
mod rows;
mod rzero;
mod steps;
mod tensorboard;
mod tensorboard_json;
pub mod tokens;
mod trackio;
mod trainer_state;
mod verl;
mod wandb;
mod wanted;

use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

pub use ahead::ReadAhead;
pub use beside::{RawAux, is_reward_like, nearest_rewards};
pub use growing::ResumableReader;
pub use log::{Log, Series, Tally};
pub use note::Note;
pub use trackio::TrackioError;
pub use wanted::{Rank, SeriesSelector};

use book::Book;
use compressed::Compressed;
use frame::Damage;
use frame::json::{Holds, ScanError, Shape, shape};
use growing::Growth;

/// Every format that can be read, in the order in which they are asked.
pub static FORMATS: &[Format] = &[
    rzero::FORMAT,
    verl::FORMAT,
    easyr1::FORMAT,
    flat::FORMAT,
    trainer_state::FORMAT,
    tensorboard::FORMAT,
    tensorboard_json::FORMAT,
    wandb::FORMAT,
    trackio::FORMAT,
    csv::FORMAT,
    parquet::FORMAT,
    console::VERL,
    console::EASYR1,
    console::HUGGING_FACE,
];

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
    recognise: fn(&Head<'_>) -> Confidence,
    read: fn(&Head<'_>, &mut dyn Read, &mut Book<'_>) -> Result<(), ReadError>,
    growth: fn(&Head<'_>) -> Growth,
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

/// Where the bytes of a log come from.
pub struct Source<'a> {
    /// The bytes, from the first on.
    pub reader: &'a mut dyn Read,
    /// The file they are in, if they are in one: a database is opened by its path, since what is
    /// newest may be in a file beside it.
    pub path: Option<&'a Path>,
}

/// What recognition sees.
#[derive(Debug)]
struct Head<'a> {
    bytes: &'a [u8],
    shape: Shape,
    path: Option<&'a Path>,
}

impl<'a> Head<'a> {
    fn new(bytes: &'a [u8], path: Option<&'a Path>) -> Head<'a> {
        Head { bytes, shape: shape(bytes), path }
    }

    /// Whether the file has a name, and one like that: a hint where the content is damaged.
    fn is_named(&self, like: impl Fn(&str) -> bool) -> bool {
        let name = self.path.and_then(Path::file_name);
        name.is_some_and(|name| like(&name.to_string_lossy()))
    }

    /// The keys of the object that it begins with.
    fn keys(&self) -> &[(String, Holds)] {
        if let Shape::Object(keys) = &self.shape { keys } else { &[] }
    }

    /// Whether it begins with an object that has the key, holding such a value.
    fn has(&self, key: &str, holds: Holds) -> bool {
        self.keys().iter().any(|(k, h)| k == key && *h == holds)
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
    /// A record of a binary file is not what the format says.
    #[error("{place}: {what}")]
    Record {
        /// Which record, and where it begins.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A database is not trackio's, or could not be read.
    #[error(transparent)]
    Trackio(#[from] trackio::TrackioError),
    /// The log has rows, and none has the key.
    #[error("no row has {}; the log has {}", quoted(.wanted), quoted(.found))]
    NoMetric {
        /// The keys looked for.
        wanted: Vec<String>,
        /// The keys found, as many as were kept, those most like an entropy first.
        found: Vec<String>,
    },
    /// The log has rows, and none has a step.
    #[error("no row has a step; the log has {}", quoted(.found))]
    NoStep {
        /// The keys found, as many as were kept.
        found: Vec<String>,
    },
    /// A table has the time where its steps should be.
    #[error("its rows are told by {0:?}, which is time: it has no steps")]
    OverTime(String),
    /// The columns of a Parquet file are compressed in a way that is not read.
    #[error("its columns are compressed with {0}, which is not supported")]
    Codec(String),
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
        let ReadError::NoMetric { found, .. } = self else { return None };
        found.first().filter(|key| key.to_lowercase().contains("entropy")).map(String::as_str)
    }
}

/// The keys in quotes, the first of them where there are many.
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

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// Reads a log: unpacks it, recognises its format unless one is given, and takes what is wanted.
///
/// The stream is read once, front to back; memory holds the points and a window of the text.
pub fn read(
    source: Source<'_>,
    format: Option<&'static Format>,
    wanted: &SeriesSelector,
) -> Result<(&'static Format, Log), ReadError> {
    let Opened { head, mut reader, path } = Opened::new(source)?;
    let head = Head::new(&head, path);
    if head.bytes.is_empty() {
        return Err(ReadError::Nothing("the file is empty"));
    }
    if head.shape == Shape::Blank {
        return Err(ReadError::Nothing("the file holds nothing but white space"));
    }
    let Some(format) = format.or_else(|| recognise(&head).map(|(format, _)| format)) else {
        return Err(ReadError::Unrecognised(describe(head.bytes)));
    };
    let mut book = Book::new(wanted, format.metrics);
    let mut stream = head.bytes.chain(&mut reader);
    let outcome = (format.read)(&head, &mut stream, &mut book);
    if let Some(why) = reader.cut() {
        book.note(Note::CompressionCut(why));
    }
    Ok((format, book.finish(outcome)?))
}

/// How sure each format is that a log is its own, judged by its first bytes, in the order of the table.
pub fn claims(source: Source<'_>) -> io::Result<Vec<(&'static Format, Confidence)>> {
    let Opened { head, path, .. } = Opened::new(source)?;
    let head = Head::new(&head, path);
    Ok(FORMATS.iter().map(|format| (format, (format.recognise)(&head))).collect())
}

/// A source whose head was read.
struct Opened<'a> {
    head: Vec<u8>,
    reader: Compressed<'a>,
    path: Option<&'a Path>,
}

impl<'a> Opened<'a> {
    fn new(source: Source<'a>) -> io::Result<Opened<'a>> {
        let mut reader = Compressed::new(source.reader)?;
        let mut head = Vec::new();
        (&mut reader).take(HEAD as u64).read_to_end(&mut head)?;
        let path = source.path.filter(|_| !reader.is_compressed());
        Ok(Opened { head, reader, path })
    }
}

/// Tells what was wrong with a framed file of which `read` records were read; `malformed` of them were
/// whole, and not what they should be.
fn note_damage(book: &mut Book<'_>, damage: &Damage, read: usize, malformed: (usize, &str)) {
    if let Some((place, what)) = &damage.first {
        let more = match damage.places {
            1 => String::new(),
            places => format!("; {} more places are damaged", places - 1),
        };
        book.note(Note::Damaged { place: place.clone(), what: format!("{what}{more}") });
    }
    if let (records @ 1.., what) = malformed {
        book.note(Note::Odd(format!("it has {records} records {what}; they were passed over")));
    }
    if let Some(place) = &damage.cut {
        book.note(Note::Cut { unit: "record", read, place: place.clone() });
    }
}

/// The format that claims this head most firmly; the earlier in the table where two are as sure.
fn recognise(head: &Head<'_>) -> Option<(&'static Format, Confidence)> {
    let mut best: Option<(&'static Format, Confidence)> = None;
    for format in FORMATS {
        let surest = best.map_or(Confidence::No, |(_, claim)| claim);
        if surest == Confidence::Certain {
            break;
        }
        // To look through a head for rows of a console takes the longest.
        if surest >= console::SUREST && console::is_one(format) {
            continue;
        }
        let claim = (format.recognise)(head);
        if claim > surest {
            best = Some((format, claim));
        }
    }
    best
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

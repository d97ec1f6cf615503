//! What a format is: its names, its known keys, and the functions that recognise and read it.

use std::io::Read;
use std::path::Path;

use super::error::ReadError;
use super::run_config::LoggedConfig;
use super::series_builder::SeriesBuilder;
use crate::framing::Damage;
use crate::framing::json::{Shape, ValueKind, shape};
use crate::quantity::EntropyKind;

/// A log format.
#[derive(Debug)]
pub struct Format {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// One line that describes the format.
    pub about: &'static str,
    /// The feature that identifies the format, in words.
    pub recognised_by: &'static str,
    /// The keys looked for when `--metric` names none, best first.
    pub metrics: &'static [&'static str],
    /// Keys that hold another kind of entropy in this format than elsewhere.
    pub kinds: &'static [(&'static str, EntropyKind)],
    /// Whether it is the console output of a trainer. Recognising one is slow, and never more than
    /// [`Confidence::Likely`].
    pub is_console: bool,
    /// What the logs of a run say about which run it is.
    pub(crate) identity: RunIdentity,
    pub(crate) recognise: fn(&Head<'_>) -> Confidence,
    pub(crate) read: fn(&Head<'_>, &mut dyn Read, &mut SeriesBuilder<'_>) -> Result<(), ReadError>,
    pub(crate) growth: fn(&Head<'_>) -> Growth,
    /// Reads the configurations that the log at a path has.
    pub(crate) config: fn(&Path) -> Result<Vec<LoggedConfig>, ReadError>,
}

impl Format {
    /// What holds for most formats.
    pub(crate) const DEFAULTS: Format = Format {
        name: "",
        about: "",
        recognised_by: "",
        metrics: &[],
        kinds: &[],
        is_console: false,
        identity: RunIdentity::None,
        recognise: |_| Confidence::No,
        read: |_, _, _| Ok(()),
        growth: |_| Growth::Rewritten,
        config: |_| Ok(Vec::new()),
    };
}

/// What a log says about which run it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunIdentity {
    /// Nothing.
    None,
    /// A name that a user gave; a run that is resumed writes another log, with the same name.
    DisplayName,
    /// An id: two logs are never of one run.
    Id,
}

/// How sure a format is that it can read a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The log has another format.
    No,
    /// Possible if no other format claims the log; the reader reports what is wrong with it.
    Maybe,
    /// The log looks like this format.
    Likely,
    /// No other format looks like this.
    Certain,
}

/// How a log of a format grows while a trainer writes it.
pub(crate) enum Growth {
    /// The file is rewritten, or cannot be read from its middle.
    Rewritten,
    /// Lines are appended, each of them a row.
    Lines,
    /// Lines are appended below a header.
    Table,
    /// Framed records are appended; the function makes their reader.
    Records(NewRecordReader),
}

type NewRecordReader =
    fn(&Head<'_>, &mut SeriesBuilder<'_>) -> Result<Box<dyn RecordReader>, ReadError>;

/// Reads the records of a log that grows, a part at a time.
pub(crate) trait RecordReader: Send {
    /// Reads the complete records of `source`, which begins at [`Self::offset`].
    fn read(
        &mut self,
        source: &mut dyn Read,
        builder: &mut SeriesBuilder<'_>,
    ) -> Result<Damage, ReadError>;

    /// The offset in the file of the first record not yet read.
    fn offset(&self) -> u64;

    /// Adds the notes about the whole log.
    fn finish(&self, damage: &Damage, builder: &mut SeriesBuilder<'_>);
}

/// Where the bytes of a log come from.
pub struct Source<'a> {
    /// The bytes, from the first on.
    pub reader: &'a mut dyn Read,
    /// The path of the file, if there is one. A database is opened by its path, because its newest
    /// rows may be in a second file.
    pub path: Option<&'a Path>,
}

/// The first bytes of a log, from which a format recognises it.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) shape: Shape,
    pub(crate) path: Option<&'a Path>,
}

impl<'a> Head<'a> {
    pub(crate) fn new(bytes: &'a [u8], path: Option<&'a Path>) -> Head<'a> {
        let mut shape = shape(bytes);
        // JSON lines may begin with a banner.
        if matches!(shape, Shape::NotJson | Shape::Array)
            && let Some(row) = memchr::memmem::find(bytes, b"\n{\"")
            && let rows @ Shape::Object(_) = crate::framing::json::shape(&bytes[row + 1..])
        {
            shape = rows;
        }
        Head { bytes, shape, path }
    }

    /// Whether the file has a name that satisfies `test`: a hint where the content is damaged.
    pub(crate) fn is_named(&self, test: impl Fn(&str) -> bool) -> bool {
        let name = self.path.and_then(Path::file_name);
        name.is_some_and(|name| test(&name.to_string_lossy()))
    }

    /// The keys of the JSON object at the start, if there is one.
    pub(crate) fn keys(&self) -> &[(String, ValueKind)] {
        if let Shape::Object(keys) = &self.shape { keys } else { &[] }
    }

    /// Whether the log starts with an object that has `key` with a value of this kind.
    pub(crate) fn has(&self, key: &str, kind: ValueKind) -> bool {
        self.keys().iter().any(|(k, v)| k == key && *v == kind)
    }
}

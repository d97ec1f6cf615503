//! Reads a log of any format: decompresses it, recognises its format, and collects the selected series.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use super::compressed::Decompressed;
use super::console;
use super::error::{ReadError, describe};
use super::format::{Confidence, Format, Head, Source};
use super::log::Log;
use super::log_note::LogNote;
use super::registry::FORMATS;
use super::series_builder::SeriesBuilder;
use crate::framing::json::Shape;
use crate::select::SeriesSelector;

/// Number of bytes at the start of a log from which its format is recognised.
const HEAD_BYTES: u64 = 1 << 16;

/// Reads the selected series of a log. The format is recognised unless one is given.
///
/// The stream is read once, front to back; memory holds the points and a window of the text.
///
/// # Errors
/// When the format is not recognised, the content is not valid in it, or the log holds no points.
///
/// ```
/// use entropy_history::{SeriesSelector, Source, read};
///
/// let mut bytes = &b"{\"step\": 1, \"actor/entropy\": 2.5}\n{\"step\": 2, \"actor/entropy\": 2.25}\n"[..];
/// let source = Source { reader: &mut bytes, path: None };
/// let (format, log) = read(source, None, &SeriesSelector::default_keys())?;
/// let series = &log.series[0];
/// assert_eq!((format.name, series.metric.as_str(), series.points.len()), ("jsonl", "actor/entropy", 2));
/// # Ok::<(), entropy_history::ReadError>(())
/// ```
pub fn read(
    source: Source<'_>,
    format: Option<&'static Format>,
    selector: &SeriesSelector,
) -> Result<(&'static Format, Log), ReadError> {
    let OpenedSource { head, mut reader, path } = OpenedSource::new(source)?;
    let head = Head::new(&head, path);
    if head.bytes.is_empty() {
        return Err(ReadError::Nothing("the file is empty"));
    }
    if head.shape == Shape::Blank {
        return Err(ReadError::Nothing("the file holds nothing but white space"));
    }
    let format = format.or_else(|| {
        let (format, _) = recognise(&head)?;
        (!format.is_console).then_some(format)
    });
    let mut stream = head.bytes.chain(&mut reader);
    let (format, mut builder, outcome) = match format {
        Some(format) => {
            let mut builder = SeriesBuilder::new(Cow::Borrowed(selector), format.metrics);
            let outcome = (format.read)(&head, &mut stream, &mut builder);
            (format, builder, outcome)
        }
        None if !console::may_be_text(&head) => {
            return Err(ReadError::Unrecognised(describe(head.bytes)));
        }
        // The first row of a console log may be anywhere in it.
        None => match console::read(&mut stream, selector)? {
            Some(found) => (found.format, found.builder, found.outcome),
            None => return Err(ReadError::NoRows(describe(head.bytes))),
        },
    };
    if let Some(reason) = reader.take_truncation() {
        builder.note(LogNote::CompressionCut(reason));
    }
    Ok((format, builder.finish(outcome)?))
}

/// How sure each format is that it can read a log, in the order of the table.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn claims(source: Source<'_>) -> io::Result<Vec<(&'static Format, Confidence)>> {
    let OpenedSource { head, path, .. } = OpenedSource::new(source)?;
    let head = Head::new(&head, path);
    Ok(FORMATS.iter().map(|format| (format, (format.recognise)(&head))).collect())
}

/// A source of which the first bytes were read; `reader` continues after them.
pub(crate) struct OpenedSource<'a> {
    pub(crate) head: Vec<u8>,
    pub(crate) reader: Decompressed<'a>,
    pub(crate) path: Option<&'a Path>,
}

impl<'a> OpenedSource<'a> {
    pub(crate) fn new(source: Source<'a>) -> io::Result<OpenedSource<'a>> {
        let mut reader = Decompressed::new(source.reader)?;
        let mut head = Vec::new();
        (&mut reader).take(HEAD_BYTES).read_to_end(&mut head)?;
        let path = source.path.filter(|_| !reader.is_compressed());
        Ok(OpenedSource { head, reader, path })
    }
}

/// The format that is surest of this head; the earlier one in the table where two are equally sure.
pub(super) fn recognise(head: &Head<'_>) -> Option<(&'static Format, Confidence)> {
    let mut best: Option<(&'static Format, Confidence)> = None;
    for format in FORMATS {
        let surest = best.map_or(Confidence::No, |(_, claim)| claim);
        if surest == Confidence::Certain {
            break;
        }
        if surest >= Confidence::Likely && format.is_console {
            continue;
        }
        let claim = (format.recognise)(head);
        if claim > surest {
            best = Some((format, claim));
        }
    }
    best
}

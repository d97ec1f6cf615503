//! Reads a log again while a trainer appends to it, parsing only the new part.
//!
//! A builder keeps the rows of complete records. Each read adds the records that were appended, then
//! parses the incomplete rest into a copy, as a fresh read of the file would. On anything unusual (damage,
//! a row that spans lines, a rewritten file) the file is read from its start. So the result equals that
//! of a fresh read: always while the parsed part is up to 256 KiB long, and for a longer log as soon as
//! the checksums of the overwritten blocks were compared.

mod checksums;

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use self::checksums::BlockChecksums;
use super::csv::CsvTable;
use super::error::ReadError;
use super::format::{Confidence, Format, Growth, Head, RecordReader, Source};
use super::log::Log;
use super::reading::{OpenedSource, read, recognise};
use super::series_builder::SeriesBuilder;
use crate::framing::Damage;
use crate::framing::json::ScanError;
use crate::select::SeriesSelector;

/// Number of bytes at the start of the file that are compared on each read.
const COMPARED_HEAD: usize = 256;
/// A longer line is not a row: such a log is read from its start.
const LONGEST_LINE: u64 = 16 << 20;

/// Reads a log that may grow between two reads.
pub struct ResumableReader {
    selector: Arc<SeriesSelector>,
    format: Option<&'static Format>,
    open: Option<OpenLog>,
    must_restart: bool, // on each read
}

/// A log of which a part was parsed.
struct OpenLog {
    format: &'static Format,
    head: Vec<u8>,
    builder: SeriesBuilder<'static>,
    parser: ParserState,
    parsed: u64, // bytes whose records are in the builder
    checksums: BlockChecksums,
}

/// What a parser keeps between two reads.
enum ParserState {
    Lines,
    Table(CsvTable),
    Records(Box<dyn RecordReader>),
}

/// The format, if recognised, and the log, if it can be resumed.
type Recognised = (Option<&'static Format>, Option<OpenLog>);

/// Why resuming ended.
enum Stop {
    /// The file must be read from its start.
    Restart,
    Io(io::Error),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        match error {
            ReadError::Io(error) => Stop::Io(error),
            _ => Stop::Restart,
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

impl ResumableReader {
    /// A reader at the start of a log. The format is recognised unless one is given.
    pub fn new(format: Option<&'static Format>, selector: Arc<SeriesSelector>) -> ResumableReader {
        ResumableReader { selector, format, open: None, must_restart: false }
    }

    /// Starts over, for another file.
    pub fn reset(&mut self) {
        self.open = None;
        self.must_restart = false;
    }

    /// Whether the next read will parse only what is appended.
    pub fn is_incremental(&self) -> bool {
        self.open.is_some()
    }

    /// Reads the first `length` bytes of the log. The result equals that of a fresh read.
    ///
    /// # Errors
    /// As [`crate::formats::read`].
    pub fn read(
        &mut self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
        length: u64,
    ) -> Result<(&'static Format, Log), ReadError> {
        if let Some(mut open) = self.open.take()
            && open.is_unchanged(file, length)?
        {
            match open.resume(file, path, length) {
                Ok(log) => {
                    let format = open.format;
                    self.open = Some(open).filter(OpenLog::is_certain);
                    return log.map(|log| (format, log));
                }
                Err(Stop::Io(error)) => return Err(ReadError::Io(error)),
                Err(Stop::Restart) => self.must_restart = true,
            }
        }
        let mut format = self.format;
        if !self.must_restart {
            let (recognised, open) = self.open(file, path)?;
            format = recognised;
            if let Some(mut open) = open {
                match open.resume(file, path, length) {
                    Ok(log) => {
                        let format = open.format;
                        self.open = Some(open).filter(OpenLog::is_certain);
                        return log.map(|log| (format, log));
                    }
                    Err(Stop::Io(error)) => return Err(ReadError::Io(error)),
                    Err(Stop::Restart) => self.must_restart = true,
                }
            }
        }
        file.seek(SeekFrom::Start(0))?;
        // Rows written meanwhile are left for the next read.
        read(Source { reader: &mut file.take(length), path }, format, &self.selector)
    }

    /// Opens a log before its first byte.
    fn open(
        &self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
    ) -> Result<Recognised, ReadError> {
        file.seek(SeekFrom::Start(0))?;
        let OpenedSource { head, reader, .. } = OpenedSource::new(Source { reader: file, path })?;
        if reader.is_compressed() {
            return Ok((self.format, None));
        }
        let seen = Head::new(&head, path);
        // An unsure format may change with the bytes to come, except among formats of JSON lines.
        let is_sure = |(format, claim): &(&Format, Confidence)| {
            *claim > Confidence::Maybe || matches!((format.growth)(&seen), Growth::Lines)
        };
        let recognised = || recognise(&seen).filter(is_sure);
        let Some(format) = self.format.or_else(|| recognised().map(|(format, _)| format)) else {
            return Ok((None, None));
        };
        let mut builder = SeriesBuilder::new(Cow::Owned((*self.selector).clone()), format.metrics);
        let parser = match (format.growth)(&seen) {
            Growth::Rewritten => return Ok((Some(format), None)),
            Growth::Lines => ParserState::Lines,
            Growth::Table => ParserState::Table(CsvTable::default()),
            Growth::Records(new_reader) => match new_reader(&seen, &mut builder) {
                Ok(reader) => ParserState::Records(reader),
                Err(_) => return Ok((Some(format), None)), // the fresh read reports the error
            },
        };
        let checksums = BlockChecksums::default();
        Ok((Some(format), Some(OpenLog { format, head, builder, parser, parsed: 0, checksums })))
    }
}

impl OpenLog {
    /// Whether the format will not change with the bytes to come: a record is complete, and a text, which may
    /// begin with a configuration in another format, has a row of a selected series.
    fn is_certain(&self) -> bool {
        let is_text = !matches!(self.parser, ParserState::Records(_));
        self.parsed > 0 && (!is_text || self.builder.has_selected_points())
    }

    /// Whether the file still has the parsed bytes, as far as one read compares them.
    fn is_unchanged(&mut self, file: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
        if length < self.parsed {
            return Ok(false);
        }
        let head = &self.head[..self.head.len().min(COMPARED_HEAD).min(self.parsed as usize)];
        Ok(has_bytes(file, 0, head)? && self.checksums.matches(file)?)
    }

    /// Parses the complete records that were appended; returns the log with the incomplete rest.
    fn resume(
        &mut self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
        length: u64,
    ) -> Result<Result<Log, ReadError>, Stop> {
        file.seek(SeekFrom::Start(self.parsed))?;
        let head = Head::new(&self.head, path);
        let (mut builder, outcome);
        if let ParserState::Records(reader) = &mut self.parser {
            let mut appended = file.by_ref().take(length - self.parsed);
            let damage = reader.read(&mut appended, &mut self.builder)?;
            self.parsed = reader.offset();
            restart_if_damaged(&damage)?;
            builder = self.builder.clone();
            reader.finish(&damage, &mut builder);
            outcome = Ok(());
        } else {
            let lines_end = end_of_lines(file, self.parsed, length)?;
            if lines_end > self.parsed {
                file.seek(SeekFrom::Start(self.parsed))?;
                let mut lines = file.by_ref().take(lines_end - self.parsed);
                match &mut self.parser {
                    ParserState::Table(table) => {
                        let mut quotes = QuoteParity { source: &mut lines, is_odd: false };
                        table.read(&head, &mut quotes, &mut self.builder)?;
                        // A quoted field may contain a line break: the last line is not a row.
                        if quotes.is_odd {
                            return Err(Stop::Restart);
                        }
                    }
                    _ => (self.format.read)(&head, &mut lines, &mut self.builder)?,
                }
                self.parsed = lines_end;
            }
            builder = self.builder.clone();
            file.seek(SeekFrom::Start(lines_end))?;
            let mut rest = file.by_ref().take(length - lines_end);
            outcome = match &self.parser {
                // Without its header line, a table cannot be resumed.
                ParserState::Table(table) if lines_end > 0 => {
                    table.clone().read(&head, &mut rest, &mut builder)
                }
                _ => (self.format.read)(&head, &mut rest, &mut builder),
            };
            match outcome {
                Ok(()) | Err(ReadError::Scan(ScanError::Cut(_))) => {}
                Err(error) => return Err(Stop::from(error)),
            }
        }
        self.checksums.extend(file, self.parsed)?;
        Ok(builder.finish(outcome))
    }
}

/// Positions behind damage are uncertain: such a log is read from its start.
fn restart_if_damaged(damage: &Damage) -> Result<(), Stop> {
    if damage.places == 0 { Ok(()) } else { Err(Stop::Restart) }
}

/// The end of the last complete line between `from` and `length`; `from` if there is none.
fn end_of_lines(file: &mut (impl Read + Seek), from: u64, length: u64) -> Result<u64, Stop> {
    const BLOCK: u64 = 1 << 16;
    let mut end = length;
    let mut block = Vec::new();
    while end > from {
        if length - end > LONGEST_LINE {
            return Err(Stop::Restart);
        }
        let start = end.saturating_sub(BLOCK).max(from);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(from)
}

/// Whether the file has `bytes` at offset `at`.
fn has_bytes(file: &mut (impl Read + Seek), at: u64, bytes: &[u8]) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    let mut found = Vec::with_capacity(bytes.len());
    file.take(bytes.len() as u64).read_to_end(&mut found)?;
    Ok(found == bytes)
}

/// A reader that tracks whether an odd number of double quotes passed.
struct QuoteParity<'a> {
    source: &'a mut dyn Read,
    is_odd: bool,
}

impl Read for QuoteParity<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.is_odd ^= memchr::memchr_iter(b'"', &buf[..n]).count() % 2 == 1;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;

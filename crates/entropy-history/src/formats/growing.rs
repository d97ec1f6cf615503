//! A log that is read while it is written: what was appended is read, and nothing again.
//!
//! A book keeps the rows of whole records; a look takes the records that were appended, then reads the
//! unfinished rest into a copy, as a fresh reading of the file would. Where anything is out of the
//! ordinary (damage, a row that spans lines, a file that was written anew) the file is read from its
//! start, so a look gives what a fresh reading gives: always while what was read is up to 256 KiB long, and
//! for a longer log once the blocks that were written over have had their turn to be compared.

mod checks;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use self::checks::Checks;
use super::book::Book;
use super::csv::Table;
use super::frame::Damage;
use super::frame::json::ScanError;
use super::log::Log;
use super::tensorboard::Events;
use super::wandb::WandbLog;
use super::{Confidence, Format, Head, Opened, ReadError, SeriesSelector, Source, recognise};

/// How a log of a format grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It does not: it is written anew, or cannot be read from its middle.
    Rewritten,
    /// By lines that are rows.
    Lines,
    /// By lines below a header.
    Table,
    /// By TensorBoard's records.
    Events,
    /// By W&B's records.
    Wandb,
}

/// Bytes of the head that are compared at each look.
const MARK: usize = 256;
/// A line longer than this is no row: such a log is read whole.
const LONGEST_LINE: u64 = 16 << 20;

/// A log that may grow between two looks at it.
pub struct ResumableReader<'w> {
    wanted: &'w SeriesSelector,
    format: Option<&'static Format>,
    begun: Option<Begun<'w>>,
    is_whole: bool, // it has to be read from its start each time
}

/// A log that is read on where the last look ended.
struct Begun<'w> {
    format: &'static Format,
    head: Vec<u8>,
    book: Book<'w>,
    tail: Tail,
    taken: u64, // bytes whose records are in the book
    checks: Checks,
}

/// What a format keeps between two looks.
#[derive(Clone)]
enum Tail {
    Lines,
    Table(Table),
    Events(Events),
    Wandb(WandbLog),
}

/// What a file turned out to be.
type Recognised<'w> = (Option<&'static Format>, Option<Begun<'w>>);

/// What ends a reading on; the file is read from its start then.
enum Halt {
    Odd,
    Io(io::Error),
}

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Halt {
        match error {
            ReadError::Io(error) => Halt::Io(error),
            _ => Halt::Odd,
        }
    }
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Halt {
        Halt::Io(error)
    }
}

impl<'w> ResumableReader<'w> {
    /// A log of which nothing was read yet; its format is recognised unless it is given.
    pub fn new(format: Option<&'static Format>, wanted: &'w SeriesSelector) -> ResumableReader<'w> {
        ResumableReader { wanted, format, begun: None, is_whole: false }
    }

    /// Forgets what was read: the file is another.
    pub fn forget(&mut self) {
        self.begun = None;
        self.is_whole = false;
    }

    /// Whether the last look read only what had been appended, and so will the next.
    pub fn reads_on(&self) -> bool {
        self.begun.is_some()
    }

    /// What the log holds now, `length` bytes long: the same that a fresh reading gives.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn look(
        &mut self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
        length: u64,
    ) -> Result<(&'static Format, Log), ReadError> {
        if let Some(mut begun) = self.begun.take()
            && begun.is_there(file, length)?
        {
            match begun.read_on(file, path, length) {
                Ok(log) => {
                    let format = begun.format;
                    self.begun = Some(begun);
                    return log.map(|log| (format, log));
                }
                Err(Halt::Io(error)) => return Err(ReadError::Io(error)),
                Err(Halt::Odd) => self.is_whole = true,
            }
        }
        let mut format = self.format;
        if !self.is_whole {
            let (recognised, begun) = self.begin(file, path)?;
            format = recognised;
            if let Some(mut begun) = begun {
                match begun.read_on(file, path, length) {
                    Ok(log) => {
                        let format = begun.format;
                        // Before its first record is whole, a log may turn out to be of another format.
                        self.begun = Some(begun).filter(|begun| begun.taken > 0);
                        return log.map(|log| (format, log));
                    }
                    Err(Halt::Io(error)) => return Err(ReadError::Io(error)),
                    Err(Halt::Odd) => self.is_whole = true,
                }
            }
        }
        file.seek(SeekFrom::Start(0))?;
        // What is written while this is read is left for the next look.
        let mut file = file.take(length);
        super::read(Source { reader: &mut file, path }, format, self.wanted)
    }

    /// The format, if it is known or recognised, and a log that can be read on, before its first byte;
    /// none if it cannot.
    fn begin(
        &self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
    ) -> Result<Recognised<'w>, ReadError> {
        file.seek(SeekFrom::Start(0))?;
        let Opened { head, reader, .. } = Opened::new(Source { reader: file, path })?;
        if reader.is_compressed() {
            return Ok((self.format, None));
        }
        let seen = Head::new(&head, path);
        // What else a log may be is decided by what is not there yet, but for lines of objects.
        let is_sure = |(format, claim): &(&Format, Confidence)| {
            *claim > Confidence::Maybe || (format.growth)(&seen) == Growth::Lines
        };
        let recognised = || recognise(&seen).filter(is_sure);
        let Some(format) = self.format.or_else(|| recognised().map(|(format, _)| format)) else {
            return Ok((None, None));
        };
        let mut book = Book::new(self.wanted, format.metrics);
        let tail = match (format.growth)(&seen) {
            Growth::Rewritten => return Ok((Some(format), None)),
            Growth::Lines => Tail::Lines,
            Growth::Table => Tail::Table(Table::default()),
            Growth::Events => Tail::Events(Events::new(&mut book)),
            Growth::Wandb => match WandbLog::new(&seen, &mut book) {
                Ok(log) => Tail::Wandb(log),
                Err(_) => return Ok((Some(format), None)), // the fresh reading says why
            },
        };
        let begun = Begun { format, head, book, tail, taken: 0, checks: Checks::default() };
        Ok((Some(format), Some(begun)))
    }
}

impl Begun<'_> {
    /// Whether the file still has the bytes that were read, as far as a look compares them.
    fn is_there(&mut self, file: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
        if length < self.taken {
            return Ok(false);
        }
        let head = &self.head[..self.head.len().min(MARK).min(self.taken as usize)];
        Ok(holds(file, 0, head)? && self.checks.hold(file)?)
    }

    /// Takes the whole records that were appended; the log with the unfinished rest behind them.
    fn read_on(
        &mut self,
        file: &mut (impl Read + Seek),
        path: Option<&Path>,
        length: u64,
    ) -> Result<Result<Log, ReadError>, Halt> {
        let from = self.taken;
        let head = Head::new(&self.head, path);
        let (mut book, outcome);
        match &mut self.tail {
            Tail::Events(events) => {
                file.seek(SeekFrom::Start(from))?;
                let damage = events.read(&mut file.by_ref().take(length - from), &mut self.book)?;
                self.taken = events.offset();
                sound(&damage)?;
                book = self.book.clone();
                events.end(&damage, &mut book);
                outcome = Ok(());
            }
            Tail::Wandb(log) => {
                file.seek(SeekFrom::Start(from))?;
                let damage = log.read(&mut file.by_ref().take(length - from), &mut self.book)?;
                self.taken = log.offset();
                sound(&damage)?;
                book = self.book.clone();
                log.clone().end(&damage, &mut book);
                outcome = Ok(());
            }
            Tail::Lines | Tail::Table(_) => {
                let lines_end = end_of_lines(file, from, length)?;
                if lines_end > from {
                    file.seek(SeekFrom::Start(from))?;
                    let mut lines = file.by_ref().take(lines_end - from);
                    read_lines(self.format, &mut self.tail, &head, &mut lines, &mut self.book)?;
                    self.taken = lines_end;
                }
                book = self.book.clone();
                file.seek(SeekFrom::Start(lines_end))?;
                let mut rest = file.by_ref().take(length - lines_end);
                let mut tail = self.tail.clone();
                let read = match lines_end {
                    // Without a header there is nothing to read a table by.
                    0 => (self.format.read)(&head, &mut rest, &mut book),
                    _ => read_rest(self.format, &mut tail, &head, &mut rest, &mut book),
                };
                outcome = match read {
                    Err(error) if !is_cut(&error) => return Err(Halt::from(error)),
                    read => read,
                };
            }
        }
        self.checks.extend(file, self.taken)?;
        Ok(book.finish(outcome))
    }
}

/// Whether reading stopped where the writer has not come to yet.
fn is_cut(error: &ReadError) -> bool {
    matches!(error, ReadError::Scan(ScanError::Cut(_)))
}

/// Damage makes places beyond it uncertain: such a log is read whole.
fn sound(damage: &Damage) -> Result<(), Halt> {
    if damage.places == 0 { Ok(()) } else { Err(Halt::Odd) }
}

/// Reads lines that are whole.
fn read_lines(
    format: &Format,
    tail: &mut Tail,
    head: &Head<'_>,
    lines: &mut dyn Read,
    book: &mut Book<'_>,
) -> Result<(), Halt> {
    match tail {
        Tail::Table(table) => {
            let mut quotes = Quotes { source: lines, odd: false };
            table.read(head, &mut quotes, book)?;
            // A field in quotes may hold a line break: then the last line is not the last row.
            if quotes.odd { Err(Halt::Odd) } else { Ok(()) }
        }
        _ => Ok((format.read)(head, lines, book)?),
    }
}

/// Reads what stands behind the last whole line.
fn read_rest(
    format: &Format,
    tail: &mut Tail,
    head: &Head<'_>,
    rest: &mut dyn Read,
    book: &mut Book<'_>,
) -> Result<(), ReadError> {
    match tail {
        Tail::Table(table) => table.read(head, rest, book),
        _ => (format.read)(head, rest, book),
    }
}

/// The end of the last line that ends between `from` and `length`; `from` if none does.
fn end_of_lines(file: &mut (impl Read + Seek), from: u64, length: u64) -> Result<u64, Halt> {
    const BLOCK: u64 = 1 << 16;
    let mut end = length;
    let mut block = Vec::new();
    while end > from {
        if length - end > LONGEST_LINE {
            return Err(Halt::Odd);
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

/// Whether the file has these bytes at that place.
fn holds(file: &mut (impl Read + Seek), at: u64, bytes: &[u8]) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    let mut there = Vec::with_capacity(bytes.len());
    file.take(bytes.len() as u64).read_to_end(&mut there)?;
    Ok(there == bytes)
}

/// A reader that tells whether the quotes that went by are an odd number.
struct Quotes<'a> {
    source: &'a mut dyn Read,
    odd: bool,
}

impl Read for Quotes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.odd ^= memchr::memchr_iter(b'"', &buf[..n]).count() % 2 == 1;
        Ok(n)
    }
}

#[cfg(test)]
#[path = "growing/tests.rs"]
mod tests;

//! Reads JSON lines on all cores: a chunk of whole lines is read while the chunk before it is parsed.

use std::io::{self, Read};

use super::cells::JsonRow;
use super::error::ReadError;
use super::row::BatchBuilder;
use crate::columns::Columns;
use crate::floats::Precision;
use crate::left_out::Reason;
use crate::table::{Batch, TokenTable};

/// Bytes that are read at once.
const BLOCK: usize = 4 << 20;
/// Bytes of lines that a thread parses into one batch.
const PART: usize = 1 << 20;
/// The longest line in bytes; a response of a million tokens has 60 MB.
const LONGEST_LINE: usize = 1 << 30;

/// What is to be known of the rows of a file.
#[derive(Debug, Default)]
pub(crate) struct RowsRead {
    /// Lines that are not blank, without one that the end of the file cut.
    pub(crate) rows: usize,
    /// The line at which the file ends, if it ends inside it.
    pub(crate) cut_line: Option<usize>,
}

/// Lines of a file, the first of which has the number `first_line`, from 1.
struct Part<'a> {
    text: &'a [u8],
    first_line: usize,
}

/// Reads the lines of `source` into `table`.
pub(crate) fn read(
    mut source: impl Read,
    columns: &Columns,
    step: Option<u64>,
    table: &mut TokenTable,
) -> Result<RowsRead, ReadError> {
    let (mut block, mut next) = (Vec::new(), Vec::new());
    let mut lines = 0; // before the block
    let mut read = RowsRead::default();
    let mut before: Vec<Parsed> = Vec::new();
    let mut ended = fill(&mut source, &mut block)?;
    loop {
        // The rest of the last line goes before the next block.
        let end = match ended {
            Ended::Yes => block.len(),
            Ended::No => memchr::memrchr(b'\n', &block).map_or(0, |at| at + 1),
        };
        if end == 0 && ended == Ended::No && block.len() >= LONGEST_LINE {
            return Err(ReadError::Damaged(format!("line {} is longer than 1 GiB", lines + 1)));
        }
        next.clear();
        next.extend_from_slice(&block[end..]);
        let whole = &block[..end];
        let is_cut = ended == Ended::Yes && !whole.ends_with(b"\n");
        let last_line = if is_cut { LastLine::Cut } else { LastLine::Whole };
        let parts = parts(whole, lines);
        lines += memchr::memchr_iter(b'\n', whole).count();
        let precision = table.precision();
        let mut parsed: Vec<Option<Parsed>> = parts.iter().map(|_| None).collect();
        let filled = rayon::in_place_scope(|scope| {
            for (part, slot) in parts.iter().zip(&mut parsed) {
                scope.spawn(move |_| *slot = Some(parse(part, columns, step, precision)));
            }
            // Meanwhile, this thread adds the rows of the block before, and reads on.
            append(std::mem::take(&mut before), LastLine::Whole, table, &mut read);
            if ended == Ended::Yes { Ok(Ended::Yes) } else { fill(&mut source, &mut next) }
        });
        before = parsed.into_iter().flatten().collect();
        if ended == Ended::Yes {
            append(before, last_line, table, &mut read);
            return Ok(read);
        }
        ended = filled?;
        std::mem::swap(&mut block, &mut next);
    }
}

/// Whether the last line of a block has its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLine {
    Whole,
    Cut,
}

/// Adds the parts of a block to the table.
fn append(parts: Vec<Parsed>, last_line: LastLine, table: &mut TokenTable, read: &mut RowsRead) {
    let last = parts.len().saturating_sub(1);
    for (at, Parsed { mut batch, rows, broken }) in parts.into_iter().enumerate() {
        read.rows += rows;
        if let Some(broken) = broken {
            if last_line == LastLine::Cut && at == last {
                read.cut_line = Some(broken.line);
            } else {
                read.rows += 1;
                batch.left_out.add(Reason::Unreadable, 1, || broken.what);
            }
        }
        table.append(batch);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// Reads up to a block more.
fn fill(source: &mut impl Read, block: &mut Vec<u8>) -> io::Result<Ended> {
    let before = block.len();
    block.reserve(BLOCK);
    source.take(BLOCK as u64).read_to_end(block)?;
    Ok(if block.len() - before < BLOCK { Ended::Yes } else { Ended::No })
}

/// Splits lines into parts of about the same size.
fn parts(text: &[u8], lines: usize) -> Vec<Part<'_>> {
    let (mut parts, mut rest, mut first_line) = (Vec::new(), text, lines + 1);
    while !rest.is_empty() {
        let from = PART.min(rest.len());
        let end = memchr::memchr(b'\n', &rest[from..]).map_or(rest.len(), |at| from + at + 1);
        parts.push(Part { text: &rest[..end], first_line });
        first_line += memchr::memchr_iter(b'\n', &rest[..end]).count();
        rest = &rest[end..];
    }
    parts
}

/// The last line of a part, if it is not valid.
struct BrokenLine {
    line: usize,
    what: String,
}

/// The rows of a part, without the last line if that is not valid.
struct Parsed {
    batch: Batch,
    rows: usize,
    broken: Option<BrokenLine>,
}

/// Parses lines into a batch.
fn parse(part: &Part<'_>, columns: &Columns, step: Option<u64>, precision: Precision) -> Parsed {
    let mut builder = BatchBuilder::new(columns, step, precision);
    let (mut rows, mut rest, mut number) = (0, part.text, part.first_line);
    let mut broken = None;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(line);
        let text = text.trim_ascii();
        let place = || format!("line {number}");
        if !text.is_empty() {
            match JsonRow::new(text) {
                Ok(row) => {
                    rows += 1;
                    builder.add(&row, &place);
                }
                Err(error) => {
                    let what = format!("column {}: {}", error.at + 1, error.what);
                    if rest.is_empty() {
                        broken = Some(BrokenLine {
                            line: number,
                            what: format!("line {number}, {what}"),
                        });
                    } else {
                        rows += 1;
                        builder.leave_out(Reason::Unreadable, &place(), &what);
                    }
                }
            }
        }
        number += 1;
    }
    Parsed { batch: builder.finish(), rows, broken }
}

//! The lines of a table that can be rows: a filter in front of the CSV parser.
//!
//! A log may have other text between its rows, rows that were cut, and a quote that is never closed, which would
//! turn the rest of the file into one field. Each line must have as many fields as the header; a field with line
//! breaks may span a few lines. Other lines are replaced by empty ones, which the parser ignores, so that line
//! numbers stay right.

use std::io::{self, Read};

use super::header::step_of_row;

/// A longer line is an error.
const LONGEST_LINE: usize = 16 << 20;
/// A quoted field spans at most this number of lines.
const LINES_OF_A_ROW: usize = 256;
const BLOCK: usize = 1 << 16;

/// Lines that were left out: how many, and the first of them, from 1.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct LeftOut {
    pub(super) other_text: Option<(usize, u64)>,
    pub(super) broken_rows: Option<(usize, u64)>,
}

/// Passes on the lines that have the right number of fields, and the incomplete last line.
pub(super) struct RowLines<'a> {
    source: &'a mut dyn Read,
    delimiter: u8,
    delimiters: Option<usize>, // in a row; `None` before the header
    header_line: u64,          // from 1
    line: u64,                 // complete lines that were passed on or left out
    input: Vec<u8>,
    start: usize, // of the first line in `input`
    output: Vec<u8>,
    given: usize, // bytes of `output` that were passed on
    is_at_end: bool,
    last: Option<u8>,
    left_out: LeftOut,
}

impl<'a> RowLines<'a> {
    /// The lines of a table. The header is in line `header_line`, unless its number of fields is known.
    pub(super) fn new(
        source: &'a mut dyn Read,
        delimiter: u8,
        header_line: u64,
        fields: Option<usize>,
    ) -> RowLines<'a> {
        RowLines {
            source,
            delimiter,
            delimiters: fields.map(|fields| fields.saturating_sub(1)),
            header_line,
            line: 0,
            input: Vec::new(),
            start: 0,
            output: Vec::new(),
            given: 0,
            is_at_end: false,
            last: None,
            left_out: LeftOut::default(),
        }
    }

    /// The last byte of the source.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.last
    }

    /// What was left out.
    pub(super) fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Number of complete lines.
    pub(super) fn lines(&self) -> u64 {
        self.line
    }

    fn refill(&mut self) -> io::Result<()> {
        self.input.drain(..self.start);
        self.start = 0;
        if self.input.len() > LONGEST_LINE {
            return Err(io::Error::other(format!("line {} is longer than 16 MiB", self.line + 1)));
        }
        let end = self.input.len();
        self.input.resize(end + BLOCK, 0);
        let read = loop {
            match self.source.read(&mut self.input[end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.input.truncate(end + *read.as_ref().unwrap_or(&0));
        self.is_at_end = read? == 0;
        self.last = self.input.last().copied().or(self.last);
        Ok(())
    }

    /// The length of the line at `at`, with its line break; `None` if its end was not read yet.
    fn line_length(&self, at: usize) -> Option<usize> {
        memchr::memchr(b'\n', &self.input[at..]).map(|length| length + 1)
    }

    /// Moves complete rows from the input to the output.
    fn pass_rows(&mut self) {
        while let Some(length) = self.line_length(self.start) {
            let line = &self.input[self.start..self.start + length];
            let text = line.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                self.pass(length, 1);
                continue;
            }
            if self.delimiters.is_none() && self.line + 1 < self.header_line {
                self.leave_out(length, true);
                continue;
            }
            let mut counter = FieldCounter::new(self.delimiter);
            counter.count(line);
            let (mut end, mut lines) = (self.start + length, 1);
            while counter.in_quotes && lines < LINES_OF_A_ROW {
                match self.line_length(end) {
                    Some(next) => {
                        counter.count(&self.input[end..end + next]);
                        (end, lines) = (end + next, lines + 1);
                    }
                    None if self.is_at_end => break,
                    None => return,
                }
            }
            let delimiters = *self.delimiters.get_or_insert(counter.delimiters);
            if !counter.in_quotes && counter.delimiters == delimiters {
                self.pass(end - self.start, lines as u64);
            } else {
                let is_row = step_of_row(text, self.delimiter);
                self.leave_out(length, !is_row);
            }
        }
        if self.is_at_end {
            self.output.extend_from_slice(&self.input[self.start..]);
            self.start = self.input.len();
        }
    }

    fn pass(&mut self, length: usize, lines: u64) {
        self.output.extend_from_slice(&self.input[self.start..self.start + length]);
        (self.start, self.line) = (self.start + length, self.line + lines);
    }

    fn leave_out(&mut self, length: usize, is_other_text: bool) {
        self.output.push(b'\n');
        (self.start, self.line) = (self.start + length, self.line + 1);
        let LeftOut { other_text, broken_rows } = &mut self.left_out;
        let kind = if is_other_text { other_text } else { broken_rows };
        *kind = Some(kind.map_or((1, self.line), |(lines, first)| (lines + 1, first)));
    }
}

impl Read for RowLines<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() {
            if self.is_at_end && self.start == self.input.len() {
                return Ok(0);
            }
            self.output.clear();
            self.given = 0;
            self.refill()?;
            self.pass_rows();
        }
        let n = buf.len().min(self.output.len() - self.given);
        buf[..n].copy_from_slice(&self.output[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// Counts the delimiters of a row that are outside quotes.
struct FieldCounter {
    delimiter: u8,
    delimiters: usize,
    in_quotes: bool,
}

impl FieldCounter {
    fn new(delimiter: u8) -> FieldCounter {
        FieldCounter { delimiter, delimiters: 0, in_quotes: false }
    }

    fn count(&mut self, line: &[u8]) {
        for at in memchr::memchr2_iter(b'"', self.delimiter, line) {
            match line[at] {
                b'"' => self.in_quotes = !self.in_quotes,
                _ if !self.in_quotes => self.delimiters += 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &str, header_line: u64) -> (String, LeftOut) {
        let mut source = text.as_bytes();
        let mut lines = RowLines::new(&mut source, b',', header_line, None);
        let mut passed = String::new();
        lines.read_to_string(&mut passed).unwrap();
        (passed, lines.left_out.clone())
    }

    #[test]
    fn rows_are_unchanged_and_other_lines_become_empty() {
        let table = "step,entropy\n1,2.5\n# note\n\n\"2\",\"2,4\"\n3,2.3";
        assert_eq!(filtered(table, 1), (table.to_owned(), LeftOut::default()));
        let (passed, left_out) = filtered("hello\nstep,entropy\n1,2.5\nTraceback\n2\n3,2.3\n", 2);
        assert_eq!(passed, "\nstep,entropy\n1,2.5\n\n\n3,2.3\n");
        assert_eq!(left_out.other_text, Some((2, 1)));
        assert_eq!(left_out.broken_rows, Some((1, 5)));
    }

    #[test]
    fn open_quote_loses_only_its_line() {
        let rows: String = (2..2_000).map(|step| format!("{step},2.5\n")).collect();
        for later in ["", "7,\"2.5\n"] {
            let (passed, left_out) = filtered(&format!("step,entropy\n1,\"2.5\n{rows}{later}"), 1);
            assert!(
                passed.starts_with("step,entropy\n\n2,2.5\n") && passed.contains("\n1999,2.5\n")
            );
            assert!(left_out.broken_rows.is_some());
        }
    }

    #[test]
    fn quoted_field_may_have_line_breaks() {
        let table = "step,note,entropy\n1,\"two\nlines, \"\"quoted\"\"\",2.5\n2,x,2.4\n";
        assert_eq!(filtered(table, 1), (table.to_owned(), LeftOut::default()));
    }
}

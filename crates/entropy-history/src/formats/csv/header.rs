//! Finds the header of a table, from which the format is recognised.

use csv::ByteRecord;

use super::fields::{names, number, reader};
use crate::formats::reader_api::{Confidence, Head};
use crate::formats::table::{is_over_time, step_column};

/// Number of lines among which the header is looked for.
const LINES_BEFORE_HEADER: u64 = 64;

pub(crate) fn recognise(head: &Head<'_>) -> Confidence {
    match header(head.bytes) {
        Some(Header { line: 1, confidence, .. }) => confidence,
        Some(Header { confidence, .. }) => confidence.min(Confidence::Likely),
        None => Confidence::No,
    }
}

/// The header of a table in the head of a log.
pub(super) struct Header {
    pub(super) line: u64, // from 1
    pub(super) delimiter: u8,
    confidence: Confidence,
}

/// Finds the header; there may be lines of other text before it.
pub(super) fn header(head: &[u8]) -> Option<Header> {
    let is_json = matches!(head.trim_ascii_start().first(), Some(b'{' | b'['));
    let mut rest = without_mark(head);
    for line in 1..=if is_json { 1 } else { LINES_BEFORE_HEADER } {
        if let Some(delimiter) = delimiter(rest.split(|b| *b == b'\n').next()?) {
            let confidence = confidence(rest, delimiter);
            if confidence == Confidence::Certain || line == 1 && confidence == Confidence::Maybe {
                return Some(Header { line, delimiter, confidence });
            }
        }
        rest = &rest[memchr::memchr(b'\n', rest)? + 1..];
    }
    None
}

/// How sure it is that a text begins with the header of a table.
fn confidence(text: &[u8], delimiter: u8) -> Confidence {
    let mut records = reader(delimiter, text);
    let mut header = ByteRecord::new();
    if !matches!(records.read_byte_record(&mut header), Ok(true)) || header.len() < 2 {
        return Confidence::No;
    }
    let names: Vec<String> = names(&header);
    let is_number = |field: &[u8]| field.is_empty() || number(field, delimiter).is_some();
    if header.iter().any(|field| !field.is_empty() && number(field, delimiter).is_some()) {
        return Confidence::No; // a number is not a column name
    }
    let mut row = ByteRecord::new();
    let has_row = matches!(records.read_byte_record(&mut row), Ok(true)) && !row.is_empty();
    let step = step_column(&names, None);
    match step {
        Some(_) if !has_row => Confidence::Maybe,
        Some(step) if row.get(step).is_some_and(is_number) => Confidence::Certain,
        None if is_over_time(&names) => Confidence::Certain,
        _ => Confidence::No,
    }
}

/// Whether a line of a table begins like a row: its first field is a number.
pub(super) fn step_of_row(line: &[u8], delimiter: u8) -> bool {
    let field = line.split(|b| *b == delimiter).next().unwrap_or_default();
    let field = field.strip_prefix(b"\"").unwrap_or(field);
    number(field.strip_suffix(b"\"").unwrap_or(field), delimiter).is_some()
}

pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The delimiter of the first line.
pub(super) fn delimiter(text: &[u8]) -> Option<u8> {
    let mut lines = text.split(|b| matches!(b, b'\n' | b'\r'));
    let line = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let line = std::str::from_utf8(line).ok()?;
    let mut quoted = false;
    let mut counts = [(b'\t', 0), (b';', 0), (b',', 0)];
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        let count = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte && !quoted);
        if let Some((_, n)) = count {
            *n += 1;
        }
    }
    let (delimiter, n) = counts.into_iter().max_by_key(|(_, n)| *n)?;
    (n > 0).then_some(delimiter)
}

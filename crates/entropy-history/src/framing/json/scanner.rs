//! A streaming scanner for JSON as Python writes it: one pass, no tree, memory bounded by one token.
//!
//! `json.dump` writes bare `NaN`, `Infinity` and `-Infinity`, which standard JSON (and serde_json)
//! rejects. Trainers append one object per line to the same kind of file, and a killed trainer leaves
//! it cut at any byte. So [`Scanner`] accepts these words, ignores separators of top-level values, and
//! distinguishes the end of the input ([`ScanError::Cut`]) from a syntax error ([`ScanError::Syntax`]):
//! a value counts only once the delimiter after it was read.

use std::borrow::Cow;
use std::io::{self, Read};

use thiserror::Error;

use super::number::{Value, parse_number, parse_number_text};

/// A position in the input: line and column from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// Line.
    pub line: u64,
    /// Byte within the line.
    pub column: u64,
}

impl std::fmt::Display for TextPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why scanning stopped.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The input ended inside a value: the writer was killed, or is still writing.
    #[error("{0}: the file ends inside a value")]
    Cut(TextPosition),
    /// The input is not JSON.
    #[error("{place}: {what}")]
    Syntax {
        /// Position of the error.
        place: TextPosition,
        /// What was expected and what was found.
        what: String,
    },
    /// Reading the input failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarKind {
    /// In double quotes.
    Quoted,
    /// A number or a word.
    Plain,
}

const WINDOW: usize = 1 << 18;
/// Maximum length of a key or a number; no trainer writes longer ones.
const LONGEST_TOKEN: usize = 1 << 20;
/// Maximum length of the bytes kept for [`Scanner::rewind`].
const LONGEST_HELD: usize = 1 << 20;
/// Maximum length of a number that is written as a string.
const LONGEST_NUMBER: usize = 128;
const DEEPEST: usize = 1 << 10;

/// Reads values from a stream. After an error it must not be used again.
pub struct Scanner<'a> {
    source: &'a mut dyn Read,
    pub(super) window: Vec<u8>,
    pub(super) pos: usize,
    pub(super) end: usize,
    pub(super) moves: u64, // how often the window moved
    pub(super) recording: Option<Vec<(usize, usize)>>, // window offsets of the numbers since `start_recording`
    pub(super) held: Option<usize>, // window offset of bytes to keep, up to LONGEST_HELD
    pub(super) lines_before: u64,
    line_start: i64, // window offset of the current line's first byte at `pos == 0`; negative if it was before the window
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `source`; a UTF-8 byte order mark is skipped.
    pub fn new(source: &'a mut dyn Read) -> Result<Scanner<'a>, ScanError> {
        Scanner::with_window(source, WINDOW)
    }

    /// A scanner with a small window, for texts of a few hundred bytes.
    pub fn small(source: &'a mut dyn Read) -> Result<Scanner<'a>, ScanError> {
        Scanner::with_window(source, 1 << 10)
    }

    fn with_window(source: &'a mut dyn Read, size: usize) -> Result<Scanner<'a>, ScanError> {
        let window = vec![0; size];
        let (lines_before, line_start) = (0, 0);
        let mut scanner = Scanner {
            source,
            window,
            pos: 0,
            end: 0,
            moves: 0,
            recording: None,
            held: None,
            lines_before,
            line_start,
        };
        while scanner.end < 3 && scanner.refill()? {}
        if scanner.window[..scanner.end].starts_with(b"\xef\xbb\xbf") {
            scanner.pos = 3;
        }
        Ok(scanner)
    }

    /// Reads more input behind the unconsumed bytes; false at the end of the input.
    #[cold]
    pub(super) fn refill(&mut self) -> Result<bool, ScanError> {
        self.recording = None; // the offsets become invalid
        self.moves += 1;
        self.held = self.held.filter(|held| self.pos - held < LONGEST_HELD);
        let kept = self.held.unwrap_or(self.pos);
        let used = &self.window[..kept];
        self.lines_before += memchr::memchr_iter(b'\n', used).count() as u64;
        self.line_start = match memchr::memrchr(b'\n', used) {
            Some(at) => at as i64 + 1 - kept as i64,
            None => self.line_start - kept as i64,
        };
        self.window.copy_within(kept..self.end, 0);
        self.end -= kept;
        self.pos -= kept;
        self.held = self.held.map(|_| 0);
        if self.end == self.window.len() {
            if self.end - self.pos >= LONGEST_TOKEN {
                return Err(self.syntax("a key or a number is longer than 1 MiB"));
            }
            self.window.resize(2 * self.end, 0);
        }
        loop {
            match self.source.read(&mut self.window[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.end += n;
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The position of the next byte.
    pub fn place(&self) -> TextPosition {
        let used = &self.window[..self.pos];
        let line = self.lines_before + memchr::memchr_iter(b'\n', used).count() as u64 + 1;
        let start = memchr::memrchr(b'\n', used).map_or(self.line_start, |at| at as i64 + 1);
        TextPosition { line, column: (self.pos as i64 - start + 1) as u64 }
    }

    fn syntax(&self, what: impl Into<String>) -> ScanError {
        ScanError::Syntax { place: self.place(), what: what.into() }
    }

    fn unexpected(&self, expected: &str) -> ScanError {
        let found = match self.window[self.pos] {
            b'\'' => "a single quote, as Python's print writes it: this is not JSON".to_owned(),
            b @ 0x21..=0x7e => format!("'{}'", char::from(b)),
            0 => "a zero byte".to_owned(),
            b => format!("byte 0x{b:02x}"),
        };
        self.syntax(format!("expected {expected}, found {found}"))
    }

    /// Returns the next byte that is not white space without consuming it; `None` at the end of the
    /// input.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<u8>, ScanError> {
        loop {
            while let Some(&byte) = self.window[..self.end].get(self.pos) {
                if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                    return Ok(Some(byte));
                }
                self.pos += 1;
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, ScanError> {
        self.peek()?.ok_or_else(|| ScanError::Cut(self.place()))
    }

    /// Consumes the next byte that is not white space if it is `byte`; returns whether it was.
    #[inline]
    pub fn take(&mut self, byte: u8) -> Result<bool, ScanError> {
        let there = self.next()? == byte;
        self.pos += usize::from(there);
        Ok(there)
    }

    /// Consumes `byte`, or fails; `name` describes it in the error.
    #[inline]
    pub fn expect(&mut self, byte: u8, name: &str) -> Result<(), ScanError> {
        if self.take(byte)? { Ok(()) } else { Err(self.unexpected(name)) }
    }

    /// Reads an object, calling `visit` after each `key:`; it must consume the value.
    #[inline]
    pub fn object<E: From<ScanError>>(
        &mut self,
        mut visit: impl FnMut(&mut Self, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{', "an object")?;
        if self.take(b'}')? {
            return Ok(());
        }
        // Keys repeat from row to row, so one buffer serves all of them.
        let mut key = String::new();
        loop {
            self.key(&mut key)?;
            self.expect(b':', "':'")?;
            visit(self, &key)?;
            if self.take(b'}')? {
                return Ok(());
            }
            self.expect(b',', "',' or '}'")?;
        }
    }

    /// Reads an array, calling `visit` before each element; it must consume the element. Returns
    /// whether a comma preceded the closing bracket, which JSON does not allow.
    pub fn array<E: From<ScanError>>(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.expect(b'[', "an array")?;
        if self.take(b']')? {
            return Ok(false);
        }
        loop {
            visit(self)?;
            match self.next()? {
                b',' => self.pos += 1,
                b']' => {
                    self.pos += 1;
                    return Ok(false);
                }
                _ => return Err(self.unexpected("',' or ']'").into()),
            }
            if self.take(b']')? {
                return Ok(true);
            }
        }
    }

    /// Reads a string.
    pub fn string(&mut self, text: &mut String) -> Result<(), ScanError> {
        self.key(text)
    }

    #[inline]
    fn key(&mut self, key: &mut String) -> Result<(), ScanError> {
        if self.next()? != b'"' {
            return Err(self.unexpected("a key in double quotes"));
        }
        let mut length = 1;
        let mut escaped = false;
        loop {
            match self.window[..self.end].get(self.pos + length) {
                Some(b'"') => break,
                Some(b'\n') => return Err(self.open_string(self.pos + length)),
                Some(b'\\') => {
                    escaped = true;
                    length += 2;
                }
                Some(_) => length += 1,
                None => {
                    if !self.refill()? {
                        return Err(ScanError::Cut(self.place()));
                    }
                }
            }
        }
        let raw = &self.window[self.pos..=self.pos + length];
        let text = if escaped {
            serde_json::from_slice(raw).map(Cow::Owned).ok()
        } else {
            std::str::from_utf8(&raw[1..length]).map(Cow::Borrowed).ok()
        };
        let Some(text) = text else {
            return Err(self.syntax("a key is not valid UTF-8 or has a broken escape"));
        };
        key.clear();
        key.push_str(&text);
        self.pos += length + 1;
        Ok(())
    }

    /// A number that is written as a string, such as `"0.53"` or `"NaN"`; another string is skipped.
    fn number_in_string(&mut self) -> Result<Value, ScanError> {
        while self.end - self.pos < LONGEST_NUMBER + 2 && self.refill()? {}
        let rest = &self.window[self.pos + 1..self.end.min(self.pos + LONGEST_NUMBER + 2)];
        if let Some(length) = memchr::memchr(b'"', rest)
            && let Some(number) = parse_number_text(&rest[..length])
        {
            self.pos += length + 2;
            return Ok(Value::Number(number));
        }
        self.skip_string().map(|()| Value::Other("a string"))
    }

    /// Reads a value; anything but a number, a number in a string, or null is skipped.
    #[inline]
    pub fn value(&mut self) -> Result<Value, ScanError> {
        match self.next()? {
            b'0'..=b'9' | b'-' => self.number(),
            b'n' => self.word(b"null").map(|()| Value::Null),
            b'N' => self.word(b"NaN").map(|()| Value::Number(f64::NAN)),
            b'I' => self.word(b"Infinity").map(|()| Value::Number(f64::INFINITY)),
            b't' | b'f' => self.skip().map(|()| Value::Other("a boolean")),
            b'"' => self.number_in_string(),
            b'{' => self.skip().map(|()| Value::Other("an object")),
            b'[' => self.skip().map(|()| Value::Other("an array")),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Reads a string, a number or a word into `text`, in the form that the input has.
    ///
    /// # Errors
    /// When the next value is a list or an object, or the text is not JSON.
    pub fn scalar(&mut self, text: &mut String) -> Result<ScalarKind, ScanError> {
        if self.next()? == b'"' {
            return self.string(text).map(|()| ScalarKind::Quoted);
        }
        text.clear();
        if matches!(self.window[self.pos], b'{' | b'[') {
            return Err(self.unexpected("a string, a number or a word"));
        }
        self.held = Some(self.pos);
        self.skip()?;
        let start = self
            .held
            .take()
            .ok_or_else(|| self.syntax("a key or a number is longer than 1 MiB"))?;
        text.push_str(&String::from_utf8_lossy(&self.window[start..self.pos]));
        Ok(ScalarKind::Plain)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), ScanError> {
        while self.end - self.pos < word.len() {
            if !self.refill()? {
                let rest = &self.window[self.pos..self.end];
                let cut = word.starts_with(rest);
                let place = self.place();
                return Err(if cut { ScanError::Cut(place) } else { self.unexpected("a value") });
            }
        }
        if !self.window[self.pos..self.end].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.pos += word.len();
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<Value, ScanError> {
        let mut length = 1;
        loop {
            match self.window[..self.end].get(self.pos + length) {
                Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => length += 1,
                Some(b'I') if length == 1 && self.window[self.pos] == b'-' => {
                    self.pos += 1;
                    return self.word(b"Infinity").map(|()| Value::Number(f64::NEG_INFINITY));
                }
                Some(_) => break,
                // A number at the end of the input may be incomplete.
                None => {
                    if !self.refill()? {
                        return Err(ScanError::Cut(self.place()));
                    }
                }
            }
        }
        let token = &self.window[self.pos..self.pos + length];
        let value = parse_number(token);
        let Some(value) = value else {
            let text = String::from_utf8_lossy(token).into_owned();
            return Err(self.syntax(format!("{text:?} is not a number")));
        };
        if let Some(numbers) = &mut self.recording {
            numbers.push((self.pos, self.pos + length));
        }
        self.pos += length;
        Ok(value)
    }

    /// Skips a value of any depth, without recursion.
    pub fn skip(&mut self) -> Result<(), ScanError> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.next()? {
                b'"' => self.skip_string()?,
                bracket @ (b'{' | b'[') => {
                    if open.len() == DEEPEST {
                        return Err(self.syntax(format!("nested deeper than {DEEPEST} levels")));
                    }
                    self.pos += 1;
                    let close = if bracket == b'{' { b'}' } else { b']' };
                    if self.next()? != close {
                        open.push(close);
                        if close == b'}' {
                            self.skip_key()?;
                        }
                        continue;
                    }
                    self.pos += 1;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                _ => {
                    self.value()?;
                }
            }
            // After a value: close the arrays and objects that it ends, or continue with the next
            // element.
            loop {
                let Some(&close) = open.last() else { return Ok(()) };
                if self.take(close)? {
                    open.pop();
                    continue;
                }
                self.expect(b',', "',' or a closing bracket")?;
                if close == b'}' {
                    self.skip_key()?;
                }
                break;
            }
        }
    }

    fn skip_key(&mut self) -> Result<(), ScanError> {
        if self.next()? != b'"' {
            return Err(self.unexpected("a key in double quotes"));
        }
        self.skip_string()?;
        self.expect(b':', "':'")
    }

    /// The error for a line break inside a string, which JSON does not allow: the writer was killed
    /// there, and a resumed writer may have continued.
    #[cold]
    fn open_string(&mut self, line_end: usize) -> ScanError {
        self.pos = line_end;
        let place = self.place();
        match self.peek() {
            Ok(None) => ScanError::Cut(place),
            Ok(Some(_)) => {
                let what = "the line ends inside a string".to_owned();
                ScanError::Syntax { place, what }
            }
            Err(error) => error,
        }
    }

    fn skip_string(&mut self) -> Result<(), ScanError> {
        self.pos += 1;
        loop {
            let rest = &self.window[self.pos..self.end];
            match memchr::memchr3(b'"', b'\\', b'\n', rest) {
                Some(at) if rest[at] == b'"' => {
                    self.pos += at + 1;
                    return Ok(());
                }
                Some(at) if rest[at] == b'\n' => return Err(self.open_string(self.pos + at)),
                Some(at) if at + 1 < rest.len() => self.pos += at + 2,
                Some(at) => {
                    self.pos += at; // the escaped byte is not in the window yet
                    if !self.refill()? {
                        return Err(ScanError::Cut(self.place()));
                    }
                }
                None => {
                    self.pos = self.end;
                    if !self.refill()? {
                        return Err(ScanError::Cut(self.place()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte at a time, so that every token meets the end of the window.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(1);
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn values(text: &str) -> Result<Vec<Value>, ScanError> {
        let mut source = Dribble(text.as_bytes());
        let mut scanner = Scanner::new(&mut source)?;
        let mut values = Vec::new();
        scanner.array::<ScanError>(|s| {
            values.push(s.value()?);
            Ok(())
        })?;
        Ok(values)
    }

    #[test]
    fn numbers_equal_those_of_python() {
        // Expected values: Python 3.11's json.loads of the same text.
        let read = values("[1, -2, 0.1, 1e999, -0.0, 2.5E-3, 123456789012345678]").unwrap();
        let expected = [1.0, -2.0, 0.1, f64::INFINITY, -0.0, 0.0025];
        assert_eq!(read[..6], expected.map(Value::Number));
        assert_eq!(read[6], Value::InexactInteger(123456789012345678, 123456789012345680.0));
    }

    #[test]
    fn python_nan_and_infinity_are_numbers() {
        let read = values("[Infinity, -Infinity, null]").unwrap();
        assert_eq!(
            read,
            [Value::Number(f64::INFINITY), Value::Number(f64::NEG_INFINITY), Value::Null]
        );
        assert!(matches!(values("[NaN]").unwrap()[..], [Value::Number(x)] if x.is_nan()));
    }

    #[test]
    fn nested_values_are_skipped() {
        let text = r#"[{"a":[1,{"b":"]}\"\\"},[]],"c":{}}, [[],{}], "x\\", true, false, 7]"#;
        let read = values(text).unwrap();
        let words = ["an object", "an array", "a string", "a boolean", "a boolean"];
        assert_eq!(read[..5], words.map(Value::Other));
        assert_eq!(read[5], Value::Number(7.0));
    }

    #[test]
    fn truncation_at_any_byte_is_not_a_syntax_error() {
        let text = r#"[{"a":[1,{"b":"]}\""}]}, NaN, -Infinity, null, true, 2.5]"#;
        for length in 1..text.len() {
            assert!(
                matches!(values(&text[..length]), Err(ScanError::Cut(_))),
                "{}",
                &text[..length]
            );
        }
    }

    #[test]
    fn syntax_errors_have_line_and_column() {
        let place = |text| match values(text) {
            Err(ScanError::Syntax { place, .. }) => (place.line, place.column),
            other => panic!("{other:?}"),
        };
        assert_eq!(place("[1,\n 'x']"), (2, 2));
        assert_eq!(place("[1,\n\n  1.2.3]"), (3, 3));
        assert_eq!(place("[nul]"), (1, 2));
    }

    #[test]
    fn lines_are_counted_across_windows() {
        let text = format!("[{}\n?]", "1,\n".repeat(200_000));
        let mut source = text.as_bytes();
        let mut scanner = Scanner::new(&mut source).unwrap();
        let error = scanner.array::<ScanError>(|s| s.value().map(drop)).unwrap_err();
        assert!(error.to_string().starts_with("line 200002, column 1:"), "{error}");
    }

    #[test]
    fn rejects_deep_nesting_without_stack_overflow() {
        let text = format!("[{}", "[".repeat(200_000));
        assert!(values(&text).unwrap_err().to_string().contains("nested deeper"));
    }
}

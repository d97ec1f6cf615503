//! Finds the rows of JSON lines among other text, and continues after a broken row.

use super::scanner::{ScanError, Scanner};

/// The number of lines with other text, and the line number of the first, from 1; `None` without such lines.
pub type OtherLines = Option<(usize, u64)>;

impl Scanner<'_> {
    /// Number of line breaks consumed.
    pub fn line_breaks(&self) -> u64 {
        let used = &self.window[..self.pos];
        self.lines_before + memchr::memchr_iter(b'\n', used).count() as u64
    }

    /// Finds the next top-level object, which may follow other text on its line. Returns whether there is
    /// one, and the lines with other text before it. Separators of values do not count as other text.
    pub fn next_object(&mut self) -> Result<(bool, OtherLines), ScanError> {
        let mut passed: OtherLines = None;
        loop {
            match self.peek()? {
                None => return Ok((false, passed)),
                Some(b'{') => return Ok((true, passed)),
                Some(b',' | b'[' | b']') => {
                    self.pos += 1;
                    continue;
                }
                Some(_) => {}
            }
            let line = self.place().line;
            if self.object_in_line()? {
                return Ok((true, passed));
            }
            passed = Some(passed.map_or((1, line), |(lines, first)| (lines + 1, first)));
        }
    }

    /// Moves to the next `{"` in this line and returns true; without one, moves to the next line and returns false.
    fn object_in_line(&mut self) -> Result<bool, ScanError> {
        loop {
            let rest = &self.window[self.pos..self.end];
            match memchr::memchr2(b'\n', b'{', rest) {
                Some(at) if rest[at] == b'\n' => {
                    self.pos += at + 1;
                    return Ok(false);
                }
                Some(at) if rest.get(at + 1) == Some(&b'"') => {
                    self.pos += at;
                    return Ok(true);
                }
                Some(at) if at + 1 < rest.len() => self.pos += at + 1,
                at => {
                    self.pos = at.map_or(self.end, |at| self.pos + at);
                    if !self.refill()? {
                        self.pos = self.end;
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Keeps the bytes from here on, for [`Self::rewind`].
    pub fn hold(&mut self) {
        self.held = Some(self.pos);
    }

    /// Moves back to the position of [`Self::hold`]; false if the text since then is too long.
    pub fn rewind(&mut self) -> bool {
        let Some(held) = self.held else { return false };
        (self.pos, self.recording) = (held, None);
        self.moves += 1; // marks after this position become invalid
        true
    }

    /// Consumes the rest of the line.
    pub fn skip_line(&mut self) -> Result<(), ScanError> {
        self.held = None;
        loop {
            match memchr::memchr(b'\n', &self.window[self.pos..self.end]) {
                Some(at) => {
                    self.pos += at + 1;
                    return Ok(());
                }
                None => {
                    self.pos = self.end;
                    if !self.refill()? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

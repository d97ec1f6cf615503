//! Row templates: a fast path for rows that differ only in their numbers.

use super::number::parse_plain_number;
use super::scanner::Scanner;

/// The text between the numbers of a row. A row that matches is read by comparing this text and parsing
/// the numbers, several times as fast as by scanning.
#[derive(Debug)]
pub struct RowTemplate {
    texts: Vec<Vec<u8>>,
    ignored: Vec<bool>, // one per number
}

impl RowTemplate {
    /// Number of numbers in a row.
    pub fn numbers(&self) -> usize {
        self.ignored.len()
    }

    /// Marks numbers to skip; they match any JSON number.
    pub fn ignore(&mut self, is_ignored: impl Fn(usize) -> bool) {
        self.ignored = (0..self.numbers()).map(is_ignored).collect();
    }
}

impl Scanner<'_> {
    /// Starts recording the numbers that are read from here on. Returns the start of the row.
    pub fn start_recording(&mut self) -> usize {
        self.recording = Some(Vec::new());
        self.pos
    }

    /// Number of recorded numbers; `None` if recording was interrupted.
    pub fn recorded(&self) -> Option<usize> {
        self.recording.as_ref().map(Vec::len)
    }

    /// The template of the text since `start`, a result of [`Self::start_recording`]; `None` if the
    /// window moved meanwhile.
    pub fn template_since(&mut self, start: usize) -> Option<RowTemplate> {
        let numbers = self.recording.take()?;
        let ignored = vec![false; numbers.len()];
        let starts = std::iter::once(start).chain(numbers.iter().map(|n| n.1));
        let ends = numbers.iter().map(|n| n.0).chain([self.pos]);
        let texts = starts.zip(ends).map(|(from, to)| self.window[from..to].to_vec());
        Some(RowTemplate { texts: texts.collect(), ignored })
    }

    /// Marks the current position, for [`Self::text_since`].
    pub fn mark(&self) -> ScannerMark {
        ScannerMark { moves: self.moves, pos: self.pos }
    }

    /// The text since a mark; `None` if the window moved meanwhile.
    pub fn text_since(&self, mark: ScannerMark) -> Option<&[u8]> {
        (mark.moves == self.moves).then(|| &self.window[mark.pos..self.pos])
    }

    /// Reads `before` and a row with this template into `values`. Consumes nothing and returns false if
    /// the row differs, ends outside the window, or holds a number that needs the scanner.
    #[inline]
    pub fn matches(
        &mut self,
        before: &[u8],
        row_template: &RowTemplate,
        values: &mut [f64],
    ) -> bool {
        let rest = &self.window[self.pos..self.end];
        let Some(mut rest) = strip(rest, before) else { return false };
        let (last, texts) =
            row_template.texts.split_last().expect("BUG: a template ends with a text");
        for ((text, ignored), value) in texts.iter().zip(&row_template.ignored).zip(values) {
            let Some(number) = strip(rest, text) else { return false };
            if *ignored {
                let is_end = |b: &u8| !matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
                let begins = matches!(number.first(), Some(b'0'..=b'9' | b'-'));
                match number.iter().position(is_end) {
                    Some(length) if begins => rest = &number[length..],
                    _ => return false,
                }
                continue;
            }
            let Some((parsed, length)) = parse_plain_number(number) else { return false };
            *value = parsed;
            rest = &number[length..];
        }
        let Some(rest) = strip(rest, last) else { return false };
        self.pos = self.end - rest.len();
        true
    }
}

/// A position in the input that is valid until the window moves.
#[derive(Debug, Clone, Copy)]
pub struct ScannerMark {
    moves: u64,
    pos: usize,
}

/// Removes `prefix` from `text`, comparing eight bytes at a time: for texts this short, a call to
/// `memcmp` takes longer than the comparison.
#[inline]
fn strip<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    let (head_words, head_bytes) = head.as_chunks::<8>();
    let (words, bytes) = prefix.as_chunks::<8>();
    let same_words =
        head_words.iter().zip(words).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b));
    let same = same_words && head_bytes.iter().zip(bytes).all(|(a, b)| a == b);
    same.then_some(rest)
}

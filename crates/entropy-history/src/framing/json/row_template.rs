//! Rows that differ in their numbers only: what stands between the numbers is learnt and compared.

use super::Scanner;

/// The text between the numbers of one row, which a program writes anew for every row. Rows that
/// have it are read by comparing it and parsing the numbers, several times as fast as by scanning.
#[derive(Debug)]
pub struct RowTemplate {
    texts: Vec<Vec<u8>>,
    ignored: Vec<bool>, // one a number
}

impl RowTemplate {
    /// How many numbers a row has.
    pub fn numbers(&self) -> usize {
        self.ignored.len()
    }

    /// Says which numbers nobody wants: they are passed over, and may be written in any way.
    pub fn ignore(&mut self, is_ignored: impl Fn(usize) -> bool) {
        self.ignored = (0..self.numbers()).map(is_ignored).collect();
    }
}

impl Scanner<'_> {
    /// Starts to learn a row_template from the values taken from here on.
    pub fn record(&mut self) -> usize {
        self.recording = Some(Vec::new());
        self.pos
    }

    /// How many numbers were taken since [`Self::record`]; `None` if there is nothing to learn.
    pub fn recorded(&self) -> Option<usize> {
        self.recording.as_ref().map(Vec::len)
    }

    /// The row_template of what was read since [`Self::record`] returned `start`; `None` when the window
    /// moved meanwhile.
    pub fn row_template(&mut self, start: usize) -> Option<RowTemplate> {
        let numbers = self.recording.take()?;
        let ignored = vec![false; numbers.len()];
        let starts = std::iter::once(start).chain(numbers.iter().map(|n| n.1));
        let ends = numbers.iter().map(|n| n.0).chain([self.pos]);
        let texts = starts.zip(ends).map(|(from, to)| self.window[from..to].to_vec());
        Some(RowTemplate { texts: texts.collect(), ignored })
    }

    /// Where the scanner is, for [`Self::text_since`].
    pub fn mark(&self) -> ScannerMark {
        ScannerMark { moves: self.moves, pos: self.pos }
    }

    /// The text since a mark; `None` when the window moved meanwhile.
    pub fn text_since(&self, mark: ScannerMark) -> Option<&[u8]> {
        (mark.moves == self.moves).then(|| &self.window[mark.pos..self.pos])
    }

    /// Reads `before` and a row of that row_template into `values`, or nothing at all: then the row is
    /// another, ends outside the window, or holds a number that takes a second look.
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
            row_template.texts.split_last().expect("BUG: a row_template has an end");
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
            let Some((parsed, length)) = plain_number(number) else { return false };
            *value = parsed;
            rest = &number[length..];
        }
        let Some(rest) = strip(rest, last) else { return false };
        self.pos = self.end - rest.len();
        true
    }
}

/// A place in the input that is good until the window moves.
#[derive(Debug, Clone, Copy)]
pub struct ScannerMark {
    moves: u64,
    pos: usize,
}

/// `text` without `prefix`, if it begins with it. Eight bytes at a time: for texts this short, a call
/// to `memcmp` takes longer than the comparison.
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

/// The value and length of a number at the start of `text`, if it is an integer that a float holds
/// or has a decimal point, and something that is no part of it follows.
#[inline]
fn plain_number(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text[sign..].iter().take(16).take_while(|b| b.is_ascii_digit()).count();
    match text.get(sign + digits)? {
        b'.' if digits > 0 => {
            let (value, length) = fast_float2::parse_partial::<f64, _>(text).ok()?;
            (length < text.len()).then_some((value, length))
        }
        b'0'..=b'9' | b'e' | b'E' => None,
        _ if (1..=15).contains(&digits) => {
            let (digits, length) = (&text[sign..sign + digits], sign + digits);
            let integer = digits.iter().fold(0, |n, d| 10 * n + u64::from(d - b'0')) as f64;
            Some((if sign == 1 { -integer } else { integer }, length))
        }
        _ => None,
    }
}

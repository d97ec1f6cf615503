//! Splits a stream at line feeds and carriage returns; progress bars overwrite each other with the
//! latter.

use std::io::{self, ErrorKind, Read};
use std::sync::LazyLock;

use memchr::memchr2_iter;
use memchr::memmem::Finder;

/// A longer line does not hold a row.
pub(crate) const LONGEST: usize = 1 << 20;

/// A segment, and the bytes before and after it.
pub(crate) struct Segment<'a> {
    pub(crate) text: &'a [u8],
    /// A line feed at the start of the file.
    pub(crate) before: u8,
    /// `None` at the end of the file.
    pub(crate) after: Option<u8>,
    /// Whether it contains one of [`MARKS`].
    pub(crate) is_marked: bool,
}

/// Each row, bar or label of a step contains one of these texts; few other lines do. Capitals and small
/// letters: «Entropy», «entropy» and «ENTROPY».
const MARKS: [&str; 9] =
    ["ntropy", "NTROPY", "tep", "{'", "{\"", "{\n", "|", "\u{2500}", "\u{2550}"];

/// Finds marks in the lines of a buffer. Each mark is searched once over the whole buffer, which is several
/// times as fast as a search in each line.
struct Marks {
    next: [usize; MARKS.len()], // the offset of the next occurrence that is known
}

impl Marks {
    fn new() -> Marks {
        Marks { next: [0; MARKS.len()] }
    }

    /// Whether a mark begins in `start..end`. Successive calls have growing offsets.
    fn is_in(&mut self, buffer: &[u8], start: usize, end: usize) -> bool {
        static FINDERS: LazyLock<Vec<Finder<'_>>> = LazyLock::new(|| {
            // Of the characters of boxes only the first two bytes are common to all.
            let bytes = |mark: &'static str| {
                if mark.len() == 3 && !mark.is_ascii() {
                    &mark.as_bytes()[..2]
                } else {
                    mark.as_bytes()
                }
            };
            MARKS.iter().map(|mark| Finder::new(bytes(mark))).collect()
        });
        let mut is_in = false;
        for (next, finder) in self.next.iter_mut().zip(FINDERS.iter()) {
            if *next <= start {
                *next = finder.find(&buffer[start..]).map_or(usize::MAX, |at| start + at + 1);
            }
            is_in |= *next <= end;
        }
        is_in
    }
}

impl Segment<'_> {
    /// Whether it is a whole line.
    pub(crate) fn is_line(&self) -> bool {
        (self.before, self.after) == (b'\n', Some(b'\n'))
    }

    /// Whether it wipes a progress bar by drawing blanks over it.
    pub(crate) fn is_wipe(&self) -> bool {
        (self.before, self.after) == (b'\r', Some(b'\r'))
            && !self.text.is_empty()
            && self.text.iter().all(|b| *b == b' ')
    }
}

/// Calls `each` with every segment, with an empty one in place of a line that is too long. A carriage
/// return before a line feed belongs to the latter. Returns the number of lines that are too long.
pub(crate) fn segments(
    source: &mut dyn Read,
    mut each: impl FnMut(Segment<'_>),
) -> io::Result<usize> {
    let mut buffer = vec![0; LONGEST];
    // The segment begins at `start`; no end of a segment was found before `searched`.
    let (mut start, mut searched, mut end, mut before) = (0, 0, 0, b'\n');
    let (mut too_long, mut skipping) = (0, false);
    let mut is_last = false;
    while !is_last {
        if (start, end) == (0, buffer.len()) && !skipping {
            skipping = true;
            too_long += 1;
        }
        if skipping || start == end {
            (start, searched, end) = (0, 0, 0);
        } else if end == buffer.len() {
            buffer.copy_within(start.., 0);
            (searched, end) = (searched - start, end - start);
            start = 0;
        }
        match source.read(&mut buffer[end..]) {
            Ok(0) => is_last = true,
            Ok(read) => end += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let mut marks = Marks::new();
        let bytes = &buffer[..end];
        let from = std::mem::replace(&mut searched, end);
        for at in memchr2_iter(b'\n', b'\r', &bytes[from..]) {
            let at = from + at;
            if bytes[at] == b'\r' {
                match bytes.get(at + 1) {
                    Some(b'\n') => continue,
                    None if !is_last => {
                        searched = at;
                        continue;
                    }
                    _ => {}
                }
            }
            let text = if std::mem::take(&mut skipping) { &[] } else { &bytes[start..at] };
            let is_marked = !text.is_empty() && marks.is_in(bytes, start, at);
            let is_feed = bytes[at] == b'\n';
            let text = text.strip_suffix(b"\r").filter(|_| is_feed).unwrap_or(text);
            each(Segment { text, before, after: Some(bytes[at]), is_marked });
            (start, before) = (at + 1, bytes[at]);
        }
    }
    let text = if skipping { &[] } else { &buffer[start..end] };
    let is_marked = !text.is_empty() && Marks::new().is_in(&buffer[..end], start, end);
    each(Segment { text, before, after: None, is_marked });
    Ok(too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            self.0 = rest;
            buf[0] = *first;
            Ok(1)
        }
    }

    fn texts(source: &mut dyn Read) -> (Vec<String>, usize) {
        let mut texts = Vec::new();
        let long = segments(source, |p| texts.push(String::from_utf8_lossy(p.text).into_owned()));
        (texts, long.unwrap())
    }

    #[test]
    fn segments_do_not_depend_on_read_sizes() {
        let log = b"one\r two\r\n\nthree";
        let whole = texts(&mut &log[..]);
        assert_eq!(whole.0, ["one", " two", "", "three"]);
        assert_eq!(texts(&mut Drip(log)), whole);
        assert_eq!(texts(&mut &b"bar\r"[..]).0, ["bar", ""]);
    }

    #[test]
    fn overlong_line_is_skipped() {
        let mut log = vec![b'x'; 3 * LONGEST];
        log.extend(b"\nshort\n");
        log.extend(vec![b'y'; LONGEST - 1]);
        log.extend(b"\nlast");
        let (texts, long) = texts(&mut &log[..]);
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        assert_eq!((lengths, long), (vec![0, 5, LONGEST - 1, 4], 1));
    }
}

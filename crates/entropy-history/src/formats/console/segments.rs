//! Splits a stream at line feeds and carriage returns; progress bars overwrite each other with the
//! latter.

use std::io::{self, ErrorKind, Read};

use memchr::memchr2_iter;

/// A longer line does not hold a row.
pub(crate) const LONGEST: usize = 1 << 20;

/// A segment, and the bytes before and after it.
pub(crate) struct Segment<'a> {
    pub(crate) text: &'a [u8],
    /// A line feed at the start of the file.
    pub(crate) before: u8,
    /// `None` at the end of the file.
    pub(crate) after: Option<u8>,
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

/// Calls `each` with every segment, with an empty one in place of a line that is too long. Returns the
/// number of such lines.
pub(crate) fn segments(
    source: &mut dyn Read,
    mut each: impl FnMut(Segment<'_>),
) -> io::Result<usize> {
    let mut buffer = vec![0; LONGEST];
    let (mut start, mut end, mut before) = (0, 0, b'\n');
    let (mut too_long, mut skipping) = (0, false);
    loop {
        if (start, end) == (0, buffer.len()) && !skipping {
            skipping = true;
            too_long += 1;
        }
        if skipping || start == end {
            (start, end) = (0, 0);
        } else if end == buffer.len() {
            buffer.copy_within(start.., 0);
            (start, end) = (0, end - start);
        }
        let fresh = end;
        match source.read(&mut buffer[fresh..]) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        for at in memchr2_iter(b'\n', b'\r', &buffer[fresh..end]) {
            let at = fresh + at;
            let text = if std::mem::take(&mut skipping) { &[] } else { &buffer[start..at] };
            each(Segment { text, before, after: Some(buffer[at]) });
            (start, before) = (at + 1, buffer[at]);
        }
    }
    let text = if skipping { &[] } else { &buffer[start..end] };
    each(Segment { text, before, after: None });
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
        assert_eq!(whole.0, ["one", " two", "", "", "three"]);
        assert_eq!(texts(&mut Drip(log)), whole);
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

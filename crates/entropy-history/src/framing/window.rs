//! A moving window over a stream, for records that are needed in one piece.

use std::io::{self, Read};

const CHUNK: usize = 1 << 18;

/// The bytes that were read and not yet consumed.
pub(crate) struct ByteWindow<'a> {
    source: &'a mut dyn Read,
    bytes: Vec<u8>,
    pos: usize,
    end: usize,
    passed: u64, // bytes before `bytes[0]`
}

impl<'a> ByteWindow<'a> {
    /// A window over a stream that begins `passed` bytes into its file.
    pub(crate) fn at(source: &'a mut dyn Read, passed: u64) -> ByteWindow<'a> {
        ByteWindow { source, bytes: vec![0; CHUNK], pos: 0, end: 0, passed }
    }

    /// The offset in the file of the first byte not yet consumed.
    pub(crate) fn offset(&self) -> u64 {
        self.passed + self.pos as u64
    }

    /// The bytes in the window.
    #[inline]
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.pos..self.end]
    }

    /// Consumes `n` bytes of the window.
    #[inline]
    pub(crate) fn pass(&mut self, n: usize) {
        self.pos += n;
        debug_assert!(self.pos <= self.end);
    }

    /// Reads until the window holds `n` bytes; false if the stream ends before. Memory grows with the
    /// bytes that arrive, never with a declared length.
    #[inline]
    pub(crate) fn fill(&mut self, n: usize) -> io::Result<bool> {
        while self.end - self.pos < n {
            if !self.refill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[cold]
    fn refill(&mut self) -> io::Result<bool> {
        if self.pos > 0 {
            self.bytes.copy_within(self.pos..self.end, 0);
            self.passed += self.pos as u64;
            self.end -= self.pos;
            self.pos = 0;
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(2 * self.end, 0);
        }
        loop {
            match self.source.read(&mut self.bytes[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Consumes `n` bytes without holding them; false if the stream ends before.
    pub(crate) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            if self.pos == self.end && !self.refill()? {
                return Ok(false);
            }
            let here = (self.end - self.pos).min(usize::try_from(n).unwrap_or(usize::MAX));
            self.pos += here;
            n -= here as u64;
        }
        Ok(true)
    }
}

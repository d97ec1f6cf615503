//! Reads ahead: a thread reads the next block of a large file while the last one is being parsed.
//!
//! Mapping the file would save the copy, but crash the program when a trainer truncates the file.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender};

const BLOCK: usize = 1 << 20;
/// Number of blocks read and not yet parsed.
const AHEAD: usize = 4;

/// A reader with its own thread for the source; dropping it ends the thread.
pub struct ReadAhead {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    pos: usize,
}

impl ReadAhead {
    /// Starts reading.
    pub fn new(mut source: impl Read + Send + 'static) -> ReadAhead {
        let (to_parser, full) = mpsc::sync_channel(AHEAD);
        let (empty, from_parser) = mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            loop {
                let mut block = from_parser.try_recv().unwrap_or_default();
                block.clear();
                let read = source.by_ref().take(BLOCK as u64).read_to_end(&mut block);
                let end = !matches!(read, Ok(n) if n > 0);
                if to_parser.send(read.map(|_| block)).is_err() || end {
                    return;
                }
            }
        });
        ReadAhead { full, empty, block: Vec::new(), pos: 0 }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.pos == self.block.len() {
            // The thread has ended after sending the last block or an error: from then on, this is the
            // end.
            let Ok(next) = self.full.recv() else { return Ok(0) };
            let used = std::mem::replace(&mut self.block, next?);
            self.pos = 0;
            let _ = self.empty.send(used); // the thread may have ended
        }
        let n = buf.len().min(self.block.len() - self.pos);
        buf[..n].copy_from_slice(&self.block[self.pos..self.pos + n]);
        self.pos += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 7).map(|i| (i * 31 % 251) as u8).collect();
        let mut read = Vec::new();
        ReadAhead::new(io::Cursor::new(bytes.clone())).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn error_arrives_after_the_bytes_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let mut read = Vec::new();
        let source = io::Cursor::new(vec![1; BLOCK]).chain(Broken);
        let error = ReadAhead::new(source).read_to_end(&mut read).unwrap_err();
        assert_eq!((read.len(), error.to_string().as_str()), (BLOCK, "the disk is gone"));
    }
}

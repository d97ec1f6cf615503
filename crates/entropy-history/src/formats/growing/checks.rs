//! Sums of the bytes that were read, to see whether a file still begins with them.
//!
//! To read a long log again at each look would cost what reading on saves. So the end of what was read is
//! compared at each look, and of what stands before it some blocks in turn.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a block.
const BLOCK: u64 = 64 << 10;
/// Blocks before the last that a look compares.
const IN_TURN: usize = 4;

/// The sums of the first bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Checks {
    blocks: Vec<u32>,
    rest: u32, // of the bytes behind the last whole block
    length: u64,
    next: usize, // the block whose turn it is
}

impl Checks {
    /// Takes note of what the file has up to `length`, which is no less than before.
    pub(super) fn extend(&mut self, file: &mut (impl Read + Seek), length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        let mut buffer = Vec::new();
        let mut start = self.blocks.len() as u64 * BLOCK;
        file.seek(SeekFrom::Start(start))?;
        while length - start >= BLOCK {
            self.blocks.push(sum(file, BLOCK, &mut buffer)?);
            start += BLOCK;
        }
        self.rest = sum(file, length - start, &mut buffer)?;
        self.length = length;
        Ok(())
    }

    /// Whether the file still has the bytes that this look compares.
    pub(super) fn hold(&mut self, file: &mut (impl Read + Seek)) -> io::Result<bool> {
        let mut buffer = Vec::new();
        let count = self.blocks.len();
        let turns = (0..count.min(IN_TURN)).map(|i| (self.next + i) % count);
        let last = count.checked_sub(1).filter(|_| count > IN_TURN);
        for at in turns.chain(last) {
            file.seek(SeekFrom::Start(at as u64 * BLOCK))?;
            if sum(file, BLOCK, &mut buffer)? != self.blocks[at] {
                return Ok(false);
            }
        }
        self.next = (self.next + IN_TURN) % count.max(1);
        let start = count as u64 * BLOCK;
        file.seek(SeekFrom::Start(start))?;
        Ok(sum(file, self.length - start, &mut buffer)? == self.rest)
    }
}

/// The sum of the next bytes, as many as there are up to `length`.
fn sum(file: &mut impl Read, length: u64, buffer: &mut Vec<u8>) -> io::Result<u32> {
    buffer.clear();
    file.take(length).read_to_end(buffer)?;
    Ok(crc32fast::hash(buffer))
}

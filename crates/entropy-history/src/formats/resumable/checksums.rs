//! Checksums of the parsed bytes, to detect whether a file was rewritten.
//!
//! Reading all of a long log again would cost what resuming saves. So each read compares the end of the
//! parsed part, and a few of the blocks before it in rotation.

use std::io::{self, Read, Seek, SeekFrom};

/// Size of a block in bytes.
const BLOCK: u64 = 64 << 10;
/// Number of blocks before the last that each read compares.
const BLOCKS_PER_READ: usize = 4;

/// The checksums of the first bytes of a file.
#[derive(Debug, Default)]
pub(super) struct BlockChecksums {
    blocks: Vec<u32>,
    rest: u32, // of the bytes after the last complete block
    length: u64,
    next: usize, // the block to compare next
}

impl BlockChecksums {
    /// Covers the file up to `length`, which is no less than before.
    pub(super) fn extend(&mut self, file: &mut (impl Read + Seek), length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        let mut buffer = Vec::new();
        let mut start = self.blocks.len() as u64 * BLOCK;
        file.seek(SeekFrom::Start(start))?;
        while length - start >= BLOCK {
            self.blocks.push(checksum(file, BLOCK, &mut buffer)?);
            start += BLOCK;
        }
        self.rest = checksum(file, length - start, &mut buffer)?;
        self.length = length;
        Ok(())
    }

    /// Whether the blocks that this read compares are unchanged.
    pub(super) fn matches(&mut self, file: &mut (impl Read + Seek)) -> io::Result<bool> {
        let mut buffer = Vec::new();
        let count = self.blocks.len();
        let rotation = (0..count.min(BLOCKS_PER_READ)).map(|i| (self.next + i) % count);
        let last = count.checked_sub(1).filter(|_| count > BLOCKS_PER_READ);
        for block in rotation.chain(last) {
            file.seek(SeekFrom::Start(block as u64 * BLOCK))?;
            if checksum(file, BLOCK, &mut buffer)? != self.blocks[block] {
                return Ok(false);
            }
        }
        self.next = (self.next + BLOCKS_PER_READ) % count.max(1);
        let start = count as u64 * BLOCK;
        file.seek(SeekFrom::Start(start))?;
        Ok(checksum(file, self.length - start, &mut buffer)? == self.rest)
    }
}

/// The CRC-32 of the next `length` bytes, or of all that are left.
fn checksum(file: &mut impl Read, length: u64, buffer: &mut Vec<u8>) -> io::Result<u32> {
    buffer.clear();
    file.take(length).read_to_end(buffer)?;
    Ok(crc32fast::hash(buffer))
}

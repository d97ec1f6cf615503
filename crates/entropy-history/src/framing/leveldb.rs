//! LevelDB's log format, as W&B and SwanLab use it for their run files: reader and writer.
//!
//! ```text
//! blocks of 32,768 bytes, the file's header counted in
//! chunk: u32le crc | u16le length | u8 type | data        crc = CRC-32 (IEEE) of type and data
//! type: 1 whole record, 2 first, 3 middle, 4 last part of one
//! fewer than 7 bytes left in a block are zeros
//! ```
//!
//! LevelDB uses a masked CRC-32C, W&B and SwanLab do not. After a chunk with a wrong checksum, reading continues
//! at the next block, as wandb-core does; the damaged record is lost and reported.

use std::io::{self, Read};

use super::window::ByteWindow;
use super::{Damage, Position};

const BLOCK: u64 = 1 << 15;
const HEADER: usize = 7;
/// The longest record that is read, in bytes; a longer one is an uploaded table or a console log, and is skipped.
const LARGEST: usize = 1 << 26;

/// Reads records from a stream.
pub struct LevelDbReader<'a> {
    window: ByteWindow<'a>,
    record: Vec<u8>,
    held: usize, // bytes of the chunk that was returned last
    next: Position,
    number: usize,
    start: u64,
    read: usize,
    damage: Damage,
}

#[derive(Clone, Copy, PartialEq)]
enum ChunkType {
    Full,
    First,
    Middle,
    Last,
}

/// The result of inspecting the next chunk.
enum Chunk {
    Intact(ChunkType, usize),
    Damaged(&'static str),
    Cut,
    End,
}

impl<'a> LevelDbReader<'a> {
    /// Reads from the start of `source`; the first `header` bytes belong to the file format.
    pub fn new(source: &'a mut dyn Read, header: u64) -> io::Result<LevelDbReader<'a>> {
        let mut records = LevelDbReader::resume(source, Position::default());
        records.window.skip(header)?;
        Ok(records)
    }

    /// Reads from `position` on, where `source` begins.
    pub fn resume(source: &'a mut dyn Read, position: Position) -> LevelDbReader<'a> {
        LevelDbReader {
            window: ByteWindow::at(source, position.offset),
            record: Vec::new(),
            held: 0,
            next: position,
            number: position.number,
            start: 0,
            read: 0,
            damage: Damage::default(),
        }
    }

    /// The position after the last complete record, where reading continues when the file has grown.
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next complete record; `None` at the end, or where the file ends inside a record.
    pub fn next_record(&mut self) -> io::Result<Option<&[u8]>> {
        let mut inside = false;
        self.window.pass(std::mem::take(&mut self.held));
        self.next = Position { offset: self.window.offset(), number: self.number };
        loop {
            let start = self.window.offset();
            let (part, length) = match self.chunk()? {
                Chunk::Intact(part, length) => (part, length),
                Chunk::Damaged(what) => {
                    self.damaged(start, what);
                    inside = false;
                    self.window.skip(BLOCK - self.window.offset() % BLOCK)?;
                    continue;
                }
                Chunk::Cut if !inside => {
                    self.damage.cut = Some(format!("record {}, byte {start}", self.number + 1));
                    return Ok(None);
                }
                Chunk::End if !inside => return Ok(None),
                Chunk::Cut | Chunk::End => {
                    let (number, start) = (self.number, self.start);
                    self.damage.cut = Some(format!("record {number}, byte {start}"));
                    return Ok(None);
                }
            };
            if matches!(part, ChunkType::Full | ChunkType::First) {
                if inside {
                    self.damaged(start, "a record begins inside another record");
                }
                self.number += 1;
                self.start = start;
                self.record.clear();
                inside = true;
            }
            if part == ChunkType::Full {
                self.held = HEADER + length;
                self.read += 1;
                return Ok(Some(&self.window.rest()[HEADER..HEADER + length]));
            }
            // Without its first chunk, the rest of a record is useless.
            if inside && self.record.len() <= LARGEST {
                self.record.extend_from_slice(&self.window.rest()[HEADER..HEADER + length]);
            }
            self.window.pass(HEADER + length);
            if part != ChunkType::Last || !inside {
                continue;
            }
            if self.record.len() > LARGEST {
                let start = self.start;
                self.damaged(start, "a record of more than 64 MiB was skipped");
                inside = false;
                continue;
            }
            self.read += 1;
            return Ok(Some(&self.record));
        }
    }

    /// Inspects the next chunk, after the padding of a block.
    fn chunk(&mut self) -> io::Result<Chunk> {
        let left = BLOCK - self.window.offset() % BLOCK;
        if left < HEADER as u64 {
            self.window.skip(left)?;
        }
        let left = BLOCK - self.window.offset() % BLOCK;
        if !self.window.fill(HEADER)? {
            return Ok(if self.window.rest().is_empty() { Chunk::End } else { Chunk::Cut });
        }
        let header = self.window.rest();
        let crc = u32::from_le_bytes(*header.first_chunk().expect("BUG: the header was read"));
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let part = match header[6] {
            1 => ChunkType::Full,
            2 => ChunkType::First,
            3 => ChunkType::Middle,
            4 => ChunkType::Last,
            _ => return Ok(Chunk::Damaged("the type of a chunk is wrong")),
        };
        if (HEADER + length) as u64 > left {
            return Ok(Chunk::Damaged("a chunk is longer than its block"));
        }
        if !self.window.fill(HEADER + length)? {
            return Ok(Chunk::Cut);
        }
        if crc32fast::hash(&self.window.rest()[6..HEADER + length]) != crc {
            return Ok(Chunk::Damaged("the checksum of a chunk is wrong"));
        }
        Ok(Chunk::Intact(part, length))
    }

    fn damaged(&mut self, byte: u64, what: &str) {
        let place = format!("record {}, byte {byte}", self.number + 1);
        self.damage.add(place, &format!("{what}; reading continued after it"));
    }

    /// Number of records returned.
    pub fn read(&self) -> usize {
        self.read
    }

    /// The damage found so far.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// Appends a record to a log, split into as many chunks as it needs. The log starts with the header of
/// the file.
pub fn append_record(log: &mut Vec<u8>, record: &[u8]) {
    let mut rest = record;
    let mut is_first = true;
    loop {
        let left = BLOCK as usize - log.len() % BLOCK as usize;
        if left < HEADER {
            log.resize(log.len() + left, 0);
            continue;
        }
        // If only a header fits, the first chunk has no data, as LevelDB and wandb write it.
        let (data, after) = rest.split_at(rest.len().min(left - HEADER));
        let kind = match (is_first, after.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[kind]);
        crc.update(data);
        log.extend(crc.finalize().to_le_bytes());
        log.extend((data.len() as u16).to_le_bytes());
        log.push(kind);
        log.extend(data);
        if after.is_empty() {
            return;
        }
        (rest, is_first) = (after, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames records according to the format description.
    fn write(records: &[Vec<u8>]) -> Vec<u8> {
        let mut file = vec![0; HEADER];
        for record in records {
            let mut rest = &record[..];
            let mut first = true;
            loop {
                let left = BLOCK as usize - file.len() % BLOCK as usize;
                if left < HEADER {
                    file.resize(file.len() + left, 0);
                    continue;
                }
                let (part, after) = rest.split_at(rest.len().min(left - HEADER));
                let kind = match (first, after.is_empty()) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                let body = [&[kind][..], part].concat();
                file.extend(crc32fast::hash(&body).to_le_bytes());
                file.extend((part.len() as u16).to_le_bytes());
                file.extend(body);
                (rest, first) = (after, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        file
    }

    fn read(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Damage) {
        let mut records = LevelDbReader::new(&mut bytes, HEADER as u64).unwrap();
        let mut found = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            found.push(record.to_vec());
        }
        (found, records.damage().clone())
    }

    fn sample() -> Vec<Vec<u8>> {
        let length = |n: usize| (0..n).map(|i| (i * 7 % 251) as u8).collect();
        // The second record leaves exactly 7 bytes in its block, so that the third begins with an empty
        // chunk.
        vec![
            length(100),
            length(32_768 - 7 - 107 - 7 - 7),
            length(10),
            length(80_000),
            vec![],
            length(3),
        ]
    }

    #[test]
    fn records_span_blocks() {
        let (found, damage) = read(&write(&sample()));
        assert!(found == sample());
        assert_eq!(damage, Damage::default());
    }

    #[test]
    fn reading_continues_at_next_block_after_damage() {
        let mut bytes = write(&sample());
        bytes[50] ^= 4;
        let (found, damage) = read(&bytes);
        assert!(found == sample()[3..], "all that touches block 0 is lost");
        assert_eq!(damage.places, 1);
        assert_eq!(damage.first.unwrap().0, "record 1, byte 7");
    }

    #[test]
    fn truncated_log_keeps_complete_records() {
        let bytes = write(&sample());
        for length in (HEADER..bytes.len()).step_by(131).chain([2 * BLOCK as usize]) {
            let (found, damage) = read(&bytes[..length]);
            assert!(sample().starts_with(&found), "{length}");
            assert_eq!(damage.places, 0, "{length}");
        }
        let (_, damage) = read(&bytes[..2 * BLOCK as usize]);
        assert_eq!(damage.cut.unwrap(), "record 4, byte 32785");
    }

    #[test]
    fn damage_anywhere_never_invents_a_record() {
        let bytes = write(&sample());
        for at in (HEADER..bytes.len()).step_by(1009) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let (found, _) = read(&damaged);
            assert!(found.iter().all(|record| sample().contains(record)), "{at}");
        }
    }
}

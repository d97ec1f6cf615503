//! TFRecord: length, masked CRC-32C of the length, data, masked CRC-32C of the data. Reader and writer.
//!
//! ```text
//! u64le length | u32le mask(crc32c(length)) | data | u32le mask(crc32c(data))
//! mask(c) = rotate_right(c, 15) + 0xa282ead8
//! ```
//!
//! A record with a wrong checksum of its data is skipped. A wrong checksum of a length leaves the start
//! of the next record unknown: the reader searches for the next place with a valid length. (TensorFlow,
//! `lib/io/record_writer.h`.)

use std::io::{self, Read};

use super::window::ByteWindow;
use super::{Damage, Position};

const HEADER: usize = 12;
const FOOTER: usize = 4;
/// The longest record that is read, in bytes; a longer one is an image or a graph, and is skipped.
const LARGEST: u64 = 1 << 26;

/// Reads records from a stream.
pub struct TfRecordReader<'a> {
    window: ByteWindow<'a>,
    held: usize, // bytes of the record that was returned last
    next: Position,
    number: usize,
    read: usize,
    damage: Damage,
}

/// The checksum as stored in the file. It is masked, because the CRC of data that contains CRCs is
/// weak.
pub fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Whether a file starts with the length of a record and its checksum.
pub fn begins(head: &[u8]) -> bool {
    length(head).is_some()
}

/// The length at the start of `bytes`, if its checksum is correct.
#[inline]
fn length(bytes: &[u8]) -> Option<u64> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let crc = rest.first_chunk::<4>()?;
    (masked_crc(length) == u32::from_le_bytes(*crc)).then(|| u64::from_le_bytes(*length))
}

impl<'a> TfRecordReader<'a> {
    /// Reads from the start of `source`.
    pub fn new(source: &'a mut dyn Read) -> TfRecordReader<'a> {
        TfRecordReader::resume(source, Position::default())
    }

    /// Reads from `position` on, where `source` begins.
    pub fn resume(source: &'a mut dyn Read, position: Position) -> TfRecordReader<'a> {
        TfRecordReader {
            window: ByteWindow::at(source, position.offset),
            held: 0,
            next: position,
            number: position.number,
            read: 0,
            damage: Damage::default(),
        }
    }

    /// The position after the last complete record, where reading continues when the file has grown.
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next complete record; `None` at the end, or where the file ends inside a record.
    #[inline]
    pub fn next_record(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.window.pass(std::mem::take(&mut self.held));
            self.next = Position { offset: self.window.offset(), number: self.number };
            if !self.window.fill(HEADER)? {
                if !self.window.rest().is_empty() {
                    self.damage.cut = Some(self.place(self.number + 1));
                }
                return Ok(None);
            }
            let Some(length) = length(self.window.rest()) else {
                let place = self.place(self.number + 1);
                self.damage.add(place, "the checksum of the length is wrong; the rest was searched for complete records");
                if !self.find_next()? {
                    return Ok(None);
                }
                continue;
            };
            self.number += 1;
            if length > LARGEST {
                let place = self.place(self.number);
                self.damage.add(place.clone(), "a record of more than 64 MiB was skipped");
                if !self.window.skip(length.saturating_add((HEADER + FOOTER) as u64))? {
                    self.damage.cut = Some(place);
                    return Ok(None);
                }
                continue;
            }
            let end = HEADER + length as usize;
            if !self.window.fill(end + FOOTER)? {
                self.damage.cut = Some(self.place(self.number));
                return Ok(None);
            }
            if !data_matches(self.window.rest(), end) {
                let place = self.place(self.number);
                self.damage.add(place, "the checksum of the data is wrong; the record was skipped");
                self.window.pass(end + FOOTER);
                continue;
            }
            self.held = end + FOOTER;
            self.read += 1;
            return Ok(Some(&self.window.rest()[HEADER..end]));
        }
    }

    /// Advances to the next place with a valid length.
    fn find_next(&mut self) -> io::Result<bool> {
        loop {
            self.window.pass(1);
            if !self.window.fill(HEADER)? {
                return Ok(false);
            }
            // Checking the data too would take quadratic time.
            if length(self.window.rest()).is_some_and(|length| length <= LARGEST) {
                return Ok(true);
            }
        }
    }

    /// Describes the position of the record that begins here.
    fn place(&self, number: usize) -> String {
        format!("record {number}, byte {}", self.window.offset())
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

#[inline]
fn data_matches(bytes: &[u8], end: usize) -> bool {
    let crc = bytes[end..].first_chunk::<4>().expect("BUG: the footer was read");
    masked_crc(&bytes[HEADER..end]) == u32::from_le_bytes(*crc)
}

/// Appends a record to a file.
pub fn append_record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked_crc(data).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        append_record(&mut file, data);
        file
    }

    fn read(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Damage) {
        let mut records = TfRecordReader::new(&mut bytes);
        let mut found = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            found.push(record.to_vec());
        }
        (found, records.damage().clone())
    }

    #[test]
    fn masked_checksum_equals_tensorflow() {
        // crc32c("123456789") is 0xe3069283 (RFC 3720); masked by hand.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
    }

    #[test]
    fn damaged_record_is_skipped_and_reported() {
        let mut bytes = [record(b"one"), record(b"two"), record(b"three")].concat();
        bytes[19 + 13] ^= 1; // in the data of the second
        let (found, damage) = read(&bytes);
        assert_eq!(found, [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!((damage.places, damage.cut), (1, None));
        assert_eq!(damage.first.unwrap().0, "record 2, byte 19");
    }

    #[test]
    fn reading_continues_after_damaged_length() {
        let mut bytes = [record(b"one"), record(b"two"), record(b"three")].concat();
        bytes[19] ^= 1; // in the length of the second
        let (found, damage) = read(&bytes);
        assert_eq!(found, [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(damage.places, 1);
    }

    #[test]
    fn length_beyond_end_of_file_is_truncation() {
        for length in [u64::MAX / 2, u64::MAX - 15, u64::MAX] {
            let length = length.to_le_bytes();
            let head = [&length[..], &masked_crc(&length).to_le_bytes()].concat();
            let bytes = [record(b"one"), head, record(b"two")].concat();
            let (found, damage) = read(&bytes);
            assert_eq!(found.len(), 1);
            assert!(damage.cut.is_some());
        }
    }

    #[test]
    fn truncation_at_any_byte_keeps_complete_records() {
        let bytes = [record(b"one"), record(b""), record(&[7; 300])].concat();
        for length in 0..bytes.len() {
            let whole = [19, 35].iter().filter(|end| length >= **end).count();
            let (found, damage) = read(&bytes[..length]);
            assert_eq!(found.len(), whole, "{length}");
            assert_eq!(damage.cut.is_some(), ![0, 19, 35].contains(&length), "{length}");
        }
    }
}

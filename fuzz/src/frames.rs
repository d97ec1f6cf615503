//! Framing with valid checksums, which a fuzzer cannot guess; without them the code behind is never reached.

use crate::framing::tfrecord::masked_crc;

const BLOCK: usize = 1 << 15;
const CHUNK: usize = 7; // checksum, length, type
/// The header of a W&B run file, version 0.
pub const WANDB: [u8; 7] = *b":W&B\xe1\xbe\0";
/// The header of a SwanLab run file, without its version.
pub const SWANLAB: [u8; 6] = *b":SWL\xd6\xe1";

/// A TFRecord.
pub fn tfrecord(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let (crc, of_data) = (masked_crc(&length).to_le_bytes(), masked_crc(data).to_le_bytes());
    [&length[..], &crc, data, &of_data].concat()
}

/// Corrects the checksums of TFRecords; lengths and data stay as they are.
pub fn right_tfrecords(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk_mut::<8>() {
        let Some((crc, data)) = behind.split_first_chunk_mut::<4>() else { return };
        *crc = masked_crc(length).to_le_bytes();
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((data, footer)) = data.split_at_mut_checked(length) else { return };
        let Some((crc, next)) = footer.split_first_chunk_mut::<4>() else { return };
        *crc = masked_crc(data).to_le_bytes();
        rest = next;
    }
}

/// Appends a record to a W&B run file, split into chunks.
pub fn append_chunks(file: &mut Vec<u8>, record: &[u8]) {
    let mut rest = record;
    let mut is_first = true;
    loop {
        let left = BLOCK - file.len() % BLOCK;
        if left < CHUNK {
            file.resize(file.len() + left, 0);
            continue;
        }
        let (data, after) = rest.split_at(rest.len().min(left - CHUNK));
        let kind = match (is_first, after.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let body = [&[kind][..], data].concat();
        file.extend(crc32fast::hash(&body).to_le_bytes());
        file.extend((data.len() as u16).to_le_bytes());
        file.extend(body);
        if after.is_empty() {
            return;
        }
        (rest, is_first) = (after, false);
    }
}

/// Corrects the header and the checksums of a run file; lengths and types stay as they are.
pub fn right_chunks(bytes: &mut [u8], header: [u8; 7]) {
    if let Some(start) = bytes.first_chunk_mut::<7>() {
        *start = header;
    }
    let mut at = WANDB.len();
    while at + CHUNK <= bytes.len() {
        let end = at + CHUNK + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let block = at - at % BLOCK + BLOCK;
        if end > block.min(bytes.len()) || !(1..=4).contains(&bytes[at + 6]) {
            at = block;
            continue;
        }
        let crc = crc32fast::hash(&bytes[at + 6..end]);
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        at = if block - end < CHUNK { block } else { end };
    }
}

/// Writes protocol buffers.
pub mod proto {
    fn varint(message: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            message.push(value as u8 | 0x80);
            value >>= 7;
        }
        message.push(value as u8);
    }

    /// Appends an integer field.
    pub fn integer(message: &mut Vec<u8>, field: u8, value: u64) {
        varint(message, u64::from(field) << 3);
        varint(message, value);
    }

    /// Appends a field of eight bytes.
    pub fn double(message: &mut Vec<u8>, field: u8, value: f64) {
        varint(message, u64::from(field) << 3 | 1);
        message.extend(value.to_le_bytes());
    }

    /// Appends a field of four bytes.
    pub fn float(message: &mut Vec<u8>, field: u8, value: f32) {
        varint(message, u64::from(field) << 3 | 5);
        message.extend(value.to_le_bytes());
    }

    /// Appends a message, a string or packed numbers.
    pub fn bytes(message: &mut Vec<u8>, field: u8, value: &[u8]) {
        varint(message, u64::from(field) << 3 | 2);
        varint(message, value.len() as u64);
        message.extend(value);
    }
}

//! Bounds of the memory that an Arrow file may take: its sizes are checked before the library allocates what they claim,
//! and the values of its rows are counted while they are read, as a dictionary can repeat a long text for every row.
//!
//! A stream is a list of messages: the marker `ffffffff`, the length of the metadata (i32), the metadata (a flatbuffer),
//! and the body. A compressed buffer of a body begins with its unpacked length (i64).
//! Layout: <https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>

use std::io::{Read, Seek, SeekFrom};

use arrow_ipc::{MessageHeader, RecordBatch, root_as_message};
use serde_json::{Map, Value as Json};

use super::raw::PromptError;

/// Memory in bytes that the rows of any file may take, however small the file is.
const ALWAYS_ALLOWED: u64 = 512 << 20;
/// Rows of a larger file may take its size times this.
const MAX_RATIO: u64 = 50;
/// Maximum size of the unpacked body of a batch, and of all dictionaries together. `datasets` writes 1,000 rows at once.
const MAX_BODY: u64 = 512 << 20;
/// Maximum size of the metadata of a message.
const MAX_METADATA: u64 = 16 << 20;
/// Memory per value, without its text.
const VALUE_SIZE: u64 = 80;
/// Memory per column of a row, without its name and value.
const KEY_SIZE: u64 = 48;

/// The memory that is left for the rows of a file.
pub(super) struct Budget {
    left: u64,
    size: u64,
}

/// The rows of a file take too much memory.
#[derive(Debug)]
pub(super) struct Exhausted {
    size: u64,
}

impl Budget {
    /// The budget of a file of `size` bytes.
    pub(super) fn of(size: u64) -> Budget {
        Budget { left: limit(size), size }
    }

    /// Takes a value with `bytes` of text.
    pub(super) fn take_value(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.take(VALUE_SIZE.saturating_add(bytes as u64))
    }

    /// Takes a row with these columns.
    pub(super) fn take_row(&mut self, columns: &Map<String, Json>) -> Result<(), Exhausted> {
        let column = |name: &String| name.len() as u64 + KEY_SIZE + VALUE_SIZE;
        self.take(VALUE_SIZE + columns.keys().map(column).sum::<u64>())
    }

    fn take(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(bytes).ok_or(Exhausted { size: self.size })?;
        Ok(())
    }
}

impl From<Exhausted> for PromptError {
    fn from(Exhausted { size }: Exhausted) -> PromptError {
        let mib = limit(size) >> 20;
        PromptError::Format(format!("its {size} bytes unpack to more than {mib} MiB"))
    }
}

fn limit(size: u64) -> u64 {
    ALWAYS_ALLOWED.max(size.saturating_mul(MAX_RATIO))
}

/// Checks the sizes in all messages of the stream that begins at `start` of a file of `size` bytes.
pub(super) fn check<R: Read + Seek>(
    file: &mut R,
    start: u64,
    size: u64,
) -> Result<(), PromptError> {
    let (mut at, mut dictionaries) = (start, 0_u64);
    let mut metadata = Vec::new();
    // A stream may end without its end marker.
    while size.saturating_sub(at) >= 4 {
        file.seek(SeekFrom::Start(at))?;
        let mut length = u32_of(file)?;
        at += 4;
        if length == u32::MAX {
            if size - at < 4 {
                return Err(invalid("it is cut off"));
            }
            length = u32_of(file)?;
            at += 4;
        }
        if length == 0 {
            return Ok(());
        }
        let length = u64::from(length);
        if length > size - at {
            return Err(invalid("it is cut off"));
        }
        if length > MAX_METADATA {
            let (mib, limit) = (length >> 20, MAX_METADATA >> 20);
            return Err(invalid(&format!(
                "the metadata of a message has {mib} MiB, more than {limit} MiB"
            )));
        }
        metadata.clear();
        file.by_ref().take(length).read_to_end(&mut metadata)?;
        at += length;
        let message = root_as_message(&metadata)
            .map_err(|_| invalid(&format!("the message before byte {at} is damaged")))?;
        let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
        if body > size - at {
            return Err(invalid("it is cut off"));
        }
        let unpacked = |file: &mut R, batch: Option<RecordBatch<'_>>| {
            batch.map_or(Ok(0), |batch| unpacked(file, at, body, batch))
        };
        match message.header_type() {
            MessageHeader::RecordBatch => {
                let unpacked = unpacked(file, message.header_as_record_batch())?;
                at_most(unpacked.max(body), "a batch unpacks")?;
            }
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().and_then(|batch| batch.data());
                let unpacked = unpacked(file, batch)?;
                dictionaries = dictionaries.saturating_add(unpacked.max(body));
                at_most(dictionaries, "its dictionaries unpack")?;
            }
            _ => {}
        }
        at += body;
    }
    Ok(())
}

/// The size in bytes of the buffers of a batch once they are unpacked; its body begins at `start`.
fn unpacked<R: Read + Seek>(
    file: &mut R,
    start: u64,
    body: u64,
    batch: RecordBatch<'_>,
) -> Result<u64, PromptError> {
    if batch.compression().is_none() {
        return Ok(body);
    }
    let mut sum = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let offset = u64::try_from(buffer.offset()).unwrap_or(u64::MAX);
        if buffer.length() < 8 || offset.saturating_add(8) > body {
            continue;
        }
        file.seek(SeekFrom::Start(start + offset))?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        // −1 marks a buffer that is stored as it is.
        let length = match i64::from_le_bytes(length) {
            -1 => u64::try_from(buffer.length()).unwrap_or(u64::MAX),
            length => u64::try_from(length).unwrap_or(u64::MAX),
        };
        sum = sum.saturating_add(length);
    }
    Ok(sum)
}

fn at_most(bytes: u64, what: &str) -> Result<(), PromptError> {
    if bytes <= MAX_BODY {
        return Ok(());
    }
    let (mib, limit) = (bytes >> 20, MAX_BODY >> 20);
    Err(PromptError::Format(format!("{what} to {mib} MiB, more than {limit} MiB")))
}

fn u32_of<R: Read>(file: &mut R) -> Result<u32, PromptError> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// The error of a file that is not valid.
pub(super) fn invalid(reason: &str) -> PromptError {
    PromptError::Format(format!("it is not a valid Arrow file: {reason}"))
}

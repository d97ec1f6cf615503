//! TensorBoard's event files, `events.out.tfevents.<seconds>.<host>…`: TFRecords of `Event` messages.
//!
//! ```text
//! Event   1 wall_time double | 2 step int64 | 3 file_version string | 5 summary | 7 session_log {1 status}
//! Summary 1 value, repeated:   1 tag | 2 simple_value float | 8 tensor | 9 metadata
//! Tensor  1 dtype | 2 shape | 4 content | 5 float_val | 6 double_val | 7 int_val | 10 int64_val
//! ```
//!
//! torch writes `simple_value`, a 32-bit float, or with `new_style` a tensor; TensorFlow 2 writes
//! tensors. Step 0 is not written at all. A writer that resumes may log a session that starts at a
//! step (`purge_step`): what was logged from it on is void. (`tensorflow/core/util/event.proto`, `framework/summary.proto`.)

use std::io::Read;

use super::book::{Book, ColumnId, Lacking};
use super::frame::protobuf::{Fields, Malformed, Wire, varint};
use super::frame::tfrecord::{self, Records};
use super::frame::{Damage, Position};
use super::{Confidence, Format, Growth, Head, ReadError, note_damage};

pub(super) const FORMAT: Format = Format {
    name: "tensorboard",
    about: "TensorBoard event files, and directories of them",
    recognised_by: "TFRecord framing with its checksum",
    metrics: &["policy/entropy", "actor/entropy", "train/entropy"],
    recognise,
    read,
    growth: |_| Growth::Events,
};

/// `SessionLog.START`.
const SESSION_START: u64 = 1;

fn recognise(head: &Head<'_>) -> Confidence {
    if tfrecord::begins(head.bytes) {
        Confidence::Certain
    } else if head.is_named(|name| name.contains(".tfevents.")) {
        Confidence::Likely // the first record may be the damaged one
    } else {
        Confidence::No
    }
}

fn read(_: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    let mut events = Events::new(book);
    let damage = events.read(source, book)?;
    if events.read == 0 && damage.places > 0 {
        let what = "no record in it has a right checksum; it is no event file".to_owned();
        return Err(ReadError::Record { place: "record 1, byte 0".to_owned(), what });
    }
    events.end(&damage, book);
    Ok(())
}

/// An event file as read so far.
#[derive(Clone)]
pub(super) struct Events {
    clock: Option<ColumnId>,
    read: usize,
    malformed: usize,
    at: Position,
}

impl Events {
    /// Nothing was read yet.
    pub(super) fn new(book: &mut Book<'_>) -> Events {
        book.lacking(Lacking::Meant);
        let at = Position::default();
        Events { clock: book.clock("wall_time"), read: 0, malformed: 0, at }
    }

    /// Reads the whole records of `source`, which begins where the last reading came to.
    pub(super) fn read(
        &mut self,
        source: &mut dyn Read,
        book: &mut Book<'_>,
    ) -> Result<Damage, ReadError> {
        let mut records = Records::resume(source, self.at);
        while let Some(record) = records.next_record()? {
            self.malformed += usize::from(event(record, self.clock, book).is_err());
        }
        self.read += records.read();
        self.at = records.position();
        Ok(records.damage().clone())
    }

    /// Where the next reading begins.
    pub(super) fn offset(&self) -> u64 {
        self.at.offset
    }

    /// Tells what was odd, at the end of the log.
    pub(super) fn end(&self, damage: &Damage, book: &mut Book<'_>) {
        let wrong = "whose checksum is right, but which is no event";
        note_damage(book, damage, self.read, (self.malformed, wrong));
    }
}

fn event(record: &[u8], clock: Option<ColumnId>, book: &mut Book<'_>) -> Result<(), Malformed> {
    let mut wall_time = 0.0;
    let mut step = 0; // not written when 0
    let mut summary = None;
    let mut session: &[u8] = b"";
    for field in Fields::new(record) {
        match field? {
            (1, Wire::Fixed64(bits)) => wall_time = f64::from_bits(bits),
            (2, Wire::Varint(value)) => step = value as i64,
            (5, Wire::Bytes(bytes)) => summary = Some(bytes),
            (7, Wire::Bytes(bytes)) => session = bytes,
            _ => {}
        }
    }
    for field in Fields::new(session) {
        if field? == (1, Wire::Varint(SESSION_START)) {
            book.take_back_to(step as f64);
        }
    }
    for field in Fields::new(summary.unwrap_or_default()) {
        if let (1, Wire::Bytes(value)) = field? {
            let is_wanted = self::value(value, step as f64, book)?;
            if let (true, Some(clock)) = (is_wanted, clock) {
                book.push(clock, step as f64, wall_time);
            }
        }
    }
    Ok(())
}

/// Takes a value; whether it is of a series that is wanted.
fn value(message: &[u8], step: f64, book: &mut Book<'_>) -> Result<bool, Malformed> {
    let mut tag: &[u8] = b"";
    let mut number = None;
    for field in Fields::new(message) {
        match field? {
            (1, Wire::Bytes(bytes)) => tag = bytes,
            (2, Wire::Fixed32(bits)) => number = Some(f64::from(f32::from_bits(bits))),
            (8, Wire::Bytes(tensor)) => number = number.or(scalar(tensor)?),
            _ => {}
        }
    }
    let Some(number) = number else { return Ok(false) };
    let Ok(Some(column)) = book.column_of_bytes(tag) else { return Ok(false) };
    book.push(column, step, number);
    Ok(book.is_wanted(column))
}

/// The number that a tensor holds, if it holds one alone.
fn scalar(message: &[u8]) -> Result<Option<f64>, Malformed> {
    let mut dtype = 0;
    let mut content: &[u8] = b"";
    let mut numbers = (0, None); // how many, and the first
    let mut count = |n: usize, first: Option<f64>| numbers = (numbers.0 + n, numbers.1.or(first));
    for field in Fields::new(message) {
        match field? {
            (1, Wire::Varint(value)) => dtype = value,
            (2, Wire::Bytes(shape)) if elements(shape)? != 1 => return Ok(None),
            (4, Wire::Bytes(bytes)) => content = bytes,
            (5, Wire::Fixed32(bits)) => count(1, Some(f64::from(f32::from_bits(bits)))),
            (5, Wire::Bytes(packed)) => count(packed.len() / 4, float(packed)),
            (6, Wire::Fixed64(bits)) => count(1, Some(f64::from_bits(bits))),
            (6, Wire::Bytes(packed)) => count(packed.len() / 8, double(packed)),
            (7 | 10, Wire::Varint(value)) => count(1, Some(value as i64 as f64)),
            (7 | 10, Wire::Bytes(packed)) => {
                let (value, rest) = varint(packed).ok_or(Malformed)?;
                count(if rest.is_empty() { 1 } else { 2 }, Some(value as i64 as f64));
            }
            _ => {}
        }
    }
    Ok(match (numbers, dtype, content.len()) {
        ((1, first), _, _) => first,
        ((0, _), 1, 4) => float(content),
        ((0, _), 2, 8) => double(content),
        ((0, _), 3, 4) => content.first_chunk().map(|b| f64::from(i32::from_le_bytes(*b))),
        ((0, _), 9, 8) => content.first_chunk().map(|b| i64::from_le_bytes(*b) as f64),
        _ => None,
    })
}

/// How many elements a tensor of that shape has.
fn elements(shape: &[u8]) -> Result<i64, Malformed> {
    let mut elements: i64 = 1;
    for field in Fields::new(shape) {
        let (2, Wire::Bytes(dimension)) = field? else { continue };
        let mut size = 0;
        for field in Fields::new(dimension) {
            if let (1, Wire::Varint(value)) = field? {
                size = value as i64;
            }
        }
        elements = elements.saturating_mul(size);
    }
    Ok(elements)
}

fn float(bytes: &[u8]) -> Option<f64> {
    bytes.first_chunk().map(|b| f64::from(f32::from_le_bytes(*b)))
}

fn double(bytes: &[u8]) -> Option<f64> {
    bytes.first_chunk().map(|b| f64::from_le_bytes(*b))
}

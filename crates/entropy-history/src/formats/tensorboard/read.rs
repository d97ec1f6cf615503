//! Reads event files: `Event` messages in TFRecord framing.

use std::io::Read;

use crate::formats::reader_api::{
    ColumnId, Confidence, Head, MissingMetric, ReadError, RecordReader, SeriesBuilder, damage_notes,
};
use crate::framing::protobuf::{Fields, Malformed, Wire, varint};
use crate::framing::tfrecord::{self, TfRecordReader};
use crate::framing::{Damage, Position};

/// `SessionLog.START`.
const SESSION_START: u64 = 1;

pub(super) fn recognise(head: &Head<'_>) -> Confidence {
    if tfrecord::begins(head.bytes) {
        Confidence::Certain
    } else if head.is_named(|name| name.contains(".tfevents.")) {
        Confidence::Likely // the first record may be damaged
    } else {
        Confidence::No
    }
}

pub(super) fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let mut events = EventFileReader::new(builder);
    let damage = events.read(source, builder)?;
    if events.read == 0 && damage.places > 0 {
        let what = "no record in it has a valid checksum; it is not an event file".to_owned();
        return Err(ReadError::Record { place: "record 1, byte 0".to_owned(), what });
    }
    events.finish(&damage, builder);
    Ok(())
}

pub(super) fn new_reader(
    _: &Head<'_>,
    builder: &mut SeriesBuilder<'_>,
) -> Result<Box<dyn RecordReader>, ReadError> {
    Ok(Box::new(EventFileReader::new(builder)))
}

/// Reads an event file, of which a part may have been read before.
struct EventFileReader {
    clock: Option<ColumnId>,
    read: usize,
    malformed: usize,
    position: Position,
}

impl EventFileReader {
    fn new(builder: &mut SeriesBuilder<'_>) -> EventFileReader {
        builder.missing_metric(MissingMetric::Expected);
        let clock = builder.clock("wall_time");
        EventFileReader { clock, read: 0, malformed: 0, position: Position::default() }
    }
}

impl RecordReader for EventFileReader {
    fn read(
        &mut self,
        source: &mut dyn Read,
        builder: &mut SeriesBuilder<'_>,
    ) -> Result<Damage, ReadError> {
        let mut records = TfRecordReader::resume(source, self.position);
        while let Some(record) = records.next_record()? {
            self.malformed += usize::from(read_event(record, self.clock, builder).is_err());
        }
        self.read += records.read();
        self.position = records.position();
        Ok(records.damage().clone())
    }

    fn offset(&self) -> u64 {
        self.position.offset
    }

    fn finish(&self, damage: &Damage, builder: &mut SeriesBuilder<'_>) {
        let wrong = "with a valid checksum that are not events";
        builder.notes(damage_notes(damage, self.read, (self.malformed, wrong)));
        builder.number_points_without_steps();
    }
}

fn read_event(
    record: &[u8],
    clock: Option<ColumnId>,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), Malformed> {
    let mut wall_time = 0.0;
    let mut step = 0; // a step of 0 is not written
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
            builder.purge_from(step as f64);
        }
    }
    for field in Fields::new(summary.unwrap_or_default()) {
        if let (1, Wire::Bytes(value)) = field? {
            let is_selected = read_value(value, step as f64, builder)?;
            if let (true, Some(clock)) = (is_selected, clock) {
                builder.push(clock, step as f64, wall_time);
            }
        }
    }
    Ok(())
}

/// Reads one value of a summary; returns whether it belongs to a selected series.
fn read_value(
    message: &[u8],
    step: f64,
    builder: &mut SeriesBuilder<'_>,
) -> Result<bool, Malformed> {
    let mut tag: &[u8] = b"";
    let (mut number, mut has_tensor) = (None, false);
    for field in Fields::new(message) {
        match field? {
            (1, Wire::Bytes(bytes)) => tag = bytes,
            (2, Wire::Fixed32(bits)) => number = Some(f64::from(f32::from_bits(bits))),
            (8, Wire::Bytes(tensor)) => {
                has_tensor = true;
                number = number.or(scalar(tensor)?);
            }
            _ => {}
        }
    }
    let Some(number) = number else {
        if has_tensor {
            builder.push_nested(tag, step);
        }
        return Ok(false);
    };
    let Ok(Some(column)) = builder.column_of_bytes(tag) else { return Ok(false) };
    builder.push(column, step, number);
    Ok(builder.is_selected(column))
}

/// The number in a tensor of one element; `None` for other tensors.
fn scalar(message: &[u8]) -> Result<Option<f64>, Malformed> {
    let mut dtype = 0;
    let mut content: &[u8] = b"";
    let mut numbers = (0, None); // how many values, and the first
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

/// Number of elements of a tensor with this shape.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{self, Log, Source};
    use crate::framing::protobuf::Message;
    use crate::select::SeriesSelector;

    /// A log with an entropy and a reward per step; `None` is a text in place of the reward.
    fn log(rewards: &[Option<f32>]) -> Log {
        let mut file = Vec::new();
        let mut add = |step: i64, value: &Message| {
            let summary = Message::new().message(1, value);
            let event = Message::new().double(1, 1e9).integer(2, step).message(5, &summary);
            tfrecord::append_record(&mut file, event.bytes());
        };
        for (step, reward) in (1..).zip(rewards) {
            add(step, &Message::new().text(1, "train/entropy").float(2, 1.5));
            // DT_STRING and string_val, as SummaryWriter.add_text writes them.
            let text = Message::new().integer(1, 7).text(8, "good");
            let value = Message::new().text(1, "reward");
            add(
                step,
                &reward.map_or(value, |reward| Message::new().text(1, "reward").float(2, reward)),
            );
            if reward.is_none() {
                add(step, &Message::new().text(1, "reward").message(8, &text));
            }
        }
        let selector = SeriesSelector::default_keys();
        let selector = selector.with_quantities(&[vec!["reward".to_owned()]]).unwrap();
        let source = Source { reader: &mut &file[..], path: None };
        formats::read(source, None, &selector).unwrap().1
    }

    #[test]
    fn texts_among_the_values_of_a_quantity_are_values_that_are_not_numbers() {
        let found = log(&[Some(0.5), None, Some(0.25)]);
        let rows = &found.series[0].quantities[0].rows;
        let finite: Vec<bool> = rows.iter().map(|(_, value)| value.is_finite()).collect();
        assert_eq!(finite, [true, false, true]);
        assert_eq!(found.series[0].points.len(), 3);
        // A tag that only has texts is no quantity.
        assert!(log(&[None, None]).series[0].quantities.is_empty());
    }
}

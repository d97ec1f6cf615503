//! Records of version 2: Protocol Buffers messages.

use crate::formats::reader_api::{ColumnId, SeriesBuilder};
use crate::formats::run_file::RunRecords;
use crate::framing::protobuf::{Fields, Malformed, Wire};

/// What was read of a run.
pub(super) struct Run {
    clock: Option<ColumnId>,
    finished: bool,
}

impl Run {
    /// A run of which nothing was read; `clock` is the series of times, if one is requested.
    pub(super) fn new(clock: Option<ColumnId>) -> Run {
        Run { clock, finished: false }
    }

    fn scalar(&self, message: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        // proto3 leaves out zeros: a step or a value without a field is 0.
        let (mut column, mut step, mut time, mut value) = (None, 0, &[][..], None);
        for field in Fields::new(message) {
            match field? {
                (1, Wire::Bytes(key)) => {
                    column = builder.column_of_bytes(key).map_err(|_| Malformed)?;
                    if column.is_none() {
                        return Ok(());
                    }
                }
                (2, Wire::Varint(number)) => step = number as i64,
                (4, Wire::Bytes(timestamp)) => time = timestamp,
                (5, Wire::Bytes(number)) => value = Some(double(number)?),
                _ => {}
            }
        }
        // Without a value, it is of a kind that is not a number.
        let Some((column, value)) = column.zip(value) else { return Ok(()) };
        builder.push(column, step as f64, value);
        if let (Some(clock), true) = (self.clock, builder.is_selected(column)) {
            builder.push(clock, step as f64, unix_seconds(time)?);
        }
        Ok(())
    }
}

impl RunRecords for Run {
    fn record(&mut self, record: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        for field in Fields::new(record) {
            match field? {
                (10, Wire::Bytes(start)) => name(start, builder)?,
                (11, Wire::Bytes(_)) => self.finished = true,
                (13, Wire::Bytes(scalar)) => self.scalar(scalar, builder)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&self, builder: &mut SeriesBuilder<'_>) {
        if !self.finished {
            super::note_running(builder);
        }
    }
}

fn name(start: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
    let (mut name, mut id) = (&[][..], &[][..]);
    for field in Fields::new(start) {
        match field? {
            (4, Wire::Bytes(text)) => name = text,
            (10, Wire::Bytes(text)) => id = text,
            _ => {}
        }
    }
    let name = if name.is_empty() { id } else { name };
    builder.name_run(std::str::from_utf8(name).map_err(|_| Malformed)?);
    Ok(())
}

fn double(message: &[u8]) -> Result<f64, Malformed> {
    let mut value = 0.0;
    for field in Fields::new(message) {
        if let (1, Wire::Fixed64(bits)) = field? {
            value = f64::from_bits(bits);
        }
    }
    Ok(value)
}

fn unix_seconds(timestamp: &[u8]) -> Result<f64, Malformed> {
    let mut time = 0.0;
    for field in Fields::new(timestamp) {
        match field? {
            (1, Wire::Varint(seconds)) => time += seconds as i64 as f64,
            (2, Wire::Varint(nanos)) => time += nanos as i64 as f64 * 1e-9,
            _ => {}
        }
    }
    Ok(time)
}

//! Records of version 1: JSON objects.
//!
//! Nearly all records are scalars that Python's `json` wrote in the same way, so their text is compared
//! with what it writes; a record that differs is parsed as any JSON.

use crate::formats::reader_api::{ColumnId, SeriesBuilder};
use crate::formats::run_file::RunRecords;
use crate::formats::timestamps::iso_to_unix_seconds;
use crate::framing::json::{ScanError, Scanner, Value};
use crate::framing::protobuf::Malformed;

/// What was read of a run.
pub(super) struct Run {
    clock: Option<ColumnId>,
    finished: bool,
}

/// The text of a scalar in its usual layout.
struct UsualScalar<'a> {
    key: &'a [u8],
    step: &'a [u8],
    value: &'a [u8],
    time: &'a [u8],
}

/// The fields of a record of any kind that are of use.
#[derive(Default)]
struct Record {
    kind: String,
    key: String,
    step: Option<f64>,
    value: Option<f64>,
    time: String,
    name: String,
    id: String,
}

impl Run {
    /// A run of which nothing was read; `clock` is the series of times, if one is requested.
    pub(super) fn new(clock: Option<ColumnId>) -> Run {
        Run { clock, finished: false }
    }

    /// Adds a value; `time` is in ISO 8601.
    fn add(
        &self,
        column: ColumnId,
        (step, value): (f64, f64),
        time: &[u8],
        builder: &mut SeriesBuilder<'_>,
    ) {
        builder.push(column, step, value);
        if let (Some(clock), true) = (self.clock, builder.is_selected(column)) {
            let time = std::str::from_utf8(time).ok().and_then(iso_to_unix_seconds);
            builder.push(clock, step, time.unwrap_or(f64::NAN));
        }
    }
}

impl RunRecords for Run {
    fn record(&mut self, record: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        if let Some(UsualScalar { key, step, value, time }) = usual_scalar(record) {
            let column = builder.column_of_bytes(key).map_err(|_| Malformed)?;
            let Some(column) = column else { return Ok(()) };
            if let Some(point) = plain_number(step).zip(plain_number(value)) {
                self.add(column, point, time, builder);
                return Ok(());
            }
        }
        let record = parse(record).map_err(|_| Malformed)?;
        match record.kind.as_str() {
            "Experiment" => {
                builder.name_run(if record.name.is_empty() { &record.id } else { &record.name });
            }
            "Footer" => self.finished = true,
            "Scalar" => {
                let point = record.step.zip(record.value).ok_or(Malformed)?;
                if let Some(column) = builder.column(&record.key) {
                    self.add(column, point, record.time.as_bytes(), builder);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, builder: &mut SeriesBuilder<'_>) {
        if !self.finished {
            super::note_running(builder);
        }
    }
}

/// A scalar as Python's `json` writes it; `None` if the record is anything else.
fn usual_scalar(record: &[u8]) -> Option<UsualScalar<'_>> {
    let rest = record.strip_prefix(br#"{"model_type": "Scalar", "data": {"metric": {"index": "#)?;
    let (_, rest) = until(rest, b',')?;
    let (value, rest) = until(rest.strip_prefix(br#" "data": "#)?, b',')?;
    let (time, rest) = until(rest.strip_prefix(br#" "create_time": ""#)?, b'"')?;
    let (key, rest) = until(rest.strip_prefix(br#"}, "key": ""#)?, b'"')?;
    let (step, _) = until(rest.strip_prefix(br#", "step": "#)?, b',')?;
    if key.contains(&b'\\') || !record.ends_with(b"}}\n") {
        return None;
    }
    Some(UsualScalar { key, step, value, time })
}

/// The bytes before the first `end`, and those behind it.
fn until(bytes: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(end, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// A finite number, without a name or quotes.
fn plain_number(text: &[u8]) -> Option<f64> {
    let is_number = matches!(text.first()?, b'0'..=b'9' | b'-');
    if is_number { fast_float2::parse(text).ok().filter(|n: &f64| n.is_finite()) } else { None }
}

fn parse(mut json: &[u8]) -> Result<Record, ScanError> {
    let mut record = Record::default();
    let mut scanner = Scanner::small(&mut json)?;
    scanner.object(|scanner, key| match key {
        "model_type" => scanner.string(&mut record.kind),
        "data" if scanner.peek()? == Some(b'{') => scanner.object(|scanner, key| match key {
            "key" => text(scanner, &mut record.key),
            "name" => text(scanner, &mut record.name),
            "id" => text(scanner, &mut record.id),
            "step" => {
                record.step = number(scanner)?.filter(|step| step.is_finite());
                Ok(())
            }
            "metric" if scanner.peek()? == Some(b'{') => scanner.object(|scanner, key| match key {
                "data" => {
                    record.value = number(scanner)?;
                    Ok(())
                }
                "create_time" => text(scanner, &mut record.time),
                _ => scanner.skip(),
            }),
            _ => scanner.skip(),
        }),
        _ => scanner.skip(),
    })?;
    Ok(record)
}

/// Reads a text; another value counts as an empty one.
pub(super) fn text(scanner: &mut Scanner<'_>, text: &mut String) -> Result<(), ScanError> {
    if scanner.peek()? == Some(b'"') { scanner.string(text) } else { scanner.skip() }
}

/// Reads a number; SwanLab writes those that are not finite as texts. `None` for another value.
pub(super) fn number(scanner: &mut Scanner<'_>) -> Result<Option<f64>, ScanError> {
    if scanner.peek()? == Some(b'"') {
        let mut text = String::new();
        scanner.string(&mut text)?;
        return Ok(match text.to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "inf" | "infinity" => Some(f64::INFINITY),
            "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        });
    }
    Ok(match scanner.value()? {
        Value::Number(number) | Value::InexactInteger(_, number) => Some(number),
        Value::Null => Some(f64::NAN),
        Value::Other(_) => None,
    })
}

//! Parquet tables: what `convert` and pandas write, and W&B's export of a run's history.
//!
//! ```text
//! run (string) | step (integer) | metric (string) | entropy (double)     one row a run and step
//! _step | policy/entropy | …                                             one column a metric
//! ```
//!
//! The footer is at the end, so the file is held whole while it is read; only the columns that are
//! wanted are decoded. A null is no value, as an empty cell of a CSV table is.

use std::cell::Cell;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Type as Physical};
use parquet::data_type::Decimal;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use super::book::{Book, ColumnId, Lacking};
use super::csv::{METRIC, RUNS, VALUES, step_column};
use super::{Confidence, Format, Growth, Head, ReadError};

pub(super) const FORMAT: Format = Format {
    name: "parquet",
    about: "Parquet tables of pandas, polars and W&B",
    recognised_by: "the bytes PAR1",
    metrics: &["policy/entropy", "entropy"],
    recognise,
    read,
    growth: |_| Growth::Rewritten,
};

fn recognise(head: &Head<'_>) -> Confidence {
    if head.bytes.starts_with(b"PAR1") { Confidence::Certain } else { Confidence::No }
}

/// What a column holds.
enum Role {
    Step,
    Run,
    Metric,
    Value(Option<ColumnId>), // none where the run or the metric of the row decides
}

fn read(_: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    book.lacking(Lacking::Meant);
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    quietly(|| table(bytes, book)).unwrap_or_else(|| {
        let what = "it is damaged".to_owned();
        Err(ReadError::Record { place: "the table".to_owned(), what })
    })
}

/// Does work that may panic: the Parquet reader asserts some of what a damaged file breaks.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(false);
    result
}

fn table(bytes: Vec<u8>, book: &mut Book<'_>) -> Result<(), ReadError> {
    let file = SerializedFileReader::new(Bytes::from(bytes)).map_err(broken)?;
    let schema = file.metadata().file_metadata().schema();
    let names: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let step = step_column(&names);
    let run = names.iter().position(|name| RUNS.contains(&name.to_lowercase().as_str()));
    let metric = names.iter().position(|name| name == METRIC);
    if let Some(step) = step {
        book.name_step(&names[step]);
    }

    let mut roles: Vec<(String, Role)> = Vec::new();
    let mut fields: Vec<TypePtr> = Vec::new();
    for (i, field) in schema.get_fields().iter().enumerate() {
        let role = match () {
            () if Some(i) == step => Role::Step,
            () if Some(i) == run => Role::Run,
            () if Some(i) == metric => Role::Metric,
            () if !is_number(field) => continue,
            () if metric.is_some() && VALUES.contains(&names[i].as_str()) => Role::Value(None),
            () => match book.column(&names[i]) {
                Some(column) => Role::Value(Some(column).filter(|_| run.is_none())),
                None => continue,
            },
        };
        roles.push((names[i].clone(), role));
        fields.push(Arc::clone(field));
    }
    if let Some(codec) = unsupported_codec(&file, &fields) {
        return Err(ReadError::Codec(codec));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let rows = file.get_row_iter(Some(projection.map_err(broken)?)).map_err(broken)?;
    for row in rows {
        let row = row.map_err(broken)?;
        // The run and the metric first: they say whose and what the other columns are.
        let mut metric = None;
        for ((_, role), (_, field)) in roles.iter().zip(row.get_column_iter()) {
            match (role, field) {
                (Role::Run, Field::Str(name)) => book.enter_run(name),
                (Role::Metric, Field::Str(key)) => metric = Some(key),
                _ => {}
            }
        }
        for ((name, role), (_, field)) in roles.iter().zip(row.get_column_iter()) {
            match (role, number(field)) {
                (Role::Step, Some(step)) if step.is_finite() => book.set_step(step),
                (Role::Value(Some(column)), Some(value)) => book.set(*column, value),
                (Role::Value(None), Some(value)) => {
                    let metric = metric.filter(|_| VALUES.contains(&name.as_str()));
                    book.set_value(metric.unwrap_or(name), value);
                }
                _ => {}
            }
        }
        book.end_row();
    }
    Ok(())
}

/// What compresses one of these columns, if it cannot be unpacked.
fn unsupported_codec(file: &SerializedFileReader<Bytes>, fields: &[TypePtr]) -> Option<String> {
    let columns = file.metadata().row_groups().iter().flat_map(|group| group.columns());
    let wanted = columns.filter(|column| {
        let name = column.column_path().parts().first();
        fields.iter().any(|field| Some(field.name()) == name.map(String::as_str))
    });
    let codecs = wanted.map(|column| column.compression());
    let name = |codec: Compression| match codec {
        Compression::LZO => Some("LZO"),
        Compression::BROTLI(_) => Some("Brotli"),
        Compression::LZ4 | Compression::LZ4_RAW => Some("LZ4"),
        _ => None,
    };
    codecs.filter_map(name).next().map(str::to_owned)
}

fn is_number(field: &TypePtr) -> bool {
    if !field.is_primitive() {
        return false;
    }
    let info = field.get_basic_info();
    match field.get_physical_type() {
        Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE => true,
        Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY => {
            info.logical_type_ref() == Some(&LogicalType::Float16)
                || info.converted_type() == ConvertedType::DECIMAL
        }
        _ => false,
    }
}

/// The number that a decimal is: its digits are an integer in two's complement, the first byte first.
fn of_decimal(decimal: &Decimal) -> Option<f64> {
    let bytes = decimal.data();
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    let digits = bytes.iter().fold(sign, |n: i128, byte| n << 8 | i128::from(*byte));
    // The text is parsed, which rounds once.
    format!("{digits}e{}", -i64::from(decimal.scale())).parse().ok()
}

fn number(field: &Field) -> Option<f64> {
    Some(match *field {
        Field::Byte(n) => f64::from(n),
        Field::Short(n) => f64::from(n),
        Field::Int(n) => f64::from(n),
        Field::Long(n) => n as f64,
        Field::UByte(n) => f64::from(n),
        Field::UShort(n) => f64::from(n),
        Field::UInt(n) => f64::from(n),
        Field::ULong(n) => n as f64,
        Field::Decimal(ref n) => return of_decimal(n),
        Field::Float16(n) => f64::from(n),
        Field::Float(n) => f64::from(n),
        Field::Double(n) => n,
        Field::TimestampMillis(n) => n as f64 / 1e3, // a clock, in seconds
        Field::TimestampMicros(n) => n as f64 / 1e6,
        _ => return None,
    })
}

fn broken(error: ParquetError) -> ReadError {
    ReadError::Record { place: "the table".to_owned(), what: say(error) }
}

/// What the Parquet reader says, without its own words in front.
pub(super) fn say(error: ParquetError) -> String {
    match error {
        ParquetError::General(what) | ParquetError::EOF(what) | ParquetError::NYI(what) => what,
        other => other.to_string(),
    }
}

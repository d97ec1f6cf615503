//! Reads Parquet tables.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Type as Physical};
use parquet::data_type::Decimal;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use crate::formats::reader_api::{
    ColumnId, Confidence, Head, MissingMetric, ReadError, SeriesBuilder,
};
use crate::formats::table::{METRIC_COLUMN, VALUE_COLUMNS, run_column, step_column};
use crate::framing::parquet::{catch_panics, error_text};

pub(crate) fn recognise(head: &Head<'_>) -> Confidence {
    if head.bytes.starts_with(b"PAR1") { Confidence::Certain } else { Confidence::No }
}

/// The largest number of rows that is read.
const MOST_ROWS: i64 = 100_000_000;
/// The largest size of the selected columns that is read.
const MOST_BYTES: i64 = 4 << 30;

/// What a column holds.
enum ParquetRole {
    Step,
    Run,
    Metric,
    Value(Option<ColumnId>), // `None` where the run or the metric of the row decides
}

pub(crate) fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    catch_panics(|| table(bytes, builder)).unwrap_or_else(|| {
        let what = "it is damaged".to_owned();
        Err(ReadError::Record { place: "the table".to_owned(), what })
    })
}

fn table(bytes: Vec<u8>, builder: &mut SeriesBuilder<'_>) -> Result<(), ReadError> {
    let file = SerializedFileReader::new(Bytes::from(bytes)).map_err(broken)?;
    let schema = file.metadata().file_metadata().schema();
    let names: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let step = step_column(&names, builder.selector().step_key());
    let run = run_column(&names);
    let metric = names.iter().position(|name| name == METRIC_COLUMN);
    if let Some(step) = step {
        builder.name_step(&names[step]);
    }

    let mut roles: Vec<(String, ParquetRole)> = Vec::new();
    let mut fields: Vec<TypePtr> = Vec::new();
    for (i, field) in schema.get_fields().iter().enumerate() {
        let role = match () {
            () if Some(i) == step => ParquetRole::Step,
            () if Some(i) == run => ParquetRole::Run,
            () if Some(i) == metric => ParquetRole::Metric,
            () if !is_number(field) => continue,
            () if metric.is_some() && VALUE_COLUMNS.contains(&names[i].as_str()) => {
                ParquetRole::Value(None)
            }
            () => match builder.column(&names[i]) {
                Some(column) => ParquetRole::Value(Some(column).filter(|_| run.is_none())),
                None => continue,
            },
        };
        roles.push((names[i].clone(), role));
        fields.push(Arc::clone(field));
    }
    check_size(&file, &fields)?;
    if let Some(codec) = unsupported_codec(&file, &fields) {
        return Err(ReadError::Codec(codec));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let rows = file.get_row_iter(Some(projection.map_err(broken)?)).map_err(broken)?;
    for row in rows {
        let row = row.map_err(broken)?;
        // The run and the metric come first: they decide what the other columns mean.
        let mut metric = None;
        for ((_, role), (_, field)) in roles.iter().zip(row.get_column_iter()) {
            match (role, field) {
                (ParquetRole::Run, Field::Str(name)) => builder.enter_run(name),
                (ParquetRole::Metric, Field::Str(key)) => metric = Some(key),
                _ => {}
            }
        }
        for ((name, role), (_, field)) in roles.iter().zip(row.get_column_iter()) {
            match (role, number(field)) {
                (ParquetRole::Step, Some(step)) if step.is_finite() => builder.set_step(step),
                (ParquetRole::Value(Some(column)), Some(value)) => builder.set(*column, value),
                (ParquetRole::Value(None), Some(value)) => {
                    let metric = metric.filter(|_| VALUE_COLUMNS.contains(&name.as_str()));
                    builder.set_value(metric.unwrap_or(name), value);
                }
                _ => {}
            }
        }
        builder.end_row();
    }
    Ok(())
}

/// The metadata of the chunks of these columns.
fn chunks<'f>(
    file: &'f SerializedFileReader<Bytes>,
    fields: &[TypePtr],
) -> impl Iterator<Item = &'f ColumnChunkMetaData> {
    let columns = file.metadata().row_groups().iter().flat_map(|group| group.columns());
    columns.filter(move |column| {
        let name = column.column_path().parts().first();
        fields.iter().any(|field| Some(field.name()) == name.map(String::as_str))
    })
}

/// Rejects a table that takes far more memory than its file: a few bytes can stand for billions of equal
/// values.
fn check_size(file: &SerializedFileReader<Bytes>, fields: &[TypePtr]) -> Result<(), ReadError> {
    let rows = file.metadata().file_metadata().num_rows();
    let bytes: i64 = chunks(file, fields)
        .map(ColumnChunkMetaData::uncompressed_size)
        .fold(0, i64::saturating_add);
    if rows <= MOST_ROWS && bytes <= MOST_BYTES {
        return Ok(());
    }
    let what = format!(
        "it holds {rows} rows and {bytes} bytes of the selected columns, more than {MOST_ROWS} rows or {MOST_BYTES} bytes"
    );
    Err(ReadError::Record { place: "the table".to_owned(), what })
}

/// The compression codec of one of these columns, if it is not supported.
fn unsupported_codec(file: &SerializedFileReader<Bytes>, fields: &[TypePtr]) -> Option<String> {
    let read_columns = chunks(file, fields);
    let codecs = read_columns.map(|column| column.compression());
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

/// The value of a decimal, whose digits are a big-endian integer in two's complement.
fn of_decimal(decimal: &Decimal) -> Option<f64> {
    let bytes = decimal.data();
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    let digits = bytes.iter().fold(sign, |n: i128, byte| n << 8 | i128::from(*byte));
    // Parsing the text rounds only once.
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
    ReadError::Record { place: "the table".to_owned(), what: error_text(error) }
}

//! Parquet. Only the columns in use are read: other columns of a dataset may be large, such as images.

use std::sync::Arc;

use ::parquet::basic::Type as PhysicalType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::record::reader::RowIter;
use ::parquet::schema::types::Type;
use entropy_history::framing::parquet::catch_panics;
use serde_json::{Map, Value as Json};

use super::SelectedKeys;
use super::columns::{ColumnKind, is_column};
use super::parquet_limits;
use super::raw::{PromptError, RawContent, RawRow};

/// Reads the rows of a file, given as two handles: one to read it, one to check the sizes in it before.
pub(super) fn read_rows<R: ChunkReader + 'static>(
    handles: [R; 2],
    selected: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    catch_panics(|| rows(handles, selected)).unwrap_or_else(|| {
        Err(PromptError::Format("it is not a valid Parquet file: it is damaged".to_owned()))
    })
}

fn rows<R: ChunkReader + 'static>(
    [file, again]: [R; 2],
    keys: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    let reader = SerializedFileReader::new(file).map_err(|error| invalid(&error))?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let fields = schema.get_fields().iter();
    let is_selected = |field: &Type| {
        let kind = if is_number(field) { ColumnKind::Number } else { ColumnKind::Other };
        is_column(field.name(), kind, keys)
    };
    let selected: Vec<_> =
        fields.clone().filter(|field| is_selected(field)).map(Arc::clone).collect();
    let is_selected = |name: &str| selected.iter().any(|field| field.name() == name);
    parquet_limits::check(&again, &reader, is_selected)
        .map_err(|error| PromptError::Format(reason(&error)))?;
    // The other columns are null; errors list their names.
    let all: Map<String, Json> =
        fields.map(|field| (field.name().to_owned(), Json::Null)).collect();
    let selected = Type::group_type_builder(schema.name()).with_fields(selected).build();
    let rows = selected
        .and_then(|selected| RowIter::from_file(Some(selected), &reader))
        .map_err(|error| invalid(&error))?;
    rows.enumerate()
        .map(|(index, row)| {
            let place = format!("row {}", index + 1);
            let row = row.map_err(|error| PromptError::at(&place, reason(&error)))?;
            let mut keys = all.clone();
            keys.extend(row.into_columns().into_iter().map(|(name, field)| (name, value(field))));
            Ok(RawRow { place, content: RawContent::Keys(keys) })
        })
        .collect()
}

/// Whether a column holds numbers or booleans.
fn is_number(field: &Type) -> bool {
    let others =
        [PhysicalType::BYTE_ARRAY, PhysicalType::FIXED_LEN_BYTE_ARRAY, PhysicalType::INT96];
    field.is_primitive() && !others.contains(&field.get_physical_type())
}

fn value(field: Field) -> Json {
    match field {
        Field::Str(text) => Json::String(text),
        // Some writers do not mark strings as UTF-8.
        Field::Bytes(ref bytes) => String::from_utf8(bytes.data().to_vec())
            .map_or_else(|_| field.to_json_value(), Json::from),
        // pandas writes NaN for missing values.
        Field::Double(number) if number.is_nan() => Json::Null,
        Field::Float(number) if number.is_nan() => Json::Null,
        Field::ListInternal(list) => list.elements().iter().cloned().map(value).collect(),
        Field::Group(row) => {
            row.into_columns().into_iter().map(|(name, field)| (name, value(field))).collect()
        }
        other => other.to_json_value(),
    }
}

fn invalid(error: &ParquetError) -> PromptError {
    PromptError::Format(format!("it is not a valid Parquet file: {}", reason(error)))
}

/// The message of an error without the prefix of its kind, such as `Parquet error: `.
fn reason(error: &ParquetError) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, reason)| reason.to_owned())
}

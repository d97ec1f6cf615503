//! Arrow files: the stream that Hugging Face `datasets` writes (`data-00000-of-00002.arrow`), and the file form of
//! pyarrow and pandas (`.arrow`, `.feather`), which is a stream after eight bytes. Only the columns in use become rows.

use std::io::{Read, Seek, SeekFrom};

use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use entropy_history::framing::parquet::catch_panics;
use serde_json::{Map, Value as Json};

use super::SelectedKeys;
use super::arrow_limits::{self, Budget, invalid};
use super::arrow_values::value;
use super::columns::{ColumnKind, is_column};
use super::raw::{PromptError, RawContent, RawRow};

/// The first bytes of the file form; two bytes of padding follow.
const FILE_MAGIC: &[u8] = b"ARROW1";
/// The marker before each message of a stream. No text starts with it.
const CONTINUATION: &[u8] = &[0xff; 4];

/// Whether a file with these first bytes is an Arrow file in one of its forms.
pub(super) fn is_arrow(start: &[u8]) -> bool {
    FILE_MAGIC.starts_with(start) && start.len() >= 4 || start.starts_with(CONTINUATION)
}

/// Reads the rows of a file.
///
/// # Errors
/// If it is damaged, has a column in use of a type that is neither text, number nor list, or unpacks to far more than
/// its size.
pub(super) fn read_rows<R: Read + Seek>(
    file: &mut R,
    selected: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    catch_panics(|| rows(file, selected)).unwrap_or_else(|| Err(invalid("it is damaged")))
}

fn rows<R: Read + Seek>(file: &mut R, keys: SelectedKeys<'_>) -> Result<Vec<RawRow>, PromptError> {
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut magic = [0; 6];
    let length = magic.len().min(usize::try_from(size).unwrap_or(usize::MAX));
    file.read_exact(&mut magic[..length])?;
    if magic.starts_with(b"FEA1") {
        return Err(PromptError::Format(
            "it is in Feather's first version; save it again with pyarrow.feather.write_feather"
                .to_owned(),
        ));
    }
    let start = if magic == FILE_MAGIC { 8 } else { 0 };
    arrow_limits::check(file, start, size)?;
    file.seek(SeekFrom::Start(start))?;
    let stream = StreamReader::try_new(&mut *file, None).map_err(|error| reason(&error))?;
    let schema = stream.schema();
    let is_used = |index: &usize| {
        let field = schema.field(*index);
        let is_number = field.data_type().is_numeric() || field.data_type().is_null();
        let is_number = is_number || *field.data_type() == arrow_schema::DataType::Boolean;
        let kind = if is_number { ColumnKind::Number } else { ColumnKind::Other };
        is_column(field.name(), kind, keys)
    };
    let used: Vec<usize> = (0..schema.fields().len()).filter(is_used).collect();
    // The other columns are null; errors list their names.
    let all: Map<String, Json> =
        schema.fields().iter().map(|field| (field.name().to_owned(), Json::Null)).collect();
    file.seek(SeekFrom::Start(start))?;
    let stream = StreamReader::try_new(file, Some(used)).map_err(|error| reason(&error))?;
    let mut budget = Budget::of(size);
    let mut rows = Vec::new();
    for batch in stream {
        add(&mut rows, &batch.map_err(|error| reason(&error))?, &all, &mut budget)?;
    }
    Ok(rows)
}

/// Adds the rows of a batch; `all` has every column as null.
fn add(
    rows: &mut Vec<RawRow>,
    batch: &RecordBatch,
    all: &Map<String, Json>,
    budget: &mut Budget,
) -> Result<(), PromptError> {
    for index in 0..batch.num_rows() {
        let place = format!("row {}", rows.len() + 1);
        budget.take_row(all)?;
        let mut keys = all.clone();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let value = value(column.as_ref() as &dyn Array, index, budget)
                .map_err(|error| error.in_column(&place, field.name()))?;
            keys.insert(field.name().to_owned(), value);
        }
        rows.push(RawRow { place, content: RawContent::Keys(keys) });
    }
    Ok(())
}

/// The message of an error without the prefix of its kind, such as `Ipc error: `.
fn reason(error: &ArrowError) -> PromptError {
    let text = error.to_string();
    invalid(text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason))
}

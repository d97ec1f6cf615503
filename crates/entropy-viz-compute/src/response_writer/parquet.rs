//! `--tokens-out` as Parquet: the columns are the keys of the JSON lines; `dump` is JSON text.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::TypePtr;
use serde_json::Value;

use super::OutputRow;
use crate::score_plan::Quantity;

/// Token ids per row group.
const ROW_GROUP_TOKENS: usize = 1 << 20;

/// Writes rows in groups.
pub(super) struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    columns: Columns,
}

/// The rows of the current group.
struct Columns {
    step: Int64Builder,
    settings: StringBuilder,
    id: StringBuilder,
    sample: Int64Builder,
    prompt_token_ids: ListBuilder<Int64Builder>,
    response_token_ids: ListBuilder<Int64Builder>,
    tokens: ListBuilder<StringBuilder>,
    scores: Vec<ScoreBuilder>,
    finish_reason: StringBuilder,
    response_mask: ListBuilder<BooleanBuilder>,
    turn: Int64Builder,
    dump: StringBuilder, // JSON
}

/// A column with a number per token.
enum ScoreBuilder {
    Numbers(ListBuilder<Float64Builder>),
    Counts(ListBuilder<Int64Builder>),
}

impl ScoreBuilder {
    fn new(quantity: Quantity) -> ScoreBuilder {
        let element = score_element(quantity);
        match quantity.is_count() {
            true => ScoreBuilder::Counts(ListBuilder::default().with_field(element)),
            false => ScoreBuilder::Numbers(ListBuilder::default().with_field(element)),
        }
    }

    fn array(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            ScoreBuilder::Numbers(builder) => builder,
            ScoreBuilder::Counts(builder) => builder,
        }
    }
}

/// The field of a list's elements.
fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

/// The field of a number, which is null where the policy did not write the token.
fn score_element(quantity: Quantity) -> Arc<Field> {
    let data_type = if quantity.is_count() { DataType::Int64 } else { DataType::Float64 };
    Arc::new(Field::new("element", data_type, true))
}

fn list<B: ArrayBuilder + Default>(data_type: DataType) -> ListBuilder<B> {
    ListBuilder::new(B::default()).with_field(element(data_type))
}

impl Columns {
    fn new(quantities: &[Quantity]) -> Columns {
        Columns {
            step: Int64Builder::new(),
            settings: StringBuilder::new(),
            id: StringBuilder::new(),
            sample: Int64Builder::new(),
            prompt_token_ids: list(DataType::Int64),
            response_token_ids: list(DataType::Int64),
            tokens: list(DataType::Utf8),
            scores: quantities.iter().copied().map(ScoreBuilder::new).collect(),
            finish_reason: StringBuilder::new(),
            response_mask: list(DataType::Boolean),
            turn: Int64Builder::new(),
            dump: StringBuilder::new(),
        }
    }
}

fn schema(quantities: &[Quantity]) -> SchemaRef {
    let list = |name: &str, data_type| Field::new(name, DataType::List(element(data_type)), false);
    let score = |quantity: &Quantity| {
        Field::new(quantity.column(), DataType::List(score_element(*quantity)), false)
    };
    let mut fields = vec![
        Field::new("step", DataType::Int64, false),
        Field::new("settings", DataType::Utf8, false),
        Field::new("id", DataType::Utf8, false),
        Field::new("sample", DataType::Int64, true),
        list("prompt_token_ids", DataType::Int64),
        list("response_token_ids", DataType::Int64),
        list("tokens", DataType::Utf8),
    ];
    fields.extend(quantities.iter().map(score));
    fields.extend([
        Field::new("finish_reason", DataType::Utf8, true),
        Field::new("response_mask", DataType::List(element(DataType::Boolean)), true),
        Field::new("turn", DataType::Int64, true),
        Field::new("dump", DataType::Utf8, true),
    ]);
    Arc::new(Schema::new(fields))
}

/// The columns as Parquet describes them.
pub(super) fn parquet_schema(quantities: &[Quantity]) -> io::Result<TypePtr> {
    let descriptor = ArrowSchemaConverter::new().convert(&schema(quantities)).map_err(io_error)?;
    Ok(descriptor.root_schema_ptr())
}

/// How files are compressed.
pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::SNAPPY).build()
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(super) fn new(file: W, quantities: &[Quantity]) -> io::Result<ParquetWriter<W>> {
        let options =
            ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
        let schema = schema(quantities);
        let writer =
            ArrowWriter::try_new_with_options(file, schema.clone(), options).map_err(io_error)?;
        Ok(ParquetWriter { writer, schema, columns: Columns::new(quantities) })
    }

    /// Adds a row; `pieces` are the texts of the tokens.
    pub(super) fn write(&mut self, row: &OutputRow<'_>, pieces: &[String]) -> io::Result<()> {
        let (columns, record) = (&mut self.columns, row.record);
        let id = &row.prompt_row.id;
        columns.step.append_value(row.step as i64);
        columns.settings.append_value(row.settings);
        columns.id.append_value(id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        columns.sample.append_option(row.sample().map(|sample| sample as i64));
        columns.prompt_token_ids.append_value(record.prompt.iter().copied().map(Some));
        columns.response_token_ids.append_value(record.tokens.iter().copied().map(Some));
        columns.tokens.append_value(pieces.iter().map(Some));
        for (index, column) in columns.scores.iter_mut().enumerate() {
            match column {
                ScoreBuilder::Numbers(column) => column.append_value(row.numbers(index)),
                ScoreBuilder::Counts(column) => column.append_value(row.counts(index)),
            }
        }
        columns.finish_reason.append_option(row.finish_reason());
        let own = record.own.as_ref();
        columns.response_mask.append_option(own.map(|own| own.iter().copied().map(Some)));
        columns.turn.append_option(record.turn.map(|turn| turn as i64));
        let dump = row.columns();
        columns.dump.append_option((!dump.is_empty()).then(|| Value::Object(dump).to_string()));
        let ids =
            columns.prompt_token_ids.values().len() + columns.response_token_ids.values().len();
        if ids > ROW_GROUP_TOKENS { self.write_group() } else { Ok(()) }
    }

    /// Writes the rows so far as a row group, so that later rows are not in the same one.
    pub(super) fn end_group(&mut self) -> io::Result<()> {
        if self.columns.step.len() > 0 { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> io::Result<()> {
        let columns = &mut self.columns;
        let mut arrays: Vec<&mut dyn ArrayBuilder> = vec![
            &mut columns.step,
            &mut columns.settings,
            &mut columns.id,
            &mut columns.sample,
            &mut columns.prompt_token_ids,
            &mut columns.response_token_ids,
            &mut columns.tokens,
        ];
        arrays.extend(columns.scores.iter_mut().map(ScoreBuilder::array));
        arrays.extend([
            &mut columns.finish_reason as &mut dyn ArrayBuilder,
            &mut columns.response_mask,
            &mut columns.turn,
            &mut columns.dump,
        ]);
        // An empty builder is left behind.
        let arrays = arrays.into_iter().map(ArrayBuilder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other)?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(io_error)
    }

    /// Writes the last group and completes the table.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end_group()?;
        self.writer.into_inner().map_err(io_error)
    }
}

/// The I/O error inside a Parquet error, if there is one.
pub(super) fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}

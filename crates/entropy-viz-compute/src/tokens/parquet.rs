//! The Parquet twin of `--tokens-out`: the same columns, a row a response.

use std::io::{self, BufWriter};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Answer;
use entropy_shell::output::AtomicFile;

/// Lists are never null, nor are their elements: level 1 is an element, level 0 an empty list.
const SCHEMA: &str = "
message tokens {
    REQUIRED INT64 step;
    REQUIRED BYTE_ARRAY id (UTF8);
    OPTIONAL INT64 sample;
    REQUIRED GROUP prompt_token_ids (LIST) { REPEATED GROUP list { REQUIRED INT64 element; } }
    REQUIRED GROUP response_token_ids (LIST) { REPEATED GROUP list { REQUIRED INT64 element; } }
    REQUIRED GROUP tokens (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }
    REQUIRED GROUP entropies (LIST) { REPEATED GROUP list { REQUIRED DOUBLE element; } }
    REQUIRED GROUP log_probs (LIST) { REPEATED GROUP list { REQUIRED DOUBLE element; } }
    OPTIONAL BYTE_ARRAY finish_reason (UTF8);
}";

/// Numbers held before they are written as a row group.
const ROW_GROUP: usize = 1 << 20;

/// A table that is being written.
pub(super) struct Table {
    writer: SerializedFileWriter<BufWriter<AtomicFile>>,
    group: Columns,
}

/// A column of lists, flat, with the length of each.
struct Lists<T> {
    values: Vec<T>,
    lengths: Vec<usize>,
}

impl<T> Default for Lists<T> {
    fn default() -> Lists<T> {
        Lists { values: Vec::new(), lengths: Vec::new() }
    }
}

impl<T> Lists<T> {
    fn add(&mut self, values: impl IntoIterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(values);
        self.lengths.push(self.values.len() - before);
    }

    /// Definition and repetition levels: an empty list has one entry and no value.
    fn levels(&self) -> (Vec<i16>, Vec<i16>) {
        let mut definition = Vec::new();
        let mut repetition = Vec::new();
        for &length in &self.lengths {
            definition.extend(std::iter::repeat_n(i16::from(length > 0), length.max(1)));
            repetition.push(0);
            repetition.extend(std::iter::repeat_n(1, length.saturating_sub(1)));
        }
        (definition, repetition)
    }
}

#[derive(Default)]
struct Columns {
    steps: Vec<i64>,
    ids: Vec<ByteArray>,
    samples: Vec<Option<i64>>,
    prompts: Lists<i64>,
    responses: Lists<i64>,
    tokens: Lists<ByteArray>,
    entropies: Lists<f64>,
    log_probs: Lists<f64>,
    finishes: Vec<Option<ByteArray>>,
}

impl Table {
    pub(super) fn new(file: AtomicFile) -> io::Result<Table> {
        let schema = parse_message_type(SCHEMA).map_err(io::Error::other)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer =
            SerializedFileWriter::new(BufWriter::new(file), Arc::new(schema), Arc::new(properties));
        Ok(Table { writer: writer.map_err(told)?, group: Columns::default() })
    }

    pub(super) fn add(&mut self, answer: &Answer<'_>, pieces: &[String]) -> io::Result<()> {
        let group = &mut self.group;
        let id = answer.id.as_str().map_or_else(|| answer.id.to_string(), str::to_owned);
        group.steps.push(answer.step as i64);
        group.ids.push(ByteArray::from(id.into_bytes()));
        group.samples.push(answer.sample.map(|sample| sample as i64));
        group.prompts.add(answer.prompt.iter().copied());
        group.responses.add(answer.response.iter().copied());
        group.tokens.add(pieces.iter().map(|piece| ByteArray::from(piece.as_str())));
        group.entropies.add(answer.scores.iter().map(|score| score.entropy));
        group.log_probs.add(answer.scores.iter().map(|score| score.log_prob));
        group.finishes.push(answer.finish.map(ByteArray::from));
        if group.prompts.values.len() + group.responses.values.len() > ROW_GROUP {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let group = std::mem::take(&mut self.group);
        group.write(&mut self.writer).map_err(told)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.group.steps.is_empty() {
            self.flush()?;
        }
        self.writer.into_inner().map_err(told)?.into_inner().map_err(io::Error::from)?.commit()
    }
}

impl Columns {
    fn write(
        &self,
        file: &mut SerializedFileWriter<BufWriter<AtomicFile>>,
    ) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            match (at, column.untyped()) {
                (0, ColumnWriter::Int64ColumnWriter(to)) => flat(to, &self.steps)?,
                (1, ColumnWriter::ByteArrayColumnWriter(to)) => flat(to, &self.ids)?,
                (2, ColumnWriter::Int64ColumnWriter(to)) => optional(to, &self.samples)?,
                (3, ColumnWriter::Int64ColumnWriter(to)) => lists(to, &self.prompts)?,
                (4, ColumnWriter::Int64ColumnWriter(to)) => lists(to, &self.responses)?,
                (5, ColumnWriter::ByteArrayColumnWriter(to)) => lists(to, &self.tokens)?,
                (6, ColumnWriter::DoubleColumnWriter(to)) => lists(to, &self.entropies)?,
                (7, ColumnWriter::DoubleColumnWriter(to)) => lists(to, &self.log_probs)?,
                (8, ColumnWriter::ByteArrayColumnWriter(to)) => optional(to, &self.finishes)?,
                (at, _) => {
                    return Err(ParquetError::General(format!(
                        "BUG: column {at} has another type"
                    )));
                }
            }
            column.close()?;
            at += 1;
        }
        group.close().map(|_| ())
    }
}

fn flat<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    to.write_batch(values, None, None).map(|_| ())
}

fn optional<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    values: &[Option<T::T>],
) -> Result<(), ParquetError> {
    let definition: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    to.write_batch(&present, Some(&definition), None).map(|_| ())
}

fn lists<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    lists: &Lists<T::T>,
) -> Result<(), ParquetError> {
    let (definition, repetition) = lists.levels();
    to.write_batch(&lists.values, Some(&definition), Some(&repetition)).map(|_| ())
}

/// What the disk said, if it was the disk.
fn told(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lists_have_an_entry_without_a_value() {
        let mut column = Lists::default();
        column.add([1, 2, 3]);
        column.add([]);
        column.add([4]);
        assert_eq!(column.levels(), (vec![1, 1, 1, 0, 1], vec![0, 1, 1, 0, 0]));
    }
}

//! Finds and copies the rows of Parquet files. A row group has rows of one step, so it is copied as it is, without
//! decoding; its step and settings are in its statistics.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use entropy_history::framing::parquet::{catch_panics, error_text};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::parquet::{io_error, parquet_schema, properties};
use super::stored::{StoredError, StoredRows};
use crate::score_plan::Quantity;

/// The columns of the step and of its settings.
const STEP: usize = 0;
const SETTINGS: usize = 1;

/// Finds the rows of a file.
pub(super) fn index(file: File, quantities: &[Quantity]) -> Result<StoredRows, StoredError> {
    let metadata = metadata(&file)?;
    if *metadata.file_metadata().schema_descr().root_schema() != *parquet_schema(quantities)? {
        return Err(StoredError::Foreign(
            "its columns are not those of this version with these flags".to_owned(),
        ));
    }
    let mut rows = StoredRows::new(file);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let (Some(step), Some(settings)) = (step(group), settings(group)) else {
            let what = format!("row group {} was not written by compute", number + 1);
            return Err(StoredError::Foreign(what));
        };
        rows.add(step, Some(settings), number as u64..number as u64 + 1);
    }
    Ok(rows)
}

/// The step of all rows of a group.
fn step(group: &RowGroupMetaData) -> Option<u64> {
    match group.column(STEP).statistics()? {
        Statistics::Int64(values) if values.min_opt() == values.max_opt() => {
            u64::try_from(*values.min_opt()?).ok()
        }
        _ => None,
    }
}

/// The settings of all rows of a group.
fn settings(group: &RowGroupMetaData) -> Option<String> {
    match group.column(SETTINGS).statistics()? {
        Statistics::ByteArray(values)
            if values.min_opt() == values.max_opt()
                && values.min_is_exact()
                && values.max_is_exact() =>
        {
            String::from_utf8(values.min_opt()?.data().to_vec()).ok()
        }
        _ => None,
    }
}

fn metadata(file: &File) -> Result<ParquetMetaData, StoredError> {
    let read = catch_panics(|| ParquetMetaDataReader::new().parse_and_finish(file));
    let foreign = |what: String| StoredError::Foreign(format!("it is no table: {what}"));
    match read {
        Some(Ok(metadata)) => Ok(metadata),
        Some(Err(ParquetError::External(error))) => {
            Err(io_error(ParquetError::External(error)).into())
        }
        Some(Err(error)) => Err(foreign(error_text(error))),
        None => Err(foreign("it is damaged".to_owned())),
    }
}

/// Writes a table of copied row groups.
pub(super) struct RowGroupCopier<W: Write + Send> {
    writer: SerializedFileWriter<W>,
}

impl<W: Write + Send> RowGroupCopier<W> {
    pub(super) fn new(to: W, quantities: &[Quantity]) -> io::Result<RowGroupCopier<W>> {
        let writer =
            SerializedFileWriter::new(to, parquet_schema(quantities)?, Arc::new(properties()));
        Ok(RowGroupCopier { writer: writer.map_err(io_error)? })
    }

    /// Copies row groups of a file with the same columns.
    pub(super) fn copy(&mut self, file: &File, places: &[Range<u64>]) -> Result<(), StoredError> {
        let metadata = metadata(file)?;
        for number in places.iter().cloned().flatten() {
            self.copy_group(file, metadata.row_group(number as usize)).map_err(io_error)?;
        }
        Ok(())
    }

    fn copy_group(&mut self, file: &File, group: &RowGroupMetaData) -> Result<(), ParquetError> {
        let mut copy = self.writer.next_row_group()?;
        for column in group.columns() {
            let chunk = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            copy.append_column(file, chunk)?;
        }
        copy.close().map(|_| ())
    }

    /// Completes the table.
    pub(super) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(io_error)
    }
}

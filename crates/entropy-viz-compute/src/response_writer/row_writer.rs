//! Writes rows in the format of an output file.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use entropy_shell::output::AtomicFile;
use serde_json::Value;

use super::output_row::OutputRow;
use super::parquet::ParquetWriter;
use crate::score_plan::Quantity;

/// The format of an output file.
#[derive(Debug, Clone)]
pub(super) enum RowFormat {
    JsonLines,
    /// With columns for these numbers of tokens.
    Parquet(Arc<[Quantity]>),
}

impl RowFormat {
    /// Parquet if the extension says so.
    pub(super) fn of(path: &Path, quantities: &Arc<[Quantity]>) -> RowFormat {
        match path.extension() {
            Some(extension) if extension == "parquet" => RowFormat::Parquet(quantities.clone()),
            _ => RowFormat::JsonLines,
        }
    }

    /// The extension of a part.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            RowFormat::JsonLines => "jsonl",
            RowFormat::Parquet(_) => "parquet",
        }
    }
}

/// Writes rows to a file.
pub(super) enum RowWriter {
    JsonLines(BufWriter<AtomicFile>),
    Parquet(Box<ParquetWriter<BufWriter<AtomicFile>>>),
}

impl RowWriter {
    /// Begins a file.
    pub(super) fn new(format: &RowFormat, file: AtomicFile) -> io::Result<RowWriter> {
        let file = BufWriter::new(file);
        Ok(match format {
            RowFormat::JsonLines => RowWriter::JsonLines(file),
            RowFormat::Parquet(quantities) => {
                RowWriter::Parquet(Box::new(ParquetWriter::new(file, quantities)?))
            }
        })
    }

    /// Writes a row of `--tokens-out`; `pieces` are the texts of the tokens.
    pub(super) fn write_tokens(
        &mut self,
        row: &OutputRow<'_>,
        pieces: &[String],
    ) -> io::Result<()> {
        match self {
            RowWriter::JsonLines(file) => write_line(file, &row.tokens_line(pieces)),
            RowWriter::Parquet(writer) => writer.write(row, pieces),
        }
    }

    /// Writes a row of `--save-rollouts`; `text` is that of the response.
    pub(super) fn write_rollout(&mut self, row: &OutputRow<'_>, text: &str) -> io::Result<()> {
        match self {
            RowWriter::JsonLines(file) => write_line(file, &row.rollout_line(text)),
            RowWriter::Parquet(_) => Err(io::Error::other("rollouts are JSON lines")),
        }
    }

    /// Passes all rows so far on to the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            RowWriter::JsonLines(file) => file.flush(),
            RowWriter::Parquet(writer) => writer.end_group(),
        }
    }

    /// Completes the content of the file, which is not committed yet.
    pub(super) fn finish(self) -> io::Result<AtomicFile> {
        let file = match self {
            RowWriter::JsonLines(file) => file,
            RowWriter::Parquet(writer) => writer.finish()?,
        };
        file.into_inner().map_err(io::Error::from)
    }
}

fn write_line(file: &mut BufWriter<AtomicFile>, row: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *file, row)?;
    file.write_all(b"\n")
}

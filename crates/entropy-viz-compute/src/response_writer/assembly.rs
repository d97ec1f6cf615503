//! Assembles an output from rows of other files, without decoding them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use entropy_shell::output::AtomicFile;

use super::row_groups::RowGroupCopier;
use super::row_writer::RowFormat;
use super::stored::{StoredError, StoredRows};
use super::{json_lines, row_groups};

/// The file that is written from rows of others.
pub(super) struct Assembly {
    to: AssemblyFormat,
    /// The number of steps with rows.
    pub(super) steps: usize,
}

enum AssemblyFormat {
    JsonLines(BufWriter<AtomicFile>),
    Parquet(Box<RowGroupCopier<BufWriter<AtomicFile>>>),
}

impl Assembly {
    pub(super) fn new(format: &RowFormat, file: AtomicFile) -> io::Result<Assembly> {
        let file = BufWriter::with_capacity(1 << 20, file);
        let to = match format {
            RowFormat::JsonLines => AssemblyFormat::JsonLines(file),
            RowFormat::Parquet(quantities) => {
                AssemblyFormat::Parquet(Box::new(RowGroupCopier::new(file, quantities)?))
            }
        };
        Ok(Assembly { to, steps: 0 })
    }

    /// Copies the rows of a step, if there are any.
    pub(super) fn copy(&mut self, rows: &StoredRows, step: u64) -> io::Result<()> {
        let Some(stored) = rows.steps.get(&step) else { return Ok(()) };
        self.steps += 1;
        match &mut self.to {
            AssemblyFormat::JsonLines(file) => json_lines::copy(&rows.file, &stored.places, file),
            AssemblyFormat::Parquet(copier) => {
                copier.copy(&rows.file, &stored.places).map_err(stored_error)
            }
        }
    }

    /// Completes the content of the file, which is not committed yet.
    pub(super) fn finish(self) -> io::Result<AtomicFile> {
        let mut file = match self.to {
            AssemblyFormat::JsonLines(file) => file,
            AssemblyFormat::Parquet(copier) => copier.finish()?,
        };
        file.flush()?;
        file.into_inner().map_err(io::Error::from)
    }
}

/// Finds the rows of a file; `None` if it does not exist or is empty.
pub(super) fn index(path: &Path, format: &RowFormat) -> Result<Option<StoredRows>, StoredError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    match format {
        RowFormat::JsonLines => json_lines::index(file),
        RowFormat::Parquet(quantities) => row_groups::index(file, quantities),
    }
    .map(Some)
}

pub(super) fn stored_error(error: StoredError) -> io::Error {
    match error {
        StoredError::Io(error) => error,
        StoredError::Foreign(what) => io::Error::other(format!("a part of it is damaged: {what}")),
    }
}

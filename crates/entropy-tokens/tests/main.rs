//! Dumps of trainers, and the numbers against NumPy.

#![allow(clippy::unwrap_used)]

mod changes;
mod dumps;
mod numbers;

use std::fs::File;
use std::path::{Path, PathBuf};

use entropy_history::formats::{LogNote, Source};
use entropy_tokens::{Columns, ReadError, TokenTable, read};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(path)
}

/// Reads files into one source.
fn try_read(paths: &[PathBuf], columns: &Columns) -> Result<(TokenTable, Vec<LogNote>), ReadError> {
    let (mut table, mut notes) = (TokenTable::default(), Vec::new());
    table.begin("dump");
    for path in paths {
        let mut file = File::open(path)?;
        let source = Source { reader: &mut file, path: Some(path) };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        notes.extend(read(source, &name, columns, &mut table)?);
    }
    Ok((table, notes))
}

/// Reads fixtures that are complete.
fn read_fixtures(paths: &[&str], columns: &Columns) -> TokenTable {
    let paths: Vec<PathBuf> = paths.iter().map(|path| fixture(path)).collect();
    let (table, notes) = try_read(&paths, columns).unwrap();
    assert_eq!(notes, []);
    table
}

/// Reads text.
fn read_text(text: &str, columns: &Columns) -> Result<(TokenTable, Vec<LogNote>), ReadError> {
    let mut table = TokenTable::default();
    table.begin("dump");
    let mut bytes = text.as_bytes();
    let notes = read(Source { reader: &mut bytes, path: None }, "dump", columns, &mut table)?;
    Ok((table, notes))
}

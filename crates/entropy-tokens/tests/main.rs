//! Dumps of trainers, and the numbers against NumPy.

#![allow(clippy::unwrap_used)]

mod changes;
mod dumps;
mod missing;
mod numbers;

use std::fs::File;
use std::path::{Path, PathBuf};

use entropy_history::formats::{LogNote, Source};
use entropy_tokens::{Columns, ReadError, Reason, TokenTable, read};
use serde_json::{Value, json};

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

/// A line of a dump with some keys replaced; null removes a key.
fn line(changes: &Value) -> String {
    let mut row = json!({
        "step": 1, "id": 0, "prompt_token_ids": [1, 2, 3], "response_token_ids": [22, 30],
        "tokens": ["7", "?"], "entropies": [2.5, 0.5], "log_probs": [-2.5, -0.5], "reward": 1,
    });
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(row.as_object_mut().unwrap().remove(key)),
            value => row[key] = value.clone(),
        }
    }
    format!("{row}\n")
}

fn table(text: &str) -> TokenTable {
    let (table, notes) = read_text(text, &Columns::default()).unwrap();
    assert_eq!(notes, []);
    table
}

/// The reasons with their counts and first places, apart from missing rewards.
fn left_out(table: &TokenTable) -> Vec<(Reason, u64, String)> {
    let all = table.left_out().iter().filter(|(reason, _)| *reason != Reason::NoReward);
    all.map(|(reason, left_out)| (reason, left_out.count, left_out.first.clone())).collect()
}

fn entropies(table: &TokenTable, index: usize) -> Vec<f64> {
    let mut values = Vec::new();
    table.entropies(&table.responses()[index]).unwrap().each(|value| values.push(value));
    values
}

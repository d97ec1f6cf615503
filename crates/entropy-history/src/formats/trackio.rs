//! trackio's database of a project, `<project>.db`: SQLite, one row per call of `trackio.log()`.
//!
//! ```sql
//! CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
//!     timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL,
//!     metrics TEXT NOT NULL, log_id TEXT, space_id TEXT)
//! ```
//!
//! This is the schema of trackio 0.43.0 (`sqlite_storage.py`, `init_db`; `user_version` 2). 0.2.9,
//! 0.5.0 and 0.14.0 have no `run_id`, `log_id` and `space_id`: there the name identifies a run. With
//! `run_id`, two runs may share a name; a resumed run keeps its id and logs steps again. The table
//! `system_metrics` has no steps and is ignored.
//!
//! `metrics` is a JSON object. 0.2.9 stored the text of Python's `json`, with bare NaN. Later versions
//! store orjson's bytes as a BLOB, with "NaN", "Infinity" and "-Infinity" as strings, except that 0.5.0
//! wrote null for a nested NaN: so null is NaN. An object with a `_type` is a table, a histogram or a
//! picture.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;

use crate::formats::databases::{DatabaseOwner, database_owner};
use crate::formats::error::TrackioError;
use crate::formats::format::RunIdentity;
use crate::formats::reader_api::{
    Confidence, Format, Head, MissingMetric, ReadError, SeriesBuilder,
};
use crate::formats::run_config::{LoggedConfig, parse_json};
use crate::formats::run_names::RunNames;
use crate::formats::timestamps::iso_to_unix_seconds;
use crate::framing::sqlite::{DatabaseError, query_database};

pub(crate) const FORMAT: Format = Format {
    name: "trackio",
    about: "trackio's database of a project (SQLite)",
    recognised_by: "the bytes SQLite format 3",
    metrics: &["train/entropy", "policy/entropy"],
    recognise,
    read,
    identity: RunIdentity::Id,
    config,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    // Not certain: other programs use SQLite too, and the reader reports which tables it found.
    match database_owner(head) {
        Some(DatabaseOwner::Trackio) => Confidence::Likely,
        _ => Confidence::No,
    }
}

/// Reads the runs in the order of their first rows, the rows of each in the order they were logged.
///
/// Needs a path instead of a stream, because the newest rows of a live run are in the `-wal` file.
fn read(
    head: &Head<'_>,
    _: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let Some(path) = head.path else { return Err(DatabaseError::NoFile.into()) };
    builder.missing_metric(MissingMetric::Count);
    let with_clock = builder.selector().has_clock();
    let query = |db: &Connection| query(db, with_clock);
    let runs = match query_database(path, query).map_err(TrackioError::from)? {
        QueryResult::Runs(runs) => runs,
        QueryResult::Tables(tables) => return Err(TrackioError::Foreign(tables).into()),
    };
    let mut names = RunNames::default();
    for run in runs {
        builder.enter_run(&names.distinct(&run.name));
        let clock = builder.clock("timestamp");
        for row in run.rows {
            let metrics =
                parse(&row.metrics).map_err(|what| TrackioError::Row { id: row.id, what })?;
            builder.set_step(row.step);
            if let (Some(clock), Some(time)) = (clock, row.time) {
                builder.set(clock, time);
            }
            flatten("", &metrics, builder);
            builder.end_row();
        }
    }
    Ok(())
}

enum QueryResult {
    Runs(Vec<TrackioRun>),
    /// The tables of another program.
    Tables(Vec<String>),
}

struct TrackioRun {
    id: Vec<u8>,
    name: String,
    rows: Vec<TrackioRow>,
}

struct TrackioRow {
    id: i64,
    step: f64,         // SQLite stores 1.5 even in an integer column
    time: Option<f64>, // Unix seconds
    metrics: Vec<u8>,
}

fn query(db: &Connection, with_clock: bool) -> rusqlite::Result<QueryResult> {
    let names = |query| -> rusqlite::Result<Vec<String>> {
        db.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    };
    let columns = names("SELECT name FROM pragma_table_info('metrics')")?;
    let has = |column: &str| columns.iter().any(|c| c == column);
    if !["run_name", "step", "metrics"].into_iter().all(has) {
        let tables = names("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")?;
        let theirs = tables.into_iter().filter(|table| !table.starts_with("sqlite_"));
        return Ok(QueryResult::Tables(theirs.collect()));
    }
    let run = if has("run_id") { "run_id" } else { "run_name" };
    let time = if with_clock && has("timestamp") { "timestamp" } else { "NULL" };
    let mut statement = db.prepare(&format!(
        "SELECT {run}, run_name, rowid, step, metrics, {time} FROM metrics ORDER BY rowid"
    ))?;
    let mut rows = statement.query([])?;
    let mut runs: Vec<TrackioRun> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    while let Some(row) = rows.next()? {
        let bytes =
            |column: usize| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(column)?.as_bytes()?) };
        let place = *places.entry(bytes(0)?.to_owned()).or_insert(runs.len());
        if place == runs.len() {
            let (id, name) =
                (bytes(0)?.to_owned(), String::from_utf8_lossy(bytes(1)?).into_owned());
            runs.push(TrackioRun { id, name, rows: Vec::new() });
        }
        let (id, step) = (row.get(2)?, row.get(3)?);
        let time = match row.get_ref(5)? {
            ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(iso_to_unix_seconds),
            _ => None,
        };
        runs[place].rows.push(TrackioRow { id, step, time, metrics: bytes(4)?.to_owned() });
    }
    Ok(QueryResult::Runs(runs))
}

/// The configurations of the runs: the table `configs` has a JSON object for each. 0.2.9 had no such table.
fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let query = |db: &Connection| Ok((query(db, false)?, query_configs(db)?));
    let (QueryResult::Runs(runs), configs) = query_database(path, query)? else {
        return Ok(Vec::new());
    };
    let (mut names, mut found) = (RunNames::default(), Vec::new());
    for run in runs {
        let name = names.distinct(&run.name);
        let Some((_, json)) = configs.iter().find(|(id, _)| *id == run.id) else { continue };
        // Names with an underscore are trackio's own: `_Created`.
        let tree = parse_json(json)?.without(|name| name.starts_with('_'));
        let source = path.to_string_lossy().into_owned();
        found.push(LoggedConfig::new(Some(name), tree, source));
    }
    Ok(found)
}

/// The id or name of each run with a configuration, and its JSON text.
fn query_configs(db: &Connection) -> rusqlite::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut columns = db.prepare("SELECT name FROM pragma_table_info('configs')")?;
    let columns: Vec<String> =
        columns.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let has = |column: &str| columns.iter().any(|c| c == column);
    if !has("config") {
        return Ok(Vec::new());
    }
    let run = if has("run_id") { "run_id" } else { "run_name" };
    let mut statement = db.prepare(&format!("SELECT {run}, config FROM configs ORDER BY rowid"))?;
    let rows = statement.query_map([], |row| {
        Ok((row.get_ref(0)?.as_bytes()?.to_owned(), row.get_ref(1)?.as_bytes()?.to_owned()))
    })?;
    rows.collect()
}

fn parse(metrics: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(metrics)
        .or_else(|error| serde_json::from_slice(&with_quotes(metrics)).map_err(|_| error))
}

/// Puts Python's NaN and Infinity in quotes, as later versions write them.
fn with_quotes(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = json;
    while let Some((&byte, behind)) = rest.split_first() {
        let words: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
        if let (false, Some(word)) = (in_string, words.into_iter().find(|w| rest.starts_with(w))) {
            out.extend([b"\"", word, b"\""].concat());
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        out.push(byte);
        rest = behind;
    }
    out
}

/// Adds the numbers to the builder; nested names are joined with dots, as W&B does.
fn flatten(key: &str, value: &Value, builder: &mut SeriesBuilder<'_>) {
    match value {
        Value::Number(number) => builder.set_value(key, number.as_f64().unwrap_or(f64::NAN)),
        Value::Null => builder.set_value(key, f64::NAN),
        Value::String(text) => match text.as_str() {
            "NaN" => builder.set_value(key, f64::NAN),
            "Infinity" => builder.set_value(key, f64::INFINITY),
            "-Infinity" => builder.set_value(key, f64::NEG_INFINITY),
            _ => {}
        },
        Value::Object(fields) if !fields.contains_key("_type") => {
            for (name, value) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), value, builder);
            }
        }
        Value::Object(_) | Value::Array(_) | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::super::{LogSeries, SeriesSelector};
    use super::*;

    fn with_ending(path: &Path, end: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    }

    /// The path of a fixture, written by `tests/fixtures/make/logs/trackio_make.py` with the trackio
    /// version in its directory name.
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/trackio").join(name)
    }

    /// A database with its `-wal` file in a directory of its own, so that files left behind are seen.
    fn alone(name: &str) -> (TempDir, PathBuf) {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a b%?#.db");
        for end in ["", "-wal"] {
            if let Ok(bytes) = fs::read(with_ending(&fixture(name), end)) {
                fs::write(with_ending(&path, end), bytes).unwrap();
            }
        }
        (tmp, path)
    }

    /// Every numeric series, by run and key.
    fn series(path: &Path) -> Result<Vec<LogSeries>, ReadError> {
        let selector = SeriesSelector::metrics(&["*".to_owned()]).unwrap();
        let head = fs::read(path)?;
        let mut builder = SeriesBuilder::new(std::borrow::Cow::Borrowed(&selector), &[]);
        let outcome = read(&Head::new(&head, Some(path)), &mut std::io::empty(), &mut builder);
        Ok(builder.finish(outcome)?.series)
    }

    fn error(path: &Path) -> String {
        series(path).unwrap_err().to_string()
    }

    /// The number of entropy values of each run.
    fn sizes(path: &Path) -> Vec<(String, usize)> {
        let entropies = series(path).unwrap().into_iter().filter(|s| s.metric == "train/entropy");
        entropies.map(|s| (s.run.unwrap(), s.points.len())).collect()
    }

    fn owned(sizes: &[(&str, usize)]) -> Vec<(String, usize)> {
        sizes.iter().map(|(run, rows)| ((*run).to_owned(), *rows)).collect()
    }

    #[test]
    fn runs_with_equal_names_are_separate_and_a_resumed_run_is_one() {
        let path = fixture("0.43.0/entropy.db");
        let runs = [("questioner", 30), ("collapse", 20), ("solver", 57), ("collapse (2)", 5)];
        assert_eq!(sizes(&path), owned(&runs));
        let all = series(&path).unwrap();
        let is_solver =
            |s: &&LogSeries| s.run.as_deref() == Some("solver") && s.metric == "train/entropy";
        let steps: Vec<f64> =
            all.iter().find(is_solver).unwrap().points.iter().map(|p| p.step).collect();
        assert_eq!(steps[45..49], [46.0, 47.0, 41.0, 42.0]);
    }

    #[test]
    fn rows_in_wal_file_are_read_and_no_file_is_left_behind() {
        for name in ["0.43.0/live/live.db", "0.5.0/live/live.db"] {
            let (tmp, path) = alone(name);
            let before = (fs::read(&path).unwrap(), fs::read(with_ending(&path, "-wal")).unwrap());
            assert_eq!(sizes(&path), owned(&[("collapse", 20), ("live", 30)]));
            let after = (fs::read(&path).unwrap(), fs::read(with_ending(&path, "-wal")).unwrap());
            assert!(before == after, "{name} was written to");
            assert_eq!(fs::read_dir(&tmp).unwrap().count(), 2, "{name}");
        }
        for name in ["0.43.0/entropy.db", "0.5.0/entropy.db", "0.2.9/entropy.db"] {
            let (tmp, path) = alone(name);
            series(&path).unwrap();
            assert_eq!(fs::read_dir(&tmp).unwrap().count(), 1, "{name}");
        }
    }

    #[test]
    fn newest_rows_of_a_live_run_are_read() {
        let (_tmp, path) = alone("0.43.0/live/live.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; BEGIN; DELETE FROM metrics").unwrap();
        assert_eq!(sizes(&path).len(), 2, "what is not committed is not there");
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(error(&path), "it holds no points");
    }

    #[test]
    fn rejects_databases_of_other_programs() {
        let odd = |name: &str| error(&fixture("odd").join(name));
        let not = "it is an SQLite database, but not of trackio, MLflow or SwanLab: it has";
        assert_eq!(odd("other_tables.db"), format!("{not} the tables params, runs"));
        assert_eq!(odd("metrics_of_another_kind.db"), format!("{not} the table metrics"));
        assert_eq!(odd("no_tables.db"), format!("{not} no tables"));
        assert_eq!(odd("no_rows.db"), "it holds no points");
    }

    #[test]
    fn rejects_truncated_and_overwritten_databases() {
        for name in ["cut.db", "header_only.db", "overwritten.db"] {
            assert!(error(&fixture("odd").join(name)).starts_with("SQLite says: "), "{name}");
        }
        let (_tmp, path) = alone("0.43.0/entropy.db");
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(4000) {
            fs::write(&path, &whole[..at]).unwrap();
            let _ = series(&path); // a cut after the last row may go unnoticed; there must be no panic
            let mut broken = whole.clone();
            broken[at..(at + 100).min(whole.len())].fill(0xaa);
            fs::write(&path, broken).unwrap();
            let _ = series(&path);
        }
    }

    #[test]
    fn nan_inside_strings_is_not_quoted() {
        let quoted = |json: &str| String::from_utf8(with_quotes(json.as_bytes())).unwrap();
        assert_eq!(quoted(r#"{"a": NaN, "b": -Infinity}"#), r#"{"a": "NaN", "b": "-Infinity"}"#);
        assert_eq!(quoted(r#"{"NaN": "a \" NaN \\"}"#), r#"{"NaN": "a \" NaN \\"}"#);
    }
}

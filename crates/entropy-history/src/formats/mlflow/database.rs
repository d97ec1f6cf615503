//! Reads MLflow's database.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::formats::reader_api::{LogNote, ReadError, SeriesBuilder};
use crate::formats::run_names::RunNames;
use crate::framing::sqlite::query_database;
use crate::text::plural;

struct MlflowRun {
    name: String,
    experiment: String,
    deleted: bool,
    rows: Vec<MetricRow>,
}

struct MetricRow {
    key: usize, // index in `Store::keys`
    step: f64,
    value: f64,
    milliseconds: f64,
}

#[derive(Default)]
struct Store {
    runs: Vec<MlflowRun>,
    keys: Vec<String>,
}

/// Adds the runs in the order in which they were started; values of a run in the order of their times.
pub(super) fn read(path: &Path, builder: &mut SeriesBuilder<'_>) -> Result<(), ReadError> {
    let Store { runs, keys } = query_database(path, query)?;
    let (deleted, runs): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.deleted);
    if !deleted.is_empty() {
        if runs.is_empty() {
            return Err(ReadError::Nothing("all its runs were deleted"));
        }
        let count = plural(deleted.len(), "deleted run was", "deleted runs were");
        builder.note(LogNote::Remark(format!("{count} left out")));
    }
    let mut names = RunNames::default();
    for run in &runs {
        let is_namesake = |other: &&MlflowRun| other.name == run.name;
        let in_others = |other: &MlflowRun| other.experiment != run.experiment;
        let name = match runs.iter().filter(is_namesake).any(in_others) {
            true => format!("{}/{}", run.experiment, run.name),
            false => run.name.clone(),
        };
        builder.enter_run(&names.distinct(&name));
        let clock = builder.clock("timestamp");
        for row in &run.rows {
            let Some(column) = builder.column(&keys[row.key]) else { continue };
            builder.push(column, row.step, row.value);
            if let (Some(clock), true) = (clock, builder.is_selected(column)) {
                builder.push(clock, row.step, row.milliseconds);
            }
        }
    }
    Ok(())
}

fn query(db: &Connection) -> rusqlite::Result<Store> {
    let mut store = Store::default();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    // Before MLflow 2, only a tag has the name of a run.
    let mut statement = db.prepare(
        "SELECT r.run_uuid, coalesce(nullif(r.name, ''), nullif(t.value, ''), r.run_uuid),
             coalesce(e.name, r.experiment_id, ''),
             r.lifecycle_stage IS 'deleted' OR e.lifecycle_stage IS 'deleted'
         FROM runs r LEFT JOIN experiments e ON e.experiment_id = r.experiment_id
             LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName'
         ORDER BY r.start_time, r.rowid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        places.insert(row.get(0)?, store.runs.len());
        store.runs.push(MlflowRun {
            name: row.get(1)?,
            experiment: row.get_ref(2).map(text)?,
            deleted: row.get(3)?,
            rows: Vec::new(),
        });
    }
    let mut known: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut statement = db.prepare(
        "SELECT run_uuid, key, value, step, is_nan, timestamp FROM metrics
         ORDER BY timestamp, rowid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(&place) = places.get(row.get_ref(0)?.as_str()?) else { continue };
        let name = row.get_ref(1)?.as_bytes()?;
        let key = match known.get(name) {
            Some(key) => *key,
            None => {
                known.insert(name.to_owned(), store.keys.len());
                store.keys.push(String::from_utf8_lossy(name).into_owned());
                store.keys.len() - 1
            }
        };
        let is_nan: bool = row.get(4)?;
        let value = if is_nan { f64::NAN } else { infinite(row.get(2)?) };
        let (step, milliseconds) = (row.get(3)?, row.get(5)?);
        store.runs[place].rows.push(MetricRow { key, step, value, milliseconds });
    }
    Ok(store)
}

/// MLflow stores an infinity as the largest float.
fn infinite(value: f64) -> f64 {
    if value.abs() == f64::MAX { f64::INFINITY.copysign(value) } else { value }
}

/// A text, or an integer as a text.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        _ => String::new(),
    }
}

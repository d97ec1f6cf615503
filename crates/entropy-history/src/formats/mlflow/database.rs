//! Reads MLflow's database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{MetricValue, add, number_if_without_steps};
use crate::formats::reader_api::{LogNote, ReadError, SeriesBuilder};
use crate::formats::run_config::LoggedConfig;
use crate::formats::run_names::RunNames;
use crate::framing::sqlite::query_database;
use crate::run_config::{ConfigValue, Tree};
use crate::text::plural;

struct MlflowRun {
    id: String,
    name: String,
    experiment: String,
    deleted: bool,
    metrics: Vec<(usize, Vec<MetricValue>)>, // by the index of their key in `Store::keys`
}

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
    let mut is_numbered = false;
    for (name, mut run) in distinct_names(&runs).into_iter().zip(runs) {
        builder.enter_run(&name);
        let clock = builder.clock("timestamp");
        for (key, values) in &mut run.metrics {
            let Some(column) = builder.column(&keys[*key]) else { continue };
            is_numbered |= number_if_without_steps(values);
            add(values, column, clock, builder);
        }
    }
    if is_numbered {
        builder.note(LogNote::RowsNumbered);
    }
    Ok(())
}

/// A name for each run that no other one has: with its experiment if runs of several experiments share a name.
fn distinct_names(runs: &[MlflowRun]) -> Vec<String> {
    let mut experiments: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new(); // of the runs of a name
    for run in runs {
        experiments.entry(&run.name).or_default().insert(&run.experiment);
    }
    let mut names = RunNames::default();
    let name = |run: &MlflowRun| match experiments[run.name.as_str()].len() {
        1 => names.distinct(&run.name),
        _ => names.distinct(&format!("{}/{}", run.experiment, run.name)),
    };
    runs.iter().map(name).collect()
}

/// The parameters of each run that was not deleted.
pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let (mut runs, params) = query_database(path, |db| Ok((query_runs(db)?, query_params(db)?)))?;
    runs.retain(|run| !run.deleted);
    let config = |(name, run): (String, &MlflowRun)| {
        let own = params.iter().filter(|(id, _, _)| *id == run.id);
        let own = own.map(|(_, key, text)| (key.clone(), Tree::Leaf(ConfigValue::plain(text))));
        let source = path.to_string_lossy().into_owned();
        LoggedConfig::new(Some(name), Tree::Map(own.collect()), source)
    };
    Ok(distinct_names(&runs).into_iter().zip(&runs).map(config).collect())
}

/// The id of a run, the key and the value of each parameter, by key.
fn query_params(db: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = db.prepare("SELECT run_uuid, key, value FROM params ORDER BY key")?;
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get_ref(2).map(text)?)))?;
    rows.collect()
}

fn query_runs(db: &Connection) -> rusqlite::Result<Vec<MlflowRun>> {
    let mut runs = Vec::new();
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
        runs.push(MlflowRun {
            id: row.get(0)?,
            name: row.get(1)?,
            experiment: row.get_ref(2).map(text)?,
            deleted: row.get(3)?,
            metrics: Vec::new(),
        });
    }
    Ok(runs)
}

fn query(db: &Connection) -> rusqlite::Result<Store> {
    let mut store = Store { runs: query_runs(db)?, keys: Vec::new() };
    let places = store.runs.iter().enumerate().map(|(place, run)| (run.id.clone(), place));
    let places: HashMap<String, usize> = places.collect();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut series: HashMap<(usize, usize), usize> = HashMap::new(); // only looked up
    // MLflow 1.0 had no `is_nan`.
    let has_nan = db.prepare("SELECT is_nan FROM metrics").is_ok();
    let is_nan = if has_nan { "is_nan" } else { "0" };
    let mut statement = db.prepare(&format!(
        "SELECT run_uuid, key, CASE WHEN {is_nan} THEN NULL ELSE value END, step, timestamp
         FROM metrics ORDER BY timestamp, rowid"
    ))?;
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
        let value = row.get::<_, Option<f64>>(2)?.map_or(f64::NAN, infinite);
        let (step, milliseconds) = (row.get(3)?, row.get(4)?);
        let metrics = &mut store.runs[place].metrics;
        let at = *series.entry((place, key)).or_insert(metrics.len());
        if at == metrics.len() {
            metrics.push((key, Vec::new()));
        }
        metrics[at].1.push(MetricValue { step, value, milliseconds });
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

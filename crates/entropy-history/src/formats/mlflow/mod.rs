//! MLflow's stores: its database (`mlflow.db`, `mlruns.db`), and the files of a run below `mlruns/`.
//!
//! ```text
//! metrics(key, value, timestamp, run_uuid, step, is_nan)          SQLite; the time is in milliseconds
//! params(key, value, run_uuid)
//! runs(run_uuid, name, lifecycle_stage, experiment_id, …)   experiments(experiment_id, name, …)
//!
//! mlruns/<experiment>/<run>/meta.yaml                             run_id, lifecycle_stage, run_name
//!                          /metrics/actor/entropy                 lines: 1795781766764 1.403013 1
//!                          /params/learning_rate                  the value, nothing else
//!                          /tags/mlflow.runName                   the name, nothing else
//! ```
//!
//! The database is the default since MLflow 3. It holds NaN as `is_nan`, and an infinity as the largest
//! 64-bit float. A run that was deleted stays in the store, with `lifecycle_stage` `deleted`, and is left
//! out. Where no value of a metric has a step, all steps are 0. `meta.yaml` stands for the run of a file
//! store; a file below `metrics` can be read alone. (MLflow 3.17, `store/tracking/sqlalchemy_store.py`,
//! `file_store.py`.)

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::formats::databases::{DatabaseOwner, database_owner};
use crate::formats::format::RunIdentity;
use crate::formats::reader_api::{
    ColumnId, Confidence, Format, Head, MissingMetric, ReadError, SeriesBuilder,
};
use crate::formats::run_config::LoggedConfig;
use crate::framing::sqlite::{DatabaseError, MAGIC};

mod database;
mod files;

pub(crate) use files::metric_files;

pub(crate) const FORMAT: Format = Format {
    name: "mlflow",
    about: "MLflow's database (SQLite) or the files of a run below mlruns/",
    recognised_by: "a database with MLflow's table metrics, or a meta.yaml with a run_id",
    metrics: &["actor/entropy", "train/entropy", "policy/entropy"],
    recognise,
    read,
    identity: RunIdentity::Id,
    config,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    let Some(path) = head.path else { return Confidence::No };
    let is_mlflow = match database_owner(head) {
        Some(owner) => owner == DatabaseOwner::Mlflow,
        None => files::is_run(head) || files::is_metric_file(path),
    };
    if is_mlflow { Confidence::Certain } else { Confidence::No }
}

fn read(
    head: &Head<'_>,
    _: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    let Some(path) = head.path else { return Err(DatabaseError::NoFile.into()) };
    match head.bytes.starts_with(MAGIC) {
        true => database::read(path, builder),
        false => files::read(path, builder),
    }
}

fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let mut start = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    if start == MAGIC { database::config(path) } else { files::config(path) }
}

/// A value of a metric.
struct MetricValue {
    step: f64,
    value: f64,
    milliseconds: f64,
}

/// Numbers the values from 1 if all of several have step 0, as `log_metric` without a step writes them.
/// Returns whether it did.
fn number_if_without_steps(values: &mut [MetricValue]) -> bool {
    if values.len() < 2 || values.iter().any(|value| value.step != 0.0) {
        return false;
    }
    for (step, value) in (1..).zip(values) {
        value.step = f64::from(step);
    }
    true
}

/// Adds the values of a metric, and their times to a clock.
fn add(
    values: &[MetricValue],
    column: ColumnId,
    clock: Option<ColumnId>,
    builder: &mut SeriesBuilder<'_>,
) {
    let clock = clock.filter(|_| builder.is_selected(column));
    for value in values {
        builder.push(column, value.step, value.value);
        if let Some(clock) = clock {
            builder.push(clock, value.step, value.milliseconds);
        }
    }
}

#[cfg(test)]
mod tests;

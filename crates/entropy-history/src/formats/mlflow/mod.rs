//! MLflow's stores: its database (`mlflow.db`, `mlruns.db`), and the files of a run below `mlruns/`.
//!
//! ```text
//! metrics(key, value, timestamp, run_uuid, step, is_nan)          SQLite; the time is in milliseconds
//! runs(run_uuid, name, lifecycle_stage, experiment_id, …)   experiments(experiment_id, name, …)
//!
//! mlruns/<experiment>/<run>/meta.yaml                             run_id, lifecycle_stage, run_name
//!                          /metrics/actor/entropy                 lines: 1795781766764 1.403013 1
//!                          /tags/mlflow.runName                   the name, nothing else
//! ```
//!
//! The database is the default since MLflow 3. It holds NaN as `is_nan`, and an infinity as the largest
//! 64-bit float. A run that was deleted stays in the store, with `lifecycle_stage` `deleted`, and is left
//! out. `meta.yaml` stands for the run of a file store; a file below `metrics` can be read alone. (MLflow
//! 3.17, `store/tracking/sqlalchemy_store.py`, `file_store.py`.)

use std::io::Read;

use crate::formats::databases::{DatabaseOwner, database_owner};
use crate::formats::format::RunIdentity;
use crate::formats::reader_api::{
    Confidence, Format, Head, MissingMetric, ReadError, SeriesBuilder,
};
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

#[cfg(test)]
mod tests;

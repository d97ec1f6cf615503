//! Which program wrote an SQLite database.

use super::format::Head;
use crate::framing::sqlite::{MAGIC, has_columns};

/// A program whose databases can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseOwner {
    Mlflow,
    SwanLab,
    /// trackio, or a program that is not known.
    Trackio,
}

/// The program that wrote the database; `None` if the log is not a database. Only a database with a
/// path can be opened.
pub(crate) fn database_owner(head: &Head<'_>) -> Option<DatabaseOwner> {
    if !head.bytes.starts_with(MAGIC) {
        return None;
    }
    let has = |table, columns| head.path.is_some_and(|path| has_columns(path, table, columns));
    let has_mlflow_metrics = has("metrics", &["run_uuid", "key", "value", "step"]);
    Some(if has_mlflow_metrics && has("runs", &["run_uuid", "experiment_id"]) {
        DatabaseOwner::Mlflow
    } else if has("experiment", &["run_id", "name"]) && has("tag", &["experiment_id", "name"]) {
        DatabaseOwner::SwanLab
    } else {
        DatabaseOwner::Trackio
    })
}

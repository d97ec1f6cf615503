//! Logs that are read from more than one file.

use std::path::{Path, PathBuf};

use super::mlflow::metric_files;
use super::swanlab::value_files;

/// The other files from which the log at `path` is read, as far as they exist now: the newest rows of a
/// database, the metrics of a run of MLflow, the values of SwanLab's local mode. If one of them changes, so does the log.
pub fn companion_files(path: &Path) -> Vec<PathBuf> {
    let extension = path.extension().unwrap_or_default();
    if extension == "db" || extension == "sqlite" {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        return vec![wal.into()];
    }
    let mut files = metric_files(path);
    files.extend(value_files(path));
    files
}

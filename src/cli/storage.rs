//! `$STORAGE_PATH`: R-Zero keeps its models in the directory `models` there.

use std::path::PathBuf;

/// The value of `$STORAGE_PATH`; `None` if it is unset or empty.
pub(super) fn storage_path() -> Option<PathBuf> {
    std::env::var_os("STORAGE_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
}

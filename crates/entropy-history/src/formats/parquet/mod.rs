//! Parquet tables: what `convert` and pandas write, and W&B's export of a run's history.
//!
//! ```text
//! run (string) | step (integer) | metric (string) | entropy (double)     one row per run and step
//! _step | policy/entropy | …                                             one column per metric
//! ```
//!
//! The footer is at the end, so the whole file is held in memory; only the selected columns are
//! decoded. A null is a missing value, like an empty cell of a CSV table.

use crate::formats::format::Format;

mod read;
mod write;

pub use write::table;

pub(crate) const FORMAT: Format = Format {
    name: "parquet",
    about: "Parquet tables of pandas, polars and W&B",
    recognised_by: "the bytes PAR1",
    metrics: &["policy/entropy", "entropy"],
    recognise: read::recognise,
    read: read::read,
    ..Format::DEFAULTS
};

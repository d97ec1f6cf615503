//! Parquet tables: what `convert` and pandas write, and W&B's export of a run's history.
//!
//! ```text
//! run (string) | step (integer) | metric (string) | entropy (double)     one row a run and step
//! _step | policy/entropy | …                                             one column a metric
//! ```
//!
//! The footer is at the end, so the file is held whole while it is read; only the columns that are
//! wanted are decoded. A null is no value, as an empty cell of a CSV table is.

use crate::formats::format::{Format, Growth};

mod read;
mod write;

pub use write::table;

pub(crate) const FORMAT: Format = Format {
    name: "parquet",
    about: "Parquet tables of pandas, polars and W&B",
    recognised_by: "the bytes PAR1",
    metrics: &["policy/entropy", "entropy"],
    kinds: &[],
    is_console: false,
    recognise: read::recognise,
    read: read::read,
    growth: |_| Growth::Rewritten,
};

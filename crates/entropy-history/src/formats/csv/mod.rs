//! Tables of comma-, tab- or semicolon-separated values: downloads from W&B and TensorBoard, pandas,
//! spreadsheets, `progress.csv` of Stable-Baselines3 and RLlib.
//!
//! ```text
//! "Step","<run> - policy/entropy","<run> - policy/entropy__MIN","<run> - policy/entropy__MAX"    W&B
//! Wall time,Step,Value                                                                   TensorBoard
//! ,_step,_runtime,policy/entropy                                             pandas, of W&B's history
//! run,step,metric,entropy        one row per run and step, as `convert` writes it
//! step,questioner,solver  one column per run
//! "Relative Time (Process)","<run> - _step","<run> - policy/entropy"     W&B, over time
//! ```
//!
//! A W&B download over time has no common step: the `_step` column of each run is used, and without one
//! the table is rejected.
//!
//! An empty cell is a missing value; `nan` is a value. The last field of an unfinished last line may be
//! cut inside a number, so it is ignored.

use crate::formats::format::{Format, Growth};

mod column_role;
mod fields;
mod header;
mod read;
mod row_lines;
mod unnamed_columns;
mod write;

pub(crate) use read::CsvTable;
pub use write::table;

pub(crate) const FORMAT: Format = Format {
    name: "csv",
    about: "CSV and TSV: downloads of W&B and TensorBoard, progress.csv, pandas",
    recognised_by: "a header with a step, and numbers below it",
    metrics: &["policy/entropy", "entropy", "Value"],
    recognise: header::recognise,
    read: read::read,
    growth: |_| Growth::Table,
    ..Format::DEFAULTS
};

//! Tables of comma-, tab- or semicolon-separated values: W&B's and TensorBoard's downloads, pandas,
//! Stable-Baselines3's and RLlib's `progress.csv`, spreadsheets.
//!
//! ```text
//! "Step","<run> - policy/entropy","<run> - policy/entropy__MIN","<run> - policy/entropy__MAX"    W&B
//! Wall time,Step,Value                                                                   TensorBoard
//! ,_step,_runtime,policy/entropy                                             pandas, of W&B's history
//! run,step,metric,entropy        one row a run and step, as `convert` writes it
//! step,questioner,solver  one column a run
//! "Relative Time (Process)","<run> - _step","<run> - policy/entropy"     W&B, over time
//! ```
//!
//! A download of W&B over time has no step of its own; it is read by the runs' `_step` columns, and refused
//! without them.
//!
//! An empty cell is no value; `nan` is one. The last field of a last line that does not end may be
//! cut in the middle of a number, and is not taken.

use crate::formats::format::{Format, Growth};

mod column_role;
mod read;
mod unnamed_columns;
mod write;

pub(crate) use read::CsvTable;
pub use write::table;

pub(crate) const FORMAT: Format = Format {
    name: "csv",
    about: "CSV and TSV: downloads of W&B and TensorBoard, progress.csv, pandas",
    recognised_by: "a header with a step, and numbers below it",
    metrics: &["policy/entropy", "entropy", "Value"],
    kinds: &[],
    is_console: false,
    recognise: read::recognise,
    read: read::read,
    growth: |_| Growth::Table,
};

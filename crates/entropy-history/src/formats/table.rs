//! Long tables, as CSV or Parquet: the names of their columns, and what is written into them.

use super::step_keys;
use crate::history::Point;
use crate::select::clock_rank;

/// A column of this name numbers repetitions, each of which is a run.
pub(super) const SEED_COLUMN: &str = "seed";
/// Names of columns that say which run a row belongs to.
pub(super) const RUN_COLUMNS: [&str; 5] = ["run", "run_name", "experiment", "label", SEED_COLUMN];
/// In a table with a column of this name, it says what the column `entropy` or `value` holds.
pub(super) const METRIC_COLUMN: &str = "metric";
/// Names of columns whose key is in the column [`METRIC_COLUMN`].
pub(super) const VALUE_COLUMNS: [&str; 2] = ["entropy", "value"];

/// One curve to write into a table, one row per point.
#[derive(Debug, Clone, Copy)]
pub struct TableSeries<'a> {
    /// The label of the run.
    pub run: &'a str,
    /// The key of the series in its log.
    pub metric: &'a str,
    /// The points.
    pub points: &'a [Point],
}

/// The index of the column that names the run of a row.
pub(super) fn run_column(names: &[String]) -> Option<usize> {
    names.iter().position(|name| RUN_COLUMNS.contains(&name.to_lowercase().as_str()))
}

/// The index of the column of steps: the requested one, else the one with the best-known name, else the first
/// of a download from W&B.
pub(super) fn step_column(names: &[String], requested: Option<&str>) -> Option<usize> {
    if let Some(requested) = requested {
        return names.iter().position(|name| name == requested);
    }
    let best = step_keys::best(names.iter().map(String::as_str));
    let named = best.and_then(|best| names.iter().position(|name| name == best));
    let is_wandb = names.get(1).is_some_and(|name| name.contains(" - "));
    named.or((is_wandb && !is_over_time(names)).then_some(0))
}

/// Whether the table is a download from W&B whose first column is a time, not a step.
pub(super) fn is_over_time(names: &[String]) -> bool {
    let [axis, first, ..] = names else { return false };
    let lower = axis.to_lowercase();
    let is_time = lower.starts_with("relative time") || lower.starts_with("wall time");
    first.contains(" - ") && (is_time || clock_rank(axis).is_some())
}

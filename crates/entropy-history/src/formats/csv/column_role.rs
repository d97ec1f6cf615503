//! What a column of a CSV table holds.

use crate::formats::series_builder::ColumnId;

/// What a column holds.
#[derive(Clone)]
pub(super) enum ColumnRole {
    Step,
    /// The name of the run that the row belongs to.
    Run,
    /// The key of the column `entropy` or `value`.
    Metric,
    Value(ColumnId),
    Ignored,
}

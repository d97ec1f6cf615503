//! What readers of token dumps share: the names of their columns, and grouping responses by a column.

pub mod column_names;
mod group_by;

pub use group_by::{ColumnValue, Comparison, GroupBy, Membership, Operator};

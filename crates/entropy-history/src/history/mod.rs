//! The core types: [`History`], [`Run`] and [`Comparison`].
//!
//! [`History::from_raw`] is the only way from logged rows to a history: it has at least one point, every
//! value is finite and steps strictly increase, so no chart and no statistic checks again.
//! [`Comparison::new`] is the only way to a comparison: at least one run, labels unique.

mod comparison;
mod curve;
mod run;

pub use comparison::{Comparison, ComparisonError, ENTROPY, Window};
pub use curve::{History, HistoryError, Point, Repairs};
pub use run::{AuxSeries, ColourRank, Run, StageBoundary};

//! Slices in, numbers out: what the table, the JSON document and the bar charts say of each run.

pub mod band;
pub mod between;
pub mod bootstrap;
pub mod check;
pub mod compare;
pub mod contrast;
pub mod group;
pub mod health;
pub mod law;
mod pairs;
pub mod smooth;
mod summary;
pub mod tokens;

use rayon::prelude::*;
use serde::Serialize;

pub use summary::{RunStats, median};

use crate::history::Comparison;
use bootstrap::Resampling;
use contrast::Contrast;
use group::GroupStats;
use health::Thresholds;

/// The document of `stats --json`; keys are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// Version of this document.
    pub schema: u32,
    /// Unit of every entropy in it.
    pub unit: &'static str,
    /// One entry a run, in the order given.
    pub runs: Vec<RunStats>,
    /// Comparisons of pairs of runs, or of groups.
    pub comparisons: Vec<Contrast>,
    /// Groups of runs, in the order in which their first runs stand.
    pub groups: Vec<GroupStats>,
    /// How the intervals of comparisons were resampled; none where nothing was compared.
    pub resampling: Option<Resampling>,
    /// What was not compared, in words.
    pub notes: Vec<String>,
}

/// Computes the numbers of every run; [`compare::compare`] adds those of pairs and groups.
pub fn analyse(comparison: &Comparison, thresholds: &Thresholds) -> Analysis {
    Analysis {
        schema: 1,
        unit: "nats",
        runs: comparison.runs().par_iter().map(|run| RunStats::of(run, thresholds)).collect(),
        comparisons: Vec::new(),
        groups: Vec::new(),
        resampling: None,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;

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
use serde::{Deserialize, Serialize};

pub use summary::{RunStats, median};

use crate::history::{Comparison, Window};
use bootstrap::Resampling;
use contrast::Contrast;
use group::GroupStats;
use health::Thresholds;
use summary::finite;

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
    /// The steps that the numbers are of, if these are limited; states, baselines and half-lives never are.
    pub window: Option<Steps>,
    /// What was not compared, and what limits the numbers, in words.
    pub notes: Vec<String>,
}

/// A part of the steps; an end without a limit is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// The first step of it.
    #[serde(serialize_with = "summary::maybe_step")]
    pub from_step: Option<f64>,
    /// The last step of it.
    #[serde(serialize_with = "summary::maybe_step")]
    pub to_step: Option<f64>,
}

/// Computes the numbers of every run; [`compare::compare`] adds those of pairs and groups.
pub fn analyse(comparison: &Comparison, thresholds: &Thresholds) -> Analysis {
    of_runs(comparison.runs().par_iter().map(|run| RunStats::of(run, thresholds)).collect())
}

/// The same for a part of the steps. What compares a run with its own start, its state first of all, is that
/// of the whole run, which a note says.
pub fn analyse_window(window: &Window, thresholds: &Thresholds) -> Analysis {
    let runs = window.cut.runs().par_iter().zip(window.whole.runs());
    let runs = runs.map(|(cut, whole)| RunStats::of_part(cut, whole, thresholds)).collect();
    let (from, to) = window.steps;
    let steps = Steps { from_step: finite(from), to_step: finite(to) };
    Analysis { window: Some(steps), notes: vec![WINDOWED.to_owned()], ..of_runs(runs) }
}

const WINDOWED: &str = "numbers are of the steps shown; state, baseline, half-life and late slope are of the whole run";

fn of_runs(runs: Vec<RunStats>) -> Analysis {
    Analysis {
        schema: 1,
        unit: "nats",
        runs,
        comparisons: Vec::new(),
        groups: Vec::new(),
        resampling: None,
        window: None,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;

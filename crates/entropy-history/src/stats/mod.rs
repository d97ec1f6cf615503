//! Statistics: slices in, numbers out. They fill the table, the JSON document and the charts.

pub mod band;
pub mod bootstrap;
pub mod check;
pub mod compare;
pub mod contrast;
mod cosines;
pub mod group;
pub mod health;
pub mod law;
mod pairs;
pub mod replicates;
pub mod sample;
pub mod smooth;
pub mod student;
mod summary;
pub mod two_sample;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use summary::RunStats;

use crate::history::{Comparison, Window};
use crate::run_config::{ConfigColumn, ConfigEntries};
use contrast::Contrast;
use group::GroupStats;
use health::Thresholds;
use sample::finite;

/// The document that `stats --json` writes. New versions only add keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Analysis {
    /// Version of the document.
    pub schema: u32,
    /// Unit of every entropy in the document.
    pub unit: &'static str,
    /// One entry per run, in input order.
    pub runs: Vec<RunStats>,
    /// Comparisons of pairs of runs, or of pairs of groups.
    pub comparisons: Vec<Contrast>,
    /// Groups of runs, in the order of their first runs.
    pub groups: Vec<GroupStats>,
    /// Always null: intervals are no longer resampled. Older versions wrote their settings under this key.
    pub resampling: (),
    /// The steps that the numbers cover, if they are limited. States, baselines and half-lives always
    /// cover the whole run.
    pub window: Option<StepRange>,
    /// Which comparisons were skipped, and what limits the numbers, in words.
    pub notes: Vec<String>,
}

impl Analysis {
    /// Adds keys of the configurations to the runs; the columns have a value for each of them.
    pub fn set_config(&mut self, columns: &[ConfigColumn]) {
        for (i, run) in self.runs.iter_mut().enumerate() {
            let value = |column: &ConfigColumn| (column.name.clone(), column.values[i].clone());
            run.config = ConfigEntries(columns.iter().map(value).collect());
        }
    }
}

/// A range of steps, both ends included; `None` for an end without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepRange {
    /// The first step of the range.
    #[serde(serialize_with = "summary::maybe_step")]
    pub from_step: Option<f64>,
    /// The last step of the range.
    #[serde(serialize_with = "summary::maybe_step")]
    pub to_step: Option<f64>,
}

/// Computes the statistics of every run. [`compare::compare`] adds those of pairs and groups.
///
/// ```
/// use entropy_history::{Comparison, EntropyKind, History, Point, Run, Thresholds, analyse};
///
/// let rows = (1..=20).map(|step| Point { step: f64::from(step), entropy: 2.0 }).collect();
/// let (history, _) = History::from_raw("flat", EntropyKind::TokenMean, rows)?;
/// let comparison = Comparison::new(vec![Run::new(history, "flat.jsonl", "jsonl", "entropy")])?;
/// let stats = &analyse(&comparison, &Thresholds::default()).runs[0];
/// assert_eq!((stats.mean, stats.state_words()), (Some(2.0), "healthy"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn analyse(comparison: &Comparison, thresholds: &Thresholds) -> Analysis {
    analysis_of(comparison.runs().par_iter().map(|run| RunStats::of(run, thresholds)).collect())
}

/// Computes the statistics of every run over a range of its steps. Numbers that compare a run with its
/// own start, such as its state, cover the whole run; a note says so.
pub fn analyse_window(window: &Window, thresholds: &Thresholds) -> Analysis {
    let runs = window.cut.runs().par_iter().zip(window.whole.runs());
    let runs = runs.map(|(cut, whole)| RunStats::of_part(cut, whole, thresholds)).collect();
    let (from, to) = window.steps;
    let steps = StepRange { from_step: finite(from), to_step: finite(to) };
    Analysis { window: Some(steps), notes: vec![WINDOW_NOTE.to_owned()], ..analysis_of(runs) }
}

const WINDOW_NOTE: &str = "the numbers cover the steps shown; state, start, level, half-life and slope cover the whole run";

fn analysis_of(runs: Vec<RunStats>) -> Analysis {
    Analysis {
        schema: 1,
        unit: "nats",
        runs,
        comparisons: Vec::new(),
        groups: Vec::new(),
        resampling: (),
        window: None,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;

//! Several runs that are shown and compared together.

use std::collections::BTreeMap;

use thiserror::Error;

use super::run::{AuxSeries, ColourRank, Run};
use crate::quantity::{EntropyKind, without_group};

/// Runs to compare: at least one, with unique labels, in the order given.
#[derive(Debug, Clone)]
pub struct Comparison {
    runs: Vec<Run>,
}

/// The runs that have points in a range of steps.
#[derive(Debug)]
pub struct Window {
    /// First and last step; infinite where not limited.
    pub steps: (f64, f64),
    /// The runs with their points in the range.
    pub cut: Comparison,
    /// The runs with all their points.
    pub whole: Comparison,
}

/// Why runs cannot be compared.
#[derive(Debug, Error, PartialEq)]
pub enum ComparisonError {
    /// There is no run.
    #[error("there is no run to show")]
    Empty,
    /// Two runs have the same label.
    #[error("two runs are called {label:?}: {first} and {second}")]
    SameLabel {
        /// The label they share.
        label: String,
        /// The source of the earlier.
        first: String,
        /// The source of the later.
        second: String,
    },
}

/// The subject of runs that hold entropies.
pub const ENTROPY: &str = "Policy entropy";

impl Comparison {
    /// Validates that there is a run and that labels differ. If all runs have a rank from an earlier
    /// comparison, they keep it.
    ///
    /// # Errors
    /// When there is no run, or two have the same label.
    pub fn new(mut runs: Vec<Run>) -> Result<Comparison, ComparisonError> {
        if runs.is_empty() {
            return Err(ComparisonError::Empty);
        }
        let mut seen: BTreeMap<&str, &Run> = BTreeMap::new();
        for run in &runs {
            if let Some(first) = seen.insert(run.history.label(), run) {
                return Err(ComparisonError::SameLabel {
                    label: run.history.label().to_owned(),
                    first: first.source.clone(),
                    second: run.source.clone(),
                });
            }
        }
        if runs.iter().any(|run| run.rank.is_none()) {
            set_ranks(&mut runs);
        }
        Ok(Comparison { runs })
    }

    /// The runs, in the order given.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The kinds of entropy among the runs, in order of appearance, each once.
    pub fn kinds(&self) -> Vec<EntropyKind> {
        let mut kinds = Vec::new();
        for run in &self.runs {
            if !kinds.contains(&run.history.kind()) {
                kinds.push(run.history.kind());
            }
        }
        kinds
    }

    /// What the runs show, for a title: `Policy entropy`, with the group of responses if all runs have the same; the metric key of other runs if they have one in common;
    /// `Metrics` otherwise.
    pub fn subject(&self) -> String {
        let others = || self.runs.iter().filter(|r| r.history.kind() == EntropyKind::OtherMetric);
        let Some(first) = others().next() else {
            let group = |run: &Run| without_group(&run.metric).1.map(str::to_owned);
            let first = self.runs.first().and_then(group);
            let shared =
                first.filter(|first| self.runs.iter().all(|r| group(r).as_ref() == Some(first)));
            return match shared {
                Some(group) => format!("{ENTROPY} ({group})"),
                None => ENTROPY.to_owned(),
            };
        };
        let is_shared =
            others().count() == self.runs.len() && others().all(|run| run.metric == first.metric);
        if is_shared { first.metric.clone() } else { "Metrics".to_owned() }
    }

    /// The runs for which `keep` is true. They keep their ranks, and so their colours. `None` if no run is kept.
    pub fn only(&self, keep: &[bool]) -> Option<Comparison> {
        let kept = self.runs.iter().zip(keep).filter(|(_, keep)| **keep);
        let runs: Vec<Run> = kept.map(|(run, _)| run.clone()).collect();
        (!runs.is_empty()).then_some(Comparison { runs })
    }

    /// The runs that have a point in `from <= step <= to`, and the labels of the others. `None` when no run
    /// has one.
    pub fn between(&self, from: f64, to: f64) -> (Option<Window>, Vec<String>) {
        let (mut cut, mut whole, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        for run in &self.runs {
            match run.history.between(from, to) {
                Some(history) => {
                    let within = |series: &Option<AuxSeries>| series.as_ref()?.between(from, to);
                    let quantities = run.quantities.iter().map(within).collect();
                    cut.push(Run { history, quantities, ..run.clone() });
                    whole.push(run.clone());
                }
                None => outside.push(run.history.label().to_owned()),
            }
        }
        let (cut, whole) = (Comparison { runs: cut }, Comparison { runs: whole });
        let window = Window { steps: (from, to), cut, whole };
        ((!window.cut.runs.is_empty()).then_some(window), outside)
    }
}

/// Gives each run its rank among all.
fn set_ranks(runs: &mut [Run]) {
    let spread = |run: &Run| {
        let values = || run.history.points().iter().map(|p| p.entropy);
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    };
    let spreads: Vec<f64> = runs.iter().map(spread).collect();
    let mut by_spread: Vec<usize> = (0..runs.len()).collect();
    by_spread.sort_by(|&a, &b| spreads[b].total_cmp(&spreads[a]).then(a.cmp(&b)));
    let of = runs.len();
    for (rank, order) in by_spread.into_iter().enumerate() {
        runs[order].rank = Some(ColourRank { order, by_spread: rank, of });
    }
}

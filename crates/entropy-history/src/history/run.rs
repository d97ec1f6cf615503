//! A run: its history, its source, and the series that were read with it.

use std::sync::Arc;

use serde::Serialize;

use super::curve::{History, Repairs};
use crate::quantity::Sign;
use crate::run_config::RunConfig;

/// A history with its source, its auxiliary series and its warnings.
#[derive(Debug, Clone)]
pub struct Run {
    /// The entropy.
    pub history: History,
    /// The file as the user named it.
    pub source: String,
    /// The format it was read as.
    pub format: &'static str,
    /// The key of the series.
    pub metric: String,
    /// Whether the log holds negated values.
    pub sign: Sign,
    /// Where the later of several joined training stages begin; empty for a run as logged.
    pub stages: Vec<StageBoundary>,
    /// The other quantities that were requested, such as the reward, in the order of the request.
    pub quantities: Vec<Option<AuxSeries>>,
    /// The time at which each step was logged, in seconds of one clock, if it was requested.
    pub clock: Option<AuxSeries>,
    /// The configuration that the trainer wrote; `None` if it was not requested.
    pub config: Option<Arc<RunConfig>>,
    /// The step at which the training will end, if the log says so.
    pub total_steps: Option<f64>,
    /// How many logged rows were repaired.
    pub repairs: Repairs,
    /// Warnings for the user about the data of the run, as sentences.
    pub warnings: Vec<String>,
    /// Its rank in its first [`Comparison`](super::Comparison), which sets it.
    pub rank: Option<ColourRank>,
}

/// Rank at the first comparison; keeps colours stable when runs are filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColourRank {
    /// Number of runs before it.
    pub order: usize,
    /// Number of runs with a larger range of entropy; runs with equal ranges keep their order.
    pub by_spread: usize,
    /// Number of all runs.
    pub of: usize,
}

impl Run {
    /// A run without auxiliary series, repairs and warnings.
    pub fn new(
        history: History,
        source: impl Into<String>,
        format: &'static str,
        metric: impl Into<String>,
    ) -> Run {
        Run {
            history,
            source: source.into(),
            format,
            metric: metric.into(),
            sign: Sign::AsLogged,
            stages: Vec::new(),
            quantities: Vec::new(),
            clock: None,
            config: None,
            total_steps: None,
            repairs: Repairs::default(),
            warnings: Vec::new(),
            rank: None,
        }
    }
}

/// An auxiliary series, such as the reward: finite values at strictly increasing steps, and the steps whose value was not
/// finite.
#[derive(Debug, Clone, PartialEq)]
pub struct AuxSeries {
    metric: String,
    values: Arc<Vec<(f64, f64)>>, // shared by copies
    not_finite: Vec<f64>,
}

impl AuxSeries {
    /// Validates rows of step and value in log order: of several rows of a step the last is
    /// kept, as in a [`History`]; of values that are not finite only the step is kept. `None` when no value is left.
    pub fn from_raw(metric: impl Into<String>, mut rows: Vec<(f64, f64)>) -> Option<AuxSeries> {
        rows.retain(|(step, _)| step.is_finite());
        rows.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable: log order within a step
        rows.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        let odd = rows.iter().filter(|(_, value)| !value.is_finite());
        let not_finite = odd.map(|(step, _)| *step).collect();
        rows.retain(|(_, value)| value.is_finite());
        let values = Arc::new(rows);
        (!values.is_empty()).then(|| AuxSeries { metric: metric.into(), values, not_finite })
    }

    /// The series with the values of `other` before and after a range of steps.
    pub fn extended_by(&self, other: &AuxSeries, (first, last): (f64, f64)) -> AuxSeries {
        let is_inside = |step: f64| (first..=last).contains(&step);
        let own = self.rows().into_iter().filter(|(step, _)| is_inside(*step));
        let others = other.rows().into_iter().filter(|(step, _)| !is_inside(*step));
        let rows = own.chain(others).collect();
        AuxSeries::from_raw(self.metric.clone(), rows).unwrap_or_else(|| self.clone())
    }

    /// The part of the series in a range of steps; `None` without a value there.
    pub fn between(&self, from: f64, to: f64) -> Option<AuxSeries> {
        let rows = self.rows().into_iter().filter(|(step, _)| (from..=to).contains(step));
        AuxSeries::from_raw(self.metric.clone(), rows.collect())
    }

    /// Steps and values, by step; NaN where a value was not finite.
    pub fn rows(&self) -> Vec<(f64, f64)> {
        let mut rows = self.values.to_vec();
        if !self.not_finite.is_empty() {
            rows.extend(self.not_finite.iter().map(|step| (*step, f64::NAN)));
            rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        rows
    }

    /// The steps whose value was not finite.
    pub fn not_finite(&self) -> &[f64] {
        &self.not_finite
    }

    /// The key of the series.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Steps and values, by strictly increasing step.
    pub fn values(&self) -> &[(f64, f64)] {
        &self.values
    }

    /// The value at a step, if there is one.
    pub fn at(&self, step: f64) -> Option<f64> {
        let i = self.values.binary_search_by(|(s, _)| s.total_cmp(&step)).ok()?;
        Some(self.values[i].1)
    }
}

/// Where a later training stage begins in a run of several stages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageBoundary {
    /// Its first step.
    pub step: f64,
    /// The name of the stage, such as `2`.
    #[serde(rename = "round")]
    pub stage: String,
}

//! Entropy curves, checked once: what every chart and every statistic relies on.
//!
//! [`History::from_raw`] is the only door from logged rows to a curve. Past it there is at least one
//! point, every value is finite and steps strictly increase, so nothing later asks again.
//! [`Comparison::new`] is the door to drawing: at least one run, no two labels alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::quantity::{EntropyKind, Sign};

/// One logged value: a training step and the entropy in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Training step; fractional for epoch-like clocks.
    pub step: f64,
    /// Entropy in nats; may be NaN or infinite in a raw log, never in a [`History`].
    pub entropy: f64,
}

/// What had to be put right on the way from the log to the curve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repairs {
    /// Values that were NaN, infinite or null; the line breaks there.
    pub not_finite: usize,
    /// Rows replaced by a later row of the same step.
    pub relogged: usize,
    /// Rows that stood before a row with a smaller step.
    pub reordered: usize,
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, other: Repairs) {
        self.not_finite += other.not_finite;
        self.relogged += other.relogged;
        self.reordered += other.reordered;
    }
}

/// Why rows are not a curve.
#[derive(Debug, Error, PartialEq)]
pub enum HistoryError {
    /// The log holds no row of the metric.
    #[error("it holds no points")]
    Empty,
    /// Every value is NaN, infinite or null.
    #[error("none of its {0} values is finite")]
    NothingFinite(usize),
    /// A step is NaN or infinite.
    #[error("row {0} has a step that is not finite")]
    StepNotFinite(usize),
}

/// An entropy curve, ready to draw: at least one point, every entropy finite, steps strictly
/// increasing; `gaps` are the indices of points before which the line breaks, because a value
/// logged between them and their predecessor was not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    label: String,
    kind: EntropyKind,
    points: Arc<Vec<Point>>, // a copy of a curve shares them
    gaps: Vec<usize>,
}

impl History {
    /// Turns rows in log order into a curve: sorts by step, keeps the later row of a repeated step,
    /// drops values that are not finite. Linear when the rows are already in order.
    pub fn from_raw(
        label: impl Into<String>,
        kind: EntropyKind,
        mut points: Vec<Point>,
    ) -> Result<(History, Repairs), HistoryError> {
        if points.is_empty() {
            return Err(HistoryError::Empty);
        }
        if let Some(row) = points.iter().position(|p| !p.step.is_finite()) {
            return Err(HistoryError::StepNotFinite(row + 1));
        }
        let rows = points.len();
        let mut repairs = Repairs::default();

        if !points.is_sorted_by(|a, b| a.step < b.step) {
            repairs.reordered = points.windows(2).filter(|w| w[1].step < w[0].step).count();
            points.sort_by(|a, b| a.step.total_cmp(&b.step)); // stable: log order within a step
            // Last wins: a resumed run logs its steps again.
            points.dedup_by(|later, kept| {
                let same = later.step == kept.step;
                if same {
                    *kept = *later;
                }
                same
            });
            repairs.relogged = rows - points.len();
        }

        let mut gaps = Vec::new();
        let mut kept = 0;
        let mut broken = false;
        points.retain(|p| {
            if !p.entropy.is_finite() {
                broken = true;
                return false;
            }
            if std::mem::take(&mut broken) && kept > 0 {
                gaps.push(kept);
            }
            kept += 1;
            true
        });
        if points.is_empty() {
            return Err(HistoryError::NothingFinite(rows));
        }
        repairs.not_finite = rows - repairs.relogged - points.len();
        let points = Arc::new(points);
        Ok((History { label: label.into(), kind, points, gaps }, repairs))
    }

    /// The name the curve goes by; unique within a [`Comparison`].
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The same curve under another name.
    pub fn relabelled(self, label: impl Into<String>) -> History {
        History { label: label.into(), ..self }
    }

    /// Whether the two are copies of one curve under one name.
    pub fn is_copy_of(&self, other: &History) -> bool {
        Arc::ptr_eq(&self.points, &other.points) && self.label == other.label
    }

    /// Which entropy the values are.
    pub fn kind(&self) -> EntropyKind {
        self.kind
    }

    /// The points, by strictly increasing step.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The stretches between gaps, in order; none is empty.
    pub fn segments(&self) -> impl Iterator<Item = &[Point]> {
        let starts = std::iter::once(0).chain(self.gaps.iter().copied());
        let ends = self.gaps.iter().copied().chain([self.points.len()]);
        starts.zip(ends).map(|(start, end)| &self.points[start..end])
    }

    /// The same points with other values, one for each: a smoothed curve.
    pub fn with_values(&self, values: &[f64]) -> History {
        assert_eq!(values.len(), self.points.len(), "BUG: one value for each point");
        let points =
            self.points.iter().zip(values).map(|(p, &entropy)| Point { step: p.step, entropy });
        History { points: Arc::new(points.collect()), ..self.clone() }
    }

    /// The part with `from <= step <= to`; `None` when no point is left.
    pub fn between(&self, from: f64, to: f64) -> Option<History> {
        let start = self.points.partition_point(|p| p.step < from);
        let end = self.points.partition_point(|p| p.step <= to);
        if start >= end {
            return None;
        }
        let inner = self.gaps.iter().filter(|&&g| g > start && g < end).map(|g| g - start);
        Some(History {
            label: self.label.clone(),
            kind: self.kind,
            points: Arc::new(self.points[start..end].to_vec()),
            gaps: inner.collect(),
        })
    }
}

/// A curve with where it came from and what was odd about it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The curve.
    pub history: History,
    /// The file as the user named it.
    pub source: String,
    /// The format it was read as.
    pub format: &'static str,
    /// The key of the series.
    pub metric: String,
    /// Whether the log holds it negated.
    pub sign: Sign,
    /// Where rounds of training meet that were laid end to end; empty for a run as logged.
    pub joints: Vec<StageBoundary>,
    /// Another series of the same log, such as the reward, if it was asked for.
    pub reward: Option<AuxSeries>,
    /// When each step was logged, in seconds of one clock, if the log tells.
    pub clock: Option<AuxSeries>,
    /// What was put right.
    pub repairs: Repairs,
    /// What the user should know about this run, in words.
    pub warnings: Vec<String>,
    /// Where it stands among the runs it is shown with; a [`Comparison`] sets it.
    pub place: Option<Place>,
}

/// Where a run stands among those it was first compared with, whichever of them are left: what looks the same
/// in every picture, such as its colour, goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How many were given before it.
    pub order: usize,
    /// How many span more entropy; of equal ones the earlier first.
    pub by_spread: usize,
    /// How many there are.
    pub of: usize,
}

impl Run {
    /// A curve about which nothing is odd.
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
            joints: Vec::new(),
            reward: None,
            clock: None,
            repairs: Repairs::default(),
            warnings: Vec::new(),
            place: None,
        }
    }
}

/// Another series of a run's log: a finite value at some steps, which strictly increase.
#[derive(Debug, Clone, PartialEq)]
pub struct AuxSeries {
    metric: String,
    values: Vec<(f64, f64)>,
}

impl AuxSeries {
    /// Takes rows of step and value in log order: the later row of a step counts, as in a
    /// [`History`]; what is not finite is dropped. `None` when nothing is left.
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
        rows.retain(|(_, value)| value.is_finite());
        (!rows.is_empty()).then(|| AuxSeries { metric: metric.into(), values: rows })
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

/// Where a round of training begins in a history of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageBoundary {
    /// The first step of the round.
    pub step: f64,
    /// The name of the round.
    pub round: String,
}

/// Runs to be shown side by side: at least one, labels unique, in the order given.
#[derive(Debug, Clone)]
pub struct Comparison {
    runs: Vec<Run>,
}

/// The runs that have points among some steps.
#[derive(Debug)]
pub struct Window {
    /// The first and the last step; infinite where there is no limit.
    pub steps: (f64, f64),
    /// Their points there.
    pub cut: Comparison,
    /// All their points.
    pub whole: Comparison,
}

/// Why runs cannot be shown side by side.
#[derive(Debug, Error, PartialEq)]
pub enum ComparisonError {
    /// There is no run.
    #[error("there is no run to show")]
    Empty,
    /// Two runs have one label.
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

impl Comparison {
    /// Checks that there is a run and that labels differ. Runs that all have a place, as those of another
    /// comparison do, keep it.
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
        if runs.iter().any(|run| run.place.is_none()) {
            give_places(&mut runs);
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

    /// The runs that have a point in `from <= step <= to`: cut to it, and whole; and the labels of
    /// the others. `None` when no run has.
    pub fn between(&self, from: f64, to: f64) -> (Option<Window>, Vec<String>) {
        let (mut cut, mut whole, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        for run in &self.runs {
            match run.history.between(from, to) {
                Some(history) => {
                    cut.push(Run { history, ..run.clone() });
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

/// Gives each run its place among all.
fn give_places(runs: &mut [Run]) {
    let spread = |run: &Run| {
        let values = || run.history.points().iter().map(|p| p.entropy);
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    };
    let spreads: Vec<f64> = runs.iter().map(spread).collect();
    let mut by_spread: Vec<usize> = (0..runs.len()).collect();
    by_spread.sort_by(|&a, &b| spreads[b].total_cmp(&spreads[a]).then(a.cmp(&b)));
    let of = runs.len();
    for (rank, order) in by_spread.into_iter().enumerate() {
        runs[order].place = Some(Place { order, by_spread: rank, of });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: i32, entropy: f64) -> Point {
        Point { step: f64::from(step), entropy }
    }

    fn history(raw: Vec<Point>) -> (History, Repairs) {
        History::from_raw("solver_v1", EntropyKind::TokenMean, raw).unwrap()
    }

    #[test]
    fn a_resumed_run_keeps_the_second_pass() {
        let (history, repairs) = history(vec![at(1, 3.0), at(2, 2.5), at(2, 2.4), at(3, 2.2)]);
        assert_eq!(history.points(), [at(1, 3.0), at(2, 2.4), at(3, 2.2)]);
        assert_eq!(repairs, Repairs { relogged: 1, ..Repairs::default() });
    }

    #[test]
    fn a_resume_further_back_replaces_every_step_it_logs_again() {
        let raw = vec![at(1, 1.0), at(2, 2.0), at(3, 3.0), at(2, 20.0), at(3, 30.0), at(4, 40.0)];
        let (history, repairs) = history(raw);
        assert_eq!(history.points(), [at(1, 1.0), at(2, 20.0), at(3, 30.0), at(4, 40.0)]);
        assert_eq!(repairs, Repairs { relogged: 2, reordered: 1, not_finite: 0 });
    }

    #[test]
    fn rows_out_of_order_are_sorted_and_counted() {
        let (history, repairs) = history(vec![at(3, 3.0), at(1, 1.0), at(2, 2.0)]);
        assert_eq!(history.points(), [at(1, 1.0), at(2, 2.0), at(3, 3.0)]);
        assert_eq!(repairs, Repairs { reordered: 1, ..Repairs::default() });
    }

    #[test]
    fn the_line_breaks_where_a_value_is_not_finite() {
        let raw = vec![
            at(0, f64::NAN),
            at(1, 1.0),
            at(2, f64::NAN),
            at(3, f64::INFINITY),
            at(4, 4.0),
            at(5, 5.0),
            at(6, f64::NEG_INFINITY),
        ];
        let (history, repairs) = history(raw);
        let segments: Vec<_> = history.segments().collect();
        assert_eq!(segments, [&[at(1, 1.0)][..], &[at(4, 4.0), at(5, 5.0)][..]]);
        assert_eq!(repairs, Repairs { not_finite: 4, ..Repairs::default() });
    }

    #[test]
    fn a_step_logged_again_as_nan_is_a_gap() {
        let (history, repairs) = history(vec![at(1, 1.0), at(2, 2.0), at(2, f64::NAN), at(3, 3.0)]);
        assert_eq!(history.points(), [at(1, 1.0), at(3, 3.0)]);
        assert_eq!(history.segments().count(), 2);
        assert_eq!(repairs, Repairs { not_finite: 1, relogged: 1, reordered: 0 });
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        let refuse = |raw| History::from_raw("x", EntropyKind::TokenMean, raw).unwrap_err();
        assert_eq!(refuse(vec![]), HistoryError::Empty);
        assert_eq!(refuse(vec![at(1, f64::NAN)]), HistoryError::NothingFinite(1));
        let bad = vec![at(1, 1.0), Point { step: f64::NAN, entropy: 1.0 }];
        assert_eq!(refuse(bad), HistoryError::StepNotFinite(2));
    }

    #[test]
    fn a_window_keeps_the_gaps_inside_it() {
        let (history, _) =
            history(vec![at(1, 1.0), at(2, 2.0), at(3, f64::NAN), at(4, 4.0), at(5, 5.0)]);
        let cut = history.between(2.0, 4.5).unwrap();
        assert_eq!(cut.points(), [at(2, 2.0), at(4, 4.0)]);
        assert_eq!(cut.segments().count(), 2);
        assert_eq!(history.between(4.0, 9.0).unwrap().segments().count(), 1);
        assert_eq!(history.between(6.0, 9.0), None);
    }
}

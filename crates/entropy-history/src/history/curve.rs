//! One entropy curve, validated.

use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::quantity::EntropyKind;

/// One logged value: a training step and the entropy in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Training step; fractional for epoch-like clocks.
    pub step: f64,
    /// Entropy in nats; may be NaN or infinite in a raw log, never in a [`History`].
    pub entropy: f64,
}

/// How many logged rows were repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repairs {
    /// Values that were NaN, infinite or null; the line breaks there.
    pub not_finite: usize,
    /// Rows replaced by a later row of the same step.
    pub relogged: usize,
    /// Rows that were followed by a row with a smaller step.
    pub reordered: usize,
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, other: Repairs) {
        self.not_finite += other.not_finite;
        self.relogged += other.relogged;
        self.reordered += other.reordered;
    }
}

/// Why rows cannot be a history.
#[derive(Debug, Clone, Error, PartialEq)]
#[non_exhaustive]
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

/// An entropy curve: at least one point, every entropy finite, steps strictly
/// increasing; `gaps` are the indices of points before which the line breaks, because a value
/// logged between them and their predecessor was not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    label: String,
    kind: EntropyKind,
    points: Arc<Vec<Point>>, // shared by copies
    gaps: Vec<usize>,
}

impl History {
    /// Validates rows in log order: sorts them by step, keeps the later row of a repeated step, and drops
    /// values that are not finite. Takes linear time when the rows are in order.
    ///
    /// # Errors
    /// When a step is not finite, or no value is finite.
    ///
    /// ```
    /// use entropy_history::{EntropyKind, History, Point};
    ///
    /// let rows = [(1.0, 3.0), (2.0, f64::NAN), (3.0, 2.5), (3.0, 2.4)];
    /// let rows = rows.map(|(step, entropy)| Point { step, entropy }).to_vec();
    /// let (history, repairs) = History::from_raw("solver", EntropyKind::TokenMean, rows)?;
    /// assert_eq!(history.points(), [Point { step: 1.0, entropy: 3.0 }, Point { step: 3.0, entropy: 2.4 }]);
    /// assert_eq!((repairs.not_finite, repairs.relogged), (1, 1));
    /// # Ok::<(), entropy_history::HistoryError>(())
    /// ```
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
        points.iter_mut().for_each(|point| point.step += 0.0); // −0 becomes 0
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

    /// The label; unique within a [`Comparison`](super::Comparison).
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Replaces the label.
    pub fn relabelled(self, label: impl Into<String>) -> History {
        History { label: label.into(), ..self }
    }

    /// The history with the points of `other` that lie before its first and after its last step.
    pub fn extended_by(&self, other: &History) -> History {
        let own = 0..self.points.len();
        let before = 0..other.points.partition_point(|p| p.step < self.first_step());
        let after =
            other.points.partition_point(|p| p.step <= self.last_step())..other.points.len();
        let mut points = Vec::with_capacity(before.len() + own.len() + after.len());
        let mut gaps = Vec::new();
        for (part, range) in [(other, before), (self, own), (other, after)] {
            let inner = part.gaps.iter().filter(|gap| range.contains(gap));
            gaps.extend(inner.map(|gap| gap - range.start + points.len()).filter(|&gap| gap > 0));
            points.extend_from_slice(&part.points[range]);
        }
        History { points: Arc::new(points), gaps, ..self.clone() }
    }

    /// Whether both are copies of one history, with the same label.
    pub fn is_copy_of(&self, other: &History) -> bool {
        Arc::ptr_eq(&self.points, &other.points) && self.label == other.label
    }

    /// What the values measure.
    pub fn kind(&self) -> EntropyKind {
        self.kind
    }

    /// The points, by strictly increasing step.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The smallest step.
    pub fn first_step(&self) -> f64 {
        self.points[0].step
    }

    /// The largest step.
    pub fn last_step(&self) -> f64 {
        self.points[self.points.len() - 1].step
    }

    /// The segments between gaps, in order of step; none is empty.
    pub fn segments(&self) -> impl Iterator<Item = &[Point]> {
        let starts = std::iter::once(0).chain(self.gaps.iter().copied());
        let ends = self.gaps.iter().copied().chain([self.points.len()]);
        starts.zip(ends).map(|(start, end)| &self.points[start..end])
    }

    /// Replaces the entropy of each point, as for a smoothed curve.
    ///
    /// # Panics
    /// When there is not one value per point.
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
    fn resumed_run_keeps_later_rows() {
        let (history, repairs) = history(vec![at(1, 3.0), at(2, 2.5), at(2, 2.4), at(3, 2.2)]);
        assert_eq!(history.points(), [at(1, 3.0), at(2, 2.4), at(3, 2.2)]);
        assert_eq!(repairs, Repairs { relogged: 1, ..Repairs::default() });
    }

    #[test]
    fn resume_replaces_all_steps_logged_again() {
        let raw = vec![at(1, 1.0), at(2, 2.0), at(3, 3.0), at(2, 20.0), at(3, 30.0), at(4, 40.0)];
        let (history, repairs) = history(raw);
        assert_eq!(history.points(), [at(1, 1.0), at(2, 20.0), at(3, 30.0), at(4, 40.0)]);
        assert_eq!(repairs, Repairs { relogged: 2, reordered: 1, not_finite: 0 });
    }

    #[test]
    fn unsorted_rows_are_sorted_and_counted() {
        let (history, repairs) = history(vec![at(3, 3.0), at(1, 1.0), at(2, 2.0)]);
        assert_eq!(history.points(), [at(1, 1.0), at(2, 2.0), at(3, 3.0)]);
        assert_eq!(repairs, Repairs { reordered: 1, ..Repairs::default() });
    }

    #[test]
    fn values_that_are_not_finite_are_gaps() {
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
    fn step_logged_again_as_nan_is_a_gap() {
        let (history, repairs) = history(vec![at(1, 1.0), at(2, 2.0), at(2, f64::NAN), at(3, 3.0)]);
        assert_eq!(history.points(), [at(1, 1.0), at(3, 3.0)]);
        assert_eq!(history.segments().count(), 2);
        assert_eq!(repairs, Repairs { not_finite: 1, relogged: 1, reordered: 0 });
    }

    #[test]
    fn extended_history_has_the_earlier_and_later_points_of_the_other() {
        let (own, _) = history(vec![at(3, 3.0), at(4, f64::NAN), at(5, 5.0)]);
        let other = vec![at(1, 1.0), at(2, f64::NAN), at(3, 9.0), at(5, 9.0), at(6, 6.0)];
        let (other, _) = history([other, vec![at(7, f64::NAN), at(8, 8.0)]].concat());
        let both = own.extended_by(&other);
        assert_eq!(both.points(), [at(1, 1.0), at(3, 3.0), at(5, 5.0), at(6, 6.0), at(8, 8.0)]);
        let lengths: Vec<usize> = both.segments().map(<[Point]>::len).collect();
        assert_eq!(lengths, [2, 2, 1]);
    }

    #[test]
    fn rejects_rows_without_finite_values() {
        let reject = |raw| History::from_raw("x", EntropyKind::TokenMean, raw).unwrap_err();
        assert_eq!(reject(vec![]), HistoryError::Empty);
        assert_eq!(reject(vec![at(1, f64::NAN)]), HistoryError::NothingFinite(1));
        let bad = vec![at(1, 1.0), Point { step: f64::NAN, entropy: 1.0 }];
        assert_eq!(reject(bad), HistoryError::StepNotFinite(2));
    }

    #[test]
    fn between_keeps_inner_gaps() {
        let (history, _) =
            history(vec![at(1, 1.0), at(2, 2.0), at(3, f64::NAN), at(4, 4.0), at(5, 5.0)]);
        let cut = history.between(2.0, 4.5).unwrap();
        assert_eq!(cut.points(), [at(2, 2.0), at(4, 4.0)]);
        assert_eq!(cut.segments().count(), 2);
        assert_eq!(history.between(4.0, 9.0).unwrap().segments().count(), 1);
        assert_eq!(history.between(6.0, 9.0), None);
    }
}

//! The statistics of one run. Means and standard deviations are those of statrs: one pass, no cancellation.

use serde::{Serialize, Serializer};
use statrs::statistics::Statistics;

use super::health::{Health, State, Thresholds, state_words};
use super::sample::{finite, median_in_place};
use crate::history::{Point, Repairs, Run, StageBoundary};
use crate::quantity::Sign;
use crate::run_config::ConfigEntries;

/// The statistics of a run. Entropies are in nats; undefined numbers are `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunStats {
    /// Label of the run.
    pub label: String,
    /// The file that it was read from.
    pub source: String,
    /// Name of the format of that file.
    pub format: &'static str,
    /// Metric key of the series.
    pub metric: String,
    /// Name of the kind of entropy.
    pub quantity: &'static str,
    /// How the token entropies of a step are aggregated; `None` if unknown.
    pub aggregation: Option<&'static str>,
    /// Whether the log holds negated entropies.
    pub sign: Sign,
    /// Number of points.
    pub points: usize,
    /// The smallest step.
    #[serde(serialize_with = "step")]
    pub first_step: f64,
    /// The largest step.
    #[serde(serialize_with = "step")]
    pub last_step: f64,
    /// The value at the first step.
    pub first: f64,
    /// The value at the last step.
    pub last: f64,
    /// Mean over the points.
    pub mean: Option<f64>,
    /// Median over the points.
    pub median: f64,
    /// Sample standard deviation (n − 1).
    pub std: Option<f64>,
    /// The largest value.
    pub max: f64,
    /// The first step with the largest value.
    #[serde(serialize_with = "step")]
    pub max_step: f64,
    /// The smallest value.
    pub min: f64,
    /// The first step with the smallest value.
    #[serde(serialize_with = "step")]
    pub min_step: f64,
    /// Area under the curve in nats × steps, by trapezoids; `None` for one point.
    pub auc: Option<f64>,
    /// The first step at which the centred mean of five points is at or below half of the start.
    #[serde(serialize_with = "maybe_step")]
    pub half_life_step: Option<f64>,
    /// State of the run; `None` if the values are not entropies, or if the start is not above 0.
    pub state: Option<State>,
    /// The step at which a collapse or an explosion was confirmed.
    #[serde(serialize_with = "maybe_step")]
    pub state_step: Option<f64>,
    /// The level at that step: the median of the five points up to it.
    pub state_level: Option<f64>,
    /// The median of the first five points.
    pub start: Option<f64>,
    /// The median of the last five points.
    pub level: Option<f64>,
    /// Theil–Sen slope of the last third of the points, in nats per step.
    pub slope: Option<f64>,
    /// `start`, under the key of older versions.
    pub baseline: Option<f64>,
    /// The level as a share of the start.
    pub final_ratio: Option<f64>,
    /// `slope` in nats per 100 steps, under the key of older versions.
    pub late_slope: Option<f64>,
    /// Boundaries between training stages that were concatenated.
    pub joints: Vec<StageBoundary>,
    /// Counts of what was repaired in the log.
    pub repairs: Repairs,
    /// The keys of the configuration that were asked for, with their values; `None` where the run does not have one.
    #[serde(skip_serializing_if = "ConfigEntries::is_empty")]
    pub config: ConfigEntries,
    /// Warnings about the data, and about the state.
    pub warnings: Vec<String>,
    /// The warnings about the state.
    #[serde(skip)]
    pub state_warnings: Vec<String>,
}

impl RunStats {
    /// Computes the statistics of `run`.
    pub fn of(run: &Run, thresholds: &Thresholds) -> RunStats {
        RunStats::of_part(run, run, thresholds)
    }

    /// Computes the statistics of a part of a run. The state, and other numbers that compare a run with its own start,
    /// are those of the `whole` run: a part that begins after a collapse would look healthy.
    pub fn of_part(part: &Run, whole: &Run, thresholds: &Thresholds) -> RunStats {
        let points = part.history.points();
        let values = entropies(points);
        let health = || Health::of(whole, thresholds);
        let spread = || (finite(values.iter().mean()), finite(values.iter().std_dev()));
        let (health, (mean, std)) = rayon::join(health, spread);
        let (first, last) = (points[0], points[points.len() - 1]);
        let ((max, min), median) = rayon::join(|| extremes(points), || median_in_place(values));
        RunStats {
            label: part.history.label().to_owned(),
            source: part.source.clone(),
            format: part.format,
            metric: part.metric.clone(),
            quantity: part.history.kind().name(),
            aggregation: part.history.kind().aggregation(),
            sign: part.sign,
            points: points.len(),
            first_step: first.step,
            last_step: last.step,
            first: first.entropy,
            last: last.entropy,
            mean,
            std,
            median,
            max: max.entropy,
            max_step: max.step,
            min: min.entropy,
            min_step: min.step,
            auc: finite(area(points)),
            half_life_step: health.half_life_step,
            state: health.state,
            state_step: health.state_step,
            state_level: health.state_level,
            start: health.start,
            level: health.level,
            slope: health.slope.and_then(finite),
            baseline: health.start,
            final_ratio: health.final_ratio().and_then(finite),
            late_slope: health.slope.and_then(|slope| finite(100.0 * slope)),
            joints: part.stages.clone(),
            repairs: part.repairs,
            config: ConfigEntries::default(),
            warnings: part.warnings.iter().chain(&health.warnings).cloned().collect(),
            state_warnings: health.warnings,
        }
    }

    /// The state in words, and `no state` for a run without one.
    pub fn state_words(&self) -> &'static str {
        state_words(self.state)
    }

    /// Whether every value is exactly 0, as trainers log it when they do not record the entropy.
    pub fn is_not_recorded(&self) -> bool {
        self.state == Some(State::NotRecorded)
    }
}

fn entropies(points: &[Point]) -> Vec<f64> {
    points.iter().map(|point| point.entropy).collect()
}

/// Serializes a step: a whole number as an integer, as it was logged, instead of `1.0`.
pub(super) fn step<S: Serializer>(step: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if step.fract() == 0.0 && step.abs() < 2f64.powi(63) {
        serializer.serialize_i64(*step as i64)
    } else {
        serializer.serialize_f64(*step)
    }
}

/// Serializes an optional step; see [`step`].
pub(super) fn maybe_step<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => step(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// The points with the largest and the smallest value; the first one of several equal ones.
fn extremes(points: &[Point]) -> (Point, Point) {
    let mut max = points[0];
    let mut min = points[0];
    for &point in points {
        if point.entropy > max.entropy {
            max = point;
        }
        if point.entropy < min.entropy {
            min = point;
        }
    }
    (max, min)
}

/// Area under the curve by trapezoids; NaN for one point.
fn area(points: &[Point]) -> f64 {
    if points.len() < 2 {
        return f64::NAN;
    }
    let trapezoid =
        |w: &[Point]| (w[1].step - w[0].step) * (0.5 * w[0].entropy + 0.5 * w[1].entropy);
    points.windows(2).map(trapezoid).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::quantity::EntropyKind;

    fn stats(values: &[f64]) -> RunStats {
        let points =
            values.iter().enumerate().map(|(i, &entropy)| Point { step: (i * i) as f64, entropy });
        let (history, _) =
            History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap();
        RunStats::of(&Run::new(history, "x.json", "rzero", "entropy"), &Thresholds::default())
    }

    #[test]
    fn statistics_match_numpy() {
        // numpy 2.4: x = [2.5, 1.0, 4.0, 4.0, 0.5], t = [0, 1, 4, 9, 16];
        // mean, median, std(ddof=1), trapezoid(x, t).
        let s = stats(&[2.5, 1.0, 4.0, 4.0, 0.5]);
        assert_eq!((s.mean, s.median), (Some(2.4), 2.5));
        assert!((s.std.unwrap() - 1.6355427233796124).abs() < 1e-15);
        assert_eq!(s.auc, Some(45.0));
        assert_eq!((s.max, s.max_step, s.min, s.min_step), (4.0, 4.0, 0.5, 16.0));
    }

    #[test]
    fn single_point_has_no_deviation_and_no_area() {
        let s = stats(&[2.0]);
        assert_eq!((s.mean, s.std, s.auc, s.median), (Some(2.0), None, None, 2.0));
    }

    #[test]
    fn overflowing_statistics_are_none() {
        let s = stats(&[f64::MAX, -f64::MAX, f64::MAX]);
        assert_eq!((s.std, s.median), (None, f64::MAX));
    }
}

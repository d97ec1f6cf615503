//! The numbers of one run. Means and deviations are statrs' (one pass, no cancellation).

use serde::{Serialize, Serializer};
use statrs::statistics::Statistics;

use super::health::{Health, State, Thresholds};
use crate::history::{Point, Repairs, Run, StageBoundary};
use crate::quantity::Sign;

/// What `stats` says of a run. Entropies are in nats; a number that does not exist is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStats {
    /// Its name.
    pub label: String,
    /// The file it was read from.
    pub source: String,
    /// The format of that file.
    pub format: &'static str,
    /// The key of the series.
    pub metric: String,
    /// Which entropy that is.
    pub quantity: &'static str,
    /// How a step's tokens become one number, where that is known.
    pub aggregation: Option<&'static str>,
    /// Whether the log holds it negated.
    pub sign: Sign,
    /// How many points the curve has.
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
    /// The first step with it.
    #[serde(serialize_with = "step")]
    pub max_step: f64,
    /// The smallest value.
    pub min: f64,
    /// The first step with it.
    #[serde(serialize_with = "step")]
    pub min_step: f64,
    /// Area under the curve in nats × steps, by trapezoids; none for one point.
    pub auc: Option<f64>,
    /// The first step with the smoothed curve at or under half of the baseline.
    #[serde(serialize_with = "maybe_step")]
    pub half_life_step: Option<f64>,
    /// Collapsed, exploded or neither.
    pub state: State,
    /// Where a collapse or an explosion began.
    #[serde(serialize_with = "maybe_step")]
    pub state_step: Option<f64>,
    /// Entropy at the start.
    pub baseline: Option<f64>,
    /// The smoothed curve's end as a share of the baseline.
    pub final_ratio: Option<f64>,
    /// Slope of the last fifth in nats per 100 steps.
    pub late_slope: Option<f64>,
    /// Where rounds of training meet that were laid end to end.
    pub joints: Vec<StageBoundary>,
    /// What was put right in the log.
    pub repairs: Repairs,
    /// What was odd about it.
    pub warnings: Vec<String>,
}

impl RunStats {
    /// Computes the numbers of `run`.
    pub fn of(run: &Run, thresholds: &Thresholds) -> RunStats {
        let points = run.history.points();
        let values: Vec<f64> = points.iter().map(|p| p.entropy).collect();
        let (health, (mean, std)) = rayon::join(
            || Health::of(points, &values, thresholds),
            || (finite(values.iter().mean()), finite(values.iter().std_dev())),
        );
        RunStats::with(run, values, health, (mean, std))
    }

    /// Computes the numbers of a part of a run. Its state and what else compares it with its own start are
    /// those of the `whole` run: a part that begins behind a collapse would look healthy.
    pub fn of_part(part: &Run, whole: &Run, thresholds: &Thresholds) -> RunStats {
        let points = whole.history.points();
        let values: Vec<f64> = points.iter().map(|p| p.entropy).collect();
        let health = Health::of(points, &values, thresholds);
        let values: Vec<f64> = part.history.points().iter().map(|p| p.entropy).collect();
        let spread = (finite(values.iter().mean()), finite(values.iter().std_dev()));
        RunStats::with(part, values, health, spread)
    }

    fn with(
        run: &Run,
        values: Vec<f64>,
        health: Health,
        (mean, std): (Option<f64>, Option<f64>),
    ) -> RunStats {
        let points = run.history.points();
        let (first, last) = (points[0], points[points.len() - 1]);
        let ((max, min), median) = rayon::join(|| extremes(points), || median_in_place(values));
        RunStats {
            label: run.history.label().to_owned(),
            source: run.source.clone(),
            format: run.format,
            metric: run.metric.clone(),
            quantity: run.history.kind().name(),
            aggregation: run.history.kind().aggregation(),
            sign: run.sign,
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
            baseline: health.baseline,
            final_ratio: health.final_ratio.and_then(finite),
            late_slope: health.late_slope.and_then(finite),
            joints: run.joints.clone(),
            repairs: run.repairs,
            warnings: run.warnings.clone(),
        }
    }
}

/// A whole step as an integer: that is how it was logged, and `1.0` is not a step.
pub(super) fn step<S: Serializer>(step: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if step.fract() == 0.0 && step.abs() < 2f64.powi(63) {
        serializer.serialize_i64(*step as i64)
    } else {
        serializer.serialize_f64(*step)
    }
}

pub(super) fn maybe_step<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => step(value, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The points with the largest and the smallest value; the first of equals.
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

/// Trapezoids over steps; NaN for one point.
fn area(points: &[Point]) -> f64 {
    if points.len() < 2 {
        return f64::NAN;
    }
    let trapezoid =
        |w: &[Point]| (w[1].step - w[0].step) * (0.5 * w[0].entropy + 0.5 * w[1].entropy);
    points.windows(2).map(trapezoid).sum()
}

/// The middle value, or the mean of the two in the middle. Linear time.
///
/// # Panics
/// When there are no values.
pub fn median(values: &[f64]) -> f64 {
    median_in_place(values.to_vec())
}

fn median_in_place(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    0.5 * lower + 0.5 * upper
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
    fn numbers_agree_with_numpy() {
        // numpy 2.4: x = [2.5, 1.0, 4.0, 4.0, 0.5], t = [0, 1, 4, 9, 16];
        // mean, median, std(ddof=1), trapezoid(x, t).
        let s = stats(&[2.5, 1.0, 4.0, 4.0, 0.5]);
        assert_eq!((s.mean, s.median), (Some(2.4), 2.5));
        assert!((s.std.unwrap() - 1.6355427233796124).abs() < 1e-15);
        assert_eq!(s.auc, Some(45.0));
        assert_eq!((s.max, s.max_step, s.min, s.min_step), (4.0, 4.0, 0.5, 16.0));
    }

    #[test]
    fn one_point_has_no_deviation_and_no_area() {
        let s = stats(&[2.0]);
        assert_eq!((s.mean, s.std, s.auc, s.median), (Some(2.0), None, None, 2.0));
    }

    #[test]
    fn numbers_that_overflow_do_not_exist() {
        let s = stats(&[f64::MAX, -f64::MAX, f64::MAX]);
        assert_eq!((s.std, s.median), (None, f64::MAX));
    }
}

//! The state of a run: whether its entropy collapsed or exploded relative to the run's own start.
//!
//! Published absolute thresholds differ by a factor of 100 (below 1.0 for 50 steps; 0.01; a target of
//! 0.2), so a run is compared with its own start; the ratios are our choice. The baseline is the median
//! of the first max(5, 5 %) points; the curve is smoothed by a centred running mean of 5 points.

use serde::{Deserialize, Serialize};

use super::sample::median;
use super::smooth::running_mean;
use crate::history::{History, Point};

/// The shares of the baseline at which the state of a run changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// A run has collapsed if it falls to this share or below, unless it recovers above 1.4 times the share.
    pub collapse_ratio: f64,
    /// A run has exploded if it rises to this share or above, unless it falls back below 0.75 times the share.
    pub explode_ratio: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 }
    }
}

/// A collapsed run recovers above the collapse ratio times this: 35 % for 25 %.
const RECOVERED: f64 = 1.4;
/// An exploded run recovers below the explode ratio times this: 150 % for 200 %.
const CALMED: f64 = 0.75;
/// The smallest number of points that gives a state.
pub const MIN_POINTS: usize = 10;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// None of the other states.
    Healthy,
    /// At its current slope it would collapse before doubling its length.
    Falling,
    /// It fell to the collapse ratio and did not recover.
    Collapsed,
    /// It rose to the explode ratio and did not recover.
    Exploded,
    /// Every value is exactly 0: the trainer did not record the metric.
    NotRecorded,
    /// Fewer than [`MIN_POINTS`] points.
    TooShort,
}

impl State {
    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            State::Healthy => "healthy",
            State::Falling => "falling",
            State::Collapsed => "collapsed",
            State::Exploded => "exploded",
            State::NotRecorded => "not recorded",
            State::TooShort => "too short",
        }
    }
}

/// Whether the entropy of a run was recorded. Where it was not, trainers log 0 at every step.
pub fn is_recorded(history: &History) -> bool {
    history.points().iter().any(|point| point.entropy != 0.0)
}

/// The state of a run, with the numbers that it was derived from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// The step at which a collapse or an explosion began.
    pub state_step: Option<f64>,
    /// Entropy at the start in nats: the median of the first max(5, 5 %) points. `None` for a run that is
    /// too short or was not recorded.
    pub baseline: Option<f64>,
    /// The first step at which the smoothed curve is at or below half of the baseline.
    pub half_life_step: Option<f64>,
    /// The last value of the smoothed curve as a share of the baseline; `None` if the baseline is not above 0.
    pub final_ratio: Option<f64>,
    /// Theil–Sen slope of the last fifth of the smoothed curve, in nats per 100 steps.
    pub late_slope: Option<f64>,
}

impl Health {
    /// Computes the state of a curve with at least one point, finite values and increasing steps. `values`
    /// are the entropies of `points`.
    pub fn of(points: &[Point], values: &[f64], thresholds: &Thresholds) -> Health {
        let n = points.len();
        let mut health = Health {
            state: State::Healthy,
            state_step: None,
            baseline: None,
            half_life_step: None,
            final_ratio: None,
            late_slope: None,
        };
        if values.iter().all(|v| *v == 0.0) {
            return Health { state: State::NotRecorded, ..health };
        }
        if n < MIN_POINTS {
            return Health { state: State::TooShort, ..health };
        }
        let start_length = (n / 20).max(5); // max(5, 5 %)
        let baseline = median(&values[..start_length]);
        let smooth = running_mean(values, 5);
        let late_slope = |share: usize| {
            let from = n - (n / share).max(3);
            theil_sen(&points[from..], &smooth[from..])
        };
        health.baseline = Some(baseline);
        health.late_slope = Some(100.0 * late_slope(5));
        if baseline <= 0.0 {
            return health; // ratios to such a start are meaningless
        }
        let half_life = smooth.iter().position(|v| *v <= 0.5 * baseline);
        health.half_life_step = half_life.map(|i| points[i].step);
        health.final_ratio = Some(smooth[n - 1] / baseline);

        let low = thresholds.collapse_ratio * baseline;
        let high = thresholds.explode_ratio * baseline;
        let down = lasting_crossing(&smooth, |v| v <= low, |v| v > RECOVERED * low);
        let up = lasting_crossing(&smooth, |v| v >= high, |v| v < CALMED * high);
        let crossings = [(State::Collapsed, down), (State::Exploded, up)];
        let lasting = crossings.into_iter().find_map(|(state, start)| {
            start.filter(|start| n - start >= start_length).map(|start| (state, start))
        });
        let horizon = points[n - 1].step - points[0].step;
        if let Some((state, start)) = lasting {
            health.state = state;
            health.state_step = Some(points[start].step);
        } else if smooth[n - 1] + late_slope(10) * horizon <= low {
            health.state = State::Falling;
        }
        health
    }
}

/// The first index whose value `enters` and after which no value `leaves`.
fn lasting_crossing(
    values: &[f64],
    enters: impl Fn(f64) -> bool,
    leaves: impl Fn(f64) -> bool,
) -> Option<usize> {
    let first_candidate = values.iter().rposition(|v| leaves(*v)).map_or(0, |i| i + 1);
    values[first_candidate..].iter().position(|v| enters(*v)).map(|i| first_candidate + i)
}

/// Theil–Sen slope in nats per step: the median of the slopes between pairs of points. At most 200 evenly
/// spaced points are used, so there are at most 19,900 pairs.
fn theil_sen(points: &[Point], values: &[f64]) -> f64 {
    let stride = points.len().div_ceil(200);
    let kept: Vec<(f64, f64)> =
        points.iter().zip(values).step_by(stride).map(|(p, v)| (p.step, *v)).collect();
    let mut slopes = Vec::new();
    for (i, (x0, y0)) in kept.iter().enumerate() {
        slopes.extend(kept[i + 1..].iter().map(|(x1, y1)| (y1 - y0) / (x1 - x0)));
    }
    if slopes.is_empty() { 0.0 } else { median(&slopes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: usize, entropy: impl Fn(usize) -> f64 + Copy) -> Health {
        let point = |i| Point { step: (i + 1) as f64, entropy: entropy(i) };
        let points: Vec<Point> = (0..n).map(point).collect();
        let values: Vec<f64> = (0..n).map(entropy).collect();
        Health::of(&points, &values, &Thresholds::default())
    }

    #[test]
    fn lasting_drop_is_a_collapse_where_the_smoothed_curve_crosses() {
        let health = run(100, |i| if i < 50 { 2.0 } else { 0.2 });
        assert_eq!(health.state, State::Collapsed);
        // Centred mean of 5 at step 53 covers steps 51 to 55, all low: (5 × 0.2) / 5 = 0.2; at step
        // 52 it still holds one high value: (2 + 4 × 0.2) / 5 = 0.56 > 0.25 × 2.
        assert_eq!(health.state_step, Some(53.0));
        assert_eq!(health.baseline, Some(2.0));
        // At step 51: (2 × 2 + 3 × 0.2) / 5 = 0.92 ≤ 1.
        assert_eq!(health.half_life_step, Some(51.0));
    }

    #[test]
    fn recovered_drop_is_healthy() {
        let health = run(100, |i| if (40..50).contains(&i) { 0.1 } else { 2.0 });
        assert_eq!(health.state, State::Healthy);
    }

    #[test]
    fn lasting_rise_is_an_explosion() {
        let health = run(100, |i| if i < 50 { 1.0 } else { 3.0 });
        // Centred mean of 5 at step 51: (2 × 1 + 3 × 3) / 5 = 2.2 ≥ 2; at step 50: 1.8.
        assert_eq!((health.state, health.state_step), (State::Exploded, Some(51.0)));
    }

    #[test]
    fn steady_decline_is_falling() {
        assert_eq!(run(100, |i| 2.0 - 0.01 * i as f64).state, State::Falling);
        assert_eq!(run(100, |i| 2.0 - 0.002 * i as f64).state, State::Healthy);
    }

    #[test]
    fn zeros_are_not_recorded_and_few_points_are_too_short() {
        assert_eq!(run(5, |_| 0.0).state, State::NotRecorded);
        assert_eq!(run(50, |_| 0.0).state, State::NotRecorded);
        assert_eq!(run(9, |_| 1.0).state, State::TooShort);
        assert_eq!(run(10, |_| 1.0).state, State::Healthy);
    }
}

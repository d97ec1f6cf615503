//! Is the policy's entropy all right? Collapse and explosion relative to the run's own start.
//!
//! Published absolute thresholds differ by a factor of 100 (below 1.0 for 50 steps; 0.01; a target
//! of 0.2), so the default compares a run with itself; that choice is ours. The baseline is the
//! median of the first max(5, 5 %) points; the curve is smoothed by a centred running mean of 5.

use serde::{Deserialize, Serialize};

use super::median;
use super::smooth::running_mean;
use crate::history::{History, Point};

/// The shares of its baseline at which a run's state changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// At or under this share a run has collapsed, unless it comes back over 1.4 times the share.
    pub collapse_ratio: f64,
    /// At or over this share a run has exploded, unless it comes back under 0.75 times the share.
    pub explode_ratio: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 }
    }
}

/// A collapsed run never again exceeds the collapse ratio times this: 35 % for 25 %.
const RECOVERED: f64 = 1.4;
/// An exploded run never again falls under the explode ratio times this: 150 % for 200 %.
const CALMED: f64 = 0.75;
/// With fewer points there is no telling.
pub const FEWEST_POINTS: usize = 10;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// None of the others.
    Healthy,
    /// At its late slope it would collapse within as many steps again as the run has.
    Falling,
    /// It fell to a quarter of its start and stayed down.
    Collapsed,
    /// It rose to twice its start and stayed up.
    Exploded,
    /// Every value is exactly zero: the metric was switched off.
    NotRecorded,
    /// Fewer than [`FEWEST_POINTS`] points.
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

/// Whether the entropy of a run was recorded: where the metric is switched off, every value is exactly 0.
pub fn is_recorded(history: &History) -> bool {
    history.points().iter().any(|point| point.entropy != 0.0)
}

/// What became of a run's entropy. Steps are those of points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// Where a collapse or an explosion began.
    pub state_step: Option<f64>,
    /// Entropy at the start in nats: the median of the first max(5, 5 %) points. None for a run
    /// that is too short or not recorded.
    pub baseline: Option<f64>,
    /// The first step with the smoothed curve at or under half of the baseline.
    pub half_life_step: Option<f64>,
    /// The smoothed curve's end as a share of the baseline, if that is above 0.
    pub final_ratio: Option<f64>,
    /// Slope of the last fifth in nats per 100 steps: Theil–Sen, of the smoothed curve.
    pub late_slope: Option<f64>,
}

impl Health {
    /// Judges a curve: at least one point, values finite, steps increasing; `values` are those of the
    /// points.
    pub fn of(points: &[Point], values: &[f64], thresholds: &Thresholds) -> Health {
        let n = points.len();
        let undecided = |state| Health {
            state,
            state_step: None,
            baseline: None,
            half_life_step: None,
            final_ratio: None,
            late_slope: None,
        };
        if values.iter().all(|v| *v == 0.0) {
            return undecided(State::NotRecorded);
        }
        if n < FEWEST_POINTS {
            return undecided(State::TooShort);
        }
        let stretch = (n / 20).max(5); // max(5, 5 %)
        let baseline = median(&values[..stretch]);
        let smooth = running_mean(values, 5);
        let fifth = n - (n / 5).max(3);
        let health = |state, state_step: Option<usize>| Health {
            state,
            state_step: state_step.map(|i| points[i].step),
            baseline: Some(baseline),
            half_life_step: smooth
                .iter()
                .position(|v| baseline > 0.0 && *v <= 0.5 * baseline)
                .map(|i| points[i].step),
            final_ratio: (baseline > 0.0).then(|| smooth[n - 1] / baseline),
            late_slope: Some(100.0 * theil_sen(&points[fifth..], &smooth[fifth..])),
        };
        if baseline <= 0.0 {
            return health(State::Healthy, None); // ratios to such a start mean nothing
        }

        let low = thresholds.collapse_ratio * baseline;
        let down = stays(&smooth, |v| v <= low, |v| v > RECOVERED * low);
        if let Some(start) = down.filter(|start| n - start >= stretch) {
            return health(State::Collapsed, Some(start));
        }
        let high = thresholds.explode_ratio * baseline;
        let up = stays(&smooth, |v| v >= high, |v| v < CALMED * high);
        if let Some(start) = up.filter(|start| n - start >= stretch) {
            return health(State::Exploded, Some(start));
        }
        let late = n - (n / 10).max(3);
        let slope = theil_sen(&points[late..], &smooth[late..]);
        let horizon = points[n - 1].step - points[0].step;
        if smooth[n - 1] + slope * horizon <= low {
            return health(State::Falling, None);
        }
        health(State::Healthy, None)
    }
}

/// The first index that `enters` and behind which nothing `leaves`.
fn stays(
    values: &[f64],
    enters: impl Fn(f64) -> bool,
    leaves: impl Fn(f64) -> bool,
) -> Option<usize> {
    let after_last_exit = values.iter().rposition(|v| leaves(*v)).map_or(0, |i| i + 1);
    values[after_last_exit..].iter().position(|v| enters(*v)).map(|i| after_last_exit + i)
}

/// The median slope between pairs, in nats per step. At most 200 evenly spread points take part,
/// which bounds the pairs at 19,900.
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
    fn a_drop_that_lasts_is_a_collapse_from_where_the_smoothed_curve_crossed() {
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
    fn a_drop_that_recovers_is_healthy() {
        let health = run(100, |i| if (40..50).contains(&i) { 0.1 } else { 2.0 });
        assert_eq!(health.state, State::Healthy);
    }

    #[test]
    fn a_rise_that_lasts_is_an_explosion() {
        let health = run(100, |i| if i < 50 { 1.0 } else { 3.0 });
        // Centred mean of 5 at step 51: (2 × 1 + 3 × 3) / 5 = 2.2 ≥ 2; at step 50: 1.8.
        assert_eq!((health.state, health.state_step), (State::Exploded, Some(51.0)));
    }

    #[test]
    fn a_steady_decline_is_falling() {
        assert_eq!(run(100, |i| 2.0 - 0.01 * i as f64).state, State::Falling);
        assert_eq!(run(100, |i| 2.0 - 0.002 * i as f64).state, State::Healthy);
    }

    #[test]
    fn zeros_were_not_recorded_and_few_points_tell_nothing() {
        assert_eq!(run(5, |_| 0.0).state, State::NotRecorded);
        assert_eq!(run(50, |_| 0.0).state, State::NotRecorded);
        assert_eq!(run(9, |_| 1.0).state, State::TooShort);
        assert_eq!(run(10, |_| 1.0).state, State::Healthy);
    }
}

//! The state of a run: whether its entropy collapsed, exploded or is falling, relative to the run's own start.
//!
//! Published absolute thresholds differ by a factor of 100 (below 1.0 for 50 steps; 0.01; a target of 0.2), so a
//! run is compared with its own start; the ratios are our choice. The rule uses fixed windows: the *start* is the
//! median of the first five points and never changes, the *level* is the median of the last five points. A
//! collapse or an explosion is confirmed when the level has crossed its threshold for five points in a row, and is
//! over when the level has recovered for five points in a row. So a state does not change because a run goes on,
//! and no single value changes it.
//!
//! A collapse says that entropy is low, not that training failed: in arXiv 2505.22617 every run without
//! intervention lost 73 % of its entropy in the first 200 of about 2,400 steps, while 76 % of the gain was made.

use serde::{Deserialize, Serialize};

use super::sample::{mean, median, median_in_place};
use super::smooth::running_mean;
use crate::history::{History, Point, Run};
use crate::number::short;
use crate::quantity::EntropyKind;

/// The shares of the start at which the state of a run changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// A run has collapsed when its level is at or below this share of its start. It recovers above 1.4 times
    /// the share, but at most halfway between the share and the start.
    pub collapse_ratio: f64,
    /// A run has exploded when its level is at or above this share of its start, and above
    /// [`MIN_EXPLODED`]. It recovers below 0.75 times the share, but at least halfway to the start.
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
/// The smallest level in nats that counts as an explosion.
pub const MIN_EXPLODED: f64 = 1.0;
/// The smallest number of points that gives a state.
pub const MIN_POINTS: usize = 10;
/// Number of points whose median is the start or the level, and for which a level must stay beyond a threshold.
const WINDOW: usize = 5;
/// A start below this many nats is warned about: shares of it say little.
const LOW_START: f64 = 0.05;
/// One-sided critical value of the Mann–Kendall test, at 1 %.
const FALLING_Z: f64 = -2.33;
/// The smallest number of points for which the Mann–Kendall test can reach the critical value.
const MIN_TREND_POINTS: usize = 6;
/// A longer last third is averaged over neighbouring points until it has at most this many values.
const MAX_TREND_POINTS: usize = 500;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// None of the other states.
    Healthy,
    /// At its current slope it would collapse before doubling its length.
    Falling,
    /// Its level fell to the collapse ratio and did not recover.
    Collapsed,
    /// Its level rose to the explode ratio and did not recover.
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

/// The state in words; of a run without one, `no state`.
pub fn state_words(state: Option<State>) -> &'static str {
    state.map_or("no state", State::words)
}

/// The state of a run, with the numbers that it was derived from. Entropies are in nats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// The state; `None` if the values are not entropies, or if the start is not above 0.
    pub state: Option<State>,
    /// The step at which a collapse or an explosion was confirmed.
    pub state_step: Option<f64>,
    /// The level at that step.
    pub state_level: Option<f64>,
    /// The median of the first five points. This field and the next four are `None` for a run that is too short,
    /// was not recorded, or does not hold entropies.
    pub start: Option<f64>,
    /// The median of the last five points.
    pub level: Option<f64>,
    /// The first step at which the centred mean of five points is at or below half of the start.
    pub half_life_step: Option<f64>,
    /// Theil–Sen slope of the last third of the points, in nats per step.
    pub slope: Option<f64>,
    /// What limits the meaning of the state, as sentences.
    pub warnings: Vec<String>,
}

impl Health {
    /// Computes the state of a run.
    pub fn of(run: &Run, thresholds: &Thresholds) -> Health {
        let points = run.history.points();
        let values: Vec<f64> = points.iter().map(|point| point.entropy).collect();
        match run.history.kind() {
            EntropyKind::OtherMetric => Health::default(),
            _ => Health::of_values(points, &values, thresholds),
        }
    }

    /// The level as a share of the start; `None` if the start is not above 0.
    pub fn final_ratio(&self) -> Option<f64> {
        let start = self.start.filter(|start| *start > 0.0)?;
        Some(self.level? / start)
    }

    /// Computes the state of entropies with increasing steps. `values` are the entropies of `points`, at least
    /// one.
    fn of_values(points: &[Point], values: &[f64], thresholds: &Thresholds) -> Health {
        let n = points.len();
        if values.iter().all(|v| *v == 0.0) {
            return Health { state: Some(State::NotRecorded), ..Health::default() };
        }
        if n < MIN_POINTS {
            return Health { state: Some(State::TooShort), ..Health::default() };
        }
        let start = median(&values[..WINDOW]);
        let trend = Trend::of_last_third(points, values);
        let mut health = Health {
            start: Some(start),
            level: Some(median(&values[n - WINDOW..])),
            slope: Some(trend.slope),
            warnings: start_warnings(values, start),
            ..Health::default()
        };
        if start <= 0.0 {
            return health; // ratios to such a start are meaningless
        }
        let half_life = running_mean(values, 5).iter().position(|v| *v <= 0.5 * start);
        health.half_life_step = half_life.map(|i| points[i].step);

        let low = thresholds.collapse_ratio * start;
        let high = thresholds.explode_ratio * start;
        let recovered = (RECOVERED * low).min(0.5 * (low + start));
        let calmed = (CALMED * high).max(0.5 * (high + start));
        let down = confirmed(values, |level| level <= low, |level| level > recovered);
        let up = confirmed(
            values,
            |level| level >= high && level > MIN_EXPLODED,
            |level| level < calmed,
        );
        let confirmed = down.map(|i| (State::Collapsed, i)).or(up.map(|i| (State::Exploded, i)));
        let horizon = points[n - 1].step + (points[n - 1].step - points[0].step);
        health.state = Some(match confirmed {
            Some((state, _)) => state,
            None if trend.is_falling() && trend.at(horizon) <= low => State::Falling,
            None => State::Healthy,
        });
        health.state_step = confirmed.map(|(_, i)| points[i].step);
        health.state_level = confirmed.map(|(_, i)| median(&values[i + 1 - WINDOW..=i]));
        health
    }
}

/// Warnings about a start that gives a state little meaning.
fn start_warnings(values: &[f64], start: f64) -> Vec<String> {
    let zeros = values.iter().take_while(|v| **v == 0.0).count();
    let mut warnings = Vec::new();
    if zeros > 0 {
        let values = if zeros == 1 { "value is" } else { "values are" };
        warnings.push(format!("the first {zeros} {values} exactly 0: probably not recorded"));
    }
    if start <= 0.0 {
        warnings.push(format!(
            "no state: the run starts at {} nats, and states are shares of a start above 0",
            short(start)
        ));
    } else if start < LOW_START {
        warnings.push(format!(
            "the run starts at {} nats: almost no entropy, so its state, relative to this start, says little",
            short(start)
        ));
    }
    warnings
}

/// The levels of a run: one for each point from the fifth on.
pub(super) fn levels(values: &[f64]) -> impl Iterator<Item = f64> {
    values.windows(WINDOW).map(|window| {
        let mut window: [f64; WINDOW] = window.try_into().expect("BUG: windows have this length");
        window.sort_unstable_by(f64::total_cmp);
        window[WINDOW / 2]
    })
}

/// The index of the point at which the level had been beyond a threshold for five points in a row; `None` if it
/// never was, or if it left again for five points in a row.
fn confirmed(
    values: &[f64],
    enters: impl Fn(f64) -> bool,
    leaves: impl Fn(f64) -> bool,
) -> Option<usize> {
    let (mut since, mut in_a_row) = (None, 0);
    for (i, level) in levels(values).enumerate() {
        let is_change = if since.is_none() { enters(level) } else { leaves(level) };
        in_a_row = if is_change { in_a_row + 1 } else { 0 };
        if in_a_row == WINDOW {
            since = if since.is_none() { Some(i + WINDOW - 1) } else { None };
            in_a_row = 0;
        }
    }
    since
}

/// A robust line through the last third of a run, and its Mann–Kendall statistic.
struct Trend {
    /// Theil–Sen slope in nats per step.
    slope: f64,
    /// A point on the line: the medians of the steps and of the values, as in SciPy's `theilslopes`.
    centre: (f64, f64),
    /// Mann–Kendall's z, corrected for autocorrelation; `None` for too few points.
    z: Option<f64>,
}

impl Trend {
    fn of_last_third(points: &[Point], values: &[f64]) -> Trend {
        let n = points.len();
        let from = n - (n / 3).max(3);
        let width = (n - from).div_ceil(MAX_TREND_POINTS);
        let steps: Vec<f64> = points[from..].iter().map(|point| point.step).collect();
        let x: Vec<f64> = steps.chunks(width).map(mean).collect();
        let y: Vec<f64> = values[from..].chunks(width).map(mean).collect();
        let k = x.len();
        let mut slopes = Vec::with_capacity(k * (k - 1) / 2);
        let mut concordance = 0.0; // Mann–Kendall's S
        for i in 0..k {
            for j in i + 1..k {
                slopes.push((y[j] - y[i]) / (x[j] - x[i]));
                concordance += (y[j] > y[i]) as i32 as f64 - (y[j] < y[i]) as i32 as f64;
            }
        }
        let slope = median_in_place(slopes);
        let residuals: Vec<f64> = x.iter().zip(&y).map(|(x, y)| y - slope * x).collect();
        let size = k as f64;
        let variance = size * (size - 1.0) * (2.0 * size + 5.0) / 18.0;
        let error = (variance * variance_factor(&residuals)).sqrt();
        let z = (concordance - concordance.signum()) / error; // with continuity correction
        Trend {
            slope,
            centre: (median(&x), median(&y)),
            z: (k >= MIN_TREND_POINTS && concordance != 0.0).then_some(z),
        }
    }

    fn is_falling(&self) -> bool {
        self.z.is_some_and(|z| z < FALLING_Z)
    }

    fn at(&self, step: f64) -> f64 {
        self.centre.1 + self.slope * (step - self.centre.0)
    }
}

/// The factor (1 + r) / (1 − r) by which autocorrelation increases the variance of Mann–Kendall's S. r is the
/// lag-1 autocorrelation of the residuals of a line, corrected for its bias of −(2 + 4 r) / n (Kendall 1954), and
/// limited to 0 … 0.95.
fn variance_factor(residuals: &[f64]) -> f64 {
    let n = residuals.len() as f64;
    let centre = mean(residuals);
    let deviations: Vec<f64> = residuals.iter().map(|r| r - centre).collect();
    let squares: f64 = deviations.iter().map(|d| d * d).sum();
    // Residuals that are only rounding errors are not correlated.
    let largest = residuals.iter().fold(0.0_f64, |largest, r| largest.max(r.abs()));
    if n <= 4.0 || squares <= n * (1e-9 * largest).powi(2) {
        return 1.0;
    }
    let products: f64 = deviations.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let r = ((n * products / squares + 2.0) / (n - 4.0)).clamp(0.0, 0.95);
    (1.0 + r) / (1.0 - r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], kind: EntropyKind) -> Health {
        let point = |(i, entropy): (usize, &f64)| Point { step: (i + 1) as f64, entropy: *entropy };
        let points = values.iter().enumerate().map(point).collect();
        let (history, _) = History::from_raw("x", kind, points).unwrap();
        Health::of(&Run::new(history, "x.json", "rzero", "entropy"), &Thresholds::default())
    }

    fn run(n: usize, entropy: impl Fn(usize) -> f64) -> Health {
        let values: Vec<f64> = (0..n).map(entropy).collect();
        of(&values, EntropyKind::TokenMean)
    }

    #[test]
    fn collapse_is_confirmed_by_five_low_levels() {
        let health = run(100, |i| if i < 50 { 2.0 } else { 0.2 });
        assert_eq!(health.state, Some(State::Collapsed));
        // Step 51 is the first low value. The median of five is low from the third low value on, at step 53,
        // and was so five times at step 57.
        assert_eq!((health.state_step, health.state_level), (Some(57.0), Some(0.2)));
        assert_eq!(
            (health.start, health.level, health.final_ratio()),
            (Some(2.0), Some(0.2), Some(0.1))
        );
        // The centred mean of 5 at step 51: (2 × 2 + 3 × 0.2) / 5 = 0.92 ≤ 1.
        assert_eq!(health.half_life_step, Some(51.0));
    }

    #[test]
    fn state_does_not_change_as_the_run_goes_on() {
        let decay = |i: usize| 0.05 + 0.95 * (-(i as f64) / 8.0).exp();
        let first = run(60, decay);
        assert_eq!(first.state, Some(State::Collapsed));
        for n in [100, 600, 1000, 5000] {
            let later = run(n, decay);
            assert_eq!((later.state, later.state_step), (first.state, first.state_step), "{n}");
        }
    }

    #[test]
    fn single_value_neither_collapses_nor_recovers_a_run() {
        let spike = run(60, |i| if i == 59 || i < 30 { 2.0 } else { 0.2 });
        assert_eq!((spike.state, spike.state_step), (Some(State::Collapsed), Some(37.0)));
        assert_eq!(run(60, |i| if i == 40 { 0.0 } else { 2.0 }).state, Some(State::Healthy));
        assert_eq!(run(60, |i| if i == 40 { 90.0 } else { 2.0 }).state, Some(State::Healthy));
    }

    #[test]
    fn recovered_drop_is_healthy() {
        let health = run(100, |i| if (40..50).contains(&i) { 0.1 } else { 2.0 });
        assert_eq!((health.state, health.state_step), (Some(State::Healthy), None));
        // 30 % of the start is above the collapse ratio, but not recovered.
        let low = run(100, |i| [2.0, 0.4, 0.6][(i / 40).min(2)]);
        assert_eq!((low.state, low.state_step), (Some(State::Collapsed), Some(47.0)));
    }

    #[test]
    fn run_back_at_its_start_has_recovered_at_any_ratio() {
        for (collapse_ratio, explode_ratio, values) in
            [(0.8, 2.0, [2.0, 1.0, 2.0]), (0.1, 1.2, [2.0, 3.0, 2.0])]
        {
            let points = (0..90).map(|i| Point { step: i as f64, entropy: values[i / 30] });
            let (history, _) =
                History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap();
            let run = Run::new(history, "x.json", "rzero", "entropy");
            let health = Health::of(&run, &Thresholds { collapse_ratio, explode_ratio });
            assert_eq!(health.state, Some(State::Healthy));
        }
    }

    #[test]
    fn lasting_rise_above_one_nat_is_an_explosion() {
        let health = run(100, |i| if i < 50 { 1.0 } else { 3.0 });
        assert_eq!((health.state, health.state_step), (Some(State::Exploded), Some(57.0)));
        assert_eq!(run(100, |i| if i < 50 { 0.2 } else { 0.5 }).state, Some(State::Healthy));
    }

    #[test]
    fn steady_decline_is_falling() {
        let health = run(100, |i| 2.0 - 0.01 * i as f64);
        assert_eq!(health.state, Some(State::Falling));
        assert!((health.slope.unwrap() + 0.01).abs() < 1e-12);
        // 0.002 per step would lose 20 % of the start in twice the length.
        assert_eq!(run(100, |i| 2.0 - 0.002 * i as f64).state, Some(State::Healthy));
    }

    #[test]
    fn trend_matches_scipy() {
        // tests/stats/make_statistics.py: scipy.stats.theilslopes, and Mann–Kendall's S by kendalltau.
        let text = include_str!("../../../../tests/fixtures/expected/statistics.json");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let cases = document["trends"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let number = |value: &serde_json::Value| value.as_f64().unwrap();
            let values: Vec<f64> = case["values"].as_array().unwrap().iter().map(number).collect();
            let points: Vec<Point> = (values.iter().enumerate())
                .map(|(i, entropy)| Point { step: (i * i) as f64, entropy: *entropy })
                .collect();
            let trend = Trend::of_last_third(&points, &values);
            for (got, key) in
                [(trend.slope, "slope"), (trend.at(0.0), "intercept"), (trend.z.unwrap(), "z")]
            {
                let expected = number(&case[key]);
                assert!(
                    (got - expected).abs() < 1e-9 * expected.abs().max(1.0),
                    "{key}: {got}, {expected}"
                );
            }
        }
    }

    #[test]
    fn zeros_are_not_recorded_and_few_points_are_too_short() {
        assert_eq!(run(5, |_| 0.0).state, Some(State::NotRecorded));
        assert_eq!(run(50, |_| 0.0).state, Some(State::NotRecorded));
        assert_eq!(run(9, |_| 1.0).state, Some(State::TooShort));
        assert_eq!(run(10, |_| 1.0).state, Some(State::Healthy));
    }

    #[test]
    fn low_start_and_leading_zeros_are_warned_about() {
        let flat = run(50, |_| 0.03);
        assert_eq!(flat.state, Some(State::Healthy));
        assert!(flat.warnings[0].contains("starts at 0.0300 nats"), "{:?}", flat.warnings);
        let zeros = run(50, |i| if i < 5 { 0.0 } else { 2.0 });
        assert_eq!((zeros.state, zeros.start), (None, Some(0.0)));
        assert!(
            zeros.warnings[0].contains("the first 5 values are exactly 0"),
            "{:?}",
            zeros.warnings
        );
        assert!(zeros.warnings[1].contains("no state"), "{:?}", zeros.warnings);
        assert_eq!(run(50, |_| 2.0).warnings, Vec::<String>::new());
    }

    #[test]
    fn other_metric_has_no_state() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i) / 10.0).collect();
        assert_eq!(of(&values, EntropyKind::OtherMetric), Health::default());
    }
}

//! Two runs compared step by step, over the steps that both logged.
//!
//! The intervals are those of the step-wise differences, not of the two curves, because what both curves share,
//! such as their trend, is not noise. No p-value is given: an interval is valid for these two curves, and two
//! single runs say nothing about other seeds of their recipes.

use statrs::statistics::Statistics;

use super::contrast::{Contrast, ContrastUnit, Statistic};
use super::cosines::{LongRunVariance, MIN_SERIES, drifts};
use super::group::not_recorded;
use super::sample::{finite, mean};
use super::smooth::running_mean;
use crate::history::{History, Point};

/// Curves that crossed within this many last steps may cross again.
const RECENT_STEPS: usize = 10;

/// Largest relative rounding error of a logged value: many logs hold 32-bit floats, with 24 bits.
const ROUNDING: f64 = 1e-6;

const METHOD: &str =
    "equal-weighted cosines of the step-wise differences (Lazarus et al. 2018), Student's t";
const ASSUMPTION: &str = "the difference is stationary and forgets within 1/30 of the shared steps; valid for these \
                          two curves, not for other seeds";
const LATE_ASSUMPTION: &str = "the difference is stationary over the later half of the shared steps; valid for these \
                               two curves, not for other seeds";

const DRIFTS: &str = "no interval, because the difference drifts: see the last tenth";
const CONSTANT: &str = "the difference does not vary";

/// The steps that two runs share, with the values of both.
struct SharedSteps {
    steps: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl SharedSteps {
    fn of(a: &[Point], b: &[Point]) -> SharedSteps {
        let mut shared = SharedSteps { steps: Vec::new(), a: Vec::new(), b: Vec::new() };
        let mut rest = b.iter().peekable();
        for point in a {
            while rest.next_if(|other| other.step < point.step).is_some() {}
            if let Some(other) = rest.next_if(|other| other.step == point.step) {
                shared.steps.push(point.step);
                shared.a.push(point.entropy);
                shared.b.push(other.entropy);
            }
        }
        shared
    }

    fn differences(&self) -> Vec<f64> {
        self.a.iter().zip(&self.b).map(|(a, b)| a - b).collect()
    }

    /// The largest distance of two differences that rounding of their values can cause.
    fn noise(&self) -> f64 {
        self.noise_of_ratio(1.0)
    }

    /// The largest distance of two values of a − ratio · b that rounding can cause.
    fn noise_of_ratio(&self, ratio: f64) -> f64 {
        ROUNDING * self.a.iter().abs_max().max(ratio * self.b.iter().abs_max())
    }

    /// The weight of each step in the area under a curve by trapezoids, in steps.
    fn weights(&self) -> Vec<f64> {
        let t = &self.steps;
        let last = t.len() - 1;
        (0..t.len()).map(|i| (t[(i + 1).min(last)] - t[i.saturating_sub(1)]) / 2.0).collect()
    }
}

/// All statistics of two runs; one that cannot be computed has a note that says why. `unrecorded` holds the
/// labels of those of the two whose entropy was not recorded.
pub(super) fn contrasts(a: &History, b: &History, unrecorded: &[&str]) -> Vec<Contrast> {
    let shared = SharedSteps::of(a.points(), b.points());
    let refusal = if a.kind() != b.kind() {
        let (a, b) = (a.kind().words(), b.kind().words());
        Some(format!("not compared: {a} and {b} are different quantities"))
    } else if !unrecorded.is_empty() {
        Some(format!("not compared: {}", not_recorded(unrecorded)))
    } else if shared.steps.is_empty() {
        Some("the runs share no step".to_owned())
    } else {
        None
    };
    let shared_steps = if refusal.is_some() { 0 } else { shared.steps.len() };
    let empty = Contrast {
        method: METHOD.to_owned(),
        assumption: ASSUMPTION.to_owned(),
        ..Contrast::empty(ContrastUnit::Runs, [a.label(), b.label()], shared_steps)
    };
    if refusal.is_some() {
        return vec![Contrast { note: refusal, ..empty }];
    }
    let differences = shared.differences();
    let [mean, ratio] = over_all_steps(&shared, &differences);
    let late = late_difference(&differences, shared.noise());
    let separation = separation(&shared.steps, &differences, shared.noise());
    let contrast = |statistic, number: PairEstimate| Contrast {
        statistic,
        estimate: number.estimate,
        low: number.interval.map(|(low, _)| low),
        high: number.interval.map(|(_, high)| high),
        note: number.note,
        ..empty.clone()
    };
    vec![
        contrast(Statistic::MeanDifference, mean),
        Contrast {
            method: format!("{METHOD}; variance of the later half of the steps"),
            assumption: LATE_ASSUMPTION.to_owned(),
            ..contrast(Statistic::LateDifference, late)
        },
        Contrast {
            method: format!("{METHOD}; on the logarithm of the ratio by the delta method"),
            ..contrast(Statistic::AreaRatio, ratio)
        },
        Contrast {
            method: "last sign change of the difference of the 5-point running means".to_owned(),
            assumption: "valid for these two curves".to_owned(),
            ..contrast(Statistic::SeparationStep, separation)
        },
    ]
}

/// An estimate with its 95 % interval; the note says why one is missing.
#[derive(Default)]
struct PairEstimate {
    estimate: Option<f64>,
    interval: Option<(f64, f64)>,
    note: Option<String>,
}

impl PairEstimate {
    fn of(value: f64) -> PairEstimate {
        match finite(value) {
            Some(_) => PairEstimate { estimate: finite(value), ..PairEstimate::default() },
            None => PairEstimate::missing("not compared: the numbers are too large"),
        }
    }

    fn missing(why: &str) -> PairEstimate {
        PairEstimate { note: Some(why.to_owned()), ..PairEstimate::default() }
    }

    /// Adds the interval, or the reason for its absence.
    fn with(self, interval: Result<(f64, f64), String>) -> PairEstimate {
        match (self.estimate, interval) {
            (None, _) => self,
            (_, Ok((low, high))) => {
                let interval = finite(low).zip(finite(high));
                PairEstimate { interval, ..self }
            }
            (_, Err(why)) => PairEstimate { note: Some(why), ..self },
        }
    }
}

/// Why a series of differences has no interval.
fn check_series(series: &[f64], noise: f64) -> Result<(), String> {
    if series.len() < MIN_SERIES {
        return Err(format!("fewer than {MIN_SERIES} shared steps have no interval"));
    }
    if is_constant(series, noise) {
        return Err(CONSTANT.to_owned());
    }
    Ok(())
}

/// The mean difference and the ratio of areas.
fn over_all_steps(shared: &SharedSteps, differences: &[f64]) -> [PairEstimate; 2] {
    let n = differences.len();
    let weights = shared.weights();
    let area = |values: &[f64]| values.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>();
    let (area_a, area_b) = (area(&shared.a), area(&shared.b));

    let estimate = mean(differences);
    let half_width = || {
        check_series(differences, shared.noise())?;
        if drifts(differences) {
            return Err(DRIFTS.to_owned());
        }
        let variance = LongRunVariance::of(differences).ok_or("the numbers are too large")?;
        Ok(variance.half_width(n))
    };
    let around = half_width().map(|half| (estimate - half, estimate + half));
    let difference = PairEstimate::of(estimate).with(around);

    if n < 2 || area_a <= 0.0 || area_b <= 0.0 {
        return [difference, PairEstimate::missing("an area that is not positive has no ratio")];
    }
    // The log of the ratio has the error of Σ w (a − r b), relative to Σ w a.
    let ratio = area_a / area_b;
    let values = shared.a.iter().zip(&shared.b).zip(&weights);
    let errors: Vec<f64> = values.map(|((a, b), weight)| weight * (a - ratio * b)).collect();
    let largest_weight = weights.iter().copied().fold(0.0, f64::max);
    let log_half_width = || {
        check_series(&errors, shared.noise_of_ratio(ratio) * largest_weight)?;
        if drifts(&errors) {
            return Err(DRIFTS.to_owned());
        }
        let variance = LongRunVariance::of(&errors).ok_or("the numbers are too large")?;
        Ok(variance.half_width(n) * n as f64 / area_a)
    };
    let around = log_half_width().map(|half| (ratio * (-half).exp(), ratio * half.exp()));
    [difference, PairEstimate::of(ratio).with(around)]
}

/// The mean of the last tenth of the differences.
fn late_difference(differences: &[f64], noise: f64) -> PairEstimate {
    let n = differences.len();
    let late = &differences[n - n.div_ceil(10)..];
    let estimate = mean(late);
    let half_width = || {
        check_series(differences, noise)?;
        if is_constant(&differences[n / 2..], noise) {
            return Err(format!("{CONSTANT} over the later half"));
        }
        let variance =
            LongRunVariance::of_later_half(differences).ok_or("the numbers are too large")?;
        Ok(variance.half_width(late.len()))
    };
    let around = half_width().map(|half: f64| (estimate - half, estimate + half));
    PairEstimate::of(estimate).with(around)
}

/// The first step after the last crossing of the smoothed curves.
fn separation(steps: &[f64], differences: &[f64], noise: f64) -> PairEstimate {
    let smooth = running_mean(differences, 5);
    let last = smooth[smooth.len() - 1];
    if last.abs() <= noise || !last.is_finite() {
        return PairEstimate::missing("the smoothed curves end together");
    }
    let crossed = smooth.iter().rposition(|d| d.signum() != last.signum() || d.abs() <= noise);
    let note = match crossed {
        Some(i) if i + 1 + RECENT_STEPS > smooth.len() => {
            Some("they crossed within the last steps and may cross again".to_owned())
        }
        _ => None,
    };
    let first = crossed.map_or(0, |i| i + 1);
    PairEstimate { estimate: Some(steps[first]), note, ..PairEstimate::default() }
}

/// Whether the values differ by no more than `noise`.
fn is_constant(values: &[f64], noise: f64) -> bool {
    values.max() - values.min() <= noise
}

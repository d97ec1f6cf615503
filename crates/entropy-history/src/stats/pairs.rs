//! Two runs, step by step: how far apart they are over the steps that both logged.
//!
//! The step-wise differences are resampled, not the two curves: what both have in common, their trend
//! first of all, is no noise. No p is given: the interval is about these two runs, and how the next seeds
//! of the same recipes would differ no pair of runs can tell.

use super::bootstrap::{
    FEWEST_BLOCKS, Resampling, Sums, block_length, interval, longest_block, resample,
};
use super::contrast::{Between, Contrast, Statistic};
use super::group::not_recorded;
use super::smooth::running_mean;
use crate::history::{History, Point};

/// Fewer shared steps have a difference, but no interval.
const FEWEST_STEPS: usize = 10;
/// Longer series are averaged over as many neighbours as make them this long before they are resampled:
/// no difference that an interval shows, and a bound on its cost.
const MOST_CELLS: usize = 10_000;

/// Values are rounded to this share of them at worst: many logs hold 32-bit floats, of 24 bits.
const ROUNDED: f64 = 1e-6;

const METHOD: &str =
    "moving-block bootstrap of the step-wise differences, blocks by Politis-White, Student's t";
const ASSUMPTION: &str = "the differences are stationary over the shared steps; about these two runs, not their recipes; \
                          intervals meant to hold in 95 % of cases held in 73 to 94 % of simulated ones";

const DRIFTS: &str = "the difference drifts over the whole run: the interval is rough";

/// What two runs have in common, step by step.
struct Shared {
    steps: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Shared {
    fn of(a: &[Point], b: &[Point]) -> Shared {
        let mut shared = Shared { steps: Vec::new(), a: Vec::new(), b: Vec::new() };
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

    /// How far differences may lie apart that are the same but for how their values were rounded.
    fn noise(&self) -> f64 {
        let largest =
            self.a.iter().chain(&self.b).fold(0.0f64, |most, value| most.max(value.abs()));
        ROUNDED * largest
    }

    /// The share of the shared range that each step stands for: trapezoids, in steps.
    fn weights(&self) -> Vec<f64> {
        let t = &self.steps;
        let last = t.len() - 1;
        (0..t.len()).map(|i| (t[(i + 1).min(last)] - t[i.saturating_sub(1)]) / 2.0).collect()
    }
}

/// All statistics of two runs: those that cannot be had say why. `unrecorded` are the labels of those whose
/// entropy was not recorded.
pub(super) fn contrasts(
    a: &History,
    b: &History,
    unrecorded: &[&str],
    resampling: &Resampling,
) -> Vec<Contrast> {
    let blank = Contrast {
        a: a.label().to_owned(),
        b: b.label().to_owned(),
        between: Between::Runs,
        statistic: Statistic::MeanDifference,
        estimate: None,
        low: None,
        high: None,
        p: None,
        p_holm: None,
        method: METHOD.to_owned(),
        assumption: ASSUMPTION.to_owned(),
        note: None,
        shared_steps: 0,
    };
    if a.kind() != b.kind() {
        let (a, b) = (a.kind().words(), b.kind().words());
        let note = format!("not compared: {a} and {b} are different quantities");
        return vec![Contrast { note: Some(note), ..blank }];
    }
    if !unrecorded.is_empty() {
        let note = Some(format!("not compared: {}", not_recorded(unrecorded)));
        return vec![Contrast { note, ..blank }];
    }
    let shared = Shared::of(a.points(), b.points());
    if shared.steps.is_empty() {
        let note = Some("the runs share no step".to_owned());
        return vec![Contrast { note, ..blank }];
    }
    let shared_steps = shared.steps.len();
    let differences = shared.differences();
    let [mean, ratio] = over_all_steps(&shared, &differences, resampling);
    let late = late_difference(&differences, shared.noise(), resampling);
    let separation = separation(&shared.steps, &differences, shared.noise());
    let contrast = |statistic, number: Estimate| Contrast {
        statistic,
        estimate: number.estimate,
        low: number.interval.map(|(low, _)| low),
        high: number.interval.map(|(_, high)| high),
        note: number.note,
        shared_steps,
        ..blank.clone()
    };
    vec![
        contrast(Statistic::MeanDifference, mean),
        contrast(Statistic::LateDifference, late),
        contrast(Statistic::AreaRatio, ratio),
        Contrast {
            method: "last change of sign of the difference of the running means of 5".to_owned(),
            assumption: "about these two runs".to_owned(),
            ..contrast(Statistic::SeparationStep, separation)
        },
    ]
}

/// A number with its interval, or why there is none.
#[derive(Default)]
struct Estimate {
    estimate: Option<f64>,
    interval: Option<(f64, f64)>,
    note: Option<String>,
}

fn no_estimate(why: &str) -> Estimate {
    Estimate { note: Some(why.to_owned()), ..Estimate::default() }
}

/// Means of as many neighbours as leave at most [`MOST_CELLS`]; values as they are where that is one.
fn cells(values: &[f64]) -> Vec<f64> {
    let width = values.len().div_ceil(MOST_CELLS);
    values.chunks(width).map(mean).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Difference of means and ratio of areas, of the same resamples.
fn over_all_steps(shared: &Shared, differences: &[f64], resampling: &Resampling) -> [Estimate; 2] {
    let weights = shared.weights();
    let weighted = |values: &[f64]| values.iter().zip(&weights).map(|(v, w)| v * w).collect();
    let (over_a, over_b): (Vec<f64>, Vec<f64>) = (weighted(&shared.a), weighted(&shared.b));
    let areas = (over_a.iter().sum::<f64>(), over_b.iter().sum::<f64>());
    let has_ratio = shared.steps.len() > 1 && areas.0 > 0.0 && areas.1 > 0.0;
    let mut difference = Estimate { estimate: finite(mean(differences)), ..Estimate::default() };
    let mut ratio = match has_ratio {
        true => Estimate { estimate: finite(areas.0 / areas.1), ..Estimate::default() },
        false => no_estimate("an area that is not positive has no ratio"),
    };

    if shared.steps.len() < FEWEST_STEPS || is_constant(differences, shared.noise()) {
        difference.note = Some(match shared.steps.len() < FEWEST_STEPS {
            true => format!("fewer than {FEWEST_STEPS} shared steps have no interval"),
            false => "the difference does not vary".to_owned(),
        });
        return [difference, ratio];
    }
    let values = cells(differences);
    let n = values.len();
    let length = block_length(&values);
    let centre = mean(&values);
    let sums = Sums::of(values.iter().map(|v| v - centre));
    let sums_a = Sums::of(cells(&over_a).into_iter());
    let sums_b = Sums::of(cells(&over_b).into_iter());
    let (mut means, mut logarithms) = (Vec::new(), Vec::new());
    let shape = (n, length.ceil() as usize);
    resample(shape.0, shape.1, resampling, |blocks| {
        means.push(sums.over(blocks) / n as f64);
        logarithms.push((sums_a.over(blocks) / sums_b.over(blocks)).ln());
    });
    let note = (length >= longest_block(n)).then(|| DRIFTS.to_owned());
    if let Some(estimate) = difference.estimate {
        difference.interval = interval(estimate, means, shape, resampling);
        difference.note.clone_from(&note);
    }
    if let Some(estimate) = ratio.estimate {
        let ends = interval(estimate.ln(), logarithms, shape, resampling);
        ratio.interval = ends.map(|(low, high)| (low.exp(), high.exp()));
        ratio.note = note;
    }
    [difference, ratio]
}

/// The mean of the last tenth of the differences. Its few steps do not tell what they remember, so
/// blocks are as long as the later half asks for.
fn late_difference(differences: &[f64], noise: f64, resampling: &Resampling) -> Estimate {
    let n = differences.len();
    let late = &differences[n - n.div_ceil(10)..];
    let mut found = Estimate { estimate: finite(mean(late)), ..Estimate::default() };
    let Some(estimate) = found.estimate else { return found };
    // As many neighbours in a cell as in the whole series.
    let width = n.div_ceil(MOST_CELLS);
    let cells = |values: &[f64]| -> Vec<f64> { values.chunks(width).map(mean).collect() };
    let length = block_length(&cells(&differences[n / 2..])).ceil() as usize;
    let values = cells(late);
    let why = match () {
        () if late.len() < FEWEST_STEPS => "it has too few steps for an interval",
        () if is_constant(late, noise) => "the difference does not vary there",
        () if (values.len() as f64) < FEWEST_BLOCKS * length as f64 => {
            "it is too short for an interval beside what the difference remembers"
        }
        () => "",
    };
    if !why.is_empty() {
        found.note = Some(why.to_owned());
        return found;
    }
    let sums = Sums::of(values.iter().map(|v| v - estimate));
    let mut means = Vec::new();
    resample(values.len(), length, resampling, |blocks| {
        means.push(sums.over(blocks) / values.len() as f64);
    });
    found.interval = interval(estimate, means, (values.len(), length), resampling);
    found
}

/// The first step of the stretch at the end over which the smoothed curves do not cross.
fn separation(steps: &[f64], differences: &[f64], noise: f64) -> Estimate {
    let smooth = running_mean(differences, 5);
    let last = smooth[smooth.len() - 1];
    if last.abs() <= noise || !last.is_finite() {
        return no_estimate("the smoothed curves end together");
    }
    let crossed = smooth.iter().rposition(|d| d.signum() != last.signum() || d.abs() <= noise);
    let note = match crossed {
        None => Some("they never cross".to_owned()),
        Some(i) if i + 1 + FEWEST_STEPS > smooth.len() => {
            Some("they crossed within the last steps: they may do so again".to_owned())
        }
        Some(_) => None,
    };
    let first = crossed.map_or(0, |i| i + 1);
    Estimate { estimate: Some(steps[first]), note, ..Estimate::default() }
}

/// Whether values do not vary, but for noise.
fn is_constant(values: &[f64], noise: f64) -> bool {
    let (low, high) =
        values.iter().fold((values[0], values[0]), |(l, h), v| (l.min(*v), h.max(*v)));
    high - low <= noise
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

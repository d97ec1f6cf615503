//! Tests that compare two groups of runs, each given as a sample with one number per run.
//!
//! Welch's t (SciPy's `ttest_ind(equal_var=False)`) is the main test. Mann–Whitney's U, the probability P(a > b)
//! and Cliff's delta, 2 P(a > b) − 1, describe the order of the runs.

use std::cmp::Ordering;

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};
use statrs::statistics::Statistics;
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::sample::mean;
use super::student::t95;

/// The result of Welch's test of two means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// Mean of the first sample minus mean of the second.
    pub difference: f64,
    /// Lower and upper end of the interval of the difference.
    pub interval: (f64, f64),
    /// Welch–Satterthwaite degrees of freedom.
    pub degrees: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// Tests whether two samples have the same mean; their variances may differ. `None` if a sample has
/// fewer than two values or if neither varies.
///
/// The test assumes independent values. Successive steps of one run are not independent.
pub fn welch(a: &[f64], b: &[f64]) -> Option<Welch> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let difference = a.mean() - b.mean();
    let (error, degrees) = welch_error((a.variance(), a.len()), (b.variance(), b.len()));
    // Values that differ only by rounding do not vary.
    if error <= 1e-12 * a.iter().chain(b).abs_max()
        || !error.is_finite()
        || !degrees.is_finite()
        || !difference.is_finite()
    {
        return None;
    }
    let t = StudentsT::new(0.0, 1.0, degrees).ok()?;
    let p = (2.0 * t.cdf(-(difference / error).abs())).min(1.0);
    let half = t95(degrees) * error;
    Some(Welch { difference, interval: (difference - half, difference + half), degrees, p })
}

/// The smallest difference of two means, in standard deviations of a run, that Welch's t at 5 % finds in 80 % of
/// cases, for `m` and `n` normal runs of equal variance. `None` if a sample has fewer than two runs.
///
/// The power is averaged over the distribution of both sample variances, at the midpoints of 40 quantiles each.
pub fn detectable_difference(m: usize, n: usize) -> Option<f64> {
    const QUANTILES: usize = 40;
    const POWER: f64 = 0.8;
    if m < 2 || n < 2 {
        return None;
    }
    let variances = |size: usize| -> Vec<f64> {
        let degrees = (size - 1) as f64;
        let chi = ChiSquared::new(degrees).expect("BUG: degrees of freedom are above 0");
        let quantile = |i: usize| chi.inverse_cdf((i as f64 + 0.5) / QUANTILES as f64) / degrees;
        (0..QUANTILES).map(quantile).collect()
    };
    let mut critical = Vec::with_capacity(QUANTILES * QUANTILES);
    for a in variances(m) {
        for b in variances(n) {
            let (error, degrees) = welch_error((a, m), (b, n));
            critical.push(t95(degrees) * error);
        }
    }
    let normal = Normal::standard();
    let spread = (1.0 / m as f64 + 1.0 / n as f64).sqrt();
    let power = |difference: f64| {
        let found = |limit: &f64| {
            normal.cdf((difference - limit) / spread) + normal.cdf((-difference - limit) / spread)
        };
        critical.iter().map(found).sum::<f64>() / critical.len() as f64
    };
    let (low, high) = bisect((0.0, 100.0), |difference| power(difference) < POWER);
    Some(0.5 * (low + high))
}

/// The standard error of a difference of two means and its Welch–Satterthwaite degrees of freedom, from the
/// variance and the size of each sample.
fn welch_error((va, m): (f64, usize), (vb, n): (f64, usize)) -> (f64, f64) {
    let (va, vb) = (va / m as f64, vb / n as f64);
    let degrees = (va + vb).powi(2) / (va.powi(2) / (m - 1) as f64 + vb.powi(2) / (n - 1) as f64);
    ((va + vb).sqrt(), degrees)
}

/// The narrow range in which `is_below` turns from true to false.
fn bisect((mut low, mut high): (f64, f64), is_below: impl Fn(f64) -> bool) -> (f64, f64) {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match is_below(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    (low, high)
}

/// Up to this many runs in the smaller sample, Mann–Whitney's p is exact.
const MAX_EXACT_RUNS: usize = 8;

/// Mann–Whitney's U of the first sample and its two-sided p-value: exact, over all assignments of the values to
/// the samples, if a sample has at most eight values; otherwise the normal approximation with corrections for ties
/// and continuity. `None` for an empty sample.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let (u, approximate) = mannwhitneyu(a, b, method, Alternative::TwoSided).ok()?;
    if a.len().min(b.len()) > MAX_EXACT_RUNS {
        // If all values are equal, the rank variance is 0 and p is NaN: no evidence of a difference.
        return Some((u, if approximate.is_nan() { 1.0 } else { approximate }));
    }
    Some((u, exact_p(a, b)))
}

/// The exact two-sided p-value of the rank sum, with ties: twice the smaller tail, as in SciPy's
/// `permutation_test`. Ranks are doubled, so that mid-ranks are whole numbers.
fn exact_p(a: &[f64], b: &[f64]) -> f64 {
    let (small, other) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let doubled_rank = |value: &f64| {
        let all = || small.iter().chain(other);
        let below = all().filter(|v| *v < value).count();
        let equal = all().filter(|v| *v == value).count();
        2 * below + equal + 1
    };
    let observed: usize = small.iter().map(doubled_rank).sum();
    // ways[k][s]: number of choices of k values with the rank sum s.
    let mut ways = vec![vec![0.0]; small.len() + 1];
    ways[0][0] = 1.0;
    for rank in small.iter().chain(other).map(doubled_rank) {
        for k in (1..=small.len()).rev() {
            let (fewer, more) = ways.split_at_mut(k);
            let (fewer, more) = (&fewer[k - 1], &mut more[0]);
            if more.len() < fewer.len() + rank {
                more.resize(fewer.len() + rank, 0.0);
            }
            for (sum, count) in fewer.iter().enumerate() {
                more[sum + rank] += count;
            }
        }
    }
    let sums = &ways[small.len()];
    let total: f64 = sums.iter().sum();
    let lower: f64 = sums[..=observed].iter().sum();
    let upper: f64 = sums[observed..].iter().sum();
    (2.0 * lower.min(upper) / total).min(1.0)
}

/// The smallest p-value that Mann–Whitney can give for samples of these sizes without ties: 2 / C(m + n, m).
pub fn smallest_p(m: usize, n: usize) -> f64 {
    let ways = (1..=m).fold(1.0, |ways, i| ways * (n + i) as f64 / i as f64);
    (2.0 / ways).min(1.0)
}

/// The probability that a value of `a` is above a value of `b`; ties count half. Neither may be empty.
pub fn probability_of_improvement(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    let score = |(x, y): (&f64, &f64)| match x.total_cmp(y) {
        Ordering::Greater => 1.0,
        Ordering::Equal => 0.5,
        Ordering::Less => 0.0,
    };
    pairs.map(score).sum::<f64>() / (a.len() * b.len()) as f64
}

/// Newcombe's 95 % score interval of the probability of improvement, from its estimate and the sizes of the samples
/// (Statistics in Medicine 2006, 25:559, method 5): the values θ with |P − θ| ≤ z √V(θ), where
/// V(θ) = θ(1 − θ) [1 + (N − 1)((1 − θ)/(2 − θ) + θ/(1 + θ))] / (mn) and N = (m + n)/2.
pub fn improvement_interval(probability: f64, m: usize, n: usize) -> (f64, f64) {
    let z = Normal::standard().inverse_cdf(0.975);
    let (m, n) = (m as f64, n as f64);
    let is_inside = |theta: f64| {
        let shape = (1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta);
        let variance = theta * (1.0 - theta) * (1.0 + (0.5 * (m + n) - 1.0) * shape) / (m * n);
        (probability - theta).abs() <= z * variance.sqrt()
    };
    // At 0 and 1 the variance is 0, and an estimate there is its own end.
    let low =
        if probability <= 0.0 { 0.0 } else { bisect((0.0, probability), |t| !is_inside(t)).1 };
    let high = if probability >= 1.0 { 1.0 } else { bisect((probability, 1.0), is_inside).0 };
    (low, high)
}

/// Interquartile mean: a quarter of the values is cut off at each end, as in SciPy's
/// `trim_mean(values, 0.25)`.
pub fn interquartile_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = values.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// P-values adjusted for multiple comparisons by Holm's method, in input order.
pub fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut adjusted = vec![0.0; ps.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((ps.len() - rank) as f64 * ps[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

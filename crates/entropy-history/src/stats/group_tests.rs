//! Tests that compare two groups of runs, each given as a sample with one number per run.
//!
//! Welch's t (SciPy's `ttest_ind(equal_var=False)`), Mann–Whitney's U (statrs), and the probability of
//! improvement P (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"). Cliff's delta
//! is the probability of improvement on another scale: delta = 2 P − 1.

use std::cmp::Ordering;

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::Statistics;
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::bootstrap::{Resampling, below};
use super::sample::mean;

/// The smallest sample that is resampled: smaller ones have too few different resamples.
pub(super) const MIN_RESAMPLED_RUNS: usize = 4;

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
pub fn welch(a: &[f64], b: &[f64], resampling: &Resampling) -> Option<Welch> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let difference = a.mean() - b.mean();
    let share = |sample: &[f64]| sample.variance() / sample.len() as f64;
    let (va, vb) = (share(a), share(b));
    let error = (va + vb).sqrt();
    let degrees =
        (va + vb).powi(2) / (va.powi(2) / (a.len() - 1) as f64 + vb.powi(2) / (b.len() - 1) as f64);
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
    let half = resampling.t_quantile(degrees) * error;
    Some(Welch { difference, interval: (difference - half, difference + half), degrees, p })
}

/// Mann–Whitney's U of the first sample and its two-sided p-value. As in SciPy's `mannwhitneyu`, p is exact
/// if a sample has at most eight values and there are no ties; otherwise it is the normal approximation
/// with corrections for ties and continuity. `None` for an empty sample.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let (u, approximate) = mannwhitneyu(a, b, method, Alternative::TwoSided).ok()?;
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let tied = all.windows(2).any(|pair| pair[0] == pair[1]);
    if tied || a.len().min(b.len()) > 8 {
        // If all values are equal, the rank variance is 0 and p is NaN: no evidence of a difference.
        return Some((u, if approximate.is_nan() { 1.0 } else { approximate }));
    }
    Some((u, exact_p(u, a.len(), b.len())))
}

/// Exact two-sided p-value of U for samples of `m` and `n` values without ties. The exact method of statrs
/// 0.19 is not used: for two samples of two values that do not overlap it gives 1 instead of 1/3.
///
/// The numbers of orderings that give U = u are the coefficients of the Gaussian binomial
/// Π (1 − q^(n+i)) / (1 − q^i), i = 1 … m.
fn exact_p(u: f64, m: usize, n: usize) -> f64 {
    let mut ways = vec![0.0; m * n + 1];
    ways[0] = 1.0;
    for i in 1..=m {
        for u in (n + i..ways.len()).rev() {
            ways[u] -= ways[u - n - i];
        }
        for u in i..ways.len() {
            ways[u] += ways[u - i];
        }
    }
    let extreme = u.min((m * n) as f64 - u) as usize; // U is symmetric
    let tail: f64 = ways[..=extreme].iter().sum();
    (2.0 * tail / ways.iter().sum::<f64>()).min(1.0)
}

/// The smallest p-value that Mann–Whitney can give for samples of these sizes: 2 / C(m + n, m).
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

/// The percentile interval of the probability of improvement, by bootstrap over the values of each sample.
/// `None` if a sample has fewer than [`MIN_RESAMPLED_RUNS`] values.
pub fn improvement_interval(a: &[f64], b: &[f64], resampling: &Resampling) -> Option<(f64, f64)> {
    if a.len() < MIN_RESAMPLED_RUNS || b.len() < MIN_RESAMPLED_RUNS {
        return None;
    }
    let mut generator = resampling.generator();
    let mut draw = |sample: &[f64]| -> Vec<f64> {
        (0..sample.len()).map(|_| sample[below(&mut generator, sample.len())]).collect()
    };
    let values = (0..resampling.resamples)
        .map(|_| {
            let (a, b) = (draw(a), draw(b));
            probability_of_improvement(&a, &b)
        })
        .collect();
    resampling.percentiles(values)
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

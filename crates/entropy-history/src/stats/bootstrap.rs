//! The moving-block bootstrap, for the intervals of the reward–entropy law.
//!
//! Successive steps of a run are correlated, so resampling single steps would give intervals that are far
//! too narrow. Blocks of successive steps are resampled instead. Their length is the automatic choice of
//! Politis & White (2004), corrected by Patton, Politis & White (2009). The percentiles of the resampled
//! statistic are then widened twice: by n/(n − l) for the part of the variance that blocks of l of n steps
//! miss, and by Student's t with n/l − 1 degrees of freedom instead of the normal quantile, because there
//! are only n/l independent blocks. In simulations of AR(1) series (n = 120 to 1,000, φ = 0 to 0.98) these
//! intervals with a nominal 95 % covered 73 to 94 %.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::sample::{mean, value_at};

/// How intervals are resampled. The seed is fixed, so that an interval depends only on the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the random generator (ChaCha8).
    pub seed: u64,
    /// Nominal coverage of the intervals, 0 to 1.
    pub level: f64,
}

impl Default for Resampling {
    fn default() -> Resampling {
        Resampling { resamples: 1000, seed: 0, level: 0.95 }
    }
}

impl Resampling {
    pub(super) fn generator(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    /// The percentile interval of resampled values; `None` if there are none or one is not finite.
    pub(super) fn percentiles(&self, mut values: Vec<f64>) -> Option<(f64, f64)> {
        if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let last = (values.len() - 1) as f64;
        Some((value_at(&values, tail * last), value_at(&values, (1.0 - tail) * last)))
    }

    /// Half the width of an interval in standard errors: a quantile of Student's t.
    pub(super) fn t_quantile(&self, degrees: f64) -> f64 {
        let t = StudentsT::new(0.0, 1.0, degrees).expect("BUG: degrees of freedom are above 0");
        t.inverse_cdf(0.5 + self.level / 2.0)
    }

    /// Width of the interval by Student's t with `degrees` degrees of freedom, relative to the normal one.
    fn widening(&self, degrees: f64) -> f64 {
        self.t_quantile(degrees) / Normal::standard().inverse_cdf(0.5 + self.level / 2.0)
    }
}

/// A random number from 0 to `n` − 1. Its bias is below n / 2³².
pub(super) fn below(generator: &mut ChaCha8Rng, n: usize) -> usize {
    ((u64::from(generator.next_u32()) * n as u64) >> 32) as usize
}

/// The smallest number of blocks in a series that gives an interval.
pub const MIN_BLOCKS: f64 = 3.0;

/// Number of successive autocorrelations that must be small before the correlation counts as over:
/// max(5, √lg n), which is 5 for every practical n.
const SMALL_LAGS: usize = 5;

/// The block length for resampling a series: at least 1, at most [`max_block_length`]; 1 for a constant
/// series. Takes O(n √n) time.
///
/// Politis & White's automatic length for the circular block bootstrap: b = (2G²/D)^⅓ n^⅓ with
/// G = Σ λ(k/M) |k| R(k), D = 4/3 g(0)², g(0) = Σ λ(k/M) R(k), λ the flat-top window and M twice the
/// first lag from which five successive autocorrelations are below 2 √(lg n / n).
pub fn block_length(series: &[f64]) -> f64 {
    let n = series.len();
    let size = n as f64;
    let mean = mean(series);
    let centred: Vec<f64> = series.iter().map(|v| v - mean).collect();
    let covariance = |lag: usize| {
        let products = centred[lag..].iter().zip(&centred).map(|(a, b)| a * b);
        products.sum::<f64>() / size
    };
    let variance = covariance(0);
    if n < 4 || variance <= f64::EPSILON * mean * mean || !variance.is_finite() {
        return 1.0;
    }
    let last_lag = (size.sqrt().ceil() as usize + SMALL_LAGS).min(n - 1);
    let covariances: Vec<f64> = (0..=last_lag).map(covariance).collect();
    let limit = 2.0 * (size.log10() / size).sqrt();
    let is_small = |lag: usize| (covariances[lag] / variance).abs() < limit;
    let uncorrelated_from = (1..=last_lag.saturating_sub(SMALL_LAGS))
        .find(|first| (*first..first + SMALL_LAGS).all(is_small));
    let window = uncorrelated_from.map_or(last_lag, |lag| (2 * lag).min(last_lag)); // M

    let (mut slope, mut spectrum) = (0.0, variance); // G, g(0)
    for (lag, covariance) in covariances.iter().enumerate().take(window + 1).skip(1) {
        let weight = (2.0 * (1.0 - lag as f64 / window as f64)).min(1.0); // flat-top
        slope += 2.0 * weight * lag as f64 * covariance;
        spectrum += 2.0 * weight * covariance;
    }
    let length = (2.0 * slope * slope / (4.0 / 3.0 * spectrum * spectrum)).cbrt() * size.cbrt();
    length.min(max_block_length(n)).max(1.0)
}

/// Politis & White's upper bound on the block length: min(3 √n, n/3), rounded up.
pub fn max_block_length(n: usize) -> f64 {
    let n = n as f64;
    (3.0 * n.sqrt()).min(n / 3.0).ceil()
}

/// Prefix sums of a series, which give the sum of a block in constant time.
pub(super) struct PrefixSums(Vec<f64>);

impl PrefixSums {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> PrefixSums {
        let mut sums = vec![0.0];
        let mut total = 0.0;
        sums.extend(values.map(|value| {
            total += value;
            total
        }));
        PrefixSums(sums)
    }

    /// The sum of the values in all blocks.
    pub(super) fn over(&self, blocks: &[StepBlock]) -> f64 {
        blocks
            .iter()
            .map(|&StepBlock { start, length }| self.0[start + length] - self.0[start])
            .sum()
    }
}

/// A block of successive values of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StepBlock {
    pub(super) start: usize,
    pub(super) length: usize,
}

/// Calls `statistic` once per resample with its blocks. Each block has `length` values; the last one is
/// cut so that a resample has `n` values.
pub(super) fn resample(
    n: usize,
    length: usize,
    resampling: &Resampling,
    mut statistic: impl FnMut(&[StepBlock]),
) {
    let mut generator = resampling.generator();
    let mut blocks = vec![StepBlock { start: 0, length }; n.div_ceil(length)];
    if let Some(last) = blocks.last_mut() {
        last.length = n - (n.div_ceil(length) - 1) * length;
    }
    for _ in 0..resampling.resamples {
        for block in &mut blocks {
            block.start = below(&mut generator, n - length + 1);
        }
        statistic(&blocks);
    }
}

/// The interval around `estimate` from its resampled values, for blocks of `length` in a series of `n`
/// values. `None` if they do not vary, or if the series has fewer than [`MIN_BLOCKS`] blocks.
pub(super) fn interval(
    estimate: f64,
    resampled: Vec<f64>,
    (n, length): (usize, usize),
    resampling: &Resampling,
) -> Option<(f64, f64)> {
    let blocks = n as f64 / length as f64;
    if blocks < MIN_BLOCKS {
        return None;
    }
    let centre = mean(&resampled);
    let (low, high) = resampling.percentiles(resampled)?;
    let missed = (n as f64 / (n - length) as f64).sqrt();
    let widening = missed * resampling.widening(blocks - 1.0);
    let (low, high) = (estimate + widening * (low - centre), estimate + widening * (high - centre));
    (low < high && low.is_finite() && high.is_finite()).then_some((low, high))
}

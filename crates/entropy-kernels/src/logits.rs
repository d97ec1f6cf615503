//! Token entropy in one pass over a row of logits.
//!
//! With x = (logit − m) / temperature, s = Σ e^x and t = Σ e^x·x, H = ln s − t / s, for any m. Trainers allocate several
//! arrays as large as the logits for this. Here a row is read once, in blocks that fit the L1 cache: sums are f32 lanes
//! inside a block and f64 across blocks. m is the largest logit of the first block. A block with a logit that is more
//! than twice as probable as one at m is computed again with its own maximum as m. So the offset of the logits costs no
//! precision, and memory is read at an even pace, which the processor can foresee. A logit of −∞ adds nothing.

use std::f64::consts::{LN_2, LOG2_E};

use rayon::prelude::*;

use crate::block_sums::{block_sums, maximum};
use crate::element::Element;
use crate::lanes::larger;

/// Logits per block: 16 KiB of f32, half of the L1 cache.
const BLOCK: usize = 4096;
/// The softmax statistics of one row of logits, computed in one pass by [`LogitStats::update`].
#[derive(Debug, Clone, Default)]
pub struct LogitStats {
    temperature: f64,
    offset: f32,             // m: a logit, −∞ until there is a finite one
    sum: f64,                // Σ 2^y with y = (logit − m) / temperature · log2(e)
    weighted: f64,           // Σ 2^y·y
    max: f32,                // the largest logit
    blocks: Vec<(f32, f64)>, // offset and sum of each block, for sampling
}

/// A row without a softmax: a logit is NaN or +∞, or all are −∞.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the logits are not finite")]
pub struct NotFinite;

/// What one pass over a row can tell besides its entropy, by [`LogitStats::update_with_shape`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowShape {
    /// The number of tokens that are strictly more probable than the given one: 0 for the most probable.
    pub rank: usize,
    /// The probability of the most probable token.
    pub p_max: f64,
    /// The Rényi entropy of order 2, −ln Σ p², in nats.
    pub renyi2: f64,
}

impl LogitStats {
    /// Replaces the statistics by those of `logits` at `temperature`, from 1e-37 to 1e37.
    ///
    /// # Errors
    /// If a logit is NaN or +∞, or all are −∞.
    pub fn update<E: Element>(&mut self, logits: &[E], temperature: f64) -> Result<(), NotFinite> {
        self.pass::<E, false>(logits, temperature, f32::INFINITY).map(|_| ())
    }

    /// [`LogitStats::update`], and in the same pass the shape of the distribution and the rank of a token with this
    /// logit. It takes a little longer.
    ///
    /// # Errors
    /// If a logit is NaN or +∞, or all are −∞.
    pub fn update_with_shape<E: Element>(
        &mut self,
        logits: &[E],
        temperature: f64,
        logit: f32,
    ) -> Result<RowShape, NotFinite> {
        let (squares, rank) = self.pass::<E, true>(logits, temperature, logit)?;
        Ok(RowShape {
            rank,
            // Rounding may give 1 + 1e-8, and −1e-8, for a distribution with a single token.
            p_max: (self.shift(self.max).exp() / self.sum).min(1.0),
            renyi2: (2.0 * self.sum.ln() - squares.ln()).max(0.0),
        })
    }

    /// Replaces the statistics. With `SHAPE` it returns Σ 2^2y and the number of logits above `logit`.
    fn pass<E: Element, const SHAPE: bool>(
        &mut self,
        logits: &[E],
        temperature: f64,
        logit: f32,
    ) -> Result<(f64, usize), NotFinite> {
        self.temperature = temperature;
        (self.offset, self.sum, self.weighted) = (f32::NEG_INFINITY, 0.0, 0.0);
        self.max = f32::NEG_INFINITY;
        let (mut squares, mut above) = (0.0, 0);
        self.blocks.clear();
        let factor = (LOG2_E / temperature) as f32;
        for block in logits.chunks(BLOCK) {
            if self.offset == f32::NEG_INFINITY {
                self.offset = maximum(block);
                if self.offset == f32::NEG_INFINITY {
                    // All are −∞, or NaN, which is not in the maximum.
                    if block.iter().any(|z| z.to_f32().is_nan()) {
                        return Err(NotFinite);
                    }
                    self.blocks.push((self.offset, 0.0));
                    continue;
                }
            }
            let mut sums = block_sums::<E, SHAPE>(block, self.offset, factor, logit);
            if (sums.max - self.offset) * factor > 1.0 {
                squares *= self.rescale(sums.max).powi(2);
                sums = block_sums::<E, SHAPE>(block, self.offset, factor, logit);
            }
            self.max = larger(sums.max, self.max);
            squares += f64::from(sums.squares);
            above += sums.above as usize;
            self.blocks.push((self.offset, f64::from(sums.sum)));
            self.sum += f64::from(sums.sum);
            self.weighted += f64::from(sums.weighted);
        }
        // A NaN logit makes the weighted sum NaN.
        if self.weighted.is_finite() && self.sum.is_finite() && self.sum > 0.0 {
            Ok((squares, above))
        } else {
            Err(NotFinite)
        }
    }

    /// Makes the sums relative to `offset`, which is larger than before. Returns the factor of the sum.
    fn rescale(&mut self, offset: f32) -> f64 {
        let shift = self.shift(offset) * LOG2_E;
        let scale = (-shift).exp2();
        self.weighted = (self.weighted - shift * self.sum) * scale;
        self.sum *= scale;
        self.offset = offset;
        scale
    }

    /// Σ e^x and Σ e^x·x over some of the logits, with x = (logit − m) / temperature.
    pub(crate) fn partial_sums(&self, logits: &[f32]) -> (f64, f64) {
        let factor = (LOG2_E / self.temperature) as f32;
        let (mut sum, mut weighted) = (0.0, 0.0);
        for block in logits.chunks(BLOCK) {
            let sums = block_sums::<f32, false>(block, self.offset, factor, f32::INFINITY);
            sum += f64::from(sums.sum);
            weighted += f64::from(sums.weighted) * LN_2;
        }
        (sum, weighted)
    }

    pub(crate) fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The largest logit.
    pub(crate) fn max(&self) -> f32 {
        self.max
    }

    /// Σ e^x over all logits.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// x = (logit − m) / temperature.
    pub(crate) fn shift(&self, logit: f32) -> f64 {
        (f64::from(logit) - f64::from(self.offset)) / self.temperature
    }

    /// Shannon entropy in nats.
    pub fn entropy(&self) -> f64 {
        // Rounding may give −1e-9 for a distribution with a single token.
        (self.sum.ln() - self.weighted / self.sum * LN_2).max(0.0)
    }

    /// ln Σ e^(logit / temperature), in nats.
    pub fn log_sum_exp(&self) -> f64 {
        f64::from(self.offset) / self.temperature + self.sum.ln()
    }

    /// Log-probability, in nats, of the token with this logit.
    pub fn log_prob(&self, logit: f32) -> f64 {
        self.shift(logit) - self.sum.ln()
    }

    /// Samples a token: first its block by cumulative probability, then the token within the block by
    /// the Gumbel-max trick. `uniform` returns numbers in [0, 1).
    ///
    /// Inverting the cumulative distribution for single tokens is sensitive: a rounding error in the last bit
    /// moves all later boundaries. Gumbel-max changes its result only if the best two almost tie.
    pub fn sample(&self, logits: &[f32], mut uniform: impl FnMut() -> f64) -> usize {
        let mass = |(offset, sum): &(f32, f64)| match *offset {
            f32::NEG_INFINITY => 0.0,
            offset => sum * self.shift(offset).exp(),
        };
        let mut left = uniform() * self.sum;
        let mut chosen = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let mass = mass(block);
            if mass > 0.0 {
                chosen = i; // if rounding leaves a remainder: the last block with any probability
                if left < mass {
                    break;
                }
                left -= mass;
            }
        }
        let start = chosen * BLOCK;
        let block = &logits[start..(start + BLOCK).min(logits.len())];
        start + gumbel_max(block.iter().map(|logit| self.shift(*logit)), uniform)
    }
}

/// Samples an index with probability proportional to the exponential of its log-weight (Gumbel-max trick).
/// An index with weight −∞ is returned only if all are −∞. `uniform` returns numbers in [0, 1).
pub fn gumbel_max(
    log_weights: impl Iterator<Item = f64>,
    mut uniform: impl FnMut() -> f64,
) -> usize {
    let mut best = (f64::NEG_INFINITY, 0);
    for (i, log_weight) in log_weights.enumerate() {
        // 1 − u is never 0. For u = 0 the Gumbel noise −ln(−ln(1 − u)) is +∞, the correct limit.
        let score = log_weight - (-(1.0 - uniform()).ln()).ln();
        if score > best.0 {
            best = (score, i);
        }
    }
    best.1
}

/// The number of logits that are larger than `logit`: the rank of its token.
pub fn rank(logits: &[f32], logit: f32) -> usize {
    // Counts of 32 bits can be added in SIMD lanes.
    logits
        .chunks(1 << 20)
        .map(|part| part.iter().map(|z| u32::from(*z > logit)).sum::<u32>())
        .sum::<u32>() as usize
}

/// The index of the largest logit; the first if there are several.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best
}

/// The entropy at one position and the log-prob of its token, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// Entropy of the full distribution, in nats.
    pub entropy: f64,
    /// Log-probability of the token, in nats.
    pub log_prob: f64,
}

/// Scores `tokens[i]` with row i of `logits`, which is rows × `vocabulary`.
///
/// # Errors
/// The index of a row that has no softmax.
pub fn score_rows(
    logits: &[f32],
    vocabulary: usize,
    tokens: &[i64],
    temperature: f64,
) -> Result<Vec<TokenScore>, (usize, NotFinite)> {
    logits
        .par_chunks_exact(vocabulary)
        .zip(tokens)
        .enumerate()
        .map_init(LogitStats::default, |stats, (i, (row, token))| {
            stats.update(row, temperature).map_err(|error| (i, error))?;
            Ok(TokenScore {
                entropy: stats.entropy(),
                log_prob: stats.log_prob(row[*token as usize]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::noise;

    /// Entropy in f64 by its definition, −Σ p ln p.
    fn by_definition(logits: &[f32], temperature: f64) -> f64 {
        let z: Vec<f64> = logits.iter().map(|z| f64::from(*z) / temperature).collect();
        let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = z.iter().map(|z| (z - max).exp()).sum();
        let p = z.iter().map(|z| (z - max).exp() / total).filter(|p| *p > 0.0);
        -p.map(|p| p * p.ln()).sum::<f64>()
    }

    fn stats(logits: &[f32], temperature: f64) -> LogitStats {
        let mut stats = LogitStats::default();
        stats.update(logits, temperature).unwrap();
        stats
    }

    #[test]
    fn uniform_logits_have_entropy_ln_n() {
        for n in [1, 2, 63, 64, 65, 4096, 4097, 151_936] {
            let entropy = stats(&vec![3.5; n], 0.7).entropy();
            assert!((entropy - (n as f64).ln()).abs() < 1e-6, "{n}: {entropy}");
        }
    }

    #[test]
    fn entropy_matches_definition_in_f64() {
        for (seed, n) in [1, 7, 64, 1000, 4096, 5000, 32_000, 151_936].into_iter().enumerate() {
            for spread in [0.01, 3.0, 30.0, 300.0] {
                for temperature in [0.3, 1.0, 2.0] {
                    let logits = noise(n, spread, seed as u64 + 1);
                    let (ours, exact) = (
                        stats(&logits, temperature).entropy(),
                        by_definition(&logits, temperature),
                    );
                    assert!(
                        (ours - exact).abs() < 1e-5,
                        "{n} ±{spread} at {temperature}: {ours} {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn offset_of_logits_does_not_change_entropy() {
        let logits: Vec<f32> =
            noise(20_000, 8.0, 3).iter().map(|z| (z * 1024.0).round() / 1024.0).collect();
        let moved: Vec<f32> = logits.iter().map(|z| z + 4096.0).collect();
        // The sum is exact in f32 where the logits are multiples of 2^-10.
        assert!((stats(&logits, 1.0).entropy() - stats(&moved, 1.0).entropy()).abs() < 1e-7);
        let huge = vec![1e30; 512];
        assert!((stats(&huge, 1.0).entropy() - 512f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn logits_of_minus_infinity_have_no_probability() {
        let mut logits = vec![f32::NEG_INFINITY; 10_000];
        logits[9_000] = -3.0;
        assert_eq!(stats(&logits, 1.0).entropy(), 0.0);
        assert_eq!(stats(&logits, 1.0).log_prob(-3.0), 0.0);
        assert_eq!(stats(&logits, 1.0).log_prob(f32::NEG_INFINITY), f64::NEG_INFINITY);
        logits[5] = -3.0;
        assert!((stats(&logits, 1.0).entropy() - 2f64.ln()).abs() < 1e-9);
    }

    fn shape(logits: &[f32], temperature: f64, logit: f32) -> RowShape {
        LogitStats::default().update_with_shape(logits, temperature, logit).unwrap()
    }

    #[test]
    fn shape_has_closed_forms() {
        // n equal tokens.
        for n in [1, 63, 4097, 151_936] {
            let shape = shape(&vec![-2.5; n], 0.7, -2.5);
            assert_eq!(shape.rank, 0);
            assert!((shape.p_max * n as f64 - 1.0).abs() < 1e-6, "{n}: {shape:?}");
            assert!((shape.renyi2 - (n as f64).ln()).abs() < 1e-6, "{n}: {shape:?}");
        }
        // The geometric distribution (1 − q)·q^k: Σ p² = (1 − q)² / (1 − q²) = (1 − q) / (1 + q).
        let q = 0.99f64;
        let logits: Vec<f32> = (0..100_000).map(|k| (k as f64 * q.ln()) as f32).collect();
        let of = shape(&logits, 1.0, logits[57]);
        assert_eq!(of.rank, 57);
        assert!((of.p_max - (1.0 - q)).abs() < 1e-8, "{of:?}");
        assert!((of.renyi2 + ((1.0 - q) / (1.0 + q)).ln()).abs() < 1e-6, "{of:?}");
        // A single possible token, and one that is impossible: every other one is not more probable than it.
        let mut one = vec![f32::NEG_INFINITY; 9_000];
        one[8_500] = 7.0;
        assert_eq!(shape(&one, 1.0, 7.0), RowShape { rank: 0, p_max: 1.0, renyi2: 0.0 });
        assert_eq!(shape(&one, 1.0, f32::NEG_INFINITY).rank, 1);
    }

    #[test]
    fn shape_matches_definition_in_f64() {
        for (seed, n) in [2, 64, 5000, 151_936].into_iter().enumerate() {
            for spread in [0.01, 3.0, 30.0, 300.0] {
                for temperature in [0.3, 1.0, 2.0] {
                    let logits = noise(n, spread, seed as u64 + 40);
                    let max = logits.iter().copied().fold(f32::MIN, f32::max);
                    let e = |z: &f32| (f64::from(z - max) / temperature).exp();
                    let total: f64 = logits.iter().map(e).sum();
                    let squares: f64 = logits.iter().map(|z| (e(z) / total).powi(2)).sum();
                    let found = shape(&logits, temperature, logits[n / 2]);
                    let rank = logits.iter().filter(|z| **z > logits[n / 2]).count();
                    assert_eq!((found.rank, super::rank(&logits, logits[n / 2])), (rank, rank));
                    assert!((found.p_max - 1.0 / total).abs() < 1e-6);
                    let difference = (found.renyi2 + squares.ln()).abs();
                    assert!(difference < 1e-6, "{n} ±{spread} at {temperature}: {difference}");
                    // The rest of the statistics are those of the plain pass.
                    let (mut both, mut plain) = (LogitStats::default(), LogitStats::default());
                    both.update_with_shape(&logits, temperature, 0.0).unwrap();
                    plain.update(&logits, temperature).unwrap();
                    assert_eq!(both.entropy(), plain.entropy());
                }
            }
        }
    }

    #[test]
    fn rejects_nan_and_infinite_logits() {
        let mut stats = LogitStats::default();
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 70, 4_500] {
                let mut logits = noise(5_000, 1.0, 9);
                logits[at] = bad;
                assert_eq!(stats.update(&logits, 1.0), Err(NotFinite), "{bad} at {at}");
                assert!(stats.update_with_shape(&logits, 1.0, 0.0).is_err(), "{bad} at {at}");
            }
        }
        assert_eq!(stats.update(&[f32::NEG_INFINITY; 100], 1.0), Err(NotFinite));
        assert_eq!(stats.update(&[f32::NEG_INFINITY, f32::NAN], 1.0), Err(NotFinite));
        assert_eq!(stats.update(&[0f32; 0], 1.0), Err(NotFinite));
    }

    #[test]
    fn rising_and_falling_logits_have_the_same_entropy() {
        // Rising by half a nat per block, and by ten nats per logit.
        for step in [0.5 / BLOCK as f32, 10.0] {
            let n = if step < 1.0 { 100_000 } else { 1_000 };
            let mut logits: Vec<f32> = (0..n).map(|i| i as f32 * step).collect();
            let rising = stats(&logits, 1.0).entropy();
            assert!((rising - by_definition(&logits, 1.0)).abs() < 1e-5);
            logits.reverse();
            assert!((stats(&logits, 1.0).entropy() - rising).abs() < 1e-6);
        }
    }

    #[test]
    fn log_probs_match_log_softmax() {
        let logits = noise(1000, 5.0, 11);
        let total: f64 = logits.iter().map(|z| (f64::from(*z) / 0.8).exp()).sum();
        let stats = stats(&logits, 0.8);
        for z in &logits {
            assert!((stats.log_prob(*z) - (f64::from(*z) / 0.8 - total.ln())).abs() < 1e-6);
        }
    }

    #[test]
    fn sample_never_returns_token_of_zero_probability() {
        let mut one = vec![f32::NEG_INFINITY; 9_000];
        one[4_200] = 1.0;
        let of_one = stats(&one, 1.0);
        for u in [0.0, 0.5, 1.0 - 1e-16] {
            assert_eq!(of_one.sample(&one, || u), 4_200);
        }
    }
}

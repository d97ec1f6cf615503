//! Token entropy in one pass over a row of logits.
//!
//! With z = logits / temperature and m = max z: s = Σ e^(z−m), t = Σ e^(z−m)·(z−m), and then
//! H = ln s − t / s. Trainers allocate several arrays as large as the logits for this. Here a row is
//! read once, in blocks that fit the L1 cache: sums are f32 lanes inside a block and f64 across
//! blocks. They are relative to the maximum of the block, so an offset of the logits costs no
//! precision, and a logit of −∞ adds nothing.
//!
//! The code is compiled for AVX-512, AVX2 and the baseline; the variant is chosen at run time.

use rayon::prelude::*;

/// Logits per block: 16 KiB, half of the L1 cache.
const BLOCK: usize = 4096;
/// Parallel partial sums: four AVX-512 registers hide the latency of an addition.
const LANES: usize = 64;

/// The softmax statistics of one row of logits, computed in one pass by [`LogitStats::update`].
#[derive(Debug, Clone, Default)]
pub struct LogitStats {
    inverse_temperature: f32,
    max: f32, // of the logits, before dividing by the temperature
    sum: f64,
    weighted: f64,
    blocks: Vec<(f32, f64)>, // maximum and sum of each block, for sampling
}

/// A row without a softmax: a logit is NaN or +∞, or all are −∞.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the logits are not finite")]
pub struct NotFinite;

impl LogitStats {
    /// Replaces the statistics by those of `logits` at `temperature`.
    ///
    /// # Errors
    /// If a logit is NaN or +∞, or all are −∞.
    pub fn update(&mut self, logits: &[f32], temperature: f64) -> Result<(), NotFinite> {
        self.inverse_temperature = (1.0 / temperature) as f32;
        (self.max, self.sum, self.weighted) = (f32::NEG_INFINITY, 0.0, 0.0);
        self.blocks.clear();
        for block in logits.chunks(BLOCK) {
            let (max, sum, weighted) = block_sums(block, self.inverse_temperature);
            let (sum, weighted) = (f64::from(sum), f64::from(weighted));
            self.blocks.push((max, sum));
            if max == f32::NEG_INFINITY {
                // The sums of a block of −∞ are NaN, so they are skipped. A NaN logit is not in the maximum.
                if block.iter().any(|z| z.is_nan()) {
                    return Err(NotFinite);
                }
                continue;
            }
            if max > self.max {
                self.rescale(max);
            }
            let shift = self.shift(max);
            let scale = shift.exp();
            self.sum += sum * scale;
            self.weighted += (weighted + shift * sum) * scale;
        }
        if self.sum.is_finite() && self.sum > 0.0 { Ok(()) } else { Err(NotFinite) }
    }

    /// Makes the sums relative to `max`, a new maximum.
    fn rescale(&mut self, max: f32) {
        if self.sum > 0.0 {
            let shift = f64::from(self.max - max) * f64::from(self.inverse_temperature);
            let scale = shift.exp();
            self.weighted = (self.weighted + shift * self.sum) * scale;
            self.sum *= scale;
        }
        self.max = max;
    }

    /// (logit − max) / temperature.
    fn shift(&self, logit: f32) -> f64 {
        f64::from(logit - self.max) * f64::from(self.inverse_temperature)
    }

    /// Shannon entropy in nats.
    pub fn entropy(&self) -> f64 {
        // Rounding may give −1e-9 for a distribution with a single token.
        (self.sum.ln() - self.weighted / self.sum).max(0.0)
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
        let mass = |(max, sum): &(f32, f64)| match *max {
            f32::NEG_INFINITY => 0.0,
            max => sum * self.shift(max).exp(),
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

/// The maximum of a block, and Σ e^x and Σ e^x·x over it with x = (z − maximum) / temperature.
fn block_sums(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx512(block, inverse_temperature) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx2(block, inverse_temperature) };
        }
    }
    block_sums_portable::<false>(block, inverse_temperature)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma")]
fn block_sums_avx512(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    block_sums_portable::<true>(block, inverse_temperature)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn block_sums_avx2(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    block_sums_portable::<true>(block, inverse_temperature)
}

#[inline(always)]
fn block_sums_portable<const FUSED: bool>(
    block: &[f32],
    inverse_temperature: f32,
) -> (f32, f32, f32) {
    let (whole, rest) = block.as_chunks::<LANES>();
    let mut lane_max = [f32::NEG_INFINITY; LANES];
    for lanes in whole {
        for i in 0..LANES {
            lane_max[i] = if lanes[i] > lane_max[i] { lanes[i] } else { lane_max[i] };
        }
    }
    let max = lane_max
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |max, z| if *z > max { *z } else { max });

    let mut sum = [0.0f32; LANES];
    let mut weighted = [0.0f32; LANES];
    for lanes in whole {
        for i in 0..LANES {
            let x = shifted(lanes[i], max, inverse_temperature);
            let e = exp::<FUSED>(x);
            sum[i] += e;
            weighted[i] = multiply_add::<FUSED>(e, x, weighted[i]);
        }
    }
    for (i, z) in rest.iter().enumerate() {
        let x = shifted(*z, max, inverse_temperature);
        let e = exp::<FUSED>(x);
        sum[i] += e;
        weighted[i] = multiply_add::<FUSED>(e, x, weighted[i]);
    }
    (max, sum_lanes(&sum), sum_lanes(&weighted))
}

/// (z − max) / temperature, but at least −87, where e^x is still a normal number; NaN stays NaN.
#[inline(always)]
fn shifted(z: f32, max: f32, inverse_temperature: f32) -> f32 {
    let x = (z - max) * inverse_temperature;
    if x < -87.0 { -87.0 } else { x }
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// e^x for −87 ≤ x ≤ 0 within 1.2 units in the last place: x = n·ln 2 + r, and the polynomial of
/// Cephes' expf for e^r. At −87 the result is 0, so that clamped logits add nothing.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add::<FUSED>(n, -LN2_HIGH, x);
    let r = multiply_add::<FUSED>(n, -LN2_LOW, r);
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = multiply_add::<FUSED>(p, r, coefficient);
    }
    let p = multiply_add::<FUSED>(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x <= -87.0 { 0.0 } else { p * power }
}

/// Pairwise sum, which limits rounding errors.
fn sum_lanes(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            lanes[i] += lanes[i + n];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entropy in f64 by its definition, −Σ p ln p.
    fn by_definition(logits: &[f32], temperature: f64) -> f64 {
        let z: Vec<f64> = logits.iter().map(|z| f64::from(*z) / temperature).collect();
        let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = z.iter().map(|z| (z - max).exp()).sum();
        let p = z.iter().map(|z| (z - max).exp() / total).filter(|p| *p > 0.0);
        -p.map(|p| p * p.ln()).sum::<f64>()
    }

    /// Numbers that look random, spread over ±`spread`.
    fn noise(n: usize, spread: f32, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..n).map(|_| spread * next()).collect()
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

    #[test]
    fn rejects_nan_and_infinite_logits() {
        let mut stats = LogitStats::default();
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 70, 4_500] {
                let mut logits = noise(5_000, 1.0, 9);
                logits[at] = bad;
                assert_eq!(stats.update(&logits, 1.0), Err(NotFinite), "{bad} at {at}");
            }
        }
        assert_eq!(stats.update(&[f32::NEG_INFINITY; 100], 1.0), Err(NotFinite));
        assert_eq!(stats.update(&[f32::NEG_INFINITY, f32::NAN], 1.0), Err(NotFinite));
        assert_eq!(stats.update(&[], 1.0), Err(NotFinite));
    }

    #[test]
    fn simd_variants_agree() {
        let logits = noise(4096, 20.0, 5);
        let (max, sum, weighted) = block_sums_portable::<false>(&logits, 1.0);
        let (m, s, w) = block_sums(&logits, 1.0);
        assert_eq!(max, m);
        assert!((sum - s).abs() <= 1e-6 * sum && (weighted - w).abs() <= 1e-6 * weighted.abs());
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            let (m, s, w) = unsafe { block_sums_avx2(&logits, 1.0) };
            assert_eq!(max, m);
            assert!((sum - s).abs() <= 1e-6 * sum && (weighted - w).abs() <= 1e-6 * weighted.abs());
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

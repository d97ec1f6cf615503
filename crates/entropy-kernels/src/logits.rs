//! Token entropy in one pass over a row of logits.
//!
//! With z = logits / temperature and m = max z: s = Σ e^(z−m), t = Σ e^(z−m)·(z−m), and then
//! H = ln s − t / s. Trainers make several arrays as large as the logits for this; here a row is
//! read once, in blocks that stay in the first-level cache: lanes of f32 inside a block, f64 from
//! block to block. Everything is relative to the block's own maximum, so an offset of the logits
//! costs no precision, and a logit of −∞ adds nothing.
//!
//! The same code is compiled for AVX-512, AVX2 and the baseline, and chosen when it runs.

use rayon::prelude::*;

/// Logits of a block: 16 KiB, half of the first-level cache.
const BLOCK: usize = 4096;
/// Sums kept side by side: four AVX-512 registers hide the latency of one addition.
const LANES: usize = 64;

/// What is known of a distribution after one pass over its logits.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    inverse_temperature: f32,
    max: f32, // of the logits, before the temperature
    sum: f64,
    weighted: f64,
    blocks: Vec<(f32, f64)>, // each block's maximum and sum, for sampling
}

/// A row that is no distribution: a logit is NaN or +∞, or every one is −∞.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the logits are not finite")]
pub struct NotFinite;

impl Pass {
    /// Reads a row of logits.
    ///
    /// # Errors
    /// If it is no distribution.
    pub fn over(&mut self, logits: &[f32], temperature: f64) -> Result<(), NotFinite> {
        self.inverse_temperature = (1.0 / temperature) as f32;
        (self.max, self.sum, self.weighted) = (f32::NEG_INFINITY, 0.0, 0.0);
        self.blocks.clear();
        for block in logits.chunks(BLOCK) {
            let (max, sum, weighted) = sums(block, self.inverse_temperature);
            let (sum, weighted) = (f64::from(sum), f64::from(weighted));
            self.blocks.push((max, sum));
            if max == f32::NEG_INFINITY {
                // A block of −∞ alone has sums of NaN; one with a NaN in it has none of its own.
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

    /// Makes `max` the reference of the sums so far.
    fn rescale(&mut self, max: f32) {
        if self.sum > 0.0 {
            let shift = f64::from(self.max - max) * f64::from(self.inverse_temperature);
            let scale = shift.exp();
            self.weighted = (self.weighted + shift * self.sum) * scale;
            self.sum *= scale;
        }
        self.max = max;
    }

    /// A logit relative to the maximum, at the temperature.
    fn shift(&self, logit: f32) -> f64 {
        f64::from(logit - self.max) * f64::from(self.inverse_temperature)
    }

    /// Shannon entropy in nats.
    pub fn entropy(&self) -> f64 {
        // Rounding may leave −1e-9 for a distribution that is one token.
        (self.sum.ln() - self.weighted / self.sum).max(0.0)
    }

    /// Log-probability, in nats, of the token with this logit.
    pub fn log_prob(&self, logit: f32) -> f64 {
        self.shift(logit) - self.sum.ln()
    }

    /// Draws a token: its block by the cumulated probability, then the token by an exponential race,
    /// the least of −ln(u) / p with a uniform number for each.
    ///
    /// Inverting the cumulated distribution all the way is sensitive: rounding in the last bit moves
    /// every boundary behind it. A race is decided otherwise only where the first two almost tie.
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
                chosen = i; // should rounding leave a rest, the last block of any probability
                if left < mass {
                    break;
                }
                left -= mass;
            }
        }
        let start = chosen * BLOCK;
        let block = &logits[start..(start + BLOCK).min(logits.len())];
        start + race(block.iter().map(|logit| self.shift(*logit)), uniform)
    }
}

/// The index that wins an exponential race between these log-weights; −∞ never does, if others are
/// there.
pub fn race(log_weights: impl Iterator<Item = f64>, mut uniform: impl FnMut() -> f64) -> usize {
    let mut best = (f64::NEG_INFINITY, 0);
    for (i, log_weight) in log_weights.enumerate() {
        // 1 − u is never 0, and ln of −ln(1 − u) is −∞ only for u = 0, which then wins as it should.
        let score = log_weight - (-(1.0 - uniform()).ln()).ln();
        if score > best.0 {
            best = (score, i);
        }
    }
    best.1
}

/// The most probable token; the first of equals.
pub fn position_of_max(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best
}

/// Entropy and log-prob of one token, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// Entropy of the distribution, in nats.
    pub entropy: f64,
    /// Log-probability of the token, in nats.
    pub log_prob: f64,
}

/// Entropy of each row and log-prob of its token. `logits` is rows × vocabulary.
///
/// # Errors
/// The first row that is no distribution.
pub fn rows(
    logits: &[f32],
    vocabulary: usize,
    tokens: &[i64],
    temperature: f64,
) -> Result<Vec<Token>, (usize, NotFinite)> {
    logits
        .par_chunks_exact(vocabulary)
        .zip(tokens)
        .enumerate()
        .map_init(Pass::default, |pass, (i, (row, token))| {
            pass.over(row, temperature).map_err(|error| (i, error))?;
            Ok(Token { entropy: pass.entropy(), log_prob: pass.log_prob(row[*token as usize]) })
        })
        .collect()
}

/// Maximum of a block, and Σ e^x and Σ e^x·x over it with x = (z − maximum) / temperature.
fn sums(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { sums_avx512(block, inverse_temperature) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { sums_avx2(block, inverse_temperature) };
        }
    }
    sums_on::<false>(block, inverse_temperature)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma")]
fn sums_avx512(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    sums_on::<true>(block, inverse_temperature)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn sums_avx2(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    sums_on::<true>(block, inverse_temperature)
}

#[inline(always)]
fn sums_on<const FUSED: bool>(block: &[f32], inverse_temperature: f32) -> (f32, f32, f32) {
    let (whole, rest) = block.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for lanes in whole {
        for i in 0..LANES {
            tops[i] = if lanes[i] > tops[i] { lanes[i] } else { tops[i] };
        }
    }
    let max =
        tops.iter().chain(rest).fold(f32::NEG_INFINITY, |max, z| if *z > max { *z } else { max });

    let mut sum = [0.0f32; LANES];
    let mut weighted = [0.0f32; LANES];
    for lanes in whole {
        for i in 0..LANES {
            let x = below(lanes[i], max, inverse_temperature);
            let e = exp::<FUSED>(x);
            sum[i] += e;
            weighted[i] = fused::<FUSED>(e, x, weighted[i]);
        }
    }
    for (i, z) in rest.iter().enumerate() {
        let x = below(*z, max, inverse_temperature);
        let e = exp::<FUSED>(x);
        sum[i] += e;
        weighted[i] = fused::<FUSED>(e, x, weighted[i]);
    }
    (max, fold(&sum), fold(&weighted))
}

/// (z − max) / temperature, not below where e^x is a normal number; a NaN stays one.
#[inline(always)]
fn below(z: f32, max: f32, inverse_temperature: f32) -> f32 {
    let x = (z - max) * inverse_temperature;
    if x < -87.0 { -87.0 } else { x }
}

#[inline(always)]
fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// e^x for −87 ≤ x ≤ 0 within 1.2 units in the last place: x = n·ln 2 + r, and the polynomial of
/// Cephes' expf for e^r. 0 at −87, so that what was cut off adds nothing.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = fused::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fused::<FUSED>(n, -LN2_HIGH, x);
    let r = fused::<FUSED>(n, -LN2_LOW, r);
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = fused::<FUSED>(p, r, coefficient);
    }
    let p = fused::<FUSED>(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x <= -87.0 { 0.0 } else { p * power }
}

/// Sums pairwise, so that rounding does not add up.
fn fold(lanes: &[f32; LANES]) -> f32 {
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

    fn pass(logits: &[f32], temperature: f64) -> Pass {
        let mut pass = Pass::default();
        pass.over(logits, temperature).unwrap();
        pass
    }

    #[test]
    fn uniform_logits_have_the_logarithm_of_their_number() {
        for n in [1, 2, 63, 64, 65, 4096, 4097, 151_936] {
            let entropy = pass(&vec![3.5; n], 0.7).entropy();
            assert!((entropy - (n as f64).ln()).abs() < 1e-6, "{n}: {entropy}");
        }
    }

    #[test]
    fn agrees_with_the_definition_in_double_precision() {
        for (seed, n) in [1, 7, 64, 1000, 4096, 5000, 32_000, 151_936].into_iter().enumerate() {
            for spread in [0.01, 3.0, 30.0, 300.0] {
                for temperature in [0.3, 1.0, 2.0] {
                    let logits = noise(n, spread, seed as u64 + 1);
                    let (ours, exact) =
                        (pass(&logits, temperature).entropy(), by_definition(&logits, temperature));
                    assert!(
                        (ours - exact).abs() < 1e-5,
                        "{n} ±{spread} at {temperature}: {ours} {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_offset_of_the_logits_changes_nothing() {
        let logits: Vec<f32> =
            noise(20_000, 8.0, 3).iter().map(|z| (z * 1024.0).round() / 1024.0).collect();
        let moved: Vec<f32> = logits.iter().map(|z| z + 4096.0).collect();
        // The sum is exact in f32 where the logits are multiples of 2^-10.
        assert!((pass(&logits, 1.0).entropy() - pass(&moved, 1.0).entropy()).abs() < 1e-7);
        let huge = vec![1e30; 512];
        assert!((pass(&huge, 1.0).entropy() - 512f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn logits_of_minus_infinity_add_nothing() {
        let mut logits = vec![f32::NEG_INFINITY; 10_000];
        logits[9_000] = -3.0;
        assert_eq!(pass(&logits, 1.0).entropy(), 0.0);
        assert_eq!(pass(&logits, 1.0).log_prob(-3.0), 0.0);
        assert_eq!(pass(&logits, 1.0).log_prob(f32::NEG_INFINITY), f64::NEG_INFINITY);
        logits[5] = -3.0;
        assert!((pass(&logits, 1.0).entropy() - 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let mut pass = Pass::default();
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 70, 4_500] {
                let mut logits = noise(5_000, 1.0, 9);
                logits[at] = bad;
                assert_eq!(pass.over(&logits, 1.0), Err(NotFinite), "{bad} at {at}");
            }
        }
        assert_eq!(pass.over(&[f32::NEG_INFINITY; 100], 1.0), Err(NotFinite));
        assert_eq!(pass.over(&[f32::NEG_INFINITY, f32::NAN], 1.0), Err(NotFinite));
        assert_eq!(pass.over(&[], 1.0), Err(NotFinite));
    }

    #[test]
    fn every_path_gives_the_same_sums() {
        let logits = noise(4096, 20.0, 5);
        let (max, sum, weighted) = sums_on::<false>(&logits, 1.0);
        let (m, s, w) = sums(&logits, 1.0);
        assert_eq!(max, m);
        assert!((sum - s).abs() <= 1e-6 * sum && (weighted - w).abs() <= 1e-6 * weighted.abs());
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            let (m, s, w) = unsafe { sums_avx2(&logits, 1.0) };
            assert_eq!(max, m);
            assert!((sum - s).abs() <= 1e-6 * sum && (weighted - w).abs() <= 1e-6 * weighted.abs());
        }
    }

    #[test]
    fn log_probs_are_those_of_a_log_softmax() {
        let logits = noise(1000, 5.0, 11);
        let total: f64 = logits.iter().map(|z| (f64::from(*z) / 0.8).exp()).sum();
        let pass = pass(&logits, 0.8);
        for z in &logits {
            assert!((pass.log_prob(*z) - (f64::from(*z) / 0.8 - total.ln())).abs() < 1e-6);
        }
    }

    #[test]
    fn a_token_without_probability_is_never_drawn() {
        let mut one = vec![f32::NEG_INFINITY; 9_000];
        one[4_200] = 1.0;
        let of_one = pass(&one, 1.0);
        for u in [0.0, 0.5, 1.0 - 1e-16] {
            assert_eq!(of_one.sample(&one, || u), 4_200);
        }
    }
}

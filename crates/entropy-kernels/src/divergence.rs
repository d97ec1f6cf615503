//! How far two distributions over the same tokens are apart: KL(p‖q) and KL(q‖p), from two rows of logits in one pass.
//!
//! With log p = (z − m) / temperature − ln s of [`LogitStats`], and log q likewise, a token adds p·(log p − log q) to the
//! first and q·(log q − log p) to the second. The difference is taken before it is weighted, so that equal distributions
//! give exactly 0, and close ones lose no digits. Sums are f32 lanes inside a block and f64 across blocks, as those of the
//! entropy.
//!
//! A probability under 2^-127 counts as 0. Where p is 0, a token adds nothing to KL(p‖q); where q is 0 and p is not,
//! KL(p‖q) is infinite.

use std::f64::consts::{LN_2, LOG2_E};

use crate::lanes::{exp2, multiply_add, reduce};
use crate::logits::LogitStats;

/// Logits per block, of each row: together 16 KiB.
const BLOCK: usize = 2048;
const LANES: usize = 32;

/// The divergences of two distributions, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// KL(p‖q) = Σ p (log p − log q); infinite if q is 0 where p is not.
    pub forward: f64,
    /// KL(q‖p); infinite if p is 0 where q is not.
    pub reverse: f64,
}

/// The divergences of the distributions of two rows with these statistics, at the temperatures of the statistics.
///
/// # Panics
/// If the rows have different lengths.
pub fn divergence(p: (&[f32], &LogitStats), q: (&[f32], &LogitStats)) -> Divergence {
    assert_eq!(p.0.len(), q.0.len(), "two rows of one vocabulary");
    let scales = [Scale::new(p.1), Scale::new(q.1)];
    let (mut forward, mut reverse) = (0.0, 0.0);
    for (p, q) in p.0.chunks(BLOCK).zip(q.0.chunks(BLOCK)) {
        let (of_p, of_q) = block_sums(p, q, scales);
        forward += f64::from(of_p);
        reverse += f64::from(of_q);
    }
    // Rounding may give −1e-9 for equal distributions.
    Divergence { forward: (forward * LN_2).max(0.0), reverse: (reverse * LN_2).max(0.0) }
}

/// log2 p = (z − offset)·factor − log_sum.
#[derive(Debug, Clone, Copy)]
struct Scale {
    offset: f32,
    factor: f32,
    log_sum: f32,
}

impl Scale {
    fn new(stats: &LogitStats) -> Scale {
        // With the largest logit as the offset, numbers of probable tokens are small, and their rounding errors too.
        let offset = stats.max();
        let log_sum = stats.sum().ln() - stats.shift(offset);
        Scale {
            offset,
            factor: (LOG2_E / stats.temperature()) as f32,
            log_sum: (log_sum * LOG2_E) as f32,
        }
    }
}

/// Σ p (log2 p − log2 q) and Σ q (log2 q − log2 p) over a block.
fn block_sums(p: &[f32], q: &[f32], scales: [Scale; 2]) -> (f32, f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx512(p, q, scales) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx2(p, q, scales) };
        }
    }
    block_sums_portable::<false>(p, q, scales)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma")]
fn block_sums_avx512(p: &[f32], q: &[f32], scales: [Scale; 2]) -> (f32, f32) {
    block_sums_portable::<true>(p, q, scales)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn block_sums_avx2(p: &[f32], q: &[f32], scales: [Scale; 2]) -> (f32, f32) {
    block_sums_portable::<true>(p, q, scales)
}

#[inline(always)]
fn block_sums_portable<const FUSED: bool>(
    p: &[f32],
    q: &[f32],
    [of_p, of_q]: [Scale; 2],
) -> (f32, f32) {
    let mut forward = [0.0f32; LANES];
    let mut reverse = [0.0f32; LANES];
    let mut add = |lane: usize, p: f32, q: f32| {
        let log_p = (p - of_p.offset) * of_p.factor - of_p.log_sum;
        let log_q = (q - of_q.offset) * of_q.factor - of_q.log_sum;
        let (p, q) = (exp2::<FUSED>(log_p.max(-127.0)), exp2::<FUSED>(log_q.max(-127.0)));
        // 0 · ∞, and −∞ − (−∞), are NaN: a token without probability adds nothing.
        let difference = log_p - log_q;
        let gain = if p > 0.0 { difference } else { 0.0 };
        let loss = if q > 0.0 { -difference } else { 0.0 };
        forward[lane] = multiply_add::<FUSED>(p, gain, forward[lane]);
        reverse[lane] = multiply_add::<FUSED>(q, loss, reverse[lane]);
    };
    let ((whole_p, rest_p), (whole_q, rest_q)) = (p.as_chunks::<LANES>(), q.as_chunks::<LANES>());
    for (p, q) in whole_p.iter().zip(whole_q) {
        for lane in 0..LANES {
            add(lane, p[lane], q[lane]);
        }
    }
    for (lane, (p, q)) in rest_p.iter().zip(rest_q).enumerate() {
        add(lane, *p, *q);
    }
    (reduce(forward, |a, b| a + b), reduce(reverse, |a, b| a + b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::noise;

    fn divergence_of(p: &[f32], q: &[f32], temperature: f64) -> Divergence {
        let (mut of_p, mut of_q) = (LogitStats::default(), LogitStats::default());
        of_p.update(p, temperature).unwrap();
        of_q.update(q, temperature).unwrap();
        divergence((p, &of_p), (q, &of_q))
    }

    #[test]
    fn equal_distributions_have_none() {
        let p = noise(20_000, 10.0, 1);
        assert_eq!(divergence_of(&p, &p, 0.7), Divergence { forward: 0.0, reverse: 0.0 });
        // An offset of all logits changes nothing.
        let p: Vec<f32> = p.iter().map(|z| (z * 64.0).round() / 64.0).collect();
        let moved: Vec<f32> = p.iter().map(|z| z + 512.0).collect();
        let none = divergence_of(&p, &moved, 1.0);
        assert!(none.forward < 1e-6 && none.reverse < 1e-6, "{none:?}");
    }

    #[test]
    fn two_tokens_have_a_closed_form() {
        let (p, q) = (0.3f64, 0.8f64);
        let logits = |p: f64| {
            let mut row = vec![f32::NEG_INFINITY; 5_000];
            (row[17], row[4_900]) = (p.ln() as f32, (1.0 - p).ln() as f32);
            row
        };
        let found = divergence_of(&logits(p), &logits(q), 1.0);
        let exact = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        assert!((found.forward - exact(p, q)).abs() < 1e-6, "{found:?}");
        assert!((found.reverse - exact(q, p)).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_token_that_only_one_side_has_makes_it_infinite() {
        let p = vec![0.0; 3_000];
        let mut q = p.clone();
        q[2_500] = f32::NEG_INFINITY;
        let found = divergence_of(&p, &q, 1.0);
        assert_eq!(found.forward, f64::INFINITY);
        assert!((found.reverse - (3_000f64 / 2_999.0).ln()).abs() < 1e-6, "{found:?}");
        let swapped = divergence_of(&q, &p, 1.0);
        assert_eq!((swapped.forward, swapped.reverse), (found.reverse, found.forward));
    }

    #[test]
    fn it_matches_its_definition_in_f64() {
        for (n, spread) in [(2, 1.0), (500, 8.0), (5_000, 0.1), (151_936, 12.0), (32_000, 100.0)] {
            for moved in [1e-3, 0.1, 3.0] {
                for temperature in [0.5, 1.0, 2.0] {
                    let p = noise(n, spread, n as u64);
                    let q: Vec<f32> =
                        p.iter().zip(noise(n, moved, 99)).map(|(p, move_by)| p + move_by).collect();
                    let logs = |row: &[f32]| -> Vec<f64> {
                        let max = row.iter().copied().fold(f32::MIN, f32::max);
                        let x = |z: &f32| f64::from(*z - max) / temperature;
                        let sum: f64 = row.iter().map(|z| x(z).exp()).sum();
                        row.iter().map(|z| x(z) - sum.ln()).collect()
                    };
                    let (log_p, log_q) = (logs(&p), logs(&q));
                    let exact = |a: &[f64], b: &[f64]| -> f64 {
                        a.iter().zip(b).map(|(a, b)| a.exp() * (a - b)).sum()
                    };
                    let found = divergence_of(&p, &q, temperature);
                    for (found, exact) in [
                        (found.forward, exact(&log_p, &log_q)),
                        (found.reverse, exact(&log_q, &log_p)),
                    ] {
                        let off = (found - exact).abs();
                        assert!(off < 2e-6 * (1.0 + exact), "{n} ±{spread}, {moved}: {off:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn simd_variants_agree() {
        let (p, q) = (noise(2_000, 20.0, 5), noise(2_000, 20.0, 6));
        let scales = [Scale { offset: 19.0, factor: 1.4, log_sum: 2.0 }; 2];
        let portable = block_sums_portable::<false>(&p, &q, scales);
        let agrees = |other: (f32, f32)| {
            assert!((portable.0 - other.0).abs() <= 1e-5 * portable.0.abs());
            assert!((portable.1 - other.1).abs() <= 1e-5 * portable.1.abs());
        };
        agrees(block_sums(&p, &q, scales));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            agrees(unsafe { block_sums_avx2(&p, &q, scales) });
        }
    }
}

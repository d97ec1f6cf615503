//! Sums over a block of a row of logits, compiled for AVX-512, AVX2 and the baseline; the variant is chosen at run time.

use crate::element::Element;
use crate::lanes::{LANES, exp2, larger, multiply_add, reduce};

/// The smallest number that is squared, 2^-62.
const SMALLEST_SQUARED: f32 = 1.0 / (1u64 << 62) as f32;

/// How far memory is asked for in advance, in bytes.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4096;

/// The maximum of a block, and Σ 2^y and Σ 2^y·y over it with y = (z − offset)·factor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockSums {
    pub(crate) max: f32,
    pub(crate) sum: f32,
    pub(crate) weighted: f32,
    /// Σ 2^2y, and the number of logits above one; 0 without `SHAPE`.
    pub(crate) squares: f32,
    pub(crate) above: u32,
}

/// `factor` is log2(e) / temperature.
pub(crate) fn block_sums<E: Element, const SHAPE: bool>(
    block: &[E],
    offset: f32,
    factor: f32,
    logit: f32,
) -> BlockSums {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx512::<E, SHAPE>(block, offset, factor, logit) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { block_sums_avx2::<E, SHAPE>(block, offset, factor, logit) };
        }
    }
    block_sums_portable::<E, SHAPE, false>(block, offset, factor, logit)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma")]
fn block_sums_avx512<E: Element, const SHAPE: bool>(
    block: &[E],
    offset: f32,
    factor: f32,
    logit: f32,
) -> BlockSums {
    block_sums_portable::<E, SHAPE, true>(block, offset, factor, logit)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn block_sums_avx2<E: Element, const SHAPE: bool>(
    block: &[E],
    offset: f32,
    factor: f32,
    logit: f32,
) -> BlockSums {
    block_sums_portable::<E, SHAPE, true>(block, offset, factor, logit)
}

#[inline(always)]
fn block_sums_portable<E: Element, const SHAPE: bool, const FUSED: bool>(
    block: &[E],
    offset: f32,
    factor: f32,
    logit: f32,
) -> BlockSums {
    let mut max = [f32::NEG_INFINITY; LANES];
    let mut sum = [0.0f32; LANES];
    let mut weighted = [0.0f32; LANES];
    let mut squares = [0.0f32; LANES];
    let mut above = [0u32; LANES];
    let mut add = |lane: usize, z: f32| {
        max[lane] = larger(z, max[lane]);
        let y = (z - offset) * factor;
        // At −127, 2^y is 0. NaN stays NaN.
        let y = if y < -127.0 { -127.0 } else { y };
        let e = exp2::<FUSED>(y);
        sum[lane] += e;
        weighted[lane] = multiply_add::<FUSED>(e, y, weighted[lane]);
        if SHAPE {
            // Squares of smaller numbers are not normal, which is slow; the sum over all logits is at least 1/4.
            let e = larger(e, SMALLEST_SQUARED);
            squares[lane] = multiply_add::<FUSED>(e, e, squares[lane]);
            above[lane] += u32::from(z > logit);
        }
    };
    let (whole, rest) = block.as_chunks::<LANES>();
    for lanes in whole {
        prefetch(lanes);
        for (lane, z) in lanes.iter().enumerate() {
            add(lane, z.to_f32());
        }
    }
    for (lane, z) in rest.iter().enumerate() {
        add(lane, z.to_f32());
    }
    BlockSums {
        max: reduce(max, larger),
        sum: reduce(sum, |a, b| a + b),
        weighted: reduce(weighted, |a, b| a + b),
        squares: reduce(squares, |a, b| a + b),
        above: above.iter().sum(),
    }
}

/// Asks for memory [`AHEAD`] of these logits, which may be that of the next block or row. The processor's own prefetching
/// stops at each page of 4 KiB.
#[inline(always)]
fn prefetch<E>(lanes: &[E; LANES]) {
    #[cfg(not(target_arch = "x86_64"))]
    let _ = lanes;
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = lanes.as_ptr().cast::<i8>().wrapping_add(AHEAD);
        for line in (0..size_of_val(lanes)).step_by(64) {
            // SAFETY: any address may be prefetched; nothing is read.
            #[allow(unsafe_code)]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line));
            }
        }
    }
}

/// The largest logit; −∞ if all are −∞ or NaN.
pub(crate) fn maximum<E: Element>(block: &[E]) -> f32 {
    block.iter().fold(f32::NEG_INFINITY, |max, z| larger(z.to_f32(), max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::noise;

    #[test]
    fn simd_variants_agree() {
        let logits = noise(4096, 20.0, 5);
        let portable = block_sums_portable::<f32, true, false>(&logits, 19.0, 1.0, 3.0);
        let agrees = |other: BlockSums| {
            assert_eq!(portable.max, other.max);
            assert!((portable.sum - other.sum).abs() <= 1e-6 * portable.sum);
            let difference = (portable.weighted - other.weighted).abs();
            assert!(difference <= 1e-6 * portable.weighted.abs(), "{difference}");
            assert!((portable.squares - other.squares).abs() <= 1e-6 * portable.squares);
            assert_eq!(portable.above, other.above);
        };
        agrees(block_sums::<f32, true>(&logits, 19.0, 1.0, 3.0));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for.
            #[allow(unsafe_code)]
            agrees(unsafe { block_sums_avx2::<f32, true>(&logits, 19.0, 1.0, 3.0) });
        }
    }
}

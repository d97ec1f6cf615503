//! Arithmetic on parallel lanes, which the compiler turns into SIMD instructions.

/// Parallel partial sums: two AVX-512 registers. Blocks are independent of each other, and so are all logits but for
/// three additions; more sums would not fit the registers.
pub(crate) const LANES: usize = 32;

/// The larger one; `max` if z is NaN.
#[inline(always)]
pub(crate) fn larger(z: f32, max: f32) -> f32 {
    if z > max { z } else { max }
}

#[inline(always)]
pub(crate) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// 2^y for −127 ≤ y ≤ 1, within 1.5 units in the last place; 0 at −127, and numbers below 2^-126 are not exact.
///
/// y = n + r, with a polynomial for 2^r on [−½, ½]: the one of degree 5 with the least relative error, 9e-8, of those that
/// are 1 at 0. n is added to the exponent.
#[inline(always)]
#[allow(clippy::approx_constant)] // a coefficient is near ln 2, as it must be
pub(crate) fn exp2<const FUSED: bool>(y: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
    let shifted = y + ROUND;
    let r = y - (shifted - ROUND);
    let mut p = 1.326_472_7e-3;
    for coefficient in [9.671_513e-3, 5.550_733_6e-2, 0.240_222_42, 0.693_147, 1.0] {
        p = multiply_add::<FUSED>(p, r, coefficient);
    }
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// Combines lanes in pairs, which for a sum limits rounding errors.
pub(crate) fn reduce(mut lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            lanes[i] = combine(lanes[i], lanes[i + n]);
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp2_is_exact_to_two_units_in_the_last_place() {
        for i in -1_260_000..=10_000 {
            let y = i as f32 * 1e-4;
            let exact = f64::from(y).exp2();
            for ours in [exp2::<true>(y), exp2::<false>(y)] {
                let error = (f64::from(ours) / exact - 1.0).abs();
                assert!(error < 2e-7, "{y}: {error}");
            }
        }
        assert_eq!((exp2::<true>(0.0), exp2::<true>(-127.0)), (1.0, 0.0));
    }
}

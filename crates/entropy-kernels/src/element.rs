//! Number types of logits, and their conversion to f32, which is exact.
//!
//! The conversions have no branches, so that the compiler turns them into SIMD instructions in the loops that use them.

/// A number type of logits.
pub trait Element: Copy + Send + Sync {
    /// Converts to f32, exactly; NaN gives NaN.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// The bits of a bfloat16: the upper half of an f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Element for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// The bits of an IEEE 754 half-precision number (float16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

impl Element for F16 {
    /// Moved to its place in an f32, the exponent is too small by the difference of the biases, 112. The product
    /// with 2^112 is exact, also for subnormal numbers, which become normal.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        const SCALE: f32 = f32::from_bits((127 + 112) << 23); // 2^112
        let bits = u32::from(self.0);
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * SCALE;
        // The largest exponent means infinity or NaN in both types.
        let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a float16 by its definition; NaN for NaN.
    fn half(bits: u16) -> f64 {
        let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
        sign * match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
        }
    }

    #[test]
    fn every_float16_is_converted_exactly() {
        for bits in 0..=u16::MAX {
            let (ours, exact) = (f64::from(F16(bits).to_f32()), half(bits));
            assert!(
                ours.to_bits() == exact.to_bits() || ours.is_nan() && exact.is_nan(),
                "{bits:#06x}: {ours} {exact}"
            );
        }
    }

    #[test]
    fn bfloat16_is_the_upper_half_of_an_f32() {
        for (bits, number) in [(0x3f80, 1.0), (0xc040, -3.0), (0x0001, 2f64.powi(-133) as f32)] {
            assert_eq!(Bf16(bits).to_f32(), number);
        }
        assert_eq!(Bf16(0xff80).to_f32(), f32::NEG_INFINITY);
        assert!(Bf16(0x7fc0).to_f32().is_nan());
    }
}

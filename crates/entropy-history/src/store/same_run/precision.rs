//! How many digits the values of a history have, and when two values are the same to those digits.

use crate::history::Point;

/// Number of values whose digits are counted.
const SAMPLE: usize = 64;
/// From this number of digits on, values are taken as exact: those of 32-bit floats.
const EXACT_DIGITS: u32 = 7;
/// The relative difference of 32-bit floats, with room for the sums of different libraries.
const EXACT: f64 = 1e-6;

/// The digits of a series: the largest number of decimals, and of significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Precision {
    decimals: i32,
    digits: u32,
}

/// The largest difference that two values of one run may have.
pub(super) struct Tolerance {
    rounded: Option<Precision>,
}

impl Precision {
    /// The digits in a sample of the values.
    pub(super) fn of(points: &[Point]) -> Precision {
        let stride = points.len().div_ceil(SAMPLE).max(1);
        let mut precision = Precision { decimals: 0, digits: 1 };
        for point in points.iter().step_by(stride) {
            let text = format!("{:e}", point.entropy.abs()); // the shortest text of the value: 1.433e0
            let Some((digits, exponent)) = text.split_once('e') else { continue };
            let count = digits.bytes().filter(u8::is_ascii_digit).count() as u32;
            let exponent: i32 = exponent.parse().unwrap_or(0);
            precision.digits = precision.digits.max(count);
            precision.decimals = precision.decimals.max(count as i32 - 1 - exponent);
        }
        precision
    }

    pub(super) fn digits(&self) -> u32 {
        self.digits.min(EXACT_DIGITS)
    }

    /// Half a unit of the last digit of this value: values are printed with a fixed number of decimals, or
    /// of significant digits.
    fn half_unit(&self, value: f64) -> f64 {
        let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
        let significant = 10f64.powi(exponent + 1 - self.digits as i32);
        0.5 * significant.max(10f64.powi(-self.decimals))
    }

    /// How far the values of one run may differ in two records. Records with the same digits are copies.
    pub(super) fn tolerance_to(&self, other: &Precision) -> Tolerance {
        let coarser = if self.digits() <= other.digits() { self } else { other };
        let is_rounded = self.digits() != other.digits() && coarser.digits < EXACT_DIGITS;
        Tolerance { rounded: is_rounded.then_some(*coarser) }
    }
}

impl Tolerance {
    /// Whether one of the records holds rounded values of the other.
    pub(super) fn is_rounded(&self) -> bool {
        self.rounded.is_some()
    }

    /// Whether two values are the same.
    #[inline]
    pub(super) fn accepts(&self, a: f64, b: f64) -> bool {
        let difference = (a - b).abs();
        let exact = EXACT * a.abs();
        difference <= exact
            || self
                .rounded
                .is_some_and(|rounded| difference <= rounded.half_unit(a) * 1.001 + exact)
    }
}

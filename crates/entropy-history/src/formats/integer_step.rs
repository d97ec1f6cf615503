//! Steps as integers, as most formats store them.

/// `step` as an integer; `None` if it has a fraction or does not fit into 64 bits.
pub(crate) fn integer_step(step: f64) -> Option<i64> {
    const MIN: f64 = i64::MIN as f64; // -2^63, exact; i64::MAX is not a 64-bit float
    (step.fract() == 0.0 && (MIN..-MIN).contains(&step)).then_some(step as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractional_and_large_steps_are_not_integers() {
        let two_63 = 2f64.powi(63);
        assert_eq!(integer_step(0.0), Some(0));
        assert_eq!(integer_step(-3.0), Some(-3));
        assert_eq!(integer_step(-two_63), Some(i64::MIN));
        assert_eq!(integer_step(two_63.next_down()), Some(i64::MAX - 1023));
        for step in [0.5, -1e-9, two_63, (-two_63).next_down(), 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(integer_step(step), None, "{step}");
        }
    }
}

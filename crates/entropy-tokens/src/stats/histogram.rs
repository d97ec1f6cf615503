//! Histogram and shares of token entropies.

use super::order::Scan;

/// Number of tokens in each of `bins` equal bins of `0 ..= max`. A value at a bin's upper end is in the next bin, the
/// largest in the last one; values below 0 are in the first.
pub fn histogram(values: &(impl Scan + ?Sized), max: f64, bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    values.scan(|value| {
        // NaN, which becomes bin 0, if all values are 0.
        let bin = value.max(0.0) / max * bins as f64;
        counts[(bin as usize).min(bins - 1)] += 1;
    });
    counts
}

/// Numbers of values below and above a threshold; a value equal to it is neither.
pub fn below_and_above(values: &(impl Scan + ?Sized), threshold: f64) -> (u64, u64) {
    let (mut below, mut above) = (0, 0);
    values.scan(|value| {
        below += u64::from(value < threshold);
        above += u64::from(value > threshold);
    });
    (below, above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_include_their_lower_ends_and_the_maximum() {
        let values = [0.0, 0.5, 1.0, 1.5, 2.0, -1e-9];
        assert_eq!(histogram(&values[..], 2.0, 2), [3, 3]);
        assert_eq!(histogram(&[0.0, 0.0][..], 0.0, 3), [2, 0, 0]);
    }

    #[test]
    fn thresholds_are_exclusive() {
        assert_eq!(below_and_above(&[0.0, 1.0, 1.0, 3.0][..], 1.0), (1, 1));
    }
}

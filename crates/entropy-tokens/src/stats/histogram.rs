//! Histogram of token entropies.

/// The bin of a value among `bins` equal bins of `0 ..= max`. A value at a bin's upper end is in the next bin, the largest
/// in the last one; values below 0 are in the first.
#[inline]
pub fn histogram_bin(value: f64, max: f64, bins: usize) -> usize {
    // NaN, which becomes bin 0, if all values are 0.
    let bin = value.max(0.0) / max * bins as f64;
    (bin as usize).min(bins - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_include_their_lower_ends_and_the_maximum() {
        let bins = [0.0, 0.5, 1.0, 1.5, 2.0, -1e-9].map(|value| histogram_bin(value, 2.0, 2));
        assert_eq!(bins, [0, 0, 1, 1, 1, 0]);
        assert_eq!(histogram_bin(0.0, 0.0, 3), 0);
    }
}

//! Mean, median and quantiles of plain slices: the only place with these formulas.
//!
//! [`statrs`] computes means and deviations in one pass without cancellation; use its
//! `Statistics` trait where a standard deviation is needed as well. The functions here are for means
//! of short slices, and for order statistics.

/// Arithmetic mean: the sum divided by the count. NaN for an empty slice.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The middle value, or the mean of the two middle values. Linear time.
///
/// # Panics
/// If `values` is empty.
pub fn median(values: &[f64]) -> f64 {
    median_in_place(values.to_vec())
}

/// [`median`] of a vector that may be reordered. Panics if `values` is empty.
pub(super) fn median_in_place(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    0.5 * lower + 0.5 * upper
}

/// The value at a fractional index of sorted values, interpolated linearly between its neighbours. The
/// quantile q of n values is at index `q * (n − 1)`, as in NumPy's default method.
///
/// # Panics
/// If `sorted` is empty or `index` is above its last index.
pub fn value_at(sorted: &[f64], index: f64) -> f64 {
    let (low, fraction) = (index.floor() as usize, index.fract());
    let high = sorted[(low + 1).min(sorted.len() - 1)];
    sorted[low] + (high - sorted[low]) * fraction
}

/// `value` if it is finite.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

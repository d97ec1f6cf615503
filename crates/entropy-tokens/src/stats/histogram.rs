//! Histogram of token entropies.

use crate::floats::Floats;

/// Counts of numbers in equal bins of `0 ..= max`. A number at a bin's upper end is in the next bin, the largest in the last
/// one; numbers below 0 are in the first.
#[derive(Debug, Clone)]
pub struct Histogram {
    max: f64,
    /// Neighbours are often in one bin: with a count each, the second does not wait for the first.
    counts: Vec<[u64; 2]>,
}

impl Histogram {
    /// A histogram without numbers.
    pub fn new(max: f64, bins: usize) -> Histogram {
        Histogram { max, counts: vec![[0; 2]; bins] }
    }

    /// Counts some numbers.
    pub fn add(&mut self, values: Floats<'_>) {
        match values {
            Floats::Exact(values) => self.add_all(values),
            Floats::Rounded(values) => self.add_all(values),
        }
    }

    fn add_all<T: Copy + Into<f64>>(&mut self, values: &[T]) {
        let (max, bins, last) = (self.max, self.counts.len() as f64, self.counts.len() - 1);
        for (turn, value) in values.iter().enumerate() {
            let value: f64 = (*value).into();
            // NaN, which becomes bin 0, if all values are 0.
            let bin = value.max(0.0) / max * bins;
            self.counts[(bin as usize).min(last)][turn % 2] += 1;
        }
    }

    /// The counts by bin.
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|counts| counts.iter().sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_include_their_lower_ends_and_the_maximum() {
        let mut histogram = Histogram::new(2.0, 2);
        histogram.add(Floats::Exact(&[0.0, 0.5, 1.0, 1.5, 2.0, -1e-9]));
        histogram.add(Floats::Rounded(&[0.25]));
        assert_eq!(histogram.counts(), [4, 3]);
        let mut zeros = Histogram::new(0.0, 3);
        zeros.add(Floats::Exact(&[0.0]));
        assert_eq!(zeros.counts(), [1, 0, 0]);
    }
}

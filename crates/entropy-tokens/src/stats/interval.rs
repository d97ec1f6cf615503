//! The mean over tokens with an interval that knows that the tokens of a response depend on each other.
//!
//! The mean is a ratio R = Σ s_i / Σ n_i of sums over responses i: s_i the sum of a response's values, n_i their number.
//! Its standard error is that of a ratio estimator with responses as clusters (Cochran, Sampling Techniques, 1977,
//! section 6.3; Cameron & Miller, J. Human Resources 2015, 50:317, with the correction m/(m − 1)):
//!
//! ```text
//! se² = m/(m − 1) · Σ (s_i − R n_i)² / (Σ n_i)²,   interval R ± t(0.975, m − 1) · se
//! ```

use entropy_history::stats::student::t95;
use serde::Serialize;

/// A mean over tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanInterval {
    /// The mean over tokens.
    pub mean: f64,
    /// Ends of the 95 % interval; `None` with fewer than two responses.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Sums over responses for a [`MeanInterval`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RatioSums {
    responses: u64,
    sum: f64,
    count: f64,
    sum2: f64,
    sum_count: f64,
    count2: f64,
}

impl RatioSums {
    /// Adds a response with the sum of `count` values; one without values does not count.
    pub fn add(&mut self, sum: f64, count: u64) {
        if count > 0 {
            let n = count as f64;
            self.responses += 1;
            self.sum += sum;
            self.count += n;
            self.sum2 += sum * sum;
            self.sum_count += sum * n;
            self.count2 += n * n;
        }
    }

    /// Number of responses with values.
    pub fn responses(&self) -> u64 {
        self.responses
    }

    /// Number of values.
    pub fn tokens(&self) -> u64 {
        self.count as u64
    }

    /// The mean over tokens with its interval; `None` without a value.
    pub fn interval(&self) -> Option<MeanInterval> {
        if self.responses == 0 {
            return None;
        }
        let mean = self.sum / self.count;
        if self.responses < 2 {
            return Some(MeanInterval { mean, low: None, high: None });
        }
        let m = self.responses as f64;
        let squares = self.sum2 - 2.0 * mean * self.sum_count + mean * mean * self.count2;
        let error = (m / (m - 1.0) * squares.max(0.0)).sqrt() / self.count;
        let half = t95(m - 1.0) * error;
        Some(MeanInterval { mean, low: Some(mean - half), high: Some(mean + half) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_give_the_interval_of_a_mean() {
        // scipy 1.17: scipy.stats.t.interval(0.95, 3, loc=mean, scale=scipy.stats.sem([1, 2, 4, 5]))
        let mut sums = RatioSums::default();
        for mean in [1.0, 2.0, 4.0, 5.0] {
            sums.add(mean * 10.0, 10);
        }
        let found = sums.interval().unwrap();
        assert!((found.mean - 3.0).abs() < 1e-12);
        assert!((found.low.unwrap() - 0.094_837_284_245_234_97).abs() < 1e-9, "{found:?}");
        assert!((found.high.unwrap() - 5.905_162_715_754_765).abs() < 1e-9);
    }

    #[test]
    fn one_response_has_no_interval() {
        let mut sums = RatioSums::default();
        assert_eq!(sums.interval(), None);
        sums.add(3.0, 2);
        sums.add(0.0, 0);
        assert_eq!(sums.interval(), Some(MeanInterval { mean: 1.5, low: None, high: None }));
    }
}

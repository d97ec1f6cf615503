//! The mean over tokens with an interval that knows that tokens of one prompt, and of one response, depend on each other.
//!
//! The mean is a ratio R = Σ s_c / Σ n_c of sums over clusters c: s_c the sum of a cluster's values, n_c their number.
//! A cluster is a prompt with all responses to it, or a response where prompts are not known. The standard error is that
//! of a ratio estimator (Cochran, Sampling Techniques, 1977, section 6.3; Cameron & Miller, J. Human Resources 2015,
//! 50:317, with the correction m/(m − 1)):
//!
//! ```text
//! se² = m/(m − 1) · Σ (s_c − R n_c)² / (Σ n_c)²,   interval R ± t(0.975, m − 1) · se
//! ```
//!
//! Other statistics T of all tokens have the same interval with u_c = ∂T/∂w_c, the derivative by the weight of cluster c
//! at weights of 1, in place of (s_c − R n_c) / Σ n_c: the infinitesimal jackknife over clusters (Efron, The Jackknife, the
//! Bootstrap and Other Resampling Plans, 1982, chapter 6), also called the sandwich estimate.

use std::collections::BTreeMap;

use entropy_history::stats::student::t95;
use serde::Serialize;

/// A mean over tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanInterval {
    /// The mean over tokens.
    pub mean: f64,
    /// Ends of the 95 % interval; `None` with fewer than two clusters.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// The ends of the 95 % interval of an estimate, from its derivatives u_c by the weights of the clusters; `None` for fewer
/// than two clusters.
pub fn sandwich(estimate: f64, derivatives: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut clusters, mut squares) = (0u64, 0.0);
    for derivative in derivatives {
        clusters += 1;
        squares += derivative * derivative;
    }
    if clusters < 2 {
        return None;
    }
    let m = clusters as f64;
    let half = t95(m - 1.0) * (m / (m - 1.0) * squares).sqrt();
    Some((estimate - half, estimate + half))
}

/// Sums of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cluster {
    sum: f64,
    count: u64,
}

/// Sums by cluster for a [`MeanInterval`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterSums {
    clusters: BTreeMap<u32, Cluster>,
}

impl ClusterSums {
    /// Adds `count` values with this sum to a cluster; a cluster without values does not count.
    pub fn add(&mut self, cluster: u32, sum: f64, count: u64) {
        if count > 0 {
            let entry = self.clusters.entry(cluster).or_default();
            entry.sum += sum;
            entry.count += count;
        }
    }

    /// Number of values.
    pub fn tokens(&self) -> u64 {
        self.clusters.values().map(|cluster| cluster.count).sum()
    }

    /// The mean over tokens with its interval; `None` without a value.
    pub fn interval(&self) -> Option<MeanInterval> {
        let sum: f64 = self.clusters.values().map(|cluster| cluster.sum).sum();
        let count = self.tokens() as f64;
        if count == 0.0 {
            return None;
        }
        let mean = sum / count;
        let derivatives = self
            .clusters
            .values()
            .map(|cluster| (cluster.sum - mean * cluster.count as f64) / count);
        let ends = sandwich(mean, derivatives);
        Some(MeanInterval { mean, low: ends.map(|ends| ends.0), high: ends.map(|ends| ends.1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_give_the_interval_of_a_mean() {
        // scipy 1.17: scipy.stats.t.interval(0.95, 3, loc=mean, scale=scipy.stats.sem([1, 2, 4, 5]))
        let mut sums = ClusterSums::default();
        for (cluster, mean) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 5.0)] {
            // Two responses to one prompt.
            sums.add(cluster, mean * 4.0, 4);
            sums.add(cluster, mean * 6.0, 6);
        }
        let found = sums.interval().unwrap();
        assert!((found.mean - 3.0).abs() < 1e-12);
        assert!((found.low.unwrap() - 0.094_837_284_245_234_97).abs() < 1e-9, "{found:?}");
        assert!((found.high.unwrap() - 5.905_162_715_754_765).abs() < 1e-9);
    }

    #[test]
    fn one_cluster_has_no_interval() {
        let mut sums = ClusterSums::default();
        assert_eq!(sums.interval(), None);
        sums.add(7, 3.0, 2);
        sums.add(8, 0.0, 0);
        assert_eq!(sums.interval(), Some(MeanInterval { mean: 1.5, low: None, high: None }));
    }
}

//! Covariance of log-prob and advantage: which tokens would lose entropy (arXiv 2505.22617).
//!
//! For a policy gradient step, the change of entropy is about −η Cov(ln p, A) in each state: tokens that are likely and
//! rewarded become more likely still. Over the tokens of a step, as in verl's losses `clip_cov` and `kl_cov`:
//!
//! ```text
//! c_i = (ln p_i − mean(ln p)) · (A_i − mean(A));      the predicted sign of the change is that of −mean(c)
//! ```
//!
//! The share of the k largest c_i, k = max(1, ⌊n · share⌋), is their sum divided by the sum of all positive c_i.
//!
//! The intervals are those of [`sandwich`], with prompts (or responses) as clusters, and count that mean(ln p) and
//! mean(A) are estimates too. With x_i = ln p_i − mean, y_i = A_i − mean, sums X_c, Y_c over cluster c, q the k-th largest
//! c_i, and T = q + Σ (c_i − q)⁺ / k the mean of the k largest (Rockafellar & Uryasev, J. Risk 2000, 2:21):
//!
//! ```text
//! mean          u_c = (Σ_c c_i − mean · n_c) / n
//! T             u_c = Σ_c (c_i − q)⁺ / k − (T − q) n_c / n − (X_c Σ_top y + Y_c Σ_top x) / (n k)
//! share k T/P   u_c = (k u_c(T) + T k n_c / n − k T/P · u_c(P)) / P
//! P = Σ c_i⁺    u_c = Σ_c c_i⁺ − (X_c Σ_{c>0} y + Y_c Σ_{c>0} x) / n
//! ```
//!
//! Of tokens equal to q, each counts in Σ_top with the same part.

use serde::Serialize;

use super::interval::sandwich;
use super::order::{Buckets, Scan};
use super::pairs::{Advantages, Means, Pairs, ScanPairs};
use crate::floats::Floats;

/// The shares of tokens with the largest covariance: those of the paper and of `kl_cov` (0.0002 to 0.002) and `clip_cov`.
pub const TOP_SHARES: [f64; 3] = [0.0002, 0.002, 0.02];

/// With fewer tokens at the top, or from fewer clusters, an interval would be too narrow, so none is given.
pub const MIN_TOP_TOKENS: u64 = 20;
/// The smallest number of clusters with a token at the top.
pub const MIN_TOP_CLUSTERS: usize = 5;

/// The tokens with the largest covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TopShare {
    /// The share of all tokens.
    pub share: f64,
    /// Number of tokens.
    pub tokens: u64,
    /// Their mean covariance, in nats.
    pub mean: f64,
    /// Ends of the 95 % interval of the mean; `None` with fewer than [`MIN_TOP_TOKENS`] tokens, or [`MIN_TOP_CLUSTERS`]
    /// clusters with one of them.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Their sum divided by that of all positive ones; `None` if none is positive.
    pub of_positive: Option<f64>,
    /// Ends of its 95 % interval.
    pub of_positive_low: Option<f64>,
    /// The upper end.
    pub of_positive_high: Option<f64>,
    /// Their sum divided by that of all; can be above 1. `None` if that sum is not above 0.
    pub of_all: Option<f64>,
    /// The smallest covariance among them.
    pub threshold: f64,
    /// Number of tokens above the threshold; the others are equal to it.
    #[serde(skip)]
    pub(crate) above: u64,
}

/// What the covariance predicts for the entropy, to first order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The whole interval of the mean is above 0.
    Falls,
    /// The whole interval is below 0.
    Rises,
    /// 0 is inside the interval, or there is no interval.
    Unclear,
    /// All covariances are 0, as without differences of advantages.
    Stays,
}

/// The covariance of the tokens of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Covariance {
    /// Number of tokens.
    pub tokens: u64,
    /// Mean log-prob, in nats.
    pub mean_log_prob: f64,
    /// Mean advantage.
    pub mean_advantage: f64,
    /// Mean covariance.
    pub mean: f64,
    /// Ends of the 95 % interval of the mean; `None` with fewer than two clusters.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Number of clusters with a token.
    pub clusters: u64,
    /// What the interval says of the entropy.
    pub prediction: Prediction,
    /// The sign of the estimate alone, whatever its interval: −1 for a mean above 0 (the entropy would fall), 1 for a mean
    /// below 0, 0 for 0.
    pub predicted_sign: i8,
    /// The tokens with the largest covariance, by share.
    pub top: Vec<TopShare>,
}

impl Covariance {
    pub(crate) fn means(&self) -> Means {
        Means { log_prob: self.mean_log_prob, advantage: self.mean_advantage }
    }
}

struct Covariances<'a, P: ?Sized> {
    pairs: &'a P,
    means: Means,
}

impl<P: ScanPairs + ?Sized> Scan for Covariances<'_, P> {
    fn scan(&self, mut visit: impl FnMut(Floats<'_>)) {
        let mut covariances = Vec::new();
        self.pairs.scan_pairs(|pairs| {
            pairs.covariances(&self.means, &mut covariances);
            visit(Floats::Exact(&covariances));
        });
    }
}

/// Sums of x and y over some tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Deviations {
    x: f64,
    y: f64,
}

impl Deviations {
    fn add(&mut self, x: f64, y: f64) {
        self.x += x;
        self.y += y;
    }

    /// How a sum of covariances over tokens with these sums changes with the weight of a cluster, through both means.
    fn through_means(&self, cluster: &ClusterMoments, n: f64) -> f64 {
        -(cluster.all.x * self.y + cluster.all.y * self.x) / n
    }
}

const TOPS: usize = TOP_SHARES.len();

/// Sums over the tokens of a cluster.
#[derive(Debug, Clone, Copy, Default)]
struct ClusterMoments {
    tokens: u64,
    all: Deviations,
    sum: f64,
    positive: f64,
    /// Sums of (c − q)⁺ for each top share.
    excess: [f64; TOPS],
    /// Number of tokens with c ≥ q.
    top: [u64; TOPS],
}

impl ClusterMoments {
    /// Adds tokens; `of_positive` gets those whose covariance is positive.
    fn add(&mut self, pairs: &Pairs<'_>, means: &Means, of_positive: &mut Deviations) {
        let log_probs = pairs.log_probs;
        self.tokens += log_probs.len() as u64;
        match pairs.advantages {
            Advantages::One(advantage) => {
                let y = advantage - means.advantage;
                let x_sum = log_probs.sum_of(|log_prob| log_prob - means.log_prob);
                self.all.add(x_sum, y * log_probs.len() as f64);
                self.sum += x_sum * y;
                // A product that is rounded to 0 is not positive.
                let is_positive = |x: f64| x * y > 0.0;
                let positive = log_probs.sum_of(|log_prob| {
                    let x = log_prob - means.log_prob;
                    if is_positive(x) { x } else { 0.0 }
                });
                let count = log_probs.count(|log_prob| is_positive(log_prob - means.log_prob));
                self.positive += positive * y;
                of_positive.add(positive, y * count as f64);
            }
            Advantages::PerToken(_) => {
                for at in 0..log_probs.len() {
                    let (x, y) = pairs.deviations(at, means);
                    let value = x * y;
                    self.all.add(x, y);
                    self.sum += value;
                    if value > 0.0 {
                        self.positive += value;
                        of_positive.add(x, y);
                    }
                }
            }
        }
    }

    /// Adds a token to the tops whose threshold it reaches.
    fn add_top(
        &mut self,
        value: f64,
        x: f64,
        y: f64,
        thresholds: &[f64; TOPS],
        tops: &mut [TopMoments; TOPS],
    ) {
        for (at, top) in tops.iter_mut().enumerate() {
            let threshold = thresholds[at];
            if value > threshold {
                top.above += 1;
                top.of_above.add(x, y);
                self.excess[at] += value - threshold;
                self.top[at] += 1;
            } else if value == threshold {
                top.equal += 1;
                top.of_equal.add(x, y);
                self.top[at] += 1;
            }
        }
    }
}

/// Sums over all tokens at the top of a share.
#[derive(Debug, Clone, Copy, Default)]
struct TopMoments {
    above: u64,
    equal: u64,
    of_above: Deviations,
    of_equal: Deviations,
}

/// Computes the covariance of finite pairs, whose clusters are below `clusters`; `None` without a pair.
pub fn covariance(pairs: &(impl ScanPairs + ?Sized), clusters: usize) -> Option<Covariance> {
    let (mut tokens, mut log_probs, mut advantages) = (0u64, 0.0, 0.0);
    pairs.scan_pairs(|pairs| {
        tokens += pairs.log_probs.len() as u64;
        log_probs += pairs.log_probs.sum_of(|log_prob| log_prob);
        advantages += pairs.advantage_sum();
    });
    if tokens == 0 {
        return None;
    }
    let n = tokens as f64;
    let means = Means { log_prob: log_probs / n, advantage: advantages / n };
    let values = Covariances { pairs, means };
    let counts = TOP_SHARES.map(|share| ((n * share).floor() as u64).max(1));
    let ranks = counts.map(|count| tokens - count);
    let buckets = Buckets::of(&values);
    let ordered = buckets.order(&values, &ranks);
    let thresholds = ranks.map(|rank| ordered.at_rank(rank));

    let mut moments = vec![ClusterMoments::default(); clusters];
    let (mut of_positive, mut tops) = (Deviations::default(), [TopMoments::default(); TOPS]);
    let lowest = thresholds.iter().copied().fold(f64::INFINITY, f64::min);
    let mut covariances = Vec::new();
    pairs.scan_pairs(|pairs| {
        let cluster = &mut moments[pairs.cluster as usize];
        cluster.add(&pairs, &means, &mut of_positive);
        pairs.covariances(&means, &mut covariances);
        for (at, &value) in covariances.iter().enumerate() {
            if value >= lowest {
                let (x, y) = pairs.deviations(at, &means);
                cluster.add_top(value, x, y, &thresholds, &mut tops);
            }
        }
    });
    moments.retain(|cluster| cluster.tokens > 0);
    let sum: f64 = moments.iter().map(|cluster| cluster.sum).sum();
    let positive: f64 = moments.iter().map(|cluster| cluster.positive).sum();
    let mean = sum / n;
    let share_of = |cluster: &ClusterMoments| cluster.tokens as f64 / n;
    let ends = sandwich(mean, moments.iter().map(|c| c.sum / n - mean * share_of(c)));

    let top = |at: usize| {
        let (count, threshold, top) = (counts[at], thresholds[at], &tops[at]);
        let k = count as f64;
        let excess: f64 = moments.iter().map(|cluster| cluster.excess[at]).sum();
        let mean = threshold + excess / k;
        let part = (count - top.above) as f64 / top.equal as f64;
        let of_top = Deviations {
            x: top.of_above.x + part * top.of_equal.x,
            y: top.of_above.y + part * top.of_equal.y,
        };
        let of_mean = |cluster: &ClusterMoments| {
            (cluster.excess[at] + of_top.through_means(cluster, n)) / k
                - (mean - threshold) * share_of(cluster)
        };
        let share = k * mean / positive;
        let of_share = |cluster: &ClusterMoments| {
            let of_positive = cluster.positive + of_positive.through_means(cluster, n);
            (k * (of_mean(cluster) + mean * share_of(cluster)) - share * of_positive) / positive
        };
        let with_top = moments.iter().filter(|cluster| cluster.top[at] > 0).count();
        let is_enough = count >= MIN_TOP_TOKENS && with_top >= MIN_TOP_CLUSTERS;
        let ends = sandwich(mean, moments.iter().map(of_mean)).filter(|_| is_enough);
        let has_share = positive > 0.0;
        let share_ends = sandwich(share, moments.iter().map(of_share));
        let share_ends = share_ends.filter(|_| is_enough && has_share);
        TopShare {
            share: TOP_SHARES[at],
            tokens: count,
            mean,
            low: ends.map(|ends| ends.0),
            high: ends.map(|ends| ends.1),
            of_positive: has_share.then_some(share),
            // A share is not below 0 and not above 1.
            of_positive_low: share_ends.map(|ends| ends.0.max(0.0)),
            of_positive_high: share_ends.map(|ends| ends.1.min(1.0)),
            of_all: (sum > 0.0).then(|| k * mean / sum),
            threshold,
            above: top.above,
        }
    };
    Some(Covariance {
        tokens,
        mean_log_prob: means.log_prob,
        mean_advantage: means.advantage,
        mean,
        low: ends.map(|ends| ends.0),
        high: ends.map(|ends| ends.1),
        clusters: moments.len() as u64,
        prediction: match ends {
            Some((low, _)) if low > 0.0 => Prediction::Falls,
            Some((_, high)) if high < 0.0 => Prediction::Rises,
            _ if moments.iter().all(|cluster| cluster.positive == 0.0 && cluster.sum == 0.0) => {
                Prediction::Stays
            }
            _ => Prediction::Unclear,
        },
        predicted_sign: if mean > 0.0 { -1 } else { i8::from(mean < 0.0) },
        top: (0..TOPS).map(top).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_rewarded_tokens_lower_entropy() {
        let pairs = [(0, -0.1, 1.0), (0, -2.0, -1.0), (1, -0.2, 1.0), (1, -2.0, -1.0)];
        let found = covariance(&pairs[..], 2).unwrap();
        assert_eq!((found.predicted_sign, found.prediction), (-1, Prediction::Falls));
        assert!((found.mean - 0.925).abs() < 1e-12, "{}", found.mean);
        let opposite = pairs.map(|(cluster, log_prob, advantage)| (cluster, log_prob, -advantage));
        let found = covariance(&opposite[..], 2).unwrap();
        assert_eq!((found.predicted_sign, found.prediction), (1, Prediction::Rises));
        assert_eq!(covariance(&[][..], 0), None);
    }

    #[test]
    fn prompts_that_disagree_predict_nothing() {
        let pairs = [(0, -0.1, 1.0), (0, -2.0, -1.0), (1, -0.1, -1.0), (1, -1.5, 1.0)];
        let found = covariance(&pairs[..], 2).unwrap();
        assert_eq!((found.predicted_sign, found.prediction), (-1, Prediction::Unclear));
        let one_cluster = pairs.map(|(_, log_prob, advantage)| (0, log_prob, advantage));
        let found = covariance(&one_cluster[..], 1).unwrap();
        assert_eq!((found.prediction, found.low), (Prediction::Unclear, None));
    }

    #[test]
    fn equal_advantages_predict_no_change() {
        let found = covariance(&[(0, -0.5, 0.0), (1, -3.0, 0.0)][..], 2).unwrap();
        assert_eq!((found.mean, found.predicted_sign), (0.0, 0));
        assert_eq!(found.prediction, Prediction::Stays);
        assert_eq!((found.top[0].of_positive, found.top[0].of_all), (None, None));
    }
}

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

use serde::Serialize;

use super::order::{Buckets, Scan};

/// The shares of tokens with the largest covariance: those of the paper and of `kl_cov` (0.0002 to 0.002) and `clip_cov`.
pub const TOP_SHARES: [f64; 3] = [0.0002, 0.002, 0.02];

/// A token's log-prob and advantage.
pub trait ScanPairs {
    /// Calls `visit` with the log-prob and the advantage of each token; always in the same order.
    fn scan_pairs(&self, visit: impl FnMut(f64, f64));
}

impl ScanPairs for [(f64, f64)] {
    fn scan_pairs(&self, mut visit: impl FnMut(f64, f64)) {
        self.iter().for_each(|(log_prob, advantage)| visit(*log_prob, *advantage));
    }
}

impl<F: Fn(&mut dyn FnMut(f64, f64))> ScanPairs for F {
    fn scan_pairs(&self, mut visit: impl FnMut(f64, f64)) {
        self(&mut visit);
    }
}

/// The tokens with the largest covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TopShare {
    /// The share of all tokens.
    pub share: f64,
    /// Number of tokens.
    pub tokens: u64,
    /// Their mean covariance, in nats.
    pub mean: f64,
    /// Their sum divided by that of all positive ones; `None` if none is positive.
    pub of_positive: Option<f64>,
    /// Their sum divided by that of all; can be above 1. `None` if that sum is not above 0.
    pub of_all: Option<f64>,
    /// The smallest covariance among them.
    pub threshold: f64,
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
    /// Mean covariance; entropy is predicted to fall if it is above 0.
    pub mean: f64,
    /// −1 if entropy is predicted to fall, 1 if it is to rise, 0 for a covariance of 0.
    pub predicted_sign: i8,
    /// The tokens with the largest covariance, by share.
    pub top: Vec<TopShare>,
}

struct Covariances<'a, P: ?Sized> {
    pairs: &'a P,
    mean_log_prob: f64,
    mean_advantage: f64,
}

impl<P: ScanPairs + ?Sized> Scan for Covariances<'_, P> {
    fn scan(&self, mut visit: impl FnMut(f64)) {
        self.pairs.scan_pairs(|log_prob, advantage| {
            visit((log_prob - self.mean_log_prob) * (advantage - self.mean_advantage));
        });
    }
}

/// Computes the covariance of finite pairs; `None` without one.
pub fn covariance(pairs: &(impl ScanPairs + ?Sized)) -> Option<Covariance> {
    let (mut tokens, mut log_probs, mut advantages) = (0u64, 0.0, 0.0);
    pairs.scan_pairs(|log_prob, advantage| {
        tokens += 1;
        log_probs += log_prob;
        advantages += advantage;
    });
    if tokens == 0 {
        return None;
    }
    let n = tokens as f64;
    let values =
        Covariances { pairs, mean_log_prob: log_probs / n, mean_advantage: advantages / n };
    let buckets = Buckets::of(&values);
    let (mut sum, mut positive) = (0.0, 0.0);
    values.scan(|value| {
        sum += value;
        positive += value.max(0.0);
    });
    let mean = sum / n;
    let top = TOP_SHARES.map(|share| {
        let count = ((n * share).floor() as u64).max(1);
        let of_top = buckets.sum_of_largest(&values, count);
        let threshold = buckets.at_ranks(&values, &[tokens - count])[0];
        TopShare {
            share,
            tokens: count,
            mean: of_top / count as f64,
            of_positive: (positive > 0.0).then(|| of_top / positive),
            of_all: (sum > 0.0).then(|| of_top / sum),
            threshold,
        }
    });
    Some(Covariance {
        tokens,
        mean_log_prob: values.mean_log_prob,
        mean_advantage: values.mean_advantage,
        mean,
        predicted_sign: if mean > 0.0 { -1 } else { i8::from(mean < 0.0) },
        top: top.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_rewarded_tokens_lower_entropy() {
        let pairs = [(-0.1, 1.0), (-2.0, -1.0), (-0.1, 1.0), (-2.0, -1.0)];
        let found = covariance(&pairs[..]).unwrap();
        assert_eq!(found.predicted_sign, -1);
        assert!((found.mean - 0.95).abs() < 1e-12, "{}", found.mean);
        let opposite = pairs.map(|(log_prob, advantage)| (log_prob, -advantage));
        assert_eq!(covariance(&opposite[..]).unwrap().predicted_sign, 1);
        assert_eq!(covariance(&[][..]), None);
    }

    #[test]
    fn equal_advantages_predict_no_change() {
        let found = covariance(&[(-0.5, 0.0), (-3.0, 0.0)][..]).unwrap();
        assert_eq!((found.mean, found.predicted_sign), (0.0, 0));
        assert_eq!((found.top[0].of_positive, found.top[0].of_all), (None, None));
    }
}

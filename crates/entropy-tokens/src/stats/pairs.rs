//! Log-probs and advantages of tokens, some at a time.

use crate::floats::{Floats, sum_of};

/// The mean log-prob and the mean advantage of all tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means {
    pub(crate) log_prob: f64,
    pub(crate) advantage: f64,
}

/// The advantages of some tokens.
#[derive(Debug, Clone, Copy)]
pub enum Advantages<'a> {
    /// Equal for all.
    One(f64),
    /// One per token.
    PerToken(&'a [f64]),
}

/// Some tokens of a cluster, whose log-probs and advantages are finite.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// The number of the cluster.
    pub cluster: u32,
    /// The log-probs.
    pub log_probs: Floats<'a>,
    /// Their advantages.
    pub advantages: Advantages<'a>,
}

impl Pairs<'_> {
    pub(super) fn advantage_sum(&self) -> f64 {
        match self.advantages {
            Advantages::One(advantage) => advantage * self.log_probs.len() as f64,
            Advantages::PerToken(advantages) => sum_of(advantages, |advantage| advantage),
        }
    }

    /// Replaces the content of `covariances` by (ln p − mean(ln p)) · (A − mean(A)) of each token.
    pub(crate) fn covariances(&self, means: &Means, covariances: &mut Vec<f64>) {
        match self.advantages {
            Advantages::One(advantage) => {
                let y = advantage - means.advantage;
                self.log_probs.map_into(covariances, |log_prob| (log_prob - means.log_prob) * y);
            }
            Advantages::PerToken(advantages) => {
                self.log_probs.map_into(covariances, |log_prob| log_prob - means.log_prob);
                for (value, advantage) in covariances.iter_mut().zip(advantages) {
                    *value *= advantage - means.advantage;
                }
            }
        }
    }

    /// Both deviations of a token.
    pub(super) fn deviations(&self, at: usize, means: &Means) -> (f64, f64) {
        let advantage = match self.advantages {
            Advantages::One(advantage) => advantage,
            Advantages::PerToken(advantages) => advantages[at],
        };
        (self.log_probs.get(at) - means.log_prob, advantage - means.advantage)
    }
}

/// Tokens that can be passed over several times.
pub trait ScanPairs {
    /// Calls `visit` with all tokens, some at a time; always in the same order.
    fn scan_pairs(&self, visit: impl FnMut(Pairs<'_>));
}

impl ScanPairs for [(u32, f64, f64)] {
    fn scan_pairs(&self, mut visit: impl FnMut(Pairs<'_>)) {
        for (cluster, log_prob, advantage) in self {
            let log_probs = Floats::Exact(std::slice::from_ref(log_prob));
            let advantages = Advantages::One(*advantage);
            visit(Pairs { cluster: *cluster, log_probs, advantages });
        }
    }
}

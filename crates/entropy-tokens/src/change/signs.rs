//! Whether the entropy went where the covariance of log-prob and advantage said.
//!
//! To first order a policy-gradient step changes the entropy by −η Cov (arXiv 2505.22617). For each step with a covariance
//! and a next step of the dump, the predicted sign is compared with that of the change between both.

use serde::Serialize;

use crate::analysis::{Analysis, StepAnalysis};

/// A step and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    /// The earlier step, whose covariance predicts.
    pub from: u64,
    /// The next step of the dump.
    pub to: u64,
    /// Mean covariance at `from`.
    pub covariance: f64,
    /// Change of the mean entropy, in nats.
    pub change: f64,
    /// Whether the signs agree.
    pub agrees: bool,
}

/// Predicted and actual signs of the changes between steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignAgreement {
    /// How many signs agree.
    pub same: usize,
    /// Of how many.
    pub of: usize,
    /// The probability of at least this number of agreements if each sign were the toss of a coin.
    pub by_chance: f64,
    /// Whether all actual changes have one sign, so that any constant prediction would agree as well.
    pub one_sided: bool,
    /// Each of them.
    pub predictions: Vec<Prediction>,
}

/// Compares the steps of a source that have entropies; `None` if there is nothing to compare.
pub(super) fn agreement(analysis: &Analysis, source: usize) -> Option<SignAgreement> {
    let of_source = analysis.steps.iter().filter(|step| step.source == source);
    let steps: Vec<&StepAnalysis> = of_source.filter(|step| step.entropy.is_some()).collect();
    let prediction = |pair: &[&StepAnalysis]| {
        let covariance = pair[0].covariance.as_ref()?.covariance.mean;
        let change = pair[1].entropy.as_ref()?.mean.mean - pair[0].entropy.as_ref()?.mean.mean;
        // Equal rewards everywhere give a covariance of 0, which predicts nothing.
        let agrees = covariance * change < 0.0;
        let (from, to) = (pair[0].step, pair[1].step);
        (covariance != 0.0 && change != 0.0).then_some(Prediction {
            from,
            to,
            covariance,
            change,
            agrees,
        })
    };
    let predictions: Vec<Prediction> = steps.windows(2).filter_map(prediction).collect();
    if predictions.is_empty() {
        return None;
    }
    let same = predictions.iter().filter(|prediction| prediction.agrees).count();
    let falls = predictions.iter().filter(|prediction| prediction.change < 0.0).count();
    Some(SignAgreement {
        same,
        of: predictions.len(),
        by_chance: at_least(same, predictions.len()),
        one_sided: falls == 0 || falls == predictions.len(),
        predictions,
    })
}

/// The probability of at least `k` heads in `n` throws of a coin.
fn at_least(k: usize, n: usize) -> f64 {
    // C(n, i) / 2^n for i = 0, 1, …; beyond n = 1000 the first terms are 0, which is what they are worth.
    let mut term = 0.5_f64.powi(n.min(i32::MAX as usize) as i32);
    let mut sum = 0.0;
    for i in 0..=n {
        if i >= k {
            sum += term;
        }
        term *= (n - i) as f64 / (i + 1) as f64;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_that_of_a_coin() {
        // scipy 1.17: scipy.stats.binomtest(9, 10, 0.5, alternative="greater").pvalue
        assert!((at_least(9, 10) - 0.010_742_187_5).abs() < 1e-12);
        assert_eq!((at_least(0, 6), at_least(6, 6)), (1.0, 1.0 / 64.0));
    }
}

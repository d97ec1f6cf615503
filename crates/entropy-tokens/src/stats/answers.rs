//! How different the final answers to a prompt are.
//!
//! Answer entropy is −Σ p ln p over the distinct answers of a prompt, p their shares of its responses (as in arXiv
//! 2507.14843, where it falls while token entropy rises). It is the plug-in estimate: at most ln n for n responses.

use std::collections::BTreeMap;

/// The answers to a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerDiversity {
    /// Number of responses with an answer.
    pub answers: u64,
    /// Number of distinct answers.
    pub distinct: u64,
    /// Their entropy in nats.
    pub entropy: f64,
}

/// Counts answers, given as hashes; `None` without one.
pub fn answer_diversity(answers: &[u64]) -> Option<AnswerDiversity> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for answer in answers {
        *counts.entry(*answer).or_default() += 1;
    }
    let n = answers.len() as f64;
    let share = |count: &u64| *count as f64 / n;
    let entropy: f64 = counts.values().map(share).map(|p| -p * p.ln()).sum();
    (!answers.is_empty()).then_some(AnswerDiversity {
        answers: answers.len() as u64,
        distinct: counts.len() as u64,
        entropy: entropy.max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_answers_have_the_entropy_ln_n() {
        let found = answer_diversity(&[1, 2, 3, 4]).unwrap();
        assert_eq!(found.distinct, 4);
        assert!((found.entropy - 4f64.ln()).abs() < 1e-15);
        let found = answer_diversity(&[7, 7, 7]).unwrap();
        assert_eq!((found.distinct, found.entropy), (1, 0.0));
        assert_eq!(answer_diversity(&[]), None);
    }
}

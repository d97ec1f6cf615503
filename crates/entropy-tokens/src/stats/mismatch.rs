//! How far the scored log-probs are from those of the engine that sampled the response.
//!
//! With d = ln p_scored − ln p_sampler of a token, over the tokens that the sampler drew:
//!
//! ```text
//! mean difference   mean(d);  mean(|d|)
//! k1                mean(−d)                an unbiased estimate of KL(sampler ‖ scored)
//! k3                mean(e^d − d − 1)       the same with less variance, never negative (Schulman 2020)
//! perplexity ratio  mean over responses of e^(mean of −d)      perplexity scored / perplexity of the sampler
//! ESS, tokens       (Σ w)² / (n Σ w²), w = e^d                 1: as good as samples of the scored policy
//! ESS, responses    the same with w = e^(Σ d of a response)
//! ```
//!
//! k1, k3 and the ratio are verl's `rollout_corr/kl`, `k3_kl` and `ppl_ratio`, ESS is `rollout_is_eff_sample_size`. As
//! there, logarithms of weights are clamped to ±20.

use serde::Serialize;

/// The largest magnitude of the logarithm of a weight.
pub const MAX_LOG_WEIGHT: f64 = 20.0;
/// The number of tokens that are listed.
pub const MAX_WORST: usize = 10;

/// Whether a token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usable {
    /// Both log-probs are finite.
    Yes,
    /// The sampler's log-prob is missing or not finite.
    NoSampler,
    /// The scored log-prob is missing.
    NoScored,
    /// The scored probability is 0.
    Impossible,
}

/// Sums over the tokens of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MismatchSums {
    tokens: u64,
    no_sampler: u64,
    no_scored: u64,
    impossible: u64,
    difference: f64,
    absolute: f64,
    k3: f64,
    weight: f64,
    weight2: f64,
}

impl MismatchSums {
    /// Adds a token; NaN stands for a log-prob that is missing.
    pub fn add(&mut self, scored: f64, sampler: f64) -> Usable {
        if !sampler.is_finite() {
            self.no_sampler += 1;
            return Usable::NoSampler;
        }
        if scored.is_nan() {
            self.no_scored += 1;
            return Usable::NoScored;
        }
        if scored == f64::NEG_INFINITY {
            self.impossible += 1;
            return Usable::Impossible;
        }
        let difference = scored - sampler;
        self.tokens += 1;
        self.difference += difference;
        self.absolute += difference.abs();
        let weight = difference.clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT).exp();
        self.k3 += weight - difference - 1.0;
        self.weight += weight;
        self.weight2 += weight * weight;
        Usable::Yes
    }
}

/// The mismatch of the tokens of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mismatch {
    /// Number of responses with log-probs of the sampler.
    pub responses: usize,
    /// Number of their tokens that count.
    pub tokens: u64,
    /// Mean of scored − sampler's log-prob, in nats.
    pub mean_difference: f64,
    /// Mean of its magnitude.
    pub mean_abs_difference: f64,
    /// The k1 estimate of KL(sampler ‖ scored), in nats per token.
    pub k1: f64,
    /// The k3 estimate.
    pub k3: f64,
    /// Mean over responses of scored perplexity / the sampler's perplexity.
    pub perplexity_ratio: f64,
    /// Effective sample size of the weights of tokens, as a share of their number.
    pub ess_tokens: f64,
    /// Effective sample size of the weights of responses, as a share of their number.
    pub ess_responses: f64,
}

/// Tokens that do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnusableTokens {
    /// Tokens without a finite log-prob of the sampler.
    pub tokens_without_sampler: u64,
    /// Tokens of which only the sampler's log-prob is there.
    pub tokens_without_scored: u64,
    /// Tokens whose scored probability is 0.
    pub impossible_tokens: u64,
}

/// Counts the tokens that [`mismatch`] leaves out.
pub fn unusable<'a>(responses: impl Iterator<Item = &'a MismatchSums>) -> UnusableTokens {
    let mut unusable = UnusableTokens::default();
    for sums in responses {
        unusable.tokens_without_sampler += sums.no_sampler;
        unusable.tokens_without_scored += sums.no_scored;
        unusable.impossible_tokens += sums.impossible;
    }
    unusable
}

/// Combines the sums of the responses of a step; `None` without a token that counts.
pub fn mismatch<'a>(responses: impl Iterator<Item = &'a MismatchSums>) -> Option<Mismatch> {
    let mut total = MismatchSums::default();
    let (mut count, mut ratio, mut weight, mut weight2) = (0usize, 0.0, 0.0, 0.0);
    for sums in responses.filter(|sums| sums.tokens > 0) {
        count += 1;
        total.tokens += sums.tokens;
        total.difference += sums.difference;
        total.absolute += sums.absolute;
        total.k3 += sums.k3;
        total.weight += sums.weight;
        total.weight2 += sums.weight2;
        let mean = sums.difference / sums.tokens as f64;
        ratio += (-mean).clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT).exp();
        let of_response = sums.difference.clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT).exp();
        weight += of_response;
        weight2 += of_response * of_response;
    }
    if total.tokens == 0 {
        return None;
    }
    let n = total.tokens as f64;
    Some(Mismatch {
        responses: count,
        tokens: total.tokens,
        mean_difference: total.difference / n,
        mean_abs_difference: total.absolute / n,
        k1: -total.difference / n,
        k3: total.k3 / n,
        perplexity_ratio: ratio / count as f64,
        ess_tokens: total.weight * total.weight / (n * total.weight2),
        ess_responses: weight * weight / (count as f64 * weight2),
    })
}

/// A token with a large difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorstToken {
    /// Index of its source.
    pub source: u32,
    /// Its step.
    pub step: u64,
    /// Index of its kind.
    pub kind: u32,
    /// Its position among the tokens that the policy wrote, from 0.
    pub position: u32,
    /// Its scored log-prob.
    pub scored: f64,
    /// Its log-prob of the sampler.
    pub sampled: f64,
}

impl WorstToken {
    fn size(&self) -> f64 {
        (self.scored - self.sampled).abs()
    }
}

/// The tokens with the largest differences of each step.
#[derive(Debug, Clone, Default)]
pub struct WorstTokens {
    tokens: Vec<WorstToken>,
    /// The step of the last offer, if it has [`MAX_WORST`] tokens, and their smallest difference.
    full: Option<(u64, f64)>,
}

impl WorstTokens {
    /// Adds a token of this source if it is among the worst of its step so far.
    #[inline]
    pub fn offer(&mut self, token: WorstToken) {
        if !self.full.is_some_and(|(step, least)| step == token.step && token.size() <= least) {
            self.insert(token);
        }
    }

    fn insert(&mut self, token: WorstToken) {
        let of_step = |at: &usize| self.tokens[*at].step == token.step;
        let same: Vec<usize> = (0..self.tokens.len()).filter(of_step).collect();
        let least = |tokens: &[WorstToken], same: &[usize]| {
            same.iter().copied().min_by(|a, b| tokens[*a].size().total_cmp(&tokens[*b].size()))
        };
        if same.len() < MAX_WORST {
            self.tokens.push(token);
            self.full = None;
            return;
        }
        if let Some(at) = least(&self.tokens, &same)
            && token.size() > self.tokens[at].size()
        {
            self.tokens[at] = token;
        }
        let smallest = least(&self.tokens, &same).map(|at| self.tokens[at].size());
        self.full = smallest.map(|smallest| (token.step, smallest));
    }

    /// The tokens, in no order.
    pub fn into_tokens(self) -> Vec<WorstToken> {
        self.tokens
    }
}

/// The worst tokens of a step, the largest difference first; of equal ones the earlier.
pub fn worst_of(tokens: &[WorstToken], source: u32, step: u64) -> Vec<WorstToken> {
    let mut worst: Vec<WorstToken> = tokens
        .iter()
        .filter(|token| (token.source, token.step) == (source, step))
        .copied()
        .collect();
    worst.sort_by(|a, b| b.size().total_cmp(&a.size())); // stable
    worst.truncate(MAX_WORST);
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_log_probs_have_no_mismatch() {
        let mut sums = MismatchSums::default();
        for log_prob in [-0.5, -2.0, 0.0] {
            assert_eq!(sums.add(log_prob, log_prob), Usable::Yes);
        }
        let found = mismatch([sums].iter()).unwrap();
        assert_eq!((found.k1, found.k3, found.mean_abs_difference), (0.0, 0.0, 0.0));
        assert_eq!(
            (found.perplexity_ratio, found.ess_tokens, found.ess_responses),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn tokens_without_a_log_prob_are_counted() {
        let mut sums = MismatchSums::default();
        assert_eq!(sums.add(-1.0, f64::NAN), Usable::NoSampler);
        assert_eq!(sums.add(f64::NAN, -1.0), Usable::NoScored);
        assert_eq!(sums.add(f64::NEG_INFINITY, -1.0), Usable::Impossible);
        assert_eq!(mismatch([sums].iter()), None);
        sums.add(-1.0, -1.5);
        let found = mismatch([sums].iter()).unwrap();
        assert_eq!((found.tokens, found.mean_difference), (1, 0.5));
        let UnusableTokens { tokens_without_sampler, tokens_without_scored, impossible_tokens } =
            unusable([sums].iter());
        assert_eq!((tokens_without_sampler, tokens_without_scored, impossible_tokens), (1, 1, 1));
    }

    #[test]
    fn only_the_worst_tokens_of_each_step_are_kept() {
        let mut worst = WorstTokens::default();
        for step in [1, 2] {
            for position in 0..100u32 {
                let sampled = -f64::from((position * 37) % 100);
                worst.offer(WorstToken {
                    source: 0,
                    step,
                    kind: 0,
                    position,
                    scored: 0.0,
                    sampled,
                });
            }
        }
        let tokens = worst.into_tokens();
        assert_eq!(tokens.len(), 2 * MAX_WORST);
        let sizes: Vec<f64> = worst_of(&tokens, 0, 2).iter().map(|token| -token.sampled).collect();
        assert_eq!(sizes, [99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 93.0, 92.0, 91.0, 90.0]);
    }
}

//! Which entropy a metric is: different numbers go by the name, and only like may be compared with
//! like. This is the table of the keys that trainers log, as their sources had them in 2026.

use serde::Serialize;

/// What a logged number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntropyKind {
    /// Exact entropy of the policy at each response token, averaged over all tokens of the step.
    TokenMean,
    /// The same per token, averaged over each response first, then over the responses.
    SequenceMean,
    /// The same per token, averaged in a way that the key does not tell.
    ExactMean,
    /// Summed over the tokens of a response, averaged over the responses.
    SequenceSum,
    /// `-mean log π(sampled token)`: equals the entropy in expectation only.
    LogProbSurrogate,
    /// `-E[π/π_generation · log π]`: the surrogate, weighted by importance.
    ImportanceWeighted,
    /// Entropy of the distribution over actions of a policy that is no language model.
    ActionDistribution,
    /// A key this table does not know.
    Unknown,
}

impl EntropyKind {
    /// What the number is, as the subtitle of a chart says it.
    pub fn describe(self) -> &'static str {
        match self {
            EntropyKind::TokenMean => "nats per response token, mean over the batch",
            EntropyKind::SequenceMean => "nats per response token, mean of each response's mean",
            EntropyKind::ExactMean => "nats per response token, by token or by response",
            EntropyKind::SequenceSum => "nats per response, summed over its tokens",
            EntropyKind::LogProbSurrogate => "nats, mean −log π of the sampled tokens",
            EntropyKind::ImportanceWeighted => "nats, importance-weighted −log π",
            EntropyKind::ActionDistribution => "nats per action",
            EntropyKind::Unknown => "as logged",
        }
    }

    /// The name in the JSON document.
    pub fn name(self) -> &'static str {
        match self {
            EntropyKind::TokenMean => "token_mean",
            EntropyKind::SequenceMean => "sequence_mean",
            EntropyKind::ExactMean => "exact_mean",
            EntropyKind::SequenceSum => "sequence_sum",
            EntropyKind::LogProbSurrogate => "log_prob_surrogate",
            EntropyKind::ImportanceWeighted => "importance_weighted",
            EntropyKind::ActionDistribution => "action_distribution",
            EntropyKind::Unknown => "unknown",
        }
    }

    /// The name in words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            EntropyKind::TokenMean => "token mean",
            EntropyKind::SequenceMean => "sequence mean",
            EntropyKind::ExactMean => "exact mean",
            EntropyKind::SequenceSum => "sequence sum",
            EntropyKind::LogProbSurrogate => "log-prob surrogate",
            EntropyKind::ImportanceWeighted => "importance-weighted",
            EntropyKind::ActionDistribution => "action distribution",
            EntropyKind::Unknown => "unknown",
        }
    }

    /// How a step's tokens become one number.
    pub fn aggregation(self) -> Option<&'static str> {
        match self {
            EntropyKind::TokenMean
            | EntropyKind::LogProbSurrogate
            | EntropyKind::ImportanceWeighted => Some("mean over tokens"),
            EntropyKind::SequenceMean => Some("mean over responses of the mean over tokens"),
            EntropyKind::SequenceSum => Some("mean over responses of the sum over tokens"),
            EntropyKind::ActionDistribution => Some("mean over actions"),
            EntropyKind::ExactMean | EntropyKind::Unknown => None,
        }
    }

    /// The largest value that is possible with so many words to choose from, in nats: ln of their
    /// number for a mean of exact token entropies, none for the rest.
    pub fn ceiling(self, vocabulary: f64) -> Option<f64> {
        match self {
            EntropyKind::TokenMean | EntropyKind::SequenceMean | EntropyKind::ExactMean => {
                Some(vocabulary.ln())
            }
            _ => None,
        }
    }
}

/// Whether the numbers stand in the log as they are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The log holds H.
    AsLogged,
    /// The log holds −H; every value was negated.
    Flipped,
}

/// A key that trainers log an entropy under.
#[derive(Debug, Clone, Copy)]
pub struct KnownKey {
    /// The key; behind a leading `*`, its end.
    pub key: &'static str,
    /// What it holds.
    pub kind: EntropyKind,
    /// Who logs it.
    pub trainers: &'static str,
}

const fn known(key: &'static str, kind: EntropyKind, trainers: &'static str) -> KnownKey {
    KnownKey { key, kind, trainers }
}

/// The keys that are looked for when no `--metric` is given, best first.
pub static KNOWN_KEYS: &[KnownKey] = &[
    known("policy/entropy", EntropyKind::TokenMean, "R-Zero fork"),
    known("actor/entropy", EntropyKind::TokenMean, "verl"),
    known("entropy", EntropyKind::TokenMean, "TRL, AReaL, R-Zero fork"),
    known("train/entropy", EntropyKind::TokenMean, "TRL through W&B or TensorBoard"),
    known("policy/policy_entropy", EntropyKind::TokenMean, "SkyRL"),
    known("critic/entropy/mean", EntropyKind::TokenMean, "ROLL"),
    known("entropy/all/mean", EntropyKind::TokenMean, "prime-rl"),
    known("policy/entropy_avg", EntropyKind::SequenceMean, "open-instruct"),
    known(
        "train/entropy_loss",
        EntropyKind::ExactMean,
        "OpenRLHF, slime; Stable-Baselines3 negated",
    ),
    known("objective/entropy", EntropyKind::SequenceSum, "TRL PPO"),
    known("losses/entropy", EntropyKind::ActionDistribution, "CleanRL"),
    known("*learner_stats/entropy", EntropyKind::ActionDistribution, "RLlib"),
    known(
        "actor/entropy_loss",
        EntropyKind::LogProbSurrogate,
        "EasyR1, R-Zero; verl during the update",
    ),
    known("optim/entropy", EntropyKind::LogProbSurrogate, "SkyRL-agent"),
    known("approx_entropy", EntropyKind::ImportanceWeighted, "NeMo-RL"),
    known("train/approx_entropy", EntropyKind::ImportanceWeighted, "NeMo-RL"),
];

/// Whether `key` is the one that `pattern` names; nested logs join their keys with a dot or a slash,
/// so these are alike. A name without parts may be spelt with capitals, as the header of a table is.
pub fn is_key(pattern: &str, key: &str) -> bool {
    if !pattern.contains(['/', '*']) && pattern.eq_ignore_ascii_case(key) {
        return true;
    }
    let same = |a: &str, b: &str| {
        let alike = |(a, b)| a == b || matches!((a, b), (b'/', b'.') | (b'.', b'/'));
        a.len() == b.len() && a.bytes().zip(b.bytes()).all(alike)
    };
    match pattern.strip_prefix('*') {
        Some(end) => {
            key.len() >= end.len() && {
                let tail = key.as_bytes().split_at(key.len() - end.len()).1;
                std::str::from_utf8(tail).is_ok_and(|tail| same(end, tail))
            }
        }
        None => same(pattern, key),
    }
}

/// The kind of the numbers that `format` logs under `metric`, and whether they are negated there.
///
/// verl's `actor/entropy_loss` is the exact entropy seen during the update; EasyR1 and upstream
/// R-Zero use the same key for a surrogate, which is why the format takes part. Stable-Baselines3
/// logs −H under a key that others use for H, which only the values tell.
pub fn identify(
    format_kinds: &[(&str, EntropyKind)],
    metric: &str,
    values: impl Iterator<Item = f64>,
) -> (EntropyKind, Sign) {
    let Some(known) = KNOWN_KEYS.iter().find(|known| is_key(known.key, metric)) else {
        return (EntropyKind::Unknown, Sign::AsLogged);
    };
    if let Some((_, kind)) = format_kinds.iter().find(|(key, _)| *key == known.key) {
        return (*kind, Sign::AsLogged);
    }
    if known.key == "train/entropy_loss" {
        let (mut positive, mut negative) = (0, 0);
        for value in values {
            positive += usize::from(value > 0.0);
            negative += usize::from(value < 0.0);
        }
        if negative > 0 && positive == 0 {
            return (EntropyKind::ActionDistribution, Sign::Flipped);
        }
    }
    (known.kind, Sign::AsLogged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(metric: &str, values: &[f64]) -> (EntropyKind, Sign) {
        identify(&[], metric, values.iter().copied())
    }

    #[test]
    fn one_key_is_two_quantities() {
        let verl = [("actor/entropy_loss", EntropyKind::TokenMean)];
        let kind_in_verl = identify(&verl, "actor/entropy_loss", [1.0].into_iter()).0;
        assert_eq!(kind_in_verl, EntropyKind::TokenMean);
        assert_eq!(kind("actor/entropy_loss", &[1.0]).0, EntropyKind::LogProbSurrogate);
        assert_eq!(kind("actor.entropy_loss", &[1.0]).0, EntropyKind::LogProbSurrogate);
    }

    #[test]
    fn stable_baselines_is_told_by_its_sign() {
        let negated = (EntropyKind::ActionDistribution, Sign::Flipped);
        assert_eq!(kind("train/entropy_loss", &[-0.69, -0.5, 0.0]), negated);
        let positive = (EntropyKind::ExactMean, Sign::AsLogged);
        assert_eq!(kind("train/entropy_loss", &[0.69, 0.5]), positive);
        assert_eq!(kind("train/entropy_loss", &[0.69, -0.1]), positive);
    }

    #[test]
    fn a_star_stands_for_what_is_before() {
        let key = "ray/tune/info/learner/default_policy/learner_stats/entropy";
        assert_eq!(kind(key, &[1.0]).0, EntropyKind::ActionDistribution);
        assert!(!is_key("*learner_stats/entropy", "entropy"));
        assert!(!is_key("*ä", "¤"));
    }
}

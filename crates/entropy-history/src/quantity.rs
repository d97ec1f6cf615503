//! What a metric measures: trainers call different quantities «entropy», and only equal ones can be compared.
//! The table of known keys is from the sources of the trainers in 2026.

use serde::Serialize;

/// What a logged number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntropyKind {
    /// Exact entropy of the policy at each response token, averaged over all tokens of the step.
    TokenMean,
    /// Exact entropy per token, averaged over each response first, then over the responses.
    SequenceMean,
    /// Exact entropy per token; the key does not say how it is averaged.
    ExactMean,
    /// Exact entropy summed over the tokens of a response, averaged over the responses.
    SequenceSum,
    /// `-mean log π(sampled token)`, whose expected value is the entropy.
    LogProbSurrogate,
    /// `-E[π/π_generation · log π]`: the surrogate, weighted by importance.
    ImportanceWeighted,
    /// Entropy of the action distribution of a policy that is not a language model.
    ActionDistribution,
    /// The key is not in the table.
    Unknown,
}

impl EntropyKind {
    /// The unit and the average, for the subtitle of a chart.
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

    /// The name in JSON documents.
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

    /// How the tokens of a step are aggregated; `None` if unknown.
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

    /// The largest possible value in nats for this vocabulary size: its logarithm for a mean of exact token
    /// entropies, `None` for other kinds.
    pub fn ceiling(self, vocabulary: f64) -> Option<f64> {
        match self {
            EntropyKind::TokenMean | EntropyKind::SequenceMean | EntropyKind::ExactMean => {
                Some(vocabulary.ln())
            }
            _ => None,
        }
    }
}

/// Whether the log holds H or −H.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The log holds H.
    AsLogged,
    /// The log holds −H; all values were negated.
    Flipped,
}

/// A key under which trainers log an entropy.
#[derive(Debug, Clone, Copy)]
pub struct KnownKey {
    /// The key; after a leading `*`, its end.
    pub key: &'static str,
    /// What its values measure.
    pub kind: EntropyKind,
    /// The trainers that log it.
    pub trainers: &'static str,
}

const fn known(key: &'static str, kind: EntropyKind, trainers: &'static str) -> KnownKey {
    KnownKey { key, kind, trainers }
}

/// The keys that are looked for if no metric is requested, best first.
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

/// Whether `key` matches `pattern`. Dots and slashes are equal, since logs join nested keys with either. The
/// case is ignored in a pattern without a slash, as headers of tables have capitals.
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

/// What `format` logs under `metric`, and whether its values are negated.
///
/// verl's `actor/entropy_loss` is the exact entropy during the update; EasyR1 and upstream R-Zero use this key
/// for a surrogate, so the result depends on the format. Stable-Baselines3 logs −H under a key that others use
/// for H, so it depends on the sign of the values.
pub fn identify(
    format_kinds: &[(&str, EntropyKind)],
    metric: &str,
    values: impl Iterator<Item = f64>,
) -> (EntropyKind, Sign) {
    if let Some((_, kind)) = format_kinds.iter().find(|(key, _)| is_key(key, metric)) {
        return (*kind, Sign::AsLogged);
    }
    let Some(known) = KNOWN_KEYS.iter().find(|known| is_key(known.key, metric)) else {
        return (EntropyKind::Unknown, Sign::AsLogged);
    };
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
    fn kind_of_a_key_depends_on_the_format() {
        let verl = [("actor/entropy_loss", EntropyKind::TokenMean)];
        let kind_in_verl = identify(&verl, "actor/entropy_loss", [1.0].into_iter()).0;
        assert_eq!(kind_in_verl, EntropyKind::TokenMean);
        assert_eq!(kind("actor/entropy_loss", &[1.0]).0, EntropyKind::LogProbSurrogate);
        assert_eq!(kind("actor.entropy_loss", &[1.0]).0, EntropyKind::LogProbSurrogate);
    }

    #[test]
    fn negative_values_are_those_of_stable_baselines() {
        let negated = (EntropyKind::ActionDistribution, Sign::Flipped);
        assert_eq!(kind("train/entropy_loss", &[-0.69, -0.5, 0.0]), negated);
        let positive = (EntropyKind::ExactMean, Sign::AsLogged);
        assert_eq!(kind("train/entropy_loss", &[0.69, 0.5]), positive);
        assert_eq!(kind("train/entropy_loss", &[0.69, -0.1]), positive);
    }

    #[test]
    fn star_matches_any_prefix() {
        let key = "ray/tune/info/learner/default_policy/learner_stats/entropy";
        assert_eq!(kind(key, &[1.0]).0, EntropyKind::ActionDistribution);
        assert!(!is_key("*learner_stats/entropy", "entropy"));
        assert!(!is_key("*ä", "¤"));
    }
}

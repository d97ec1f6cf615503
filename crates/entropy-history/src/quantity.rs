//! Which entropy a metric is: different numbers go by the name, and only like may be compared with
//! like. This is the table of the keys that trainers log, as their sources had them in 2026.

use serde::Serialize;

/// What a logged number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
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

impl Kind {
    /// What the number is, as the subtitle of a chart says it.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::TokenMean => "nats per response token, mean over the batch",
            Kind::SequenceMean => "nats per response token, mean of each response's mean",
            Kind::ExactMean => "nats per response token, by token or by response",
            Kind::SequenceSum => "nats per response, summed over its tokens",
            Kind::LogProbSurrogate => "nats, mean −log π of the sampled tokens",
            Kind::ImportanceWeighted => "nats, importance-weighted −log π",
            Kind::ActionDistribution => "nats per action",
            Kind::Unknown => "as logged",
        }
    }

    /// The name in the JSON document.
    pub fn name(self) -> &'static str {
        match self {
            Kind::TokenMean => "token_mean",
            Kind::SequenceMean => "sequence_mean",
            Kind::ExactMean => "exact_mean",
            Kind::SequenceSum => "sequence_sum",
            Kind::LogProbSurrogate => "log_prob_surrogate",
            Kind::ImportanceWeighted => "importance_weighted",
            Kind::ActionDistribution => "action_distribution",
            Kind::Unknown => "unknown",
        }
    }

    /// The name in words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Kind::TokenMean => "token mean",
            Kind::SequenceMean => "sequence mean",
            Kind::ExactMean => "exact mean",
            Kind::SequenceSum => "sequence sum",
            Kind::LogProbSurrogate => "log-prob surrogate",
            Kind::ImportanceWeighted => "importance-weighted",
            Kind::ActionDistribution => "action distribution",
            Kind::Unknown => "unknown",
        }
    }

    /// How a step's tokens become one number.
    pub fn aggregation(self) -> Option<&'static str> {
        match self {
            Kind::TokenMean | Kind::LogProbSurrogate | Kind::ImportanceWeighted => {
                Some("mean over tokens")
            }
            Kind::SequenceMean => Some("mean over responses of the mean over tokens"),
            Kind::SequenceSum => Some("mean over responses of the sum over tokens"),
            Kind::ActionDistribution => Some("mean over actions"),
            Kind::ExactMean | Kind::Unknown => None,
        }
    }

    /// The largest value that is possible with so many words to choose from, in nats: ln of their
    /// number for a mean of exact token entropies, none for the rest.
    pub fn ceiling(self, vocabulary: f64) -> Option<f64> {
        match self {
            Kind::TokenMean | Kind::SequenceMean | Kind::ExactMean => Some(vocabulary.ln()),
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
pub struct Known {
    /// The key; behind a leading `*`, its end.
    pub key: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Who logs it.
    pub trainers: &'static str,
}

const fn known(key: &'static str, kind: Kind, trainers: &'static str) -> Known {
    Known { key, kind, trainers }
}

/// The keys that are looked for when no `--metric` is given, best first.
pub static KNOWN: &[Known] = &[
    known("policy/entropy", Kind::TokenMean, "R-Zero fork"),
    known("actor/entropy", Kind::TokenMean, "verl"),
    known("entropy", Kind::TokenMean, "TRL, AReaL, R-Zero fork"),
    known("train/entropy", Kind::TokenMean, "TRL through W&B or TensorBoard"),
    known("policy/policy_entropy", Kind::TokenMean, "SkyRL"),
    known("critic/entropy/mean", Kind::TokenMean, "ROLL"),
    known("entropy/all/mean", Kind::TokenMean, "prime-rl"),
    known("policy/entropy_avg", Kind::SequenceMean, "open-instruct"),
    known("train/entropy_loss", Kind::ExactMean, "OpenRLHF, slime; Stable-Baselines3 negated"),
    known("objective/entropy", Kind::SequenceSum, "TRL PPO"),
    known("losses/entropy", Kind::ActionDistribution, "CleanRL"),
    known("*learner_stats/entropy", Kind::ActionDistribution, "RLlib"),
    known("actor/entropy_loss", Kind::LogProbSurrogate, "EasyR1, R-Zero; verl during the update"),
    known("optim/entropy", Kind::LogProbSurrogate, "SkyRL-agent"),
    known("approx_entropy", Kind::ImportanceWeighted, "NeMo-RL"),
    known("train/approx_entropy", Kind::ImportanceWeighted, "NeMo-RL"),
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
pub fn identify(format: &str, metric: &str, values: impl Iterator<Item = f64>) -> (Kind, Sign) {
    let Some(known) = KNOWN.iter().find(|known| is_key(known.key, metric)) else {
        return (Kind::Unknown, Sign::AsLogged);
    };
    match (known.key, format) {
        ("actor/entropy_loss", "verl" | "verl-console") => (Kind::TokenMean, Sign::AsLogged),
        ("train/entropy_loss", _) => {
            let (mut positive, mut negative) = (0, 0);
            for value in values {
                positive += usize::from(value > 0.0);
                negative += usize::from(value < 0.0);
            }
            if negative > 0 && positive == 0 {
                (Kind::ActionDistribution, Sign::Flipped)
            } else {
                (known.kind, Sign::AsLogged)
            }
        }
        _ => (known.kind, Sign::AsLogged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(format: &str, metric: &str, values: &[f64]) -> (Kind, Sign) {
        identify(format, metric, values.iter().copied())
    }

    #[test]
    fn one_key_is_two_quantities() {
        assert_eq!(kind("verl", "actor/entropy_loss", &[1.0]).0, Kind::TokenMean);
        assert_eq!(kind("easyr1", "actor/entropy_loss", &[1.0]).0, Kind::LogProbSurrogate);
        assert_eq!(kind("easyr1", "actor.entropy_loss", &[1.0]).0, Kind::LogProbSurrogate);
    }

    #[test]
    fn stable_baselines_is_told_by_its_sign() {
        let negated = (Kind::ActionDistribution, Sign::Flipped);
        assert_eq!(kind("tensorboard", "train/entropy_loss", &[-0.69, -0.5, 0.0]), negated);
        let positive = (Kind::ExactMean, Sign::AsLogged);
        assert_eq!(kind("tensorboard", "train/entropy_loss", &[0.69, 0.5]), positive);
        assert_eq!(kind("tensorboard", "train/entropy_loss", &[0.69, -0.1]), positive);
    }

    #[test]
    fn a_star_stands_for_what_is_before() {
        let key = "ray/tune/info/learner/default_policy/learner_stats/entropy";
        assert_eq!(kind("tensorboard", key, &[1.0]).0, Kind::ActionDistribution);
        assert!(!is_key("*learner_stats/entropy", "entropy"));
        assert!(!is_key("*ä", "¤"));
    }
}

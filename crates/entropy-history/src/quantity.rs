//! What a metric measures. Trainers call different quantities “entropy”, and only equal quantities can be compared.
//! The table of known keys comes from the source code of the trainers in 2026.

use serde::Serialize;

use crate::entropy_name::names_an_entropy;

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
    /// Exact entropy per token of the most probable tokens of a top-p set alone, averaged over all tokens.
    TopPMean,
    /// Exact Rényi entropy of order 2 per token, `-ln Σ p²`, averaged over all tokens.
    Renyi2Mean,
    /// Entropy of the action distribution of a policy that is not a language model.
    ActionDistribution,
    /// The key is not in the table, but its name says that it is an entropy.
    Unknown,
    /// The name of the key does not say that it is an entropy: a reward, a loss, a length.
    OtherMetric,
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
            EntropyKind::TopPMean => "nats per response token, of the top-p set",
            EntropyKind::Renyi2Mean => "nats per response token, Rényi entropy of order 2",
            EntropyKind::ActionDistribution => "nats per action",
            EntropyKind::Unknown => "as logged",
            EntropyKind::OtherMetric => "not an entropy, as logged",
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
            EntropyKind::TopPMean => "top_p_mean",
            EntropyKind::Renyi2Mean => "renyi2_mean",
            EntropyKind::ActionDistribution => "action_distribution",
            EntropyKind::Unknown => "unknown",
            EntropyKind::OtherMetric => "other_metric",
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
            EntropyKind::TopPMean => "top-p mean",
            EntropyKind::Renyi2Mean => "Rényi-2 mean",
            EntropyKind::ActionDistribution => "action distribution",
            EntropyKind::Unknown => "unknown",
            EntropyKind::OtherMetric => "other metric",
        }
    }

    /// How the tokens of a step are aggregated; `None` if unknown.
    pub fn aggregation(self) -> Option<&'static str> {
        match self {
            EntropyKind::TokenMean
            | EntropyKind::TopPMean
            | EntropyKind::Renyi2Mean
            | EntropyKind::LogProbSurrogate
            | EntropyKind::ImportanceWeighted => Some("mean over tokens"),
            EntropyKind::SequenceMean => Some("mean over responses of the mean over tokens"),
            EntropyKind::SequenceSum => Some("mean over responses of the sum over tokens"),
            EntropyKind::ActionDistribution => Some("mean over actions"),
            EntropyKind::ExactMean | EntropyKind::Unknown | EntropyKind::OtherMetric => None,
        }
    }

    /// The largest possible value in nats for this vocabulary size: its logarithm for a mean of exact token
    /// entropies, `None` for other kinds.
    pub fn ceiling(self, vocabulary: f64) -> Option<f64> {
        match self {
            EntropyKind::TokenMean
            | EntropyKind::SequenceMean
            | EntropyKind::ExactMean
            | EntropyKind::TopPMean
            | EntropyKind::Renyi2Mean => Some(vocabulary.ln()),
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
    /// How the values of a trainer differ from the kind, if they do.
    pub caveat: Option<&'static str>,
}

const fn known(key: &'static str, kind: EntropyKind, trainers: &'static str) -> KnownKey {
    KnownKey { key, kind, trainers, caveat: None }
}

impl KnownKey {
    const fn but(self, caveat: &'static str) -> KnownKey {
        KnownKey { caveat: Some(caveat), ..self }
    }
}

/// The keys that are searched if no metric is requested, best first. Capitals and a leading `train/` are ignored,
/// unless an entry has exactly the key of the log.
pub static KNOWN_KEYS: &[KnownKey] = &[
    known("policy/entropy", EntropyKind::TokenMean, "R-Zero fork"),
    known("Policy/Entropy", EntropyKind::ActionDistribution, "Unity ML-Agents"),
    known("train/actor/entropy", EntropyKind::ActionDistribution, "RLinf (SAC)"),
    known("actor/entropy", EntropyKind::TokenMean, "verl")
        .but("verl aggregates it by actor.loss_agg_mode; a token mean is the default"),
    known("entropy", EntropyKind::TokenMean, "TRL, verifiers, Oat, R-Zero fork").but(
        "TRL's SFT, DPO, KTO and distillation log the entropy at tokens of the data, not of the policy's samples; \
         TRL's GRPO takes means of micro-batches, Oat only the last micro-batch",
    ),
    known("train/entropy", EntropyKind::TokenMean, "TRL through W&B or TensorBoard, Twinkle")
        .but("TRL's SFT, DPO, KTO and distillation log the entropy at tokens of the data, not of the policy's samples"),
    known("policy/policy_entropy", EntropyKind::TokenMean, "SkyRL")
        .but("a mean of the means of micro-batches"),
    known("critic/entropy/mean", EntropyKind::TokenMean, "ROLL")
        .but("0 if old log-probabilities are not recomputed"),
    known("entropy/all/mean", EntropyKind::TokenMean, "prime-rl"),
    known("entropy/mean", EntropyKind::SequenceMean, "ms-swift"),
    known("entropy/entropy_mean", EntropyKind::SequenceMean, "ms-swift with Megatron"),
    known("loss/entropy/mean", EntropyKind::TokenMean, "torchtitan"),
    known("Loss/entropy", EntropyKind::ActionDistribution, "rsl_rl (Isaac Lab)"),
    known("loss/entropy", EntropyKind::TokenMean, "ART"),
    known("*update/entropy/avg", EntropyKind::TokenMean, "AReaL"),
    known("policy/entropy_avg", EntropyKind::ExactMean, "TRL PPO, open-instruct").but(
        "TRL PPO averages over all positions of a batch, including padding; open-instruct over each packed row first",
    ),
    known("train/entropy_loss", EntropyKind::ExactMean, "OpenRLHF, slime, miles; Stable-Baselines3 negated")
        .but("OpenRLHF computed it at temperature 1 before September 2026, and at the rollout temperature since then"),
    known("rollout/entropy", EntropyKind::ExactMean, "slime, miles, Fireworks"),
    known("full_entropy", EntropyKind::TokenMean, "NeMo-RL"),
    known("actor_entropy", EntropyKind::TokenMean, "verl through Prometheus")
        .but("verl aggregates it by actor.loss_agg_mode; a token mean is the default"),
    known("objective/entropy", EntropyKind::SequenceSum, "TRL PPO, NashMD, XPO, OnlineDPO")
        .but("a sum of −log π of the sampled tokens"),
    known("losses/entropy", EntropyKind::ActionDistribution, "CleanRL"),
    known("*learner_stats/entropy", EntropyKind::ActionDistribution, "RLlib"),
    known("learners/*/entropy", EntropyKind::ActionDistribution, "RLlib, new stack"),
    known("train/actor/entropy_loss", EntropyKind::TokenMean, "RLinf"),
    known(
        "actor/entropy_loss",
        EntropyKind::LogProbSurrogate,
        "EasyR1, R-Zero; verl and Trinity-RFT during the update",
    )
    .but("verl and Trinity-RFT log the exact mean under this key; only their own formats show which it is"),
    known("optim/entropy", EntropyKind::LogProbSurrogate, "Tinker-cookbook, SkyRL-agent"),
    known("rollout/correct_entropy", EntropyKind::LogProbSurrogate, "slime, of correct responses"),
    known("policy_entropy", EntropyKind::LogProbSurrogate, "marin, by the sampler"),
    known("current_entropy", EntropyKind::LogProbSurrogate, "marin, by the trainer"),
    known("approx_entropy", EntropyKind::ImportanceWeighted, "NeMo-RL"),
    known("entropy_loss:sum", EntropyKind::Unknown, "SkyRL's Tinker backend"),
];

/// Keys of `compute` beside `entropy`. They are read only if `--metric` names them.
const COMPUTE_KEYS: [(&str, EntropyKind); 3] = [
    ("entropy_seq_mean", EntropyKind::SequenceMean),
    ("entropy_top_p", EntropyKind::TopPMean),
    ("renyi2", EntropyKind::Renyi2Mean),
];

/// A key of `compute` without its group and temperature, and the group: `entropy@0.7{reward>0}` is `entropy`, of the
/// responses with `reward>0`.
pub(crate) fn without_group(key: &str) -> (&str, Option<&str>) {
    let grouped = key.strip_suffix('}').and_then(|rest| rest.split_once('{'));
    let (name, group) = grouped.map_or((key, None), |(name, group)| (name, Some(group)));
    match name.rsplit_once('@') {
        Some((name, temperature)) if temperature.parse::<f64>().is_ok() => (name, group),
        _ => (name, group),
    }
}

/// The entry of a key: the one with exactly this key, else the best one that matches it.
pub fn known_key(key: &str) -> Option<&'static KnownKey> {
    let exact = KNOWN_KEYS.iter().find(|known| known.key == key);
    exact.or_else(|| KNOWN_KEYS.iter().find(|known| matches_known(known.key, key)))
}

/// Whether `key` matches a known key, with or without a leading `train/`.
pub(crate) fn matches_known(known: &str, key: &str) -> bool {
    is_key(known, key) || without_train(key).is_some_and(|key| is_key(known, key))
}

fn without_train(key: &str) -> Option<&str> {
    let (prefix, rest) = key.split_at_checked("train/".len())?;
    is_key("train/", prefix).then_some(rest)
}

/// Keys that agents with few actions log in addition to their entropy; logs of language models have none of them.
const CLASSIC_KEYS: [&str; 10] = [
    "frames",
    "fps",
    "num_frames",
    "num_frames_mean",
    "ep_rew_mean",
    "ep_len_mean",
    "episode_reward_mean",
    "episode_return_mean",
    "vf_loss",
    "policy_gradient_loss",
];

/// Whether a log with these keys is of an agent whose entropy is that of an action distribution.
pub(crate) fn is_classic<'k>(keys: impl IntoIterator<Item = &'k str>) -> bool {
    keys.into_iter().any(|key| {
        let name = key.rsplit(['/', '.']).next().unwrap_or(key);
        CLASSIC_KEYS.iter().any(|classic| name.eq_ignore_ascii_case(classic))
    })
}

/// Whether `key` matches `pattern`, in which `*` stands for any text. Dots and slashes are equal, since logs
/// join nested keys with either, and so are capitals and small letters.
pub fn is_key(pattern: &str, key: &str) -> bool {
    let same = |a: &[u8], b: &[u8]| {
        let alike = |(a, b): (&u8, &u8)| {
            a.eq_ignore_ascii_case(b) || matches!((a, b), (b'/', b'.') | (b'.', b'/'))
        };
        a.len() == b.len() && a.iter().zip(b).all(alike)
    };
    let (pattern, key) = (pattern.as_bytes(), key.as_bytes());
    let Some(star) = pattern.iter().position(|b| *b == b'*') else { return same(pattern, key) };
    let (start, end) = (&pattern[..star], &pattern[star + 1..]);
    key.len() >= start.len() + end.len()
        && same(start, &key[..start.len()])
        && same(end, &key[key.len() - end.len()..])
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
    let name = without_group(metric).0;
    if let Some((_, kind)) = COMPUTE_KEYS.iter().find(|(key, _)| *key == name) {
        return (*kind, Sign::AsLogged);
    }
    let Some(known) = known_key(name) else {
        let kind = match names_an_entropy(metric) {
            true => EntropyKind::Unknown,
            false => EntropyKind::OtherMetric,
        };
        return (kind, Sign::AsLogged);
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
    fn groups_and_temperatures_of_compute_keep_the_kind() {
        for (key, expected) in [
            ("entropy{reward>0}", EntropyKind::TokenMean),
            ("entropy@0.7", EntropyKind::TokenMean),
            ("entropy@0.7{env=a@b}", EntropyKind::TokenMean),
            ("entropy_seq_mean", EntropyKind::SequenceMean),
            ("entropy_top_p{turn=1}", EntropyKind::TopPMean),
            ("renyi2", EntropyKind::Renyi2Mean),
            ("tokens{reward>0}", EntropyKind::OtherMetric),
            ("kl_reference", EntropyKind::OtherMetric),
            ("my_entropy@home", EntropyKind::Unknown),
        ] {
            assert_eq!(kind(key, &[1.0]).0, expected, "{key}");
        }
    }

    #[test]
    fn star_matches_any_prefix() {
        let key = "ray/tune/info/learner/default_policy/learner_stats/entropy";
        assert_eq!(kind(key, &[1.0]).0, EntropyKind::ActionDistribution);
        assert!(!is_key("*learner_stats/entropy", "entropy"));
        assert!(!is_key("*ä", "¤"));
    }
}

//! Which entropy a metric is: six different numbers go by the name, and only like may be compared
//! with like. This is the table of the keys that trainers log.

use serde::Serialize;

/// What a logged number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Exact entropy of the policy at each response token, averaged over all tokens of the step.
    TokenMean,
    /// `-mean log π(sampled token)`: equals the entropy in expectation only.
    LogProbSurrogate,
    /// A key this table does not know.
    Unknown,
}

impl Kind {
    /// What the number is, as the subtitle of a chart says it.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::TokenMean => "nats per response token, mean over the batch",
            Kind::LogProbSurrogate => "nats, mean −log π of the sampled tokens",
            Kind::Unknown => "as logged",
        }
    }

    /// The name in the JSON document.
    pub fn name(self) -> &'static str {
        match self {
            Kind::TokenMean => "token_mean",
            Kind::LogProbSurrogate => "log_prob_surrogate",
            Kind::Unknown => "unknown",
        }
    }
}

/// The kind of the number that `format` logs under `metric`.
///
/// verl's `actor/entropy_loss` is the exact entropy seen during the update; EasyR1 and upstream
/// R-Zero use the same key for a surrogate, which is why the format takes part.
pub fn kind_of(format: &str, metric: &str) -> Kind {
    match (format, metric) {
        (_, "entropy" | "policy/entropy" | "actor/entropy" | "train/entropy") => Kind::TokenMean,
        ("verl", "actor/entropy_loss") => Kind::TokenMean,
        (_, "actor/entropy_loss") => Kind::LogProbSurrogate,
        _ => Kind::Unknown,
    }
}

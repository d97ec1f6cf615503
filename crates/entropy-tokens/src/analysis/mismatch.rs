//! The scored log-probs of a step against those of the sampler.

use serde::Serialize;

use super::TokenName;
use super::view::StepView;
use crate::stats::mismatch::{Mismatch, UnusableTokens, mismatch, unusable, worst_of};

/// A token with a large difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MismatchToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenName,
    /// Its position among the tokens that the policy wrote, from 0.
    pub position: u32,
    /// Its scored log-prob in nats.
    pub scored: f64,
    /// The sampler's log-prob in nats.
    pub sampler: f64,
    /// Scored − sampler's.
    pub difference: f64,
}

/// What the mismatch of a step leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MismatchLeftOut {
    /// Responses that have no scored log-probs or none of the sampler.
    pub responses_without: u64,
    /// Tokens of the others.
    #[serde(flatten)]
    pub tokens: UnusableTokens,
}

/// The mismatch of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MismatchSection {
    /// The numbers.
    #[serde(flatten)]
    pub mismatch: Mismatch,
    /// What is left out.
    #[serde(flatten)]
    pub left_out: MismatchLeftOut,
    /// The tokens with the largest differences.
    pub worst_tokens: Vec<MismatchToken>,
}

/// The mismatch of a step; without a token that has both log-probs, only what is left out.
pub(super) fn mismatch_of(view: &StepView<'_>) -> (Option<MismatchSection>, MismatchLeftOut) {
    let sums = || view.iter().filter_map(|response| response.mismatch.as_deref());
    let left_out = MismatchLeftOut {
        responses_without: (view.responses.len() - sums().count()) as u64,
        tokens: unusable(sums()),
    };
    let Some(mismatch) = mismatch(sums()) else { return (None, left_out) };
    let worst = worst_of(&view.table.worst, view.source, view.step);
    let token = |worst: &crate::stats::mismatch::WorstToken| MismatchToken {
        token: TokenName::of(&view.table.kinds()[worst.kind as usize]),
        position: worst.position,
        scored: worst.scored,
        sampler: worst.sampled,
        difference: worst.scored - worst.sampled,
    };
    let worst_tokens = worst.iter().map(token).collect();
    (Some(MismatchSection { mismatch, left_out, worst_tokens }), left_out)
}

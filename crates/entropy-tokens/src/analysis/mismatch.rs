//! The scored log-probs of a step against those of the sampler.

use serde::Serialize;

use super::TokenName;
use super::view::StepView;
use crate::stats::mismatch::{Mismatch, mismatch, worst_of};

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

/// The mismatch of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MismatchSection {
    /// The numbers.
    #[serde(flatten)]
    pub mismatch: Mismatch,
    /// Responses left out because they have no scored log-probs or none of the sampler.
    pub responses_without: u64,
    /// The tokens with the largest differences.
    pub worst_tokens: Vec<MismatchToken>,
}

/// The mismatch of a step; `None` without a token that has both log-probs.
pub(super) fn mismatch_of(view: &StepView<'_>) -> Option<MismatchSection> {
    let sums = view.iter().filter_map(|response| response.mismatch.as_deref());
    let mismatch = mismatch(sums)?;
    let worst = worst_of(&view.table.worst, view.source, view.step);
    let token = |worst: &crate::stats::mismatch::WorstToken| MismatchToken {
        token: TokenName::of(&view.table.kinds()[worst.kind as usize]),
        position: worst.position,
        scored: worst.scored,
        sampler: worst.sampled,
        difference: worst.scored - worst.sampled,
    };
    Some(MismatchSection {
        responses_without: view.iter().filter(|response| response.mismatch.is_none()).count()
            as u64,
        worst_tokens: worst.iter().map(token).collect(),
        mismatch,
    })
}

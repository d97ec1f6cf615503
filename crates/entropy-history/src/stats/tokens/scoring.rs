//! Scorings: the responses of one source at one step, which are analysed together.

use std::collections::BTreeMap;

use crate::dump::TokenDump;

/// The share of tokens with the highest entropies that is reported separately.
pub const TOP_SHARE: f64 = 0.2;

/// The responses of one source at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// Index of the source in the dump.
    pub source: usize,
    /// Step of the checkpoint.
    pub step: u64,
    /// Indices of its responses in the dump, in order; at least one.
    pub responses: Vec<usize>,
}

/// The scorings of a dump, ordered by source and step.
pub fn scorings(dump: &TokenDump) -> Vec<Scoring> {
    let mut responses_of: BTreeMap<(usize, u64), Vec<usize>> = BTreeMap::new();
    for (index, response) in dump.responses().iter().enumerate() {
        responses_of.entry((response.source(), response.step())).or_default().push(index);
    }
    let scoring = |((source, step), responses)| Scoring { source, step, responses };
    responses_of.into_iter().map(scoring).collect()
}

/// Number of tokens in the top share of `tokens`: rounded, at least one.
pub(super) fn top_count(tokens: usize) -> usize {
    ((tokens as f64 * TOP_SHARE).round() as usize).max(1)
}

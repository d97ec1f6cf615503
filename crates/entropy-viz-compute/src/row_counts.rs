//! The numbers of rows that were left out or changed, and of responses by their origin.

use entropy_shell::plural;
use serde::{Deserialize, Serialize};

/// Counts of the rows of a prompt file, or of a shard of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RowCounts {
    /// Responses that were tokenised from text.
    pub(crate) from_text: usize,
    /// Rows left out because they exceed the context.
    pub(crate) too_long: usize,
    /// Prompts cut at their beginning.
    pub(crate) truncated: usize,
    /// Rows left out because their prompt has no token: the first token of a response needs one before it.
    pub(crate) without_prompt: usize,
    /// Rows left out because their response has no token.
    pub(crate) empty_responses: usize,
    /// Rows left out because the policy wrote no token of their response.
    pub(crate) without_own: usize,
    /// Responses that were sampled.
    pub(crate) sampled: usize,
}

impl RowCounts {
    /// The rows that were left out, counted by reason; empty if there are none.
    pub(crate) fn left_out(&self) -> String {
        let reasons = [
            (self.too_long, "longer than the model's context"),
            (self.without_prompt, "with no prompt token"),
            (self.empty_responses, "with an empty response"),
            (self.without_own, "with no token of the policy in the response"),
        ];
        let counts = reasons
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, reason)| format!("{} {reason}", plural(*n, "row", "rows")));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// The counts of all parts together.
    pub(crate) fn sum(parts: &[RowCounts]) -> RowCounts {
        let sum = |count: fn(&RowCounts) -> usize| parts.iter().map(count).sum();
        RowCounts {
            from_text: sum(|part| part.from_text),
            too_long: sum(|part| part.too_long),
            truncated: sum(|part| part.truncated),
            without_prompt: sum(|part| part.without_prompt),
            empty_responses: sum(|part| part.empty_responses),
            without_own: sum(|part| part.without_own),
            sampled: sum(|part| part.sampled),
        }
    }
}

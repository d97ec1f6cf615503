//! The numbers of rows that were left out or changed, and of responses by their origin.

use entropy_shell::plural;
use serde::{Deserialize, Serialize};

use crate::bare_chat::BareCounts;

/// Counts of the rows of a prompt file, or of a shard of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Answers of rows with a given response that are too long to be repeated in `--tokens-out`.
    pub(crate) long_answers: usize,
    /// Rows with chats that lost their special tokens.
    pub(crate) bare: BareCounts,
}

impl RowCounts {
    /// The rows that were left out, counted by reason; empty if there are none.
    pub(crate) fn left_out(&self) -> String {
        let reasons = [
            (self.too_long, "longer than the model's context"),
            (self.without_prompt, "with no prompt token"),
            (self.empty_responses, "with an empty response"),
            (self.without_own, "with no token of the policy in the response"),
            (self.bare.unclear(), "with a chat that cannot be rebuilt from its text"),
        ];
        let counts = reasons
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, reason)| format!("{} {reason}", plural(*n, "row", "rows")));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// Adds the counts of other rows.
    fn add(&mut self, other: &RowCounts) {
        self.from_text += other.from_text;
        self.too_long += other.too_long;
        self.truncated += other.truncated;
        self.without_prompt += other.without_prompt;
        self.empty_responses += other.empty_responses;
        self.without_own += other.without_own;
        self.sampled += other.sampled;
        self.long_answers += other.long_answers;
        self.bare.add(&other.bare);
    }

    /// The counts of all parts together.
    pub(crate) fn sum<'a>(parts: impl Iterator<Item = &'a RowCounts>) -> RowCounts {
        let mut sum = RowCounts::default();
        for part in parts {
            sum.add(part);
        }
        sum
    }
}

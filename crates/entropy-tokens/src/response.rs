//! A response: what is known of it as a whole, and where its tokens are.

use std::ops::Range;

use crate::stats::mismatch::MismatchSums;

/// The advantage of a response.
#[derive(Debug, Clone, PartialEq)]
pub enum Advantage {
    /// Not in the dump.
    Unknown,
    /// Equal for all tokens.
    Response(f64),
    /// One per token of the policy.
    Tokens(Box<[f64]>),
}

/// A response with at least one token that the policy wrote.
#[derive(Debug, Clone)]
pub struct Response {
    pub(crate) source: u32,
    pub(crate) step: u64,
    pub(crate) group: u64,
    /// Whether something names the prompt; else `group` means nothing.
    pub(crate) has_prompt: bool,
    pub(crate) trajectory: Option<u64>,
    pub(crate) segment: u32,
    pub(crate) start: u32,
    pub(crate) tokens: u32,
    pub(crate) has_entropies: bool,
    pub(crate) has_log_probs: bool,
    pub(crate) entropy_sum: f64,
    /// The highest entropy of a token; −∞ without entropies.
    pub(crate) entropy_max: f64,
    /// Sum and number of its finite log-probs.
    pub(crate) log_prob_sum: f64,
    pub(crate) log_prob_count: u32,
    /// Number of its log-probs that are null.
    pub(crate) log_probs_missing: u32,
    /// What names it: its id, or the rank and the number of its sequence.
    pub(crate) id: Option<Box<str>>,
    /// The value of the column that names its prompt.
    pub(crate) prompt: Option<Box<str>>,
    pub(crate) sample: Option<u64>,
    /// Why generation ended.
    pub(crate) finish: Option<Box<str>>,
    pub(crate) turn: Option<u32>,
    pub(crate) role: Option<Box<str>>,
    pub(crate) by: Option<Box<str>>,
    pub(crate) reward: Option<f64>,
    pub(crate) advantage: Advantage,
    pub(crate) answer: Option<u64>,
    pub(crate) mismatch: Option<Box<MismatchSums>>,
    /// Of each of the other columns of tokens that it has: its index among their names, and sum and number of the values.
    pub(crate) token_columns: Vec<(u8, f64, u32)>,
}

impl Response {
    /// Where its tokens are in its segment.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.tokens()
    }

    /// The training step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Number of tokens that the policy wrote.
    pub fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// What names it in the dump: its id, else the rank and the number of its sequence.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The value of the column that names its prompt; `None` if the dump has no such column.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// A digest of its prompt; equal for the responses to a prompt.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// The number of the sample, if the prompt has several.
    pub fn sample(&self) -> Option<u64> {
        self.sample
    }

    /// The number of the turn in a conversation.
    pub fn turn(&self) -> Option<u32> {
        self.turn
    }

    /// Why generation ended.
    pub fn finish(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    /// Its reward.
    pub fn reward(&self) -> Option<f64> {
        self.reward
    }

    /// Mean entropy of its tokens, in nats; `None` without entropies.
    pub fn mean_entropy(&self) -> Option<f64> {
        self.has_entropies.then(|| self.entropy_sum / f64::from(self.tokens))
    }
}

//! What was left out of a dump, counted by reason.

use std::collections::BTreeMap;

use serde::Serialize;

/// Why a response, or a part of it, is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The line is not valid JSON, or the row is not readable.
    Unreadable,
    /// There are no token ids.
    NoIds,
    /// The ids are those of prompt and response, and nothing says where the response begins.
    NoMask,
    /// The ids are not whole numbers.
    BadIds,
    /// A list that should have numbers has something else.
    BadNumbers,
    /// Lists have different lengths.
    Lengths,
    /// The mask has another length than the tokens.
    MaskLength,
    /// A mask marks tokens of the prompt.
    MaskInPrompt,
    /// A list may be a mask, but its name is not known.
    UnknownMask,
    /// The response has no token that the policy wrote.
    Empty,
    /// It has neither entropies nor log-probs, or entropies of null alone.
    NoScores,
    /// An entropy is NaN or infinite.
    BadEntropy,
    /// A log-prob is NaN or +∞.
    BadLogProb,
    /// A single token has no entropy.
    TokenWithoutEntropy,
    /// A single token has no scored log-prob.
    TokenWithoutLogProb,
    /// An entropy is below 0.
    EntropyBelowZero,
    /// A log-prob, scored or the sampler's, is above 0.
    LogProbAboveZero,
    /// The step is not a whole number.
    BadStep,
    /// The reward is a text.
    TextReward,
    /// The reward is a list or an object.
    NestedReward,
    /// The reward is missing, null or NaN.
    NoReward,
    /// The list of advantages has another length than the tokens, or is not of finite numbers.
    BadAdvantage,
    /// The list of the sampler's log-probs has another length than the tokens, or is not of numbers.
    BadSampler,
    /// A list of other numbers of tokens has another length than the tokens, or is not of numbers.
    BadColumn,
    /// A value in a list of other numbers of tokens is null or not finite.
    ValueNotFinite,
}

/// What a [`Reason`] leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whole responses.
    Responses,
    /// Single tokens.
    Tokens,
    /// Single log-probs: the token counts in all numbers without them.
    LogProbs,
    /// Nothing: the value cannot be right, but counts.
    Nothing,
    /// Single values of columns such as `kl`.
    Values,
    /// The responses' rewards.
    Rewards,
    /// The responses' advantages.
    Advantages,
    /// The responses' log-probs of the sampler.
    Sampler,
    /// The responses' other numbers of tokens.
    Columns,
}

impl Reason {
    /// What is left out.
    pub fn scope(self) -> Scope {
        match self {
            Reason::TokenWithoutEntropy => Scope::Tokens,
            Reason::TokenWithoutLogProb => Scope::LogProbs,
            Reason::EntropyBelowZero | Reason::LogProbAboveZero => Scope::Nothing,
            Reason::TextReward | Reason::NestedReward | Reason::NoReward => Scope::Rewards,
            Reason::BadAdvantage => Scope::Advantages,
            Reason::BadSampler => Scope::Sampler,
            Reason::BadColumn => Scope::Columns,
            Reason::ValueNotFinite => Scope::Values,
            _ => Scope::Responses,
        }
    }

    /// The reason in words, after a count and "left out: ".
    pub fn words(self) -> &'static str {
        match self {
            Reason::Unreadable => "the row cannot be read",
            Reason::NoIds => "no token ids",
            Reason::NoMask => "ids of prompt and response, but no mask and no length",
            Reason::BadIds => "ids that are not whole numbers",
            Reason::BadNumbers => "lists that are not of numbers",
            Reason::Lengths => "lists of different lengths",
            Reason::MaskLength => "a mask of another length than the tokens",
            Reason::MaskInPrompt => "a mask that marks tokens of the prompt",
            Reason::UnknownMask => "a list that may be a mask, under an unknown name",
            Reason::Empty => "no token of the policy",
            Reason::NoScores => "neither entropies nor log-probs",
            Reason::BadEntropy => "an entropy that is NaN or infinite",
            Reason::BadLogProb => "a log-prob that is NaN or +∞",
            Reason::TokenWithoutEntropy => "an entropy of null",
            Reason::TokenWithoutLogProb => "a scored log-prob of null",
            Reason::EntropyBelowZero => "an entropy below 0, which is not possible",
            Reason::LogProbAboveZero => "a log-prob above 0, which is not possible",
            Reason::BadStep => "a step that is not a whole number",
            Reason::TextReward => "a reward that is a text",
            Reason::NestedReward => "a reward that is a list or an object",
            Reason::NoReward => "no reward",
            Reason::BadAdvantage => "advantages of another length than the tokens, or not finite",
            Reason::BadSampler => "sampler log-probs of another length than the tokens",
            Reason::BadColumn => {
                "a column of tokens with another length, or with values that are not numbers"
            }
            Reason::ValueNotFinite => "null or not finite",
        }
    }
}

/// How often something was left out for a reason, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Number of responses or tokens.
    pub count: u64,
    /// The first place, with details.
    pub first: String,
}

/// Counts by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOutCounts(BTreeMap<Reason, LeftOut>);

impl LeftOutCounts {
    /// Counts `count` more; `first` describes the place if it is the first one.
    pub(crate) fn add(&mut self, reason: Reason, count: u64, first: impl FnOnce() -> String) {
        let entry = self.0.entry(reason);
        entry.or_insert_with(|| LeftOut { count: 0, first: first() }).count += count;
    }

    /// Adds the counts of rows that follow.
    pub(crate) fn append(&mut self, later: LeftOutCounts) {
        for (reason, LeftOut { count, first }) in later.0 {
            self.add(reason, count, || first);
        }
    }

    /// The counts with the name of a file before each place.
    pub(crate) fn below(mut self, name: &str) -> LeftOutCounts {
        self.0
            .values_mut()
            .for_each(|left_out| left_out.first = format!("{name}: {}", left_out.first));
        self
    }

    /// The reasons in a fixed order, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, &LeftOut)> {
        self.0.iter().map(|(reason, left_out)| (*reason, left_out))
    }

    /// How many responses were left out.
    pub fn responses(&self) -> u64 {
        let responses = self.iter().filter(|(reason, _)| reason.scope() == Scope::Responses);
        responses.map(|(_, left_out)| left_out.count).sum()
    }
}

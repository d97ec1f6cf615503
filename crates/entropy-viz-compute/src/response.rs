//! The record of one response, which the encoder creates, scoring or sampling completes, and the output writes.

use std::sync::Arc;

use crate::token_scores::TokenScores;

/// A response to a prompt, with the entropy and log-prob of each token once it is computed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResponseRecord {
    /// Index of its row in the prompt file.
    pub(crate) row: usize,
    /// Index among the samples of its prompt; `None` for a response of the prompt file.
    pub(crate) sample: Option<usize>,
    /// Token ids of the prompt, never empty.
    pub(crate) prompt: Arc<[i64]>,
    /// Token ids of the response, with the end token if there is one. Empty until it is sampled.
    pub(crate) tokens: Vec<i64>,
    /// Which of the tokens the policy wrote; `None` if it wrote all. Only these are scored.
    pub(crate) own: Option<Vec<bool>>,
    /// Index of the assistant's turn, if the response is one of several turns of a conversation.
    pub(crate) turn: Option<usize>,
    /// Numbers of tokens of prompt and response in the prompt file; `None` for turns, and for sampled responses.
    pub(crate) given: Option<(usize, usize)>,
    /// Of each token that the policy wrote. Empty until they are computed.
    pub(crate) scores: TokenScores,
    /// Why sampling ended.
    pub(crate) finish: Option<FinishReason>,
}

/// Why a sampled response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinishReason {
    /// An end token or a stop text was sampled.
    Stop,
    /// The response reached `--max-new-tokens` or the context length.
    Length,
}

impl FinishReason {
    /// The value of `finish_reason` in output files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        }
    }
}

impl ResponseRecord {
    /// A response of the prompt file, to be scored.
    pub(crate) fn given(row: usize, prompt: Arc<[i64]>, tokens: Vec<i64>) -> ResponseRecord {
        ResponseRecord {
            row,
            sample: None,
            prompt,
            tokens,
            own: None,
            turn: None,
            given: None,
            scores: TokenScores::default(),
            finish: None,
        }
    }

    /// A response to be sampled.
    pub(crate) fn to_sample(row: usize, sample: usize, prompt: Arc<[i64]>) -> ResponseRecord {
        ResponseRecord { sample: Some(sample), ..ResponseRecord::given(row, prompt, Vec::new()) }
    }

    /// Indices of the tokens that the policy wrote.
    pub(crate) fn own_tokens(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.tokens.len()).filter(|&token| self.own.as_ref().is_none_or(|own| own[token]))
    }

    /// A value for each token of the response, from one for each token that the policy wrote.
    pub(crate) fn spread<T>(&self, values: impl Iterator<Item = T>) -> Vec<Option<T>> {
        let mut values = values;
        let is_own = |token: usize| self.own.as_ref().is_none_or(|own| own[token]);
        (0..self.tokens.len()).map(|token| is_own(token).then(|| values.next())?).collect()
    }

    /// Number of tokens of prompt and response.
    pub(crate) fn len(&self) -> usize {
        self.prompt.len() + self.tokens.len()
    }

    /// Token ids of prompt and response.
    pub(crate) fn ids(&self) -> Vec<i64> {
        [&self.prompt[..], &self.tokens].concat()
    }
}

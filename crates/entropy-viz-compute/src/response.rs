//! The record of one response, which the encoder creates, scoring or sampling completes, and the output writes.

use std::sync::Arc;

use entropy_kernels::logits::TokenScore;

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
    /// One per token. Empty until they are computed.
    pub(crate) scores: Vec<TokenScore>,
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
        ResponseRecord { row, sample: None, prompt, tokens, scores: Vec::new(), finish: None }
    }

    /// A response to be sampled.
    pub(crate) fn to_sample(row: usize, sample: usize, prompt: Arc<[i64]>) -> ResponseRecord {
        ResponseRecord { sample: Some(sample), ..ResponseRecord::given(row, prompt, Vec::new()) }
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

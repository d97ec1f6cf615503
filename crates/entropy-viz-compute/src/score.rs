//! Entropy and log-prob of every token of given responses, as a trainer's log-prob pass computes them.
//!
//! Token i of a response was drawn from the logits at position prompt + i − 1. The head runs at those
//! positions alone, some rows at a time, and each row is read once: the logits of a whole batch (16k
//! tokens × 150k words are 10 GB) never exist.

use std::time::{Duration, Instant};

use tch::{Device, TchError, Tensor};

use crate::model::{Model, Packed, Rows};
use crate::on_device::{self, RowError};
use crate::torch;
use entropy_kernels::logits::Token;

/// Logits held at once: 128 MiB on the CPU, where more is no faster, 1 GiB on a GPU.
const LOGITS_ON_CPU: i64 = 1 << 25;
const LOGITS_ON_GPU: i64 = 1 << 28;

/// A prompt and the response to it, as token ids. Neither is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub(crate) prompt: &'a [i64],
    pub(crate) response: &'a [i64],
}

impl Sequence<'_> {
    fn len(&self) -> usize {
        self.prompt.len() + self.response.len()
    }

    /// All but the last token, whose own distribution nobody asks for.
    fn ids(&self) -> Vec<i64> {
        [self.prompt, &self.response[..self.response.len() - 1]].concat()
    }
}

/// Why sequences could not be scored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScoreError {
    #[error("{}", torch::say(.0))]
    Torch(#[from] TchError),
    /// One sequence alone is too much.
    #[error("memory runs out at a sequence of {0} tokens")]
    TooLong(usize),
    /// Of this sequence, at this token of the response.
    #[error("the logits of token {token} of response {sequence} are not finite")]
    NotFinite { sequence: usize, token: usize },
    #[error("interrupted")]
    Interrupted,
}

/// How scoring goes, and what it is told on the way.
pub(crate) struct Scoring<'a> {
    pub(crate) model: &'a Model,
    pub(crate) device: Device,
    pub(crate) temperature: f64,
    /// Tokens of one batch; made smaller when memory runs out.
    pub(crate) batch_tokens: usize,
    /// Called after each batch with the tokens it had; `false` stops.
    pub(crate) advance: &'a dyn Fn(usize) -> bool,
    /// Called when memory ran out, with the new size of a batch.
    pub(crate) shrunk: &'a dyn Fn(usize),
    /// Time spent on entropies, on the CPU.
    pub(crate) on_entropy: Duration,
}

impl Scoring<'_> {
    /// The tokens' entropies and log-probs, sequence by sequence in the order given.
    pub(crate) fn run(
        &mut self,
        sequences: &[Sequence<'_>],
    ) -> Result<Vec<Vec<Token>>, ScoreError> {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        // Longest first: if memory runs out it does so at the start.
        order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].len()));
        let mut done = vec![Vec::new(); sequences.len()];
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|&&i| {
                tokens += sequences[i].len();
                tokens <= self.batch_tokens
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            match self.batch(batch, sequences) {
                Ok(scores) => {
                    for (&i, scores) in batch.iter().zip(scores) {
                        done[i] = scores;
                    }
                    rest = later;
                    let tokens = batch.iter().map(|&i| sequences[i].len()).sum();
                    if !(self.advance)(tokens) {
                        return Err(ScoreError::Interrupted);
                    }
                }
                Err(ScoreError::Torch(error)) if torch::is_out_of_memory(&error) => {
                    let tokens: usize = batch.iter().map(|&i| sequences[i].len()).sum();
                    if batch.len() == 1 {
                        return Err(ScoreError::TooLong(tokens));
                    }
                    self.batch_tokens = tokens / 2;
                    (self.shrunk)(self.batch_tokens);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn batch(
        &mut self,
        batch: &[usize],
        sequences: &[Sequence<'_>],
    ) -> Result<Vec<Vec<Token>>, ScoreError> {
        let ids: Vec<Vec<i64>> = batch.iter().map(|&i| sequences[i].ids()).collect();
        let packed = Packed::new(ids.iter().map(Vec::as_slice));
        let mut rows = Vec::new(); // places in the pack whose next token belongs to a response
        let mut targets = Vec::new();
        let mut start = 0;
        for (&i, ids) in batch.iter().zip(&ids) {
            rows.extend(start + sequences[i].prompt.len() as i64 - 1..start + ids.len() as i64);
            targets.extend_from_slice(sequences[i].response);
            start += ids.len() as i64;
        }
        let hidden = self.model.forward(&packed, &rows)?;
        let scores = self.of_rows(&hidden, &targets).map_err(|error| match error {
            RowError::Torch(error) => ScoreError::Torch(error),
            RowError::NotFinite(row) => {
                let mut token = row;
                let mut sequence = batch[0];
                for &i in batch {
                    sequence = i;
                    if token < sequences[i].response.len() {
                        break;
                    }
                    token -= sequences[i].response.len();
                }
                ScoreError::NotFinite { sequence, token }
            }
        })?;
        let mut scores = scores.into_iter();
        Ok(batch
            .iter()
            .map(|&i| scores.by_ref().take(sequences[i].response.len()).collect())
            .collect())
    }

    fn of_rows(&mut self, hidden: &Rows, targets: &[i64]) -> Result<Vec<Token>, RowError> {
        let mut scores = Vec::with_capacity(targets.len());
        let vocabulary = match hidden {
            Rows::Logits(logits) => logits.size()[1],
            Rows::Hidden(_) => self.model.vocabulary().unwrap_or(1),
        };
        if let Some(token) = targets.iter().find(|token| !(0..vocabulary).contains(*token)) {
            let error = format!("token id {token} is not among the model's {vocabulary} logits");
            return Err(RowError::Torch(TchError::Shape(error)));
        }
        let at_once =
            if self.device == Device::Cpu { LOGITS_ON_CPU } else { LOGITS_ON_GPU } / vocabulary;
        let mut first = 0;
        while first < hidden.len() {
            let count = at_once.clamp(1, hidden.len() - first);
            let logits = self.model.logits(hidden, first, count)?;
            let targets = &targets[first as usize..(first + count) as usize];
            scores.extend(
                self.of_logits(&logits, targets).map_err(|error| error.after(first as usize))?,
            );
            first += count;
        }
        Ok(scores)
    }

    fn of_logits(&mut self, logits: &Tensor, targets: &[i64]) -> Result<Vec<Token>, RowError> {
        if self.device != Device::Cpu {
            return on_device::tokens(logits, targets, self.temperature);
        }
        let start = Instant::now();
        let vocabulary = logits.size()[1] as usize;
        let scores = entropy_kernels::logits::rows(
            torch::slice(logits),
            vocabulary,
            targets,
            self.temperature,
        );
        self.on_entropy += start.elapsed();
        scores.map_err(|(row, _)| RowError::NotFinite(row))
    }
}

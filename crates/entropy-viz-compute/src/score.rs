//! Entropy and log-prob of every token of given responses, as in a trainer's log-prob pass.
//!
//! Token i of a response has the distribution at position prompt + i − 1. The head runs only at these positions, in
//! chunks of rows: the logits of a whole batch (16k tokens × 150k vocabulary = 10 GB) are never in memory.

use std::time::{Duration, Instant};

use tch::{Device, TchError, Tensor};

use crate::model::packed::Packed;
use crate::model::{Model, ModelOutput};
use crate::on_device::{self, LogitsError};
use crate::response::ResponseRecord;
use crate::row_pass::{Side, score_rows};
use crate::score_plan::ScorePlan;
use crate::token_scores::TokenScores;
use crate::torch;

/// Logits in memory at once: 128 MiB on the CPU, where more is not faster, 1 GiB on a GPU.
const CPU_LOGITS: i64 = 1 << 25;
const GPU_LOGITS: i64 = 1 << 28;

/// Why responses could not be scored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScoreError {
    #[error("{}", torch::message(.0))]
    Torch(#[from] TchError),
    /// There is not enough memory for a single sequence.
    #[error("out of memory for a sequence of {0} tokens")]
    TooLong(usize),
    /// The index of the record, and of the token in its response.
    #[error("the logits of token {token} of response {record} are not finite")]
    NotFinite { record: usize, token: usize, side: Side },
    #[error("interrupted")]
    Interrupted,
}

/// The responses to score, of those that have tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scored {
    All,
    /// Those that were sampled, whose numbers are replaced.
    Sampled,
}

/// The settings and callbacks of scoring.
pub(crate) struct Scorer<'a> {
    pub(crate) model: &'a Model,
    /// The reference model, if the plan has divergences.
    pub(crate) reference: Option<&'a Model>,
    pub(crate) scored: Scored,
    pub(crate) device: Device,
    pub(crate) plan: &'a ScorePlan,
    /// Tokens per batch; reduced when memory runs out.
    pub(crate) batch_tokens: usize,
    /// Called after each batch with its number of tokens; `false` stops.
    pub(crate) advance: &'a dyn Fn(usize) -> bool,
    /// Called when memory ran out, with the new number of tokens per batch.
    pub(crate) shrunk: &'a dyn Fn(usize),
    /// Time spent on entropies; measured on the CPU only.
    pub(crate) entropy_time: Duration,
}

impl Scorer<'_> {
    /// Fills in the scores of the policy's own tokens.
    pub(crate) fn run(&mut self, records: &mut [ResponseRecord]) -> Result<(), ScoreError> {
        let is_scored = |record: &ResponseRecord| match self.scored {
            Scored::All => !record.tokens.is_empty(),
            Scored::Sampled => !record.tokens.is_empty() && record.sample.is_some(),
        };
        let mut order: Vec<usize> =
            (0..records.len()).filter(|&i| is_scored(&records[i])).collect();
        // Longest first: if memory runs out, it does so at the start.
        order.sort_by_key(|&i| std::cmp::Reverse(records[i].len()));
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|&&i| {
                tokens += records[i].len();
                tokens <= self.batch_tokens
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            let tokens = batch.iter().map(|&i| records[i].len()).sum();
            match self.score_batch(batch, records) {
                Ok(()) => {
                    rest = later;
                    if !(self.advance)(tokens) {
                        return Err(ScoreError::Interrupted);
                    }
                }
                Err(ScoreError::Torch(error)) if torch::is_out_of_memory(&error) => {
                    if batch.len() == 1 {
                        return Err(ScoreError::TooLong(tokens));
                    }
                    self.batch_tokens = tokens / 2;
                    (self.shrunk)(self.batch_tokens);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn score_batch(
        &mut self,
        batch: &[usize],
        records: &mut [ResponseRecord],
    ) -> Result<(), ScoreError> {
        let mut sequences = Vec::new(); // without the last token, after which nothing is scored
        let mut rows = Vec::new(); // indices in the pack of the tokens before each response token
        let mut targets = Vec::new();
        let mut start = 0;
        for &i in batch {
            let record = &records[i];
            let mut ids = record.ids();
            ids.pop();
            let first = start + record.prompt.len() as i64 - 1;
            rows.extend(record.own_tokens().map(|token| first + token as i64));
            targets.extend(record.own_tokens().map(|token| record.tokens[token]));
            start += ids.len() as i64;
            sequences.push(ids);
        }
        // longrope goes by the length of the whole sequence, as when a trainer runs it.
        let packed = Packed { omitted: 1, ..Packed::new(sequences.iter().map(Vec::as_slice)) };
        let output = self.model.forward(&packed, &rows)?;
        let reference = match self.reference {
            Some(reference) => Some((reference, reference.forward(&packed, &rows)?)),
            None => None,
        };
        let reference = reference.as_ref().map(|(model, output)| (*model, output));
        let scores =
            self.score_output(&output, reference, &targets).map_err(|error| match error {
                LogitsError::Torch(error) => ScoreError::Torch(error),
                LogitsError::NotFinite(row, side) => {
                    let mut row = row;
                    let mut record = batch[0];
                    for &i in batch {
                        record = i;
                        let own = records[i].own_tokens().count();
                        if row < own {
                            break;
                        }
                        row -= own;
                    }
                    let token = records[record].own_tokens().nth(row).unwrap_or(0);
                    ScoreError::NotFinite { record, token, side }
                }
            })?;
        let width = self.plan.quantities().len();
        let mut rest = &scores[..];
        for &i in batch {
            let (own, later) = rest.split_at(width * records[i].own_tokens().count());
            records[i].scores = TokenScores::new(width, own.to_vec());
            rest = later;
        }
        Ok(())
    }

    /// The numbers of the targets, row by row.
    fn score_output(
        &mut self,
        output: &ModelOutput,
        reference: Option<(&Model, &ModelOutput)>,
        targets: &[i64],
    ) -> Result<Vec<f64>, LogitsError> {
        let mut scores = Vec::with_capacity(targets.len() * self.plan.quantities().len());
        let vocabulary = match output {
            ModelOutput::Logits(logits) => logits.size()[1],
            ModelOutput::Hidden(_) => self.model.vocabulary().unwrap_or(1),
        };
        if let Some(token) = targets.iter().find(|token| !(0..vocabulary).contains(*token)) {
            let error = format!("token id {token} is outside of the model's {vocabulary} logits");
            return Err(LogitsError::Torch(TchError::Shape(error)));
        }
        let max_logits = if self.device == Device::Cpu { CPU_LOGITS } else { GPU_LOGITS };
        // Of both models together.
        let max_logits = if reference.is_some() { max_logits / 2 } else { max_logits };
        let mut first = 0;
        while first < output.len() {
            let count = (max_logits / vocabulary).clamp(1, output.len() - first);
            let logits = self.model.logits(output, first, count)?;
            let targets = &targets[first as usize..(first + count) as usize];
            let reference = match reference {
                Some((model, output)) => Some(model.logits(output, first, count)?),
                None => None,
            };
            let sizes = (logits.size(), reference.as_ref().map(Tensor::size));
            if let (policy, Some(reference)) = sizes
                && policy != reference
            {
                let error = format!(
                    "the reference model has {} logits, but the policy has {}",
                    reference[1], policy[1]
                );
                return Err(LogitsError::Torch(TchError::Shape(error)));
            }
            let chunk = self.score_logits(&logits, reference.as_ref(), targets);
            scores.extend(chunk.map_err(|error| error.offset(first as usize))?);
            first += count;
        }
        Ok(scores)
    }

    fn score_logits(
        &mut self,
        logits: &Tensor,
        reference: Option<&Tensor>,
        targets: &[i64],
    ) -> Result<Vec<f64>, LogitsError> {
        if self.device != Device::Cpu {
            return on_device::score_all(self.plan, logits, reference, targets);
        }
        let start = Instant::now();
        let vocabulary = logits.size()[1] as usize;
        let reference = reference.map(torch::slice);
        let scores = score_rows(self.plan, torch::slice(logits), reference, vocabulary, targets);
        self.entropy_time += start.elapsed();
        scores.map_err(|(row, side)| LogitsError::NotFinite(row, side))
    }
}

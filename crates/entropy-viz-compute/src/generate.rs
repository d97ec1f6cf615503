//! Sampling of responses. The entropy of each token's distribution is computed in the same pass over its logits.
//!
//! Sequences occupy the slots of a static KV cache. When one ends, its slot is reused for the next prompt, so that
//! matrix products keep the size of the batch. When no prompts are left, the cache shrinks with the remaining
//! sequences. The last token of a response is never run, because no token follows it.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use crate::model::Model;
use crate::model::cache::KvCache;
use crate::model::decoder::Decoder;
use crate::model::packed::Packed;
use crate::on_device::{self, LogitsError};
use crate::response::{FinishReason, ResponseRecord};
use crate::row_pass::{RowPass, Side};
use crate::sampling::{ResponseRng, Sampling, choose};
use crate::score_plan::ScorePlan;
use crate::torch;

/// Prompt tokens per prefill call.
const PREFILL_TOKENS: usize = 8192;
/// Maximum bytes of the cache, unless a single sequence needs more.
const CPU_CACHE_BYTES: usize = 2 << 30;
const GPU_CACHE_BYTES: usize = 24 << 30;
/// Maximum sequences in parallel: more do not help once the matrix products are compute-bound.
const CPU_SLOTS: usize = 32;
const GPU_SLOTS: usize = 256;

/// Why sampling failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    #[error("{}", torch::message(.0))]
    Torch(#[from] TchError),
    /// There is not enough memory for a single sequence.
    #[error("out of memory for a single sequence of {0} tokens")]
    TooLong(usize),
    /// The index of the record, and of the token in its response.
    #[error("the logits of token {token} of response {record} are not finite")]
    NotFinite { record: usize, token: usize },
    #[error("interrupted")]
    Interrupted,
}

/// The settings and callbacks of sampling.
pub(crate) struct Generator<'a> {
    pub(crate) model: &'a Model,
    pub(crate) device: Device,
    /// Of a single temperature, without divergences.
    pub(crate) plan: &'a ScorePlan,
    pub(crate) sampling: Sampling,
    pub(crate) seed: u64,
    pub(crate) max_new_tokens: usize,
    pub(crate) eos_token_ids: &'a [i64],
    /// Whether a response with these tokens ends with a stop text.
    pub(crate) stops: &'a (dyn Fn(&[i64]) -> bool + Sync),
    /// Maximum of slots × capacity, if the user set it.
    pub(crate) batch_tokens: Option<usize>,
    /// Called after each step with its number of new tokens; `false` stops.
    pub(crate) advance: &'a dyn Fn(usize) -> bool,
    /// Called when memory ran out, with the new number of parallel sequences.
    pub(crate) shrunk: &'a dyn Fn(usize),
    /// Time spent on entropies and sampling; measured on the CPU only.
    pub(crate) entropy_time: Duration,
}

/// A sequence in a slot of the cache.
struct ActiveSequence {
    index: usize, // of its record
    record: ResponseRecord,
    rng: ResponseRng,
    max_tokens: usize, // of its response
    done: bool,
}

impl ActiveSequence {
    /// The position of the newest token.
    fn position(&self) -> i64 {
        self.record.len() as i64 - 1
    }

    fn newest(&self) -> i64 {
        self.record.tokens.last().copied().unwrap_or(0)
    }
}

impl Generator<'_> {
    /// Samples a response for every record that has no tokens yet. Prompts must be shorter than the context.
    pub(crate) fn run(&mut self, records: &mut [ResponseRecord]) -> Result<(), GenerateError> {
        let max_length = self.max_length(records);
        let mut slots = self.slots(records, max_length);
        loop {
            let open: Vec<usize> =
                (0..records.len()).filter(|&i| records[i].tokens.is_empty()).collect();
            if open.is_empty() {
                return Ok(());
            }
            let outcome = match self.model {
                Model::Decoder(decoder) => {
                    self.run_cached(decoder, records, &open, slots, max_length)
                }
                Model::TorchScript(_) => self.run_uncached(records, &open, slots),
            };
            match outcome {
                Err(GenerateError::Torch(error)) if torch::is_out_of_memory(&error) => {
                    if slots == 1 {
                        return Err(GenerateError::TooLong(max_length));
                    }
                    slots /= 2;
                    (self.shrunk)(slots);
                }
                other => other?,
            }
        }
    }

    /// Maximum tokens of any sequence that is to be sampled.
    fn max_length(&self, records: &[ResponseRecord]) -> usize {
        let open = records.iter().filter(|record| record.tokens.is_empty());
        open.map(|record| record.prompt.len() + self.max_tokens(record.prompt.len()))
            .max()
            .unwrap_or(1)
    }

    /// Maximum tokens of the response to a prompt of `prompt` tokens.
    fn max_tokens(&self, prompt: usize) -> usize {
        let context = self.model.context().map_or(usize::MAX, |context| context as usize);
        self.max_new_tokens.min(context.saturating_sub(prompt)).max(1)
    }

    /// The number of parallel sequences.
    fn slots(&self, records: &[ResponseRecord], max_length: usize) -> usize {
        let (cache_bytes, max_slots) = match self.device {
            Device::Cpu => (CPU_CACHE_BYTES, CPU_SLOTS),
            _ => (GPU_CACHE_BYTES, GPU_SLOTS),
        };
        let slots = match (self.batch_tokens, self.model) {
            (Some(tokens), _) => tokens / max_length,
            (None, Model::Decoder(decoder)) => {
                // A model of feed-forward layers alone has no cache.
                let bytes = decoder.cache_bytes().of_sequence(max_length).max(1);
                (cache_bytes / bytes).min(max_slots)
            }
            (None, Model::TorchScript(_)) => CPU_SLOTS,
        };
        let open = records.iter().filter(|record| record.tokens.is_empty()).count();
        slots.clamp(1, open.max(1))
    }

    fn start(&self, index: usize, record: &ResponseRecord) -> ActiveSequence {
        ActiveSequence {
            index,
            record: record.clone(),
            rng: ResponseRng::new(self.seed, record.row, record.sample.unwrap_or(0)),
            max_tokens: self.max_tokens(record.prompt.len()),
            done: false,
        }
    }

    fn run_cached(
        &mut self,
        decoder: &Decoder,
        records: &mut [ResponseRecord],
        open: &[usize],
        slots: usize,
        max_length: usize,
    ) -> Result<(), GenerateError> {
        let slots = slots.min(open.len());
        let mut waiting = open.iter().copied();
        let mut cache = decoder.cache(slots as i64, max_length as i64)?;
        let mut active: Vec<ActiveSequence> = Vec::new();
        loop {
            // Free slots are refilled once there are enough for an efficient prefill.
            let free: Vec<usize> = (0..active.len())
                .filter(|&slot| active[slot].done)
                .chain(active.len()..slots)
                .collect();
            if waiting.len() > 0 && free.len() * 8 >= slots {
                let mut filled = Vec::new();
                for (slot, index) in free.into_iter().zip(waiting.by_ref()) {
                    let sequence = self.start(index, &records[index]);
                    if slot < active.len() {
                        active[slot] = sequence
                    } else {
                        active.push(sequence)
                    }
                    filled.push(slot);
                }
                self.prefill(decoder, filled, &mut cache, &mut active, records)?;
                continue; // a response of one token has already ended
            }
            let running: Vec<i64> = (0..active.len())
                .filter(|&slot| !active[slot].done)
                .map(|slot| slot as i64)
                .collect();
            if running.is_empty() {
                return Ok(());
            }
            if waiting.len() == 0 && running.len() * 4 <= active.len() * 3 {
                cache.retain_slots(&running)?;
                active.retain(|sequence| !sequence.done);
            }
            // At some lengths, longrope and dynamic rotate all positions by other angles: the cached keys are invalid.
            let attention = &decoder.spec.attention;
            let rotated_anew: Vec<usize> = (0..active.len())
                .filter(|&slot| {
                    !active[slot].done && attention.angles_change_at(active[slot].position() + 1)
                })
                .collect();
            if !rotated_anew.is_empty() {
                self.prefill(decoder, rotated_anew, &mut cache, &mut active, records)?;
                continue;
            }
            let ids: Vec<i64> = active.iter().map(ActiveSequence::newest).collect();
            let positions: Vec<i64> = active.iter().map(ActiveSequence::position).collect();
            let lengths: Vec<i64> = positions.iter().map(|position| position + 1).collect();
            let logits = decoder.decode(&ids, &positions, &lengths, &mut cache)?;
            self.extend(&logits, &mut active.iter_mut().collect::<Vec<_>>())?;
            store_finished(&active, records);
        }
    }

    /// Runs all tokens of the sequences in `slots` into the cache, and samples the next token of each.
    fn prefill(
        &mut self,
        decoder: &Decoder,
        slots: Vec<usize>,
        cache: &mut KvCache,
        active: &mut [ActiveSequence],
        records: &mut [ResponseRecord],
    ) -> Result<(), GenerateError> {
        let mut sequences: Vec<(usize, Vec<i64>)> =
            slots.into_iter().map(|slot| (slot, active[slot].record.ids())).collect();
        sequences.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
        let mut rest = &sequences[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|(_, ids)| {
                tokens += ids.len();
                tokens <= PREFILL_TOKENS
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            let packed = Packed::new(batch.iter().map(|(_, ids)| &ids[..]));
            let slots: Vec<i64> = batch.iter().map(|(slot, _)| *slot as i64).collect();
            let hidden = decoder.prefill(&packed, &packed.last_tokens(), cache, &slots)?;
            let logits = decoder.head(&hidden)?;
            let mut by_slot: Vec<Option<&mut ActiveSequence>> =
                active.iter_mut().map(Some).collect();
            let mut filled: Vec<&mut ActiveSequence> =
                batch.iter().filter_map(|(slot, _)| by_slot[*slot].take()).collect();
            self.extend(&logits, &mut filled)?;
            rest = later;
        }
        store_finished(active, records);
        Ok(())
    }

    /// Samples the next token of each sequence from its row of logits.
    fn extend(
        &mut self,
        logits: &Tensor,
        sequences: &mut [&mut ActiveSequence],
    ) -> Result<(), GenerateError> {
        let start = Instant::now();
        let logits = logits.f_to_kind(Kind::Float)?;
        let sampled = match self.device {
            Device::Cpu => self.sample_on_cpu(&logits.f_contiguous()?, sequences),
            _ => self.sample_on_device(&logits, sequences),
        };
        self.entropy_time += start.elapsed();
        let sampled = sampled.map_err(|error| match error {
            LogitsError::Torch(error) => GenerateError::Torch(error),
            LogitsError::NotFinite(row, _) => GenerateError::NotFinite {
                record: sequences[row].index,
                token: sequences[row].record.tokens.len(),
            },
        })?;
        let mut tokens = 0;
        for (sequence, (token, score)) in
            sequences.iter_mut().zip(sampled).filter(|(sequence, _)| !sequence.done)
        {
            tokens += 1;
            let record = &mut sequence.record;
            record.tokens.push(token);
            record.scores.push(&score);
            record.finish = if self.eos_token_ids.contains(&token) || (self.stops)(&record.tokens) {
                Some(FinishReason::Stop)
            } else if record.tokens.len() >= sequence.max_tokens {
                Some(FinishReason::Length)
            } else {
                None
            };
            sequence.done = record.finish.is_some();
        }
        if (self.advance)(tokens) { Ok(()) } else { Err(GenerateError::Interrupted) }
    }

    /// Samples and scores a token per row, in one pass over each row.
    fn sample_on_cpu(
        &self,
        logits: &Tensor,
        sequences: &mut [&mut ActiveSequence],
    ) -> Result<Vec<(i64, Vec<f64>)>, LogitsError> {
        let vocabulary = logits.size()[1] as usize;
        let (plan, sampling) = (self.plan, self.sampling);
        let rows = torch::slice(logits)
            .par_chunks_exact(vocabulary)
            .zip(sequences.par_iter_mut())
            .enumerate();
        rows.map_init(RowPass::default, |pass, (i, (row, sequence))| {
            pass.sample(plan, row, |stats| choose(sampling, row, stats, &mut sequence.rng))
                .map_err(|_| i)
        })
        .collect::<Result<_, usize>>()
        .map_err(|row| LogitsError::NotFinite(row, Side::Policy))
    }

    /// Samples and scores a token per row on the device of the logits; only the results are copied.
    fn sample_on_device(
        &self,
        logits: &Tensor,
        sequences: &mut [&mut ActiveSequence],
    ) -> Result<Vec<(i64, Vec<f64>)>, LogitsError> {
        let tokens = match self.sampling {
            Sampling::Greedy => logits.f_argmax(-1, false)?,
            Sampling::Random { top_k, top_p } => {
                let uniform: Vec<f32> =
                    sequences.iter_mut().map(|s| s.rng.uniform() as f32).collect();
                let uniform =
                    Tensor::f_from_slice(&uniform)?.f_to_device(logits.device())?.f_unsqueeze(1)?;
                on_device::sample(
                    &logits.f_div_scalar(self.plan.temperature)?,
                    top_k,
                    top_p,
                    &uniform,
                )?
            }
        };
        let tokens = Vec::<i64>::try_from(tokens.f_to_device(Device::Cpu)?)?;
        let scores = on_device::score_all(self.plan, logits, None, &tokens)?;
        let width = self.plan.quantities().len();
        Ok(tokens.into_iter().zip(scores.chunks(width).map(<[f64]>::to_vec)).collect())
    }

    /// Samples without a cache, for TorchScript modules: each new token runs the whole sequence.
    fn run_uncached(
        &mut self,
        records: &mut [ResponseRecord],
        open: &[usize],
        slots: usize,
    ) -> Result<(), GenerateError> {
        for batch in open.chunks(slots) {
            let mut active: Vec<ActiveSequence> =
                batch.iter().map(|&i| self.start(i, &records[i])).collect();
            while active.iter().any(|sequence| !sequence.done) {
                active.retain(|sequence| !sequence.done);
                active.sort_by_key(|sequence| std::cmp::Reverse(sequence.record.len()));
                let sequences: Vec<Vec<i64>> =
                    active.iter().map(|sequence| sequence.record.ids()).collect();
                let packed = Packed::new(sequences.iter().map(Vec::as_slice));
                let output = self.model.forward(&packed, &packed.last_tokens())?;
                let logits = self.model.logits(&output, 0, output.len())?;
                self.extend(&logits, &mut active.iter_mut().collect::<Vec<_>>())?;
                store_finished(&active, records);
            }
        }
        Ok(())
    }
}

/// Copies finished sequences to their records.
fn store_finished(active: &[ActiveSequence], records: &mut [ResponseRecord]) {
    for sequence in active.iter().filter(|sequence| sequence.done) {
        if records[sequence.index].tokens.is_empty() {
            records[sequence.index] = sequence.record.clone();
        }
    }
}

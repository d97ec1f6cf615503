//! Sampling responses, with the entropy of every token's distribution from the same pass.
//!
//! Sequences live in the slots of a static cache. One that ends makes room for the next prompt, so the
//! matrix products stay as large as the batch until prompts run out; then the cache shrinks with what
//! is left. The last token of a response is never run: nobody asks what follows it.

use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use crate::model::attention::Cache;
use crate::model::decoder::Decoder;
use crate::model::{Model, Packed};
use crate::on_device::{self, RowError};
use crate::sample::{Choice, Source, choose};
use crate::torch;
use entropy_kernels::logits::{Pass, Token};

/// Prompt tokens run at once.
const PREFILL_TOKENS: usize = 8192;
/// The cache grows to at most this, unless one sequence needs more.
const CACHE_ON_CPU: usize = 2 << 30;
const CACHE_ON_GPU: usize = 24 << 30;
/// Sequences side by side: more only help until the products are compute-bound.
const SLOTS_ON_CPU: usize = 32;
const SLOTS_ON_GPU: usize = 256;

/// A response to sample.
pub(crate) struct Request<'a> {
    pub(crate) prompt: &'a [i64],
    pub(crate) source: Source,
}

/// Why a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// With an end token or a stop text.
    Stop,
    /// At the most tokens allowed, or the model's context.
    Length,
}

impl Finish {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
        }
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    /// The end token included, if there is one.
    pub(crate) tokens: Vec<i64>,
    pub(crate) scores: Vec<Token>,
    pub(crate) finish: Finish,
}

/// Why sampling failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    #[error("{}", torch::say(.0))]
    Torch(#[from] TchError),
    #[error("memory runs out at a single sequence of {0} tokens")]
    TooLong(usize),
    /// Of the response to this request.
    #[error("the logits of token {token} of response {request} are not finite")]
    NotFinite { request: usize, token: usize },
    #[error("interrupted")]
    Interrupted,
}

/// How sampling goes.
pub(crate) struct Sampling<'a> {
    pub(crate) model: &'a Model,
    pub(crate) device: Device,
    pub(crate) temperature: f64,
    pub(crate) choice: Choice,
    pub(crate) most_tokens: usize,
    pub(crate) ends: &'a [i64],
    /// Whether a response ends with a stop text.
    pub(crate) stops: &'a (dyn Fn(&[i64]) -> bool + Sync),
    /// Slots times capacity, if the user said so.
    pub(crate) batch_tokens: Option<usize>,
    /// Called after each step with its number of tokens; `false` stops.
    pub(crate) advance: &'a dyn Fn(usize) -> bool,
    /// Called when memory ran out, with the new number of sequences side by side.
    pub(crate) shrunk: &'a dyn Fn(usize),
    /// Time spent on entropies and drawing, on the CPU.
    pub(crate) on_entropy: std::time::Duration,
}

/// A sequence that is being written.
struct Active {
    request: usize,
    source: Source,
    prompt: usize,
    limit: usize, // tokens its response may have
    response: Response,
    done: bool,
}

impl Active {
    /// Where the newest token stands.
    fn position(&self) -> i64 {
        (self.prompt + self.response.tokens.len() - 1) as i64
    }

    fn newest(&self) -> i64 {
        self.response.tokens.last().copied().unwrap_or(0)
    }
}

impl Sampling<'_> {
    /// Responses in the order of the requests. No prompt is empty or as long as the context.
    pub(crate) fn run(&mut self, requests: &[Request<'_>]) -> Result<Vec<Response>, GenerateError> {
        let mut done: Vec<Option<Response>> = requests.iter().map(|_| None).collect();
        let mut slots = self.slots(requests);
        loop {
            let open: Vec<usize> = (0..requests.len()).filter(|&i| done[i].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let outcome = match self.model {
                Model::Decoder(decoder) => self.cached(decoder, requests, &open, slots, &mut done),
                Model::Script(_) => self.uncached(requests, &open, slots, &mut done),
            };
            match outcome {
                Err(GenerateError::Torch(error)) if torch::is_out_of_memory(&error) => {
                    if slots == 1 {
                        return Err(GenerateError::TooLong(self.longest(requests)));
                    }
                    slots /= 2;
                    (self.shrunk)(slots);
                }
                other => other?,
            }
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Tokens that the longest sequence may come to.
    fn longest(&self, requests: &[Request<'_>]) -> usize {
        requests
            .iter()
            .map(|request| request.prompt.len() + self.limit(request.prompt.len()))
            .max()
            .unwrap_or(1)
    }

    /// Tokens that a response to a prompt of so many may have.
    fn limit(&self, prompt: usize) -> usize {
        let context = self.model.context().map_or(usize::MAX, |context| context as usize);
        self.most_tokens.min(context.saturating_sub(prompt)).max(1)
    }

    fn slots(&self, requests: &[Request<'_>]) -> usize {
        let on_cpu = self.device == Device::Cpu;
        let longest = self.longest(requests);
        let slots = match (self.batch_tokens, self.model) {
            (Some(tokens), _) => tokens / longest,
            (None, Model::Decoder(decoder)) => {
                let budget = if on_cpu { CACHE_ON_CPU } else { CACHE_ON_GPU };
                (budget / (decoder.cache_bytes() * longest)).min(if on_cpu {
                    SLOTS_ON_CPU
                } else {
                    SLOTS_ON_GPU
                })
            }
            (None, Model::Script(_)) => SLOTS_ON_CPU,
        };
        slots.clamp(1, requests.len().max(1))
    }

    fn start(&self, request: usize, of: &Request<'_>) -> Active {
        Active {
            request,
            source: of.source.clone(),
            prompt: of.prompt.len(),
            limit: self.limit(of.prompt.len()),
            response: Response { tokens: Vec::new(), scores: Vec::new(), finish: Finish::Length },
            done: false,
        }
    }

    fn cached(
        &mut self,
        decoder: &Decoder,
        requests: &[Request<'_>],
        open: &[usize],
        slots: usize,
        done: &mut [Option<Response>],
    ) -> Result<(), GenerateError> {
        let slots = slots.min(open.len());
        let mut waiting = open.iter().copied();
        let mut cache = decoder.cache(slots as i64, self.longest(requests) as i64)?;
        let mut active: Vec<Active> = Vec::new();
        loop {
            // New prompts go where sequences have ended, once there are enough to be worth a pass.
            let free: Vec<usize> = (0..active.len())
                .filter(|&slot| active[slot].done)
                .chain(active.len()..slots)
                .collect();
            if waiting.len() > 0 && free.len() * 8 >= slots {
                let mut slots = Vec::new();
                for (slot, request) in free.into_iter().zip(waiting.by_ref()) {
                    let sequence = self.start(request, &requests[request]);
                    if slot < active.len() {
                        active[slot] = sequence
                    } else {
                        active.push(sequence)
                    }
                    slots.push(slot);
                }
                self.fill(decoder, requests, slots, &mut cache, &mut active, done)?;
                continue; // a response of one token has already ended
            }
            let living: Vec<i64> = (0..active.len())
                .filter(|&slot| !active[slot].done)
                .map(|slot| slot as i64)
                .collect();
            if living.is_empty() {
                return Ok(());
            }
            if waiting.len() == 0 && living.len() * 4 <= active.len() * 3 {
                cache.keep(&living)?;
                active.retain(|sequence| !sequence.done);
            }
            if let Some(short) = decoder.spec.attention.rope.short_context() {
                // One token longer, longrope turns all positions by other angles: nothing cached fits.
                let crossing: Vec<usize> = (0..active.len())
                    .filter(|&slot| !active[slot].done && active[slot].position() == short)
                    .collect();
                if !crossing.is_empty() {
                    self.fill(decoder, requests, crossing, &mut cache, &mut active, done)?;
                    continue;
                }
            }
            let ids: Vec<i64> = active.iter().map(Active::newest).collect();
            let positions: Vec<i64> = active.iter().map(Active::position).collect();
            let lengths: Vec<i64> = positions.iter().map(|position| position + 1).collect();
            let logits = decoder.decode(&ids, &positions, &lengths, &mut cache)?;
            let mut all: Vec<&mut Active> = active.iter_mut().collect();
            self.extend(&logits, &mut all)?;
            self.settle(&active, done);
        }
    }

    /// Runs the texts of these slots into the cache and draws the next token of each.
    fn fill(
        &mut self,
        decoder: &Decoder,
        requests: &[Request<'_>],
        slots: Vec<usize>,
        cache: &mut Cache,
        active: &mut [Active],
        done: &mut [Option<Response>],
    ) -> Result<(), GenerateError> {
        let text = |slot: usize| text(&active[slot], requests);
        let mut texts: Vec<(usize, Vec<i64>)> =
            slots.into_iter().map(|slot| (slot, text(slot))).collect();
        texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
        let mut rest = &texts[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|(_, text)| {
                tokens += text.len();
                tokens <= PREFILL_TOKENS
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            let packed = Packed::new(batch.iter().map(|(_, text)| &text[..]));
            let places: Vec<i64> = batch.iter().map(|(slot, _)| *slot as i64).collect();
            let last = ends(batch.iter().map(|(_, text)| text.len()));
            let hidden = decoder.prefill(&packed, &last, cache, &places)?;
            let logits = decoder.head(&hidden)?;
            let mut by_slot: Vec<Option<&mut Active>> = active.iter_mut().map(Some).collect();
            let mut filled: Vec<&mut Active> =
                batch.iter().filter_map(|(slot, _)| by_slot[*slot].take()).collect();
            self.extend(&logits, &mut filled)?;
            rest = later;
        }
        self.settle(active, done);
        Ok(())
    }

    /// Draws the next token of each sequence from its row of logits.
    fn extend(
        &mut self,
        logits: &Tensor,
        sequences: &mut [&mut Active],
    ) -> Result<(), GenerateError> {
        let start = std::time::Instant::now();
        let drawn = if self.device == Device::Cpu {
            self.draw(&logits.f_to_kind(Kind::Float)?.f_contiguous()?, sequences)
        } else {
            self.draw_on_device(&logits.f_to_kind(Kind::Float)?, sequences)
        };
        self.on_entropy += start.elapsed();
        let drawn = drawn.map_err(|error| match error {
            RowError::Torch(error) => GenerateError::Torch(error),
            RowError::NotFinite(row) => {
                let sequence = &sequences[row];
                GenerateError::NotFinite {
                    request: sequence.request,
                    token: sequence.response.tokens.len(),
                }
            }
        })?;
        let mut tokens = 0;
        for (sequence, (token, score)) in
            sequences.iter_mut().zip(drawn).filter(|(sequence, _)| !sequence.done)
        {
            tokens += 1;
            let response = &mut sequence.response;
            response.tokens.push(token);
            response.scores.push(score);
            if self.ends.contains(&token) || (self.stops)(&response.tokens) {
                response.finish = Finish::Stop;
                sequence.done = true;
            } else if response.tokens.len() >= sequence.limit {
                sequence.done = true;
            }
        }
        if (self.advance)(tokens) { Ok(()) } else { Err(GenerateError::Interrupted) }
    }

    /// In one pass over each row: entropy, token, log-prob.
    fn draw(
        &self,
        logits: &Tensor,
        sequences: &mut [&mut Active],
    ) -> Result<Vec<(i64, Token)>, RowError> {
        let vocabulary = logits.size()[1] as usize;
        let (temperature, choice) = (self.temperature, self.choice);
        let rows = torch::slice(logits)
            .par_chunks_exact(vocabulary)
            .zip(sequences.par_iter_mut())
            .enumerate();
        rows.map_init(Pass::default, |pass, (i, (row, sequence))| {
            pass.over(row, temperature).map_err(|_| NotFinite(i))?;
            let token = choose(choice, row, pass, &mut sequence.source);
            Ok((
                token as i64,
                Token { entropy: pass.entropy(), log_prob: pass.log_prob(row[token]) },
            ))
        })
        .collect::<Result<_, NotFinite>>()
        .map_err(|NotFinite(row)| RowError::NotFinite(row))
    }

    /// The same where the logits are; only the drawn tokens come back.
    fn draw_on_device(
        &self,
        logits: &Tensor,
        sequences: &mut [&mut Active],
    ) -> Result<Vec<(i64, Token)>, RowError> {
        let tokens = match self.choice {
            Choice::Greedy => logits.f_argmax(-1, false)?,
            Choice::Random { top_k, top_p } => {
                let uniform: Vec<f32> =
                    sequences.iter_mut().map(|s| s.source.uniform() as f32).collect();
                let uniform =
                    Tensor::f_from_slice(&uniform)?.f_to_device(logits.device())?.f_unsqueeze(1)?;
                on_device::draw(&logits.f_div_scalar(self.temperature)?, top_k, top_p, &uniform)?
            }
        };
        let tokens = Vec::<i64>::try_from(tokens.f_to_device(Device::Cpu)?)?;
        let scores = on_device::tokens(logits, &tokens, self.temperature)?;
        Ok(tokens.into_iter().zip(scores).collect())
    }

    /// Hands out what has ended.
    fn settle(&self, active: &[Active], done: &mut [Option<Response>]) {
        for sequence in active.iter().filter(|sequence| sequence.done) {
            done[sequence.request].get_or_insert_with(|| sequence.response.clone());
        }
    }

    /// Without a cache, for modules that have none: every token runs the whole sequence.
    fn uncached(
        &mut self,
        requests: &[Request<'_>],
        open: &[usize],
        slots: usize,
        done: &mut [Option<Response>],
    ) -> Result<(), GenerateError> {
        for batch in open.chunks(slots) {
            let mut active: Vec<Active> =
                batch.iter().map(|&i| self.start(i, &requests[i])).collect();
            while active.iter().any(|sequence| !sequence.done) {
                active.retain(|sequence| !sequence.done);
                let length = |sequence: &Active| sequence.prompt + sequence.response.tokens.len();
                active.sort_by_key(|sequence| std::cmp::Reverse(length(sequence)));
                let texts: Vec<Vec<i64>> =
                    active.iter().map(|sequence| text(sequence, requests)).collect();
                let packed = Packed::new(texts.iter().map(Vec::as_slice));
                let last = ends(texts.iter().map(Vec::len));
                let rows = self.model.forward(&packed, &last)?;
                let logits = self.model.logits(&rows, 0, rows.len())?;
                let mut all: Vec<&mut Active> = active.iter_mut().collect();
                self.extend(&logits, &mut all)?;
                self.settle(&active, done);
            }
        }
        Ok(())
    }
}

/// The row of logits that is no distribution.
struct NotFinite(usize);

/// A prompt and what was written so far.
fn text(sequence: &Active, requests: &[Request<'_>]) -> Vec<i64> {
    [requests[sequence.request].prompt, &sequence.response.tokens].concat()
}

/// Where the last tokens of packed sequences stand.
fn ends(lengths: impl Iterator<Item = usize>) -> Vec<i64> {
    let cumulated = lengths.scan(0, |end, length| {
        *end += length as i64;
        Some(*end - 1)
    });
    cumulated.collect()
}

//! The responses of all dumps in memory.
//!
//! A token takes 20 bytes: an index into the kinds of tokens, an entropy and a log-prob. Above [`EXACT_TOKENS`] tokens,
//! entropies and log-probs are rounded to 32 bits, so that 20 million tokens take 240 MB. Sums are taken before
//! rounding. The log-probs of the sampler are not kept, only their sums and the worst tokens.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use crate::interner::{BatchKinds, FirstById, NONE, RawText};
use crate::left_out::LeftOutCounts;
use crate::stats::mismatch::{MismatchSums, WorstToken};

/// Up to this many tokens, every value is kept as it was read.
pub const EXACT_TOKENS: usize = 4_000_000;

/// A kind of token: its id and its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKind {
    /// The id in the vocabulary.
    pub id: u32,
    /// The text, if the dump has texts.
    pub text: Option<String>,
}

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

/// Numbers of tokens, exact or rounded to 32 bits.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Exact(Vec<f64>),
    Rounded(Vec<f32>),
}

impl Values {
    fn round(&mut self) {
        if let Values::Exact(values) = self {
            *self = Values::Rounded(values.iter().map(|value| *value as f32).collect());
        }
    }
}

/// Numbers of the tokens of a response.
#[derive(Debug, Clone, Copy)]
pub enum Floats<'a> {
    /// As they were read.
    Exact(&'a [f64]),
    /// Rounded to 32 bits.
    Rounded(&'a [f32]),
}

impl Floats<'_> {
    /// Calls `visit` with each number, in order.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(f64)) {
        match self {
            Floats::Exact(values) => values.iter().for_each(|value| visit(*value)),
            Floats::Rounded(values) => values.iter().for_each(|value| visit(f64::from(*value))),
        }
    }

    /// The sum of the numbers of a range, from the first.
    pub fn sum(&self, range: Range<usize>) -> f64 {
        match self {
            Floats::Exact(values) => values[range].iter().sum(),
            Floats::Rounded(values) => values[range].iter().map(|value| f64::from(*value)).sum(),
        }
    }

    /// The number at an index.
    #[inline]
    pub fn get(&self, at: usize) -> f64 {
        match self {
            Floats::Exact(values) => values[at],
            Floats::Rounded(values) => f64::from(values[at]),
        }
    }
}

/// The tokens of some responses, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) kinds: Vec<u32>,
    /// Of responses with entropies; 0 for others, if there are any with.
    pub(crate) entropies: Values,
    pub(crate) log_probs: Values,
}

/// Names of columns that were used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UsedNames {
    /// Entropies.
    pub entropies: Vec<String>,
    /// Scored log-probs.
    pub scored: Vec<String>,
    /// The sampler's log-probs.
    pub sampler: Vec<String>,
    /// Advantages.
    pub advantages: Vec<String>,
    /// Rewards.
    pub rewards: Vec<String>,
    /// Final answers.
    pub answers: Vec<String>,
    /// What names the prompt.
    pub groups: Vec<String>,
}

impl UsedNames {
    pub(crate) fn append(&mut self, later: UsedNames) {
        let lists = [
            (&mut self.entropies, later.entropies),
            (&mut self.scored, later.scored),
            (&mut self.sampler, later.sampler),
            (&mut self.advantages, later.advantages),
            (&mut self.rewards, later.rewards),
            (&mut self.answers, later.answers),
            (&mut self.groups, later.groups),
        ];
        for (names, later) in lists {
            later.iter().for_each(|name| note(names, name));
        }
    }
}

/// Adds a name unless it is there.
pub(crate) fn note(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// The responses of all dumps.
#[derive(Debug, Clone, Default)]
pub struct TokenTable {
    pub(crate) sources: Vec<String>,
    pub(crate) kinds: Vec<TokenKind>,
    first_kind: FirstById,
    /// The kinds without a text.
    textless: FirstById,
    /// The next kind with the same id.
    next_kind: Vec<u32>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) responses: Vec<Response>,
    pub(crate) worst: Vec<WorstToken>,
    pub(crate) left_out: LeftOutCounts,
    pub(crate) names: UsedNames,
    columns: Vec<String>,
    tokens: usize,
    is_rounded: bool,
}

/// The sizes of a table at some time.
pub(crate) struct TableMark {
    kinds: usize,
    columns: usize,
    left_out: LeftOutCounts,
    segments: usize,
    responses: usize,
    worst: usize,
    tokens: usize,
    names: UsedNames,
}

/// Responses that were read together, with kinds of their own.
pub(crate) struct Batch {
    pub(crate) kinds: BatchKinds,
    pub(crate) tokens: Vec<u32>,
    pub(crate) entropies: Vec<f64>,
    pub(crate) log_probs: Vec<f64>,
    pub(crate) responses: Vec<Response>,
    pub(crate) worst: Vec<WorstToken>,
    pub(crate) left_out: LeftOutCounts,
    pub(crate) names: UsedNames,
    pub(crate) columns: Vec<String>,
}

impl TokenTable {
    /// Assigns the following responses to this source.
    pub fn begin(&mut self, source: impl Into<String>) {
        self.sources.push(source.into());
    }

    /// What the table holds now, for [`TokenTable::roll_back`].
    pub(crate) fn mark(&self) -> TableMark {
        TableMark {
            kinds: self.kinds.len(),
            columns: self.columns.len(),
            left_out: self.left_out.clone(),
            segments: self.segments.len(),
            responses: self.responses.len(),
            worst: self.worst.len(),
            tokens: self.tokens,
            names: self.names.clone(),
        }
    }

    /// Removes what was added after a mark. Numbers that were rounded since then stay rounded.
    pub(crate) fn roll_back(&mut self, mark: TableMark) {
        for index in (mark.kinds..self.kinds.len()).rev() {
            let kind = &self.kinds[index];
            self.first_kind.set(kind.id, self.next_kind[index]);
            if kind.text.is_none() {
                self.textless.set(kind.id, NONE);
            }
        }
        self.kinds.truncate(mark.kinds);
        self.next_kind.truncate(mark.kinds);
        self.columns.truncate(mark.columns);
        self.left_out = mark.left_out;
        self.segments.truncate(mark.segments);
        self.responses.truncate(mark.responses);
        self.worst.truncate(mark.worst);
        (self.tokens, self.names) = (mark.tokens, mark.names);
    }

    /// Adds the responses of a batch to the last source.
    pub(crate) fn append(&mut self, mut batch: Batch) {
        match &batch.kinds {
            BatchKinds::Ids => {
                batch.tokens.iter_mut().for_each(|token| *token = self.textless_kind(*token));
                batch
                    .worst
                    .iter_mut()
                    .for_each(|worst| worst.kind = self.textless_kind(worst.kind));
            }
            BatchKinds::Kinds(kinds) => {
                let indices: Vec<u32> =
                    kinds.kinds().map(|(id, text)| self.kind(id, text)).collect();
                batch.tokens.iter_mut().for_each(|token| *token = indices[*token as usize]);
                batch.worst.iter_mut().for_each(|worst| worst.kind = indices[worst.kind as usize]);
            }
        }
        let segment = self.segments.len() as u32;
        let source = self.sources.len().saturating_sub(1) as u32;
        self.tokens += batch.tokens.len();
        for response in &mut batch.responses {
            (response.segment, response.source) = (segment, source);
        }
        batch.worst.iter_mut().for_each(|worst| worst.source = source);
        batch.tokens.shrink_to_fit();
        self.segments.push(Segment {
            kinds: batch.tokens,
            entropies: Values::Exact(batch.entropies),
            log_probs: Values::Exact(batch.log_probs),
        });
        if self.tokens > EXACT_TOKENS {
            let first = if self.is_rounded { self.segments.len() - 1 } else { 0 };
            self.is_rounded = true;
            for segment in &mut self.segments[first..] {
                segment.entropies.round();
                segment.log_probs.round();
            }
        }
        self.responses.extend(batch.responses);
        self.worst.extend(batch.worst);
        self.left_out.append(batch.left_out);
        self.names.append(batch.names);
        batch.columns.iter().for_each(|name| note(&mut self.columns, name));
    }

    /// The index of the kind of an id without a text, which is added if it is new.
    #[inline]
    fn textless_kind(&mut self, id: u32) -> u32 {
        match self.textless.get(id) {
            NONE => {
                let kind = self.kind(id, RawText::None);
                self.textless.set(id, kind);
                kind
            }
            kind => kind,
        }
    }

    /// The index of a kind, which is added if it is new.
    fn kind(&mut self, id: u32, text: RawText<'_>) -> u32 {
        let first = self.first_kind.get(id);
        let mut at = first;
        while at != NONE {
            if text.is(self.kinds[at as usize].text.as_deref()) {
                return at;
            }
            at = self.next_kind[at as usize];
        }
        let index =
            u32::try_from(self.kinds.len()).expect("BUG: 2^32 kinds do not fit into memory");
        self.first_kind.set(id, index);
        self.next_kind.push(first);
        self.kinds.push(TokenKind { id, text: text.text() });
        index
    }

    /// The sources, in the order of [`TokenTable::begin`].
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The kinds of tokens, in order of appearance.
    pub fn kinds(&self) -> &[TokenKind] {
        &self.kinds
    }

    /// The responses, in order.
    pub fn responses(&self) -> &[Response] {
        &self.responses
    }

    /// What was left out.
    pub fn left_out(&self) -> &LeftOutCounts {
        &self.left_out
    }

    /// The columns that were used.
    pub fn names(&self) -> &UsedNames {
        &self.names
    }

    /// Columns with single values, as `--by` and `--reward` name them; from some rows only.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of tokens of all responses.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Whether entropies and log-probs were rounded to 32 bits.
    pub fn is_rounded(&self) -> bool {
        self.is_rounded
    }

    /// The token ids with several texts, which tokenizers of their own have: how many, and how many ids have a text.
    pub fn ids_with_several_texts(&self) -> (usize, usize) {
        let mut texts: HashMap<u32, usize> = HashMap::new();
        for kind in self.kinds.iter().filter(|kind| kind.text.is_some()) {
            *texts.entry(kind.id).or_default() += 1;
        }
        (texts.values().filter(|count| **count > 1).count(), texts.len())
    }

    /// Number of responses whose prompt nothing names.
    pub fn without_prompt(&self) -> usize {
        self.responses.iter().filter(|response| !response.has_prompt).count()
    }

    /// The indices into [`TokenTable::kinds`] of the tokens of a response.
    pub fn kinds_of(&self, response: &Response) -> &[u32] {
        let segment = &self.segments[response.segment as usize];
        &segment.kinds[response.start as usize..][..response.tokens()]
    }

    /// The entropies of a response, in nats; `None` if the dump has none.
    pub fn entropies(&self, response: &Response) -> Option<Floats<'_>> {
        let segment = &self.segments[response.segment as usize];
        response.has_entropies.then(|| slice(&segment.entropies, response))
    }

    /// The scored log-probs of a response, −∞ for a probability of 0, NaN for null; `None` if the dump has none.
    pub fn log_probs(&self, response: &Response) -> Option<Floats<'_>> {
        let segment = &self.segments[response.segment as usize];
        response.has_log_probs.then(|| slice(&segment.log_probs, response))
    }
}

fn slice<'a>(values: &'a Values, response: &Response) -> Floats<'a> {
    let range = response.start as usize..response.start as usize + response.tokens();
    match values {
        Values::Exact(values) => Floats::Exact(&values[range]),
        Values::Rounded(values) => Floats::Rounded(&values[range]),
    }
}

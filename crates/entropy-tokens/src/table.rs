//! The responses of all dumps in memory.
//!
//! A token takes 20 bytes: an index into the kinds of tokens, an entropy and a log-prob. Above [`EXACT_TOKENS`] tokens,
//! entropies and log-probs are rounded to 32 bits, so that 20 million tokens take 240 MB. Sums are taken before
//! rounding. The log-probs of the sampler are not kept, only their sums and the worst tokens.

use std::collections::HashMap;

use serde::Serialize;

use crate::floats::{Floats, Precision, Values};
use crate::interner::{BatchKinds, FirstById, NONE, RawText};
use crate::left_out::LeftOutCounts;
use crate::response::Response;
use crate::stats::mismatch::WorstToken;

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
    pub(crate) entropies: Values,
    pub(crate) log_probs: Values,
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
        let Batch { tokens: kinds, entropies, log_probs, .. } = batch;
        self.segments.push(Segment { kinds, entropies, log_probs });
        if self.tokens > EXACT_TOKENS {
            self.is_rounded = true;
            for segment in &mut self.segments {
                segment.entropies.round();
                segment.log_probs.round();
            }
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.kinds.shrink_to_fit();
            segment.entropies.shrink_to_fit();
            segment.log_probs.shrink_to_fit();
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

    /// How the next batch may keep its numbers.
    pub(crate) fn precision(&self) -> Precision {
        if self.tokens > EXACT_TOKENS { Precision::Rounded } else { Precision::Exact }
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
        &segment.kinds[response.range()]
    }

    /// The entropies of a response, in nats; `None` if the dump has none.
    pub fn entropies(&self, response: &Response) -> Option<Floats<'_>> {
        let segment = &self.segments[response.segment as usize];
        response.has_entropies.then(|| segment.entropies.slice(response.range()))
    }

    /// The scored log-probs of a response, −∞ for a probability of 0, NaN for null; `None` if the dump has none.
    pub fn log_probs(&self, response: &Response) -> Option<Floats<'_>> {
        let segment = &self.segments[response.segment as usize];
        response.has_log_probs.then(|| segment.log_probs.slice(response.range()))
    }
}

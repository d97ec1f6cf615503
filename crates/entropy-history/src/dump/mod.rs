//! Token dumps: responses with the entropy of each token, as `compute --tokens-out` writes them.
//!
//! [`TokenDump::add`] checks every response: it has at least one token, each with a finite entropy, and
//! log-probs for all of its tokens or for none. A dump holds millions of tokens of a few thousand
//! kinds, so a token is an index into the kinds (32 bits), an entropy (64 bits, for statistics) and a
//! log-prob (32 bits, only displayed): 16 bytes.

pub mod column_names;
mod error;
mod group_by;
mod json_line;
mod parquet_rows;
mod read;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use thiserror::Error;

pub use error::DumpError;
pub use group_by::{ColumnValue, Comparison, GroupBy, Membership, Operator};
pub use read::{is_token_dump, read};

/// A kind of token: its id and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKind {
    /// The id in the vocabulary.
    pub id: u32,
    /// The text, if the dump has texts; `U+FFFD` stands for a part of a character.
    pub text: Option<String>,
}

/// An unchecked response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawResponse {
    /// The step of the checkpoint that scored it.
    pub step: u64,
    /// The id of its prompt.
    pub id: String,
    /// The number of the sample, if the prompt has several.
    pub sample: Option<u64>,
    /// The token ids of the prompt.
    pub prompt: Vec<u32>,
    /// The token ids of the response.
    pub tokens: Vec<u32>,
    /// The texts of the tokens; may be empty.
    pub texts: Vec<String>,
    /// The entropies of the tokens, in nats.
    pub entropies: Vec<f64>,
    /// The log-probs of the tokens, −∞ for a probability of 0; may be empty.
    pub log_probs: Vec<f64>,
    /// The reason why generation ended.
    pub finish: Option<String>,
}

impl RawResponse {
    /// Only the tokens that the policy wrote, by the mask of the response. Other tokens, such as the output of tools,
    /// have no entropy.
    pub(crate) fn own_tokens(mut self, mask: Option<&[bool]>) -> Result<RawResponse, String> {
        let Some(mask) = mask else { return Ok(self) };
        let tokens = self.tokens.len();
        if mask.len() != tokens {
            return Err(format!("it has {tokens} tokens and {} in \"response_mask\"", mask.len()));
        }
        // A list of another length is an error of `TokenDump::add`.
        fn keep<T>(list: &mut Vec<T>, mask: &[bool]) {
            if list.len() == mask.len() {
                let mut own = mask.iter();
                list.retain(|_| own.next() == Some(&true));
            }
        }
        keep(&mut self.texts, mask);
        keep(&mut self.entropies, mask);
        keep(&mut self.log_probs, mask);
        keep(&mut self.tokens, mask);
        Ok(self)
    }
}

/// Why a response is rejected.
#[derive(Debug, Error, PartialEq)]
pub enum ResponseError {
    /// A list has another length than the list of tokens.
    #[error("it has {tokens} tokens and {found} {list}")]
    Lengths {
        /// Number of tokens.
        tokens: usize,
        /// Name of the list.
        list: &'static str,
        /// Length of the list.
        found: usize,
    },
    /// An entropy is NaN or infinite.
    #[error("the entropy of token {at} is {value}")]
    NotFinite {
        /// Index of the token, from 1.
        at: usize,
        /// Its entropy.
        value: f64,
    },
    /// A log-prob is NaN or +∞.
    #[error("the log-prob of token {at} is {value}")]
    NoLogProb {
        /// Index of the token, from 1.
        at: usize,
        /// Its log-prob.
        value: f64,
    },
}

/// A response with at least one token and the entropy of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    source: usize,
    step: u64,
    id: String,
    sample: Option<u64>,
    prompt: u64,
    kinds: Vec<u32>,
    entropies: Vec<f64>,
    log_probs: Vec<f32>,
    finish: Option<String>,
}

impl Response {
    /// Index of its source in [`TokenDump::sources`].
    pub fn source(&self) -> usize {
        self.source
    }

    /// The step of the checkpoint that scored it.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The id of its prompt.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of the sample, if the prompt has several.
    pub fn sample(&self) -> Option<u64> {
        self.sample
    }

    /// A digest of the prompt's token ids; equal for equal prompts.
    pub fn prompt(&self) -> u64 {
        self.prompt
    }

    /// Its tokens, as indices into [`TokenDump::kinds`].
    pub fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    /// The finite entropies of its tokens, in nats.
    pub fn entropies(&self) -> &[f64] {
        &self.entropies
    }

    /// The log-probs of its tokens, −∞ for a probability of 0; empty if not recorded.
    pub fn log_probs(&self) -> &[f32] {
        &self.log_probs
    }

    /// The reason why generation ended.
    pub fn finish(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    /// Mean entropy of its tokens, in nats.
    pub fn mean(&self) -> f64 {
        self.entropies.iter().sum::<f64>() / self.entropies.len() as f64
    }
}

/// The responses of one or several files, in order.
#[derive(Debug, Clone, Default)]
pub struct TokenDump {
    sources: Vec<String>,
    kinds: Vec<TokenKind>,
    by_id: HashMap<u32, Vec<u32>>, // only looked up, never iterated
    responses: Vec<Response>,
    empty: usize,
    negative: usize,
}

impl TokenDump {
    /// Assigns the following responses to this source.
    pub fn begin(&mut self, source: impl Into<String>) {
        self.sources.push(source.into());
    }

    /// Adds a response. A response without tokens is only counted.
    ///
    /// # Errors
    /// When its lists differ in length, or an entropy is not finite.
    pub fn add(&mut self, raw: RawResponse) -> Result<(), ResponseError> {
        let tokens = raw.tokens.len();
        let lists = [
            ("entropies", raw.entropies.len(), true),
            ("texts", raw.texts.len(), !raw.texts.is_empty()),
            ("log-probs", raw.log_probs.len(), !raw.log_probs.is_empty()),
        ];
        for (list, found, is_there) in lists {
            if is_there && found != tokens {
                return Err(ResponseError::Lengths { tokens, list, found });
            }
        }
        if let Some(at) = raw.entropies.iter().position(|entropy| !entropy.is_finite()) {
            return Err(ResponseError::NotFinite { at: at + 1, value: raw.entropies[at] });
        }
        if let Some(at) = raw.log_probs.iter().position(|p| p.is_nan() || *p == f64::INFINITY) {
            return Err(ResponseError::NoLogProb { at: at + 1, value: raw.log_probs[at] });
        }
        if tokens == 0 {
            self.empty += 1;
            return Ok(());
        }
        // Rounding in sums of 32-bit floats gives a certain token an entropy slightly below 0.
        self.negative += raw.entropies.iter().filter(|entropy| **entropy < -1e-4).count();
        let mut texts = raw.texts.into_iter();
        let kinds = raw.tokens.iter().map(|&id| self.kind(id, texts.next())).collect();
        let mut digest = DefaultHasher::new(); // SipHash with fixed keys
        raw.prompt.hash(&mut digest);
        self.responses.push(Response {
            source: self.sources.len().saturating_sub(1),
            step: raw.step,
            id: raw.id,
            sample: raw.sample,
            prompt: digest.finish(),
            kinds,
            entropies: raw.entropies,
            log_probs: raw.log_probs.into_iter().map(|p| p as f32).collect(),
            finish: raw.finish,
        });
        Ok(())
    }

    /// Keeps only the first `responses` responses, to drop those of a damaged file.
    pub fn truncate(&mut self, responses: usize) {
        self.responses.truncate(responses);
    }

    /// The index of a kind of token, which is added if it is new.
    fn kind(&mut self, id: u32, text: Option<String>) -> u32 {
        let known = self.by_id.entry(id).or_default();
        let same = |kind: &&u32| self.kinds[**kind as usize].text == text;
        if let Some(kind) = known.iter().find(same) {
            return *kind;
        }
        let kind = u32::try_from(self.kinds.len()).expect("BUG: 2^32 kinds do not fit into memory");
        known.push(kind);
        self.kinds.push(TokenKind { id, text });
        kind
    }

    /// The sources, in the order of [`TokenDump::begin`].
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The kinds of tokens, in order of appearance.
    pub fn kinds(&self) -> &[TokenKind] {
        &self.kinds
    }

    /// The responses that have tokens.
    pub fn responses(&self) -> &[Response] {
        &self.responses
    }

    /// Number of responses without tokens.
    pub fn empty(&self) -> usize {
        self.empty
    }

    /// Number of entropies below 0, which are invalid.
    pub fn negative(&self) -> usize {
        self.negative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(tokens: &[u32]) -> RawResponse {
        let entropies = tokens.iter().map(|&id| f64::from(id) / 10.0).collect();
        RawResponse { tokens: tokens.to_vec(), entropies, ..RawResponse::default() }
    }

    #[test]
    fn token_kinds_are_deduplicated_by_id_and_text() {
        let mut dump = TokenDump::default();
        let texts = ["a", "b", "a"].map(str::to_owned).to_vec();
        dump.add(RawResponse { texts, ..raw(&[7, 8, 7]) }).unwrap();
        dump.add(raw(&[7])).unwrap();
        assert_eq!(dump.responses()[0].kinds(), [0, 1, 0]);
        assert_eq!(dump.responses()[1].kinds(), [2], "another tokenizer, or none");
        assert_eq!(dump.kinds()[1], TokenKind { id: 8, text: Some("b".to_owned()) });
    }

    #[test]
    fn rejects_lists_of_other_lengths() {
        let mut dump = TokenDump::default();
        let short = RawResponse { entropies: vec![1.0], ..raw(&[1, 2]) };
        assert_eq!(dump.add(short).unwrap_err().to_string(), "it has 2 tokens and 1 entropies");
        let texts = RawResponse { texts: vec![String::new(); 3], ..raw(&[1, 2]) };
        assert!(dump.add(texts).is_err());
        let log_probs = RawResponse { log_probs: vec![0.0; 3], ..raw(&[1, 2]) };
        assert!(dump.add(log_probs).is_err());
        assert!(dump.responses().is_empty());
    }

    #[test]
    fn rejects_nan_and_counts_negative_entropies() {
        let mut dump = TokenDump::default();
        let nan = RawResponse { entropies: vec![1.0, f64::NAN], ..raw(&[1, 2]) };
        assert_eq!(dump.add(nan).unwrap_err().to_string(), "the entropy of token 2 is NaN");
        let plus = RawResponse { log_probs: vec![f64::INFINITY], ..raw(&[1]) };
        assert!(dump.add(plus).is_err());
        dump.add(RawResponse { entropies: vec![-0.5, -1e-7], ..raw(&[1, 2]) }).unwrap();
        dump.add(raw(&[])).unwrap();
        assert_eq!((dump.negative(), dump.empty(), dump.responses().len()), (1, 1, 1));
    }

    #[test]
    fn equal_prompts_have_equal_digests() {
        let mut dump = TokenDump::default();
        for prompt in [vec![1, 2], vec![1, 2], vec![12]] {
            dump.add(RawResponse { prompt, ..raw(&[1]) }).unwrap();
        }
        let digests: Vec<u64> = dump.responses().iter().map(Response::prompt).collect();
        assert_eq!(digests[0], digests[1]);
        assert_ne!(digests[0], digests[2]);
    }

    #[test]
    fn tokens_outside_the_mask_are_left_out() {
        let given = RawResponse {
            texts: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            entropies: vec![1.0, f64::NAN, 2.0],
            log_probs: vec![-1.0, f64::NEG_INFINITY, -2.0],
            ..raw(&[7, 8, 9])
        };
        let own = given.clone().own_tokens(Some(&[true, false, true])).unwrap();
        assert_eq!((own.tokens, own.entropies), (vec![7, 9], vec![1.0, 2.0]));
        assert_eq!((own.texts, own.log_probs), (vec!["a".into(), "c".into()], vec![-1.0, -2.0]));
        let error = given.own_tokens(Some(&[true])).unwrap_err();
        assert_eq!(error, "it has 3 tokens and 1 in \"response_mask\"");
    }
}

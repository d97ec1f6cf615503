//! Text to token ids and back, and the end tokens.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::anyhow;
use entropy_history::framing::parquet::catch_panics;
use entropy_shell::{CliError, WithHint, io_message};
use serde_json::Value;

use crate::bounded;
use crate::checkpoint::config::read_json;
use crate::tokenizer_limits;

/// Maximum size of tokenizer.json; the largest published ones have about 34 MB.
const MAX_FILE: u64 = 40 << 20;
/// Maximum length of a text, in bytes, after the normalizer. The library takes up to 160 bytes per byte of it that is
/// in use, so that a prompt stays below 2 GB.
const MAX_NORMALISED: usize = 24 << 20;
/// The regular expressions of a tokenizer run in Oniguruma, which panics beyond its limit of backtracking.
const REGEX_FAILED: &str =
    "a regular expression of tokenizer.json takes too many steps on this text";

/// The tokenizer of a checkpoint and its end tokens.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// How many times as long a text may become before it is split into tokens.
    growth: usize,
    /// Each of these ends a response.
    pub(crate) eos_token_ids: Vec<i64>,
    /// The end token appended to responses given as text that ended with "stop".
    pub(crate) eos_token_id: Option<i64>,
}

impl Tokenizer {
    /// Reads tokenizer.json of a directory, without its truncation and padding. The end tokens are those in
    /// generation_config.json or config.json of the first of the `models` that has any, else that of
    /// tokenizer_config.json.
    pub(crate) fn load(directory: &Path, models: &[&Path]) -> Result<Tokenizer, CliError> {
        let path = directory.join("tokenizer.json");
        if !path.is_file() {
            return Err(anyhow!("cannot tokenise: {} has no tokenizer.json", directory.display())).hint(
                "give a directory that has one with --tokenizer (to create it: AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)), \
                 or give all rows as prompt_token_ids and response_token_ids",
            );
        }
        let bytes = bounded::read(&path, MAX_FILE)
            .map_err(|error| anyhow!("cannot read {}: {}", path.display(), io_message(&error)))?;
        let growth = tokenizer_limits::growth(&bytes)
            .map_err(|reason| anyhow!("cannot use {}: {reason}", path.display()))?;
        let read = catch_panics(|| tokenizers::Tokenizer::from_bytes(&bytes));
        let read = read.unwrap_or_else(|| Err("it makes the tokenizer library crash".into()));
        let mut inner = read.map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
        let off = inner.with_truncation(None).map(|_| ());
        off.map_err(|error| anyhow!("cannot use {}: {error}", path.display()))?;
        inner.with_padding(None);
        let mut eos_token_ids: BTreeSet<i64> = end_tokens(models)?.into_iter().collect();
        let path = directory.join("tokenizer_config.json");
        let named = if path.is_file() { eos_token(&read_json(&path)?) } else { None };
        let named = named.and_then(|token| inner.token_to_id(&token)).map(i64::from);
        if eos_token_ids.is_empty() {
            eos_token_ids.extend(named);
        }
        let eos_token_id = named
            .filter(|id| eos_token_ids.contains(id))
            .or_else(|| eos_token_ids.first().copied());
        Ok(Tokenizer {
            inner,
            growth,
            eos_token_ids: eos_token_ids.into_iter().collect(),
            eos_token_id,
        })
    }

    /// The texts of tokens that may end a turn of a chat: added tokens and end tokens.
    pub(crate) fn end_texts(&self) -> Vec<String> {
        let added = self.inner.get_added_tokens_decoder().into_values().map(|token| token.content);
        let ends = self.eos_token_ids.iter().filter_map(|id| u32::try_from(*id).ok());
        let ends = ends.filter_map(|id| self.inner.id_to_token(id));
        let texts: BTreeSet<String> = added.chain(ends).collect();
        texts.into_iter().filter(|text| !text.trim().is_empty()).collect()
    }

    /// The largest token id.
    pub(crate) fn max_token_id(&self) -> i64 {
        self.inner.get_vocab(true).into_values().max().map_or(-1, i64::from)
    }

    /// The token ids of a text; `special` adds the tokenizer's special tokens, such as a start token.
    pub(crate) fn encode(&self, text: &str, special: bool) -> anyhow::Result<Vec<i64>> {
        if text.len().saturating_mul(self.growth) > MAX_NORMALISED {
            let (length, growth) = (text.len(), self.growth);
            return Err(anyhow!(
                "cannot tokenise a text of {length} bytes: tokenizer.json may make it {growth} times as long, and the \
                 limit is {} MiB",
                MAX_NORMALISED >> 20
            ));
        }
        let encoding = catch_panics(|| self.inner.encode_fast(text, special));
        let encoding = encoding.unwrap_or_else(|| Err(REGEX_FAILED.into()));
        let encoding = encoding.map_err(|error| anyhow!("cannot tokenise: {error}"))?;
        Ok(encoding.get_ids().iter().copied().map(i64::from).collect())
    }

    /// The token ids of a prompt, with the tokenizer's special tokens. Dumps may have a start token in the text already,
    /// which is not added again.
    pub(crate) fn encode_prompt(&self, text: &str) -> anyhow::Result<Vec<i64>> {
        let (plain, special) = (self.encode(text, false)?, self.encode(text, true)?);
        let is_doubled = special.first() == plain.first() && special.get(1) == plain.first();
        let is_added = special.len() > plain.len() && special.ends_with(&plain);
        let start = special.len() - plain.len().min(special.len());
        Ok(if is_added && is_doubled && start == 1 { plain } else { special })
    }

    /// The text of token ids, without special tokens.
    pub(crate) fn decode(&self, ids: &[i64]) -> String {
        self.text(ids, true)
    }

    /// Whether some of the tokens are special.
    pub(crate) fn has_special(&self, ids: &[i64]) -> bool {
        self.text(ids, true) != self.text(ids, false)
    }

    /// The text of one token, as tokenizer.json writes it.
    pub(crate) fn name(&self, id: i64) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    /// The text of each token; special tokens by name.
    pub(crate) fn pieces(&self, ids: &[i64]) -> Vec<String> {
        let piece = |&id: &i64| {
            let text = self.text(&[id], false);
            let name = u32::try_from(id).ok().and_then(|id| self.inner.id_to_token(id));
            // Some decoders strip the leading space of a text, and here every token is decoded as a text of its own.
            let spaced = name.is_some_and(|name| name.starts_with('▁'));
            if spaced && !text.starts_with(' ') { format!(" {text}") } else { text }
        };
        ids.iter().map(piece).collect()
    }

    fn text(&self, ids: &[i64], skip_special: bool) -> String {
        let ids: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        // Where the text is only informative, an error of the decoder gives an empty one; where it is compared with
        // another, that differs.
        let decoded = catch_panics(|| self.inner.decode(&ids, skip_special));
        decoded.and_then(Result::ok).unwrap_or_default()
    }
}

/// The end tokens in generation_config.json or config.json of the first of the models that has any.
pub(crate) fn end_tokens(models: &[&Path]) -> anyhow::Result<Vec<i64>> {
    // Other settings of generation_config.json are ignored: trainers sample with their own.
    for model in models {
        for path in ["generation_config.json", "config.json"].map(|file| model.join(file)) {
            let ids = if path.is_file() {
                token_ids(&read_json(&path)?, "eos_token_id")
            } else {
                Vec::new()
            };
            if !ids.is_empty() {
                return Ok(ids);
            }
        }
    }
    Ok(Vec::new())
}

fn token_ids(config: &Value, key: &str) -> Vec<i64> {
    match config.get(key) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_i64).collect(),
        Some(value) => value.as_i64().into_iter().collect(),
        None => Vec::new(),
    }
}

/// The text of `eos_token`, which is a string or an object with `content`.
fn eos_token(config: &Value) -> Option<String> {
    let token = config.get("eos_token")?;
    let text = token.as_str().or_else(|| token.get("content").and_then(Value::as_str));
    text.map(str::to_owned)
}

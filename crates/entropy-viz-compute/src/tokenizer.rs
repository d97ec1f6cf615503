//! Text to token ids and back, and which ids end a response.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::anyhow;
use entropy_shell::{Failure, WithHint};
use serde_json::Value;

use crate::checkpoint::config::read_json;

/// A checkpoint's tokenizer.json and end tokens.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Any of these ends a response.
    pub(crate) ends: Vec<i64>,
    /// What is put behind a response that is known to have ended.
    pub(crate) end: Option<i64>,
}

impl Tokenizer {
    /// Reads tokenizer.json of a directory. Its truncation and padding are turned off. End tokens are
    /// those of the first of the `models` that says any, else the tokenizer's own.
    pub(crate) fn load(directory: &Path, models: &[&Path]) -> Result<Tokenizer, Failure> {
        let path = directory.join("tokenizer.json");
        if !path.is_file() {
            return Err(anyhow!("cannot tokenise: {} has no tokenizer.json", directory.display())).hint(
                "name a directory that has one with --tokenizer; AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW) makes one",
            );
        }
        let read = tokenizers::Tokenizer::from_file(&path);
        let mut inner = read.map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
        let off = inner.with_truncation(None).map(|_| ());
        off.map_err(|error| anyhow!("cannot use {}: {error}", path.display()))?;
        inner.with_padding(None);
        let mut ends = BTreeSet::new();
        // Of a generation config only the end tokens count: its sampling settings are not the trainer's.
        let files = models.iter().flat_map(|model| {
            ["generation_config.json", "config.json"].map(|file| model.join(file))
        });
        for path in files {
            if ends.is_empty() && path.is_file() {
                ends.extend(ids(&read_json(&path)?, "eos_token_id"));
            }
        }
        let path = directory.join("tokenizer_config.json");
        let named = if path.is_file() { eos_token(&read_json(&path)?) } else { None };
        let named = named.and_then(|token| inner.token_to_id(&token)).map(i64::from);
        if ends.is_empty() {
            ends.extend(named);
        }
        let end = named.filter(|end| ends.contains(end)).or_else(|| ends.first().copied());
        Ok(Tokenizer { inner, ends: ends.into_iter().collect(), end })
    }

    /// The largest id there is.
    pub(crate) fn largest(&self) -> i64 {
        self.inner.get_vocab(true).into_values().max().map_or(-1, i64::from)
    }

    /// Token ids of a text; `special` adds what the tokenizer puts around one, such as a start token.
    pub(crate) fn encode(&self, text: &str, special: bool) -> anyhow::Result<Vec<i64>> {
        let encoding = self
            .inner
            .encode_fast(text, special)
            .map_err(|error| anyhow!("cannot tokenise: {error}"))?;
        Ok(encoding.get_ids().iter().copied().map(i64::from).collect())
    }

    /// The text of token ids, without special tokens.
    pub(crate) fn decode(&self, ids: &[i64]) -> String {
        self.text(ids, true)
    }

    /// Each token's own text, special tokens by name.
    pub(crate) fn pieces(&self, ids: &[i64]) -> Vec<String> {
        let piece = |&id: &i64| {
            let text = self.text(&[id], false);
            let name = u32::try_from(id).ok().and_then(|id| self.inner.id_to_token(id));
            // Some decoders strip the space of a text's first word, which every piece is here.
            let spaced = name.is_some_and(|name| name.starts_with('▁'));
            if spaced && !text.starts_with(' ') { format!(" {text}") } else { text }
        };
        ids.iter().map(piece).collect()
    }

    fn text(&self, ids: &[i64], skip_special: bool) -> String {
        let ids: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        // A decoder that fails has no text for them; the ids are what counts.
        self.inner.decode(&ids, skip_special).unwrap_or_default()
    }
}

fn ids(config: &Value, key: &str) -> Vec<i64> {
    match config.get(key) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_i64).collect(),
        Some(value) => value.as_i64().into_iter().collect(),
        None => Vec::new(),
    }
}

/// A special token is a text, or an object with its settings.
fn eos_token(config: &Value) -> Option<String> {
    let token = config.get("eos_token")?;
    let text = token.as_str().or_else(|| token.get("content").and_then(Value::as_str));
    text.map(str::to_owned)
}

//! Prompts, and responses to them, from a file.
//!
//! The files are those of training: verl's Parquet (a prompt is a list of messages), its rollout dumps (JSON lines with
//! `input` and `output`), lists of questions as JSON or CSV, and plain text with one prompt per line. Each format has a
//! reader that returns [`RawRow`]s; their keys are interpreted here, for all formats alike.
//!
//! ```json
//! {"id": 7, "prompt": [{"role": "user", "content": "2+2?"}], "response": "4", "finish_reason": "stop"}
//! ```

mod csv;
mod json;
mod parquet;
mod parquet_limits;
mod raw;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value as Json};

pub(crate) use raw::PromptError;
use raw::{RawContent, RawRow, has, json_type};

/// The prompt of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Prompt {
    /// Plain text.
    Text(String),
    /// A chat: at least one message, each an object with a `role`.
    Messages(Vec<Json>),
    /// Token ids, none negative.
    Tokens(Vec<i64>),
}

/// A response in a prompt file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GivenResponse {
    /// Text, possibly empty.
    Text(String),
    /// Token ids, none negative.
    Tokens(Vec<i64>),
}

/// A row of a prompt file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PromptRow {
    /// The `id` of the row, else its index from 0. Ids need not be unique.
    pub(crate) id: Json,
    /// Its place in the file, `line 3` or `row 2`, counted from 1.
    pub(crate) place: String,
    /// Token ids, if the row has both token ids and text.
    pub(crate) prompt: Prompt,
    /// The prompt as text or messages, for `--save-rollouts`.
    pub(crate) prompt_text: Option<Json>,
    /// Token ids, if the row has both token ids and text.
    pub(crate) response: Option<GivenResponse>,
    /// Why the response ended, as recorded when it was sampled.
    pub(crate) finish_reason: Option<String>,
}

/// Reads the rows of a file, at least one. Without `prompt_key`, the prompt of a row is its `prompt`, its `messages`, or
/// its `input` if it also has an `output`.
pub(crate) fn read(path: &Path, prompt_key: Option<&str>) -> Result<Vec<PromptRow>, PromptError> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = ["txt", "json", "jsonl", "ndjson", "csv", "tsv"].contains(&extension.as_str());
    let rows = if extension == "parquet" || (!known && magic == b"PAR1") {
        parquet::read_rows(file, prompt_key)?
    } else {
        let text = text(fs::read(path)?)?;
        match extension.as_str() {
            "txt" => lines(&text),
            "json" | "jsonl" | "ndjson" => json::read_rows(&text, prompt_key)?,
            "csv" => csv::read_rows(&text, b',')?,
            "tsv" => csv::read_rows(&text, b'\t')?,
            _ if text.trim_start().starts_with(['{', '[']) => json::read_rows(&text, prompt_key)?,
            _ => lines(&text),
        }
    };
    if rows.is_empty() {
        return Err(PromptError::Empty);
    }
    let rows = rows.into_iter().enumerate();
    rows.map(|(index, raw)| interpret(raw, index, prompt_key)).collect()
}

/// Decodes UTF-8 without a byte order mark.
fn text(bytes: Vec<u8>) -> Result<String, PromptError> {
    let refuse = |before: &[u8], reason: &str| {
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Err(PromptError::at(format!("line {line}"), reason))
    };
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return refuse(&bytes[..at], "it has a NUL byte");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            refuse(&error.as_bytes()[..valid], "it is not UTF-8")
        }
    }
}

/// One prompt per line; empty lines are skipped.
fn lines(text: &str) -> Vec<RawRow> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| RawRow {
            place: format!("line {}", index + 1),
            content: RawContent::Text(line.to_owned()),
        })
        .collect()
}

/// Why a row is not valid, and what the user can do.
struct InvalidRow {
    reason: String,
    hint: Option<String>,
}

impl From<String> for InvalidRow {
    fn from(reason: String) -> InvalidRow {
        InvalidRow { reason, hint: None }
    }
}

fn interpret(
    raw: RawRow,
    index: usize,
    prompt_key: Option<&str>,
) -> Result<PromptRow, PromptError> {
    let RawRow { place, content } = raw;
    let row = match content {
        RawContent::Text(text) => from_text(text, index, prompt_key),
        RawContent::Keys(keys) => from_keys(keys, index, prompt_key),
    };
    match row {
        Ok(row) => Ok(PromptRow { place, ..row }),
        Err(InvalidRow { reason, hint }) => Err(PromptError::Row { place, reason, hint }),
    }
}

fn from_text(
    text: String,
    index: usize,
    prompt_key: Option<&str>,
) -> Result<PromptRow, InvalidRow> {
    if let Some(key) = prompt_key {
        return Err(format!("it is a string, so it has no key {key:?}").into());
    }
    Ok(PromptRow {
        id: index.into(),
        place: String::new(),
        prompt_text: Some(text.clone().into()),
        prompt: Prompt::Text(text),
        response: None,
        finish_reason: None,
    })
}

fn from_keys(
    mut keys: Map<String, Json>,
    index: usize,
    prompt_key: Option<&str>,
) -> Result<PromptRow, InvalidRow> {
    let prompt_ids = token_ids(&keys, "prompt_token_ids")?;
    let response_ids = token_ids(&keys, "response_token_ids")?;
    let finish_reason = text_of(&keys, "finish_reason")?;
    let key = match prompt_key {
        Some(key) if !has(&keys, key) => return Err(no_prompt(&keys, prompt_key)),
        Some(key) => Some(key.to_owned()),
        None => default_key(&keys).map(str::to_owned),
    };
    let response_key = match key.as_deref() {
        Some("input") if !has(&keys, "response") => "output",
        _ => "response",
    };
    let response_text = text_of(&keys, response_key)?;
    let prompt_value = key.as_ref().map(|key| prompt_of(&keys[key], key)).transpose()?;
    let Some(prompt) = prompt_ids.map(Prompt::Tokens).or(prompt_value) else {
        return Err(no_prompt(&keys, prompt_key));
    };
    let response =
        response_ids.map(GivenResponse::Tokens).or(response_text.map(GivenResponse::Text));
    if let (Prompt::Messages(messages), None) = (&prompt, &response)
        && messages.last().is_some_and(|message| message["role"] == "assistant")
    {
        return Err(InvalidRow {
            reason: "its last message is from the assistant, and it has no \"response\"".to_owned(),
            hint: Some("move the last message to the key \"response\"".to_owned()),
        });
    }
    Ok(PromptRow {
        id: keys.get("id").filter(|id| !id.is_null()).cloned().unwrap_or_else(|| index.into()),
        place: String::new(),
        prompt,
        prompt_text: key.and_then(|key| keys.remove(&key)),
        response,
        finish_reason,
    })
}

fn default_key(keys: &Map<String, Json>) -> Option<&'static str> {
    let input = keys.contains_key("output").then_some("input");
    ["prompt", "messages"].into_iter().chain(input).find(|key| has(keys, key))
}

fn no_prompt(keys: &Map<String, Json>, prompt_key: Option<&str>) -> InvalidRow {
    let expected = prompt_key.unwrap_or("prompt");
    if keys.contains_key(expected) {
        return format!("{expected:?} is null").into();
    }
    let names: Vec<String> = keys.keys().take(12).map(|key| format!("{key:?}")).collect();
    let more = if keys.len() > names.len() { ", …" } else { "" };
    let common = ["question", "problem", "instruction", "query", "text", "content", "input"];
    let fits = |value: &Json| value.is_string() || value.is_array() || value.is_null();
    let suggestion = common.into_iter().find(|key| keys.get(*key).is_some_and(fits));
    let hint = suggestion.map_or_else(
        || "select the key of the prompt with --prompt-key KEY".to_owned(),
        |key| format!("try --prompt-key {key}"),
    );
    match names.is_empty() {
        true => "it has no keys".to_owned().into(),
        false => InvalidRow {
            reason: format!("it has no {expected:?}, only {}{more}", names.join(", ")),
            hint: Some(hint),
        },
    }
}

/// Text or messages.
fn prompt_of(value: &Json, key: &str) -> Result<Prompt, InvalidRow> {
    let messages = match value {
        Json::String(text) => return Ok(Prompt::Text(text.clone())),
        Json::Array(messages) if messages.is_empty() => {
            return Err(format!("{key:?} is an empty list").into());
        }
        Json::Array(messages) => messages,
        other => {
            return Err(format!("{key:?} is {}, not a string or messages", json_type(other)).into());
        }
    };
    if messages.iter().all(Json::is_number) {
        return Err(InvalidRow {
            reason: format!("{key:?} is a list of numbers, not of messages"),
            hint: Some("use the key \"prompt_token_ids\" for token ids".to_owned()),
        });
    }
    for (index, message) in messages.iter().enumerate() {
        let refuse =
            |reason: String| Err(format!("{key:?}, message {}: {reason}", index + 1).into());
        if !message.is_object() {
            return refuse(format!("it is {}, not an object", json_type(message)));
        }
        match &message["role"] {
            Json::String(_) => {}
            Json::Null => return refuse("it has no \"role\"".to_owned()),
            other => return refuse(format!("\"role\" is {}, not a string", json_type(other))),
        }
        if let content @ (Json::Number(_) | Json::Bool(_)) = &message["content"] {
            return refuse(format!(
                "\"content\" is {}, not a string or a list of parts",
                json_type(content)
            ));
        }
    }
    Ok(Prompt::Messages(messages.clone()))
}

fn token_ids(keys: &Map<String, Json>, key: &str) -> Result<Option<Vec<i64>>, InvalidRow> {
    let items = match keys.get(key) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(other) => {
            return Err(format!("{key:?} is {}, not a list of token ids", json_type(other)).into());
        }
    };
    let id = |(index, item): (usize, &Json)| {
        let id = item.as_i64().filter(|id| *id >= 0);
        id.ok_or_else(|| format!("{key:?}, item {}: {item} is not a token id", index + 1).into())
    };
    items.iter().enumerate().map(id).collect::<Result<_, _>>().map(Some)
}

fn text_of(keys: &Map<String, Json>, key: &str) -> Result<Option<String>, InvalidRow> {
    match keys.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{key:?} is {}, not a string", json_type(other)).into()),
    }
}

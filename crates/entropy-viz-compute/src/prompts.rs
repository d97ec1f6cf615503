//! Prompts, and responses to them, from a file.
//!
//! The files are those that training uses and writes: verl's Parquet (a prompt is a list of
//! messages), its rollout dumps (JSON lines with `input` and `output`), lists of questions as JSON or
//! CSV, and plain text with a prompt on each line. A format gives [`Record`]s; what a record means
//! is decided here, once for all formats.
//!
//! ```json
//! {"id": 7, "prompt": [{"role": "user", "content": "2+2?"}], "response": "4", "finish_reason": "stop"}
//! ```

mod columns;
mod json;
mod table;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value as Json};
use thiserror::Error;

/// What the model is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Prompt {
    /// A text, as it is.
    Text(String),
    /// A conversation for the chat template: at least one, each an object with a `role`.
    Messages(Vec<Json>),
    /// Token ids, none negative.
    Tokens(Vec<i64>),
}

/// What the model answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Response {
    /// A text, perhaps empty.
    Text(String),
    /// Token ids, none negative.
    Tokens(Vec<i64>),
}

/// A prompt with what the file says about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The row's `id`, else its index from 0. Ids may repeat.
    pub(crate) id: Json,
    /// Where it stands in the file: `line 3`, `row 2`, from 1.
    pub(crate) place: String,
    /// Token ids win over a text.
    pub(crate) prompt: Prompt,
    /// The text or the messages as the file has them, to be written again.
    pub(crate) prompt_text: Option<Json>,
    /// Token ids win over a text.
    pub(crate) response: Option<Response>,
    /// The response's text as the file has it.
    pub(crate) response_text: Option<String>,
    /// Why the response ended, in the words of who sampled it.
    pub(crate) finish_reason: Option<String>,
}

/// Why a file gives no prompts.
#[derive(Debug, Error)]
pub(crate) enum PromptError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has no row.
    #[error("it holds no prompts")]
    Empty,
    /// It is not of its format.
    #[error("{0}")]
    Format(String),
    /// A row is not valid.
    #[error("{place}: {why}")]
    Row { place: String, why: String, hint: Option<String> },
}

impl PromptError {
    /// What to type next, if that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            PromptError::Row { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    fn at(place: impl Into<String>, why: impl Into<String>) -> PromptError {
        PromptError::Row { place: place.into(), why: why.into(), hint: None }
    }
}

/// What a format finds in a row.
#[derive(Debug, PartialEq)]
enum Item {
    Text(String),
    Keys(Map<String, Json>),
}

#[derive(Debug, PartialEq)]
struct Record {
    place: String,
    item: Item,
}

/// The keys with a meaning; `prompt_key` is one more.
const KEYS: [&str; 9] = [
    "id",
    "prompt",
    "messages",
    "input",
    "output",
    "response",
    "prompt_token_ids",
    "response_token_ids",
    "finish_reason",
];

/// Reads the prompts of a file, at least one, in its order. Without a `prompt_key` a row's prompt is
/// its `prompt`, its `messages`, or its `input` if there is an `output`.
pub(crate) fn read(path: &Path, prompt_key: Option<&str>) -> Result<Vec<Row>, PromptError> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = ["txt", "json", "jsonl", "ndjson", "csv", "tsv"].contains(&extension.as_str());
    let records = if extension == "parquet" || (!known && magic == b"PAR1") {
        columns::records(file, prompt_key)?
    } else {
        let text = text(fs::read(path)?)?;
        match extension.as_str() {
            "txt" => lines(&text),
            "json" | "jsonl" | "ndjson" => json::records(&text, prompt_key)?,
            "csv" => table::records(&text, b',')?,
            "tsv" => table::records(&text, b'\t')?,
            _ if text.trim_start().starts_with(['{', '[']) => json::records(&text, prompt_key)?,
            _ => lines(&text),
        }
    };
    if records.is_empty() {
        return Err(PromptError::Empty);
    }
    let rows = records.into_iter().enumerate();
    rows.map(|(index, record)| row(record, index, prompt_key)).collect()
}

/// The text of a file, without a byte order mark.
fn text(bytes: Vec<u8>) -> Result<String, PromptError> {
    let refuse = |before: &[u8], why: &str| {
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Err(PromptError::at(format!("line {line}"), why))
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

/// A prompt on each line; nothing on a line is no prompt.
fn lines(text: &str) -> Vec<Record> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| Record {
            place: format!("line {}", index + 1),
            item: Item::Text(line.to_owned()),
        })
        .collect()
}

/// Why a row is not valid, and what to type next.
struct Fault {
    why: String,
    hint: Option<String>,
}

impl From<String> for Fault {
    fn from(why: String) -> Fault {
        Fault { why, hint: None }
    }
}

fn row(record: Record, index: usize, prompt_key: Option<&str>) -> Result<Row, PromptError> {
    let Record { place, item } = record;
    let row = match item {
        Item::Text(text) => from_text(text, index, prompt_key),
        Item::Keys(keys) => from_keys(keys, index, prompt_key),
    };
    match row {
        Ok(row) => Ok(Row { place, ..row }),
        Err(Fault { why, hint }) => Err(PromptError::Row { place, why, hint }),
    }
}

fn from_text(text: String, index: usize, prompt_key: Option<&str>) -> Result<Row, Fault> {
    if let Some(key) = prompt_key {
        return Err(format!("it is a text without keys, so there is no {key:?}").into());
    }
    Ok(Row {
        id: index.into(),
        place: String::new(),
        prompt_text: Some(text.clone().into()),
        prompt: Prompt::Text(text),
        response: None,
        response_text: None,
        finish_reason: None,
    })
}

fn from_keys(
    mut keys: Map<String, Json>,
    index: usize,
    prompt_key: Option<&str>,
) -> Result<Row, Fault> {
    let prompt_ids = token_ids(&keys, "prompt_token_ids")?;
    let response_ids = token_ids(&keys, "response_token_ids")?;
    let finish_reason = text_of(&keys, "finish_reason")?;
    let key = match prompt_key {
        Some(key) if !has(&keys, key) => return Err(no_prompt(&keys, prompt_key)),
        Some(key) => Some(key.to_owned()),
        None => usual_key(&keys).map(str::to_owned),
    };
    let response_key = match key.as_deref() {
        Some("input") if !has(&keys, "response") => "output",
        _ => "response",
    };
    let response_text = text_of(&keys, response_key)?;
    let given = key.as_ref().map(|key| prompt_of(&keys[key], key)).transpose()?;
    let Some(prompt) = prompt_ids.map(Prompt::Tokens).or(given) else {
        return Err(no_prompt(&keys, prompt_key));
    };
    let response =
        response_ids.map(Response::Tokens).or_else(|| response_text.clone().map(Response::Text));
    if let (Prompt::Messages(messages), None) = (&prompt, &response)
        && messages.last().is_some_and(|message| message["role"] == "assistant")
    {
        return Err(Fault {
            why: "its last message is the assistant's and there is no \"response\"".to_owned(),
            hint: Some("move the reply from the messages to the key \"response\"".to_owned()),
        });
    }
    Ok(Row {
        id: keys.get("id").filter(|id| !id.is_null()).cloned().unwrap_or_else(|| index.into()),
        place: String::new(),
        prompt,
        prompt_text: key.and_then(|key| keys.remove(&key)),
        response,
        response_text,
        finish_reason,
    })
}

/// Whether there is a value; null is none.
fn has(keys: &Map<String, Json>, key: &str) -> bool {
    keys.get(key).is_some_and(|value| !value.is_null())
}

fn usual_key(keys: &Map<String, Json>) -> Option<&'static str> {
    let input = keys.contains_key("output").then_some("input");
    ["prompt", "messages"].into_iter().chain(input).find(|key| has(keys, key))
}

fn no_prompt(keys: &Map<String, Json>, prompt_key: Option<&str>) -> Fault {
    let wanted = prompt_key.unwrap_or("prompt");
    if keys.contains_key(wanted) {
        return format!("{wanted:?} is null").into();
    }
    let names: Vec<String> = keys.keys().take(12).map(|key| format!("{key:?}")).collect();
    let more = if keys.len() > names.len() { ", …" } else { "" };
    let usual = ["question", "problem", "instruction", "query", "text", "content", "input"];
    let fits = |value: &Json| value.is_string() || value.is_array() || value.is_null();
    let near = usual.into_iter().find(|key| keys.get(*key).is_some_and(fits));
    let hint = near.map_or_else(
        || "--prompt-key KEY takes the prompts from another key".to_owned(),
        |key| format!("try --prompt-key {key}"),
    );
    match names.is_empty() {
        true => "it has no keys".to_owned().into(),
        false => Fault {
            why: format!("it has no {wanted:?}, only {}{more}", names.join(", ")),
            hint: Some(hint),
        },
    }
}

/// A text, or messages.
fn prompt_of(value: &Json, key: &str) -> Result<Prompt, Fault> {
    let messages = match value {
        Json::String(text) => return Ok(Prompt::Text(text.clone())),
        Json::Array(messages) if messages.is_empty() => {
            return Err(format!("{key:?} is an empty list").into());
        }
        Json::Array(messages) => messages,
        other => {
            return Err(format!("{key:?} is {}, not a text or messages", kind(other)).into());
        }
    };
    if messages.iter().all(Json::is_number) {
        return Err(Fault {
            why: format!("{key:?} is a list of numbers, not of messages"),
            hint: Some("the key for token ids is \"prompt_token_ids\"".to_owned()),
        });
    }
    for (index, message) in messages.iter().enumerate() {
        let refuse = |why: String| Err(format!("{key:?}, message {}: {why}", index + 1).into());
        if !message.is_object() {
            return refuse(format!("it is {}, not an object", kind(message)));
        }
        match &message["role"] {
            Json::String(_) => {}
            Json::Null => return refuse("it has no \"role\"".to_owned()),
            other => return refuse(format!("\"role\" is {}, not a text", kind(other))),
        }
        if let content @ (Json::Number(_) | Json::Bool(_)) = &message["content"] {
            return refuse(format!("\"content\" is {}, not a text or parts", kind(content)));
        }
    }
    Ok(Prompt::Messages(messages.clone()))
}

fn token_ids(keys: &Map<String, Json>, key: &str) -> Result<Option<Vec<i64>>, Fault> {
    let items = match keys.get(key) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(other) => {
            return Err(format!("{key:?} is {}, not a list of token ids", kind(other)).into());
        }
    };
    let id = |(index, item): (usize, &Json)| {
        let id = item.as_i64().filter(|id| *id >= 0);
        id.ok_or_else(|| format!("{key:?}, item {}: {item} is not a token id", index + 1).into())
    };
    items.iter().enumerate().map(id).collect::<Result<_, _>>().map(Some)
}

fn text_of(keys: &Map<String, Json>, key: &str) -> Result<Option<String>, Fault> {
    match keys.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{key:?} is {}, not a text", kind(other)).into()),
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

//! JSON, whatever the file is called: a list of rows, an object with one list of rows inside, or
//! rows as lines. A row is an object or, bare, its prompt.
//!
//! Python's `json.dump` writes `NaN` where a number is missing, which JSON proper refuses; here it is
//! null.

use serde_json::{Error, Map, Value as Json};

use super::{Item, PromptError, Record, has, kind};

pub(super) fn records(text: &str, prompt_key: Option<&str>) -> Result<Vec<Record>, PromptError> {
    let start = text.trim_start();
    if start.starts_with('[') || (start.starts_with('{') && is_one_value(start)) {
        return document(text, prompt_key);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            match parse(line) {
                Ok(value) => record(place, value),
                Err(error) => {
                    Err(PromptError::at(format!("{place}, column {}", error.column()), why(&error)))
                }
            }
        })
        .collect()
}

/// Whether an object goes on behind its first line, or nothing follows it: these are not lines.
fn is_one_value(text: &str) -> bool {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    rest.trim().is_empty() || parse(first).is_err_and(|error| error.is_eof())
}

fn document(text: &str, prompt_key: Option<&str>) -> Result<Vec<Record>, PromptError> {
    let value = parse(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        PromptError::at(place, why(&error))
    })?;
    let rows = match value {
        Json::Array(rows) => rows,
        Json::Object(keys) => match wrapped(&keys, prompt_key) {
            Some(rows) => rows,
            None => {
                let above = text.len() - text.trim_start().len();
                let line = text[..above].matches('\n').count() + 1;
                return Ok(vec![record(format!("line {line}"), Json::Object(keys))?]);
            }
        },
        other => vec![other],
    };
    let rows = rows.into_iter().enumerate();
    rows.map(|(index, row)| record(format!("row {}", index + 1), row)).collect()
}

/// The one list of objects in an object that is no row itself.
fn wrapped(keys: &Map<String, Json>, prompt_key: Option<&str>) -> Option<Vec<Json>> {
    let prompts = ["prompt", "messages", "input", "prompt_token_ids"];
    if prompts.into_iter().chain(prompt_key).any(|key| has(keys, key)) {
        return None;
    }
    let lists = keys.values().filter_map(Json::as_array);
    let mut lists = lists.filter(|rows| !rows.is_empty() && rows.iter().all(Json::is_object));
    let rows = lists.next()?;
    lists.next().is_none().then(|| rows.clone())
}

fn record(place: String, value: Json) -> Result<Record, PromptError> {
    match value {
        Json::String(text) => Ok(Record { place, item: Item::Text(text) }),
        Json::Object(keys) => Ok(Record { place, item: Item::Keys(keys) }),
        other => {
            Err(PromptError::at(place, format!("it is {}, not an object or a text", kind(&other))))
        }
    }
}

fn parse(text: &str) -> Result<Json, Error> {
    serde_json::from_str(text)
        .or_else(|error| serde_json::from_str(&finite_only(text)).map_err(|_| error))
}

/// The text with null for `NaN`, `Infinity` and `-Infinity`, except in quotes.
fn finite_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"].into_iter().find(|n| rest.starts_with(n));
        let length = match (quoted, c, number) {
            (false, _, Some(number)) => {
                out.push_str("null");
                rest = &rest[number.len()..];
                continue;
            }
            (true, '\\', _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (_, c, _) => c.len_utf8(),
        };
        quoted ^= c == '"';
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The reason without the place, which is told in front.
fn why(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(why, _)| why.to_owned())
}

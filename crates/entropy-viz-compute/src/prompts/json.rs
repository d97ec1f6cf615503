//! JSON and JSON lines: a list of rows, an object that contains one list of rows, or one row per line. A row is an
//! object, or a string with the prompt.
//!
//! Python's `json.dump` writes `NaN` for missing numbers, which is not valid JSON; it is read as null.

use serde_json::{Error, Map, Value as Json};

use super::SelectedKeys;
use super::names::PROMPTS;
use super::raw::{PromptError, RawContent, RawRow, has, json_type};
use crate::python_json::parse;

pub(super) fn read_rows(
    text: &str,
    selected: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    let start = text.trim_start();
    if start.starts_with('[') || (start.starts_with('{') && is_one_value(start)) {
        return document(text, selected);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            match parse(line) {
                Ok(value) => raw_row(place, value),
                Err(error) => Err(PromptError::at(
                    format!("{place}, column {}", error.column()),
                    reason(&error),
                )),
            }
        })
        .collect()
}

/// Whether the text is a single object, not JSON lines: it continues after its first line, or nothing follows it.
fn is_one_value(text: &str) -> bool {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    rest.trim().is_empty() || parse(first).is_err_and(|error| error.is_eof())
}

fn document(text: &str, selected: SelectedKeys<'_>) -> Result<Vec<RawRow>, PromptError> {
    let value = parse(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        PromptError::at(place, reason(&error))
    })?;
    let rows = match value {
        Json::Array(rows) => rows,
        Json::Object(keys) => match wrapped(&keys, selected) {
            Some(rows) => rows,
            None => {
                let above = text.len() - text.trim_start().len();
                let line = text[..above].matches('\n').count() + 1;
                return Ok(vec![raw_row(format!("line {line}"), Json::Object(keys))?]);
            }
        },
        other => vec![other],
    };
    let rows = rows.into_iter().enumerate();
    rows.map(|(index, row)| raw_row(format!("row {}", index + 1), row)).collect()
}

/// The only list of objects in an object, if the object is not a row itself.
fn wrapped(keys: &Map<String, Json>, selected: SelectedKeys<'_>) -> Option<Vec<Json>> {
    let prompts = ["input", "prompt_token_ids"].into_iter().chain(PROMPTS).chain(selected.prompt);
    if prompts.into_iter().any(|key| has(keys, key)) {
        return None;
    }
    let lists = keys.values().filter_map(Json::as_array);
    let mut lists = lists.filter(|rows| !rows.is_empty() && rows.iter().all(Json::is_object));
    let rows = lists.next()?;
    lists.next().is_none().then(|| rows.clone())
}

fn raw_row(place: String, value: Json) -> Result<RawRow, PromptError> {
    match value {
        Json::String(text) => Ok(RawRow { place, content: RawContent::Text(text) }),
        Json::Object(keys) => Ok(RawRow { place, content: RawContent::Keys(keys) }),
        other => Err(PromptError::at(
            place,
            format!("it is {}, not an object or a string", json_type(&other)),
        )),
    }
}

/// The message of an error without its position.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

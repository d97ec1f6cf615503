//! CSV and TSV with a header. A cell is a text, so messages and token ids stand in it as JSON.

use csv::{Position, ReaderBuilder};
use serde_json::Value as Json;

use super::{Item, PromptError, Record};

pub(super) fn records(text: &str, delimiter: u8) -> Result<Vec<Record>, PromptError> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let mut lines = Lines { text, byte: 0, line: 1 };
    let header = reader.headers().map_err(|error| refuse(&error, &mut lines))?.clone();
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    if let Some((index, name)) =
        names.iter().enumerate().find(|(index, name)| names[..*index].contains(name))
        && !name.is_empty()
    {
        let why = format!("column {} is {name:?}, as an earlier one is", index + 1);
        return Err(PromptError::at("line 1", why));
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| refuse(&error, &mut lines))?;
        let cells = names.iter().zip(&row);
        let keys = cells.map(|(name, cell)| ((*name).to_owned(), value(name, cell))).collect();
        records.push(Record { place: lines.place(row.position()), item: Item::Keys(keys) });
    }
    Ok(records)
}

/// Counts lines up to a record. The reader's own count is one behind where lines end in CRLF.
struct Lines<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    fn place(&mut self, position: Option<&Position>) -> String {
        let byte = position.map_or(0, |position| position.byte() as usize);
        let ends = self.text.as_bytes()[byte..].iter().take_while(|b| b"\r\n".contains(b)).count();
        let byte = (byte + ends).max(self.byte);
        let passed = &self.text.as_bytes()[self.byte..byte];
        self.line += passed.iter().filter(|&&b| b == b'\n').count();
        self.byte = byte;
        format!("line {}", self.line)
    }
}

fn value(name: &str, cell: &str) -> Json {
    let parsed = || serde_json::from_str::<Json>(cell).ok();
    let text = || Json::from(cell);
    match name {
        "id" | "finish_reason" | "prompt_token_ids" | "response_token_ids" if cell.is_empty() => {
            Json::Null
        }
        "prompt_token_ids" | "response_token_ids" => parsed().unwrap_or_else(text),
        // A number, unless it would be written otherwise: 007 is a text.
        "id" => match cell.parse::<i64>() {
            Ok(id) if id.to_string() == cell => id.into(),
            _ => text(),
        },
        _ if cell.starts_with('[') => parsed().filter(are_messages).unwrap_or_else(text),
        _ => text(),
    }
}

fn are_messages(value: &Json) -> bool {
    let are = |list: &Vec<Json>| !list.is_empty() && list.iter().all(|m| m["role"].is_string());
    value.as_array().is_some_and(are)
}

fn refuse(error: &csv::Error, lines: &mut Lines<'_>) -> PromptError {
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells where the header has {expected_len}")
        }
        _ => "it is not valid CSV".to_owned(),
    };
    PromptError::at(lines.place(error.position()), why)
}

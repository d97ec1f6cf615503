//! CSV and TSV with a header. Messages and token ids are JSON in a cell.

use ::csv::{Position, ReaderBuilder};
use serde_json::Value as Json;

use super::names::is_token_list;
use super::raw::{PromptError, RawContent, RawRow};

pub(super) fn read_rows(text: &str, delimiter: u8) -> Result<Vec<RawRow>, PromptError> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let mut lines = LineCounter { text, byte: 0, line: 1 };
    let header = reader.headers().map_err(|error| invalid(&error, &mut lines))?.clone();
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    if let Some((index, name)) =
        names.iter().enumerate().find(|(index, name)| names[..*index].contains(name))
        && !name.is_empty()
    {
        let reason = format!("column {} has the name {name:?} of an earlier column", index + 1);
        return Err(PromptError::at("line 1", reason));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| invalid(&error, &mut lines))?;
        let cells = names.iter().zip(&row);
        let keys = cells.map(|(name, cell)| ((*name).to_owned(), value(name, cell))).collect();
        rows.push(RawRow { place: lines.place(row.position()), content: RawContent::Keys(keys) });
    }
    Ok(rows)
}

/// Counts the lines before a row. The count of the csv crate is off by one where lines end in CRLF.
struct LineCounter<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl LineCounter<'_> {
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
        "id" | "finish_reason" if cell.is_empty() => Json::Null,
        name if is_token_list(name) && cell.is_empty() => Json::Null,
        name if is_token_list(name) => parsed().unwrap_or_else(text),
        // A number only if it is written in canonical form: 007 is a string.
        "id" => match cell.parse::<i64>() {
            Ok(id) if id.to_string() == cell => id.into(),
            _ => text(),
        },
        _ if cell.starts_with('[') => parsed().filter(is_chat).unwrap_or_else(text),
        _ => text(),
    }
}

fn is_chat(value: &Json) -> bool {
    let messages = value.as_array().filter(|messages| !messages.is_empty());
    messages.is_some_and(|messages| messages.iter().all(|message| message["role"].is_string()))
}

fn invalid(error: &::csv::Error, lines: &mut LineCounter<'_>) -> PromptError {
    let reason = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells where the header has {expected_len}")
        }
        _ => "it is not valid CSV".to_owned(),
    };
    PromptError::at(lines.place(error.position()), reason)
}

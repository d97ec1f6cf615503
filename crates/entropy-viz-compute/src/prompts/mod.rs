//! Prompts, and responses to them, from a file.
//!
//! The files are those of training: verl's Parquet (a prompt is a list of messages), its rollout dumps (JSON lines with
//! `input` and `output`), lists of questions as JSON or CSV, and plain text with one prompt per line. Each format has a
//! reader that returns [`RawRow`]s; their keys are interpreted here, for all formats alike.
//!
//! ```json
//! {"id": 7, "prompt": [{"role": "user", "content": "2+2?"}], "response": "4", "finish_reason": "stop"}
//! ```

mod arrow;
mod arrow_folder;
mod arrow_limits;
mod arrow_values;
mod columns;
mod csv;
mod directory;
#[cfg(test)]
mod dump_tests;
mod invalid_row;
mod json;
mod lists;
mod mask;
mod names;
mod openai;
mod parquet;
mod parquet_limits;
mod raw;
mod row;
#[cfg(test)]
mod row_tests;
mod sequence;
#[cfg(test)]
mod tests;
mod torch_dump;
mod torch_values;

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use bytes::Bytes;
use entropy_history::formats::read_decompressed;
use serde_json::{Map, Value as Json};

pub(crate) use arrow_folder::{ArrowFolder, find as find_arrow_folder};
pub(crate) use columns::{MAX_ANSWER, of_response as columns_of_response, texts as text_columns};
pub(crate) use directory::{DumpDirectory, find as find_dumps};
pub(crate) use mask::{MaskError, TokenMask, own_tokens};
pub(crate) use raw::PromptError;
use raw::{RawContent, RawRow};
use row::interpret;

/// The extensions of prompt files; `.gz` or `.zst` may follow.
const EXTENSIONS: [&str; 10] =
    ["txt", "json", "jsonl", "ndjson", "csv", "tsv", "parquet", "arrow", "feather", "pt"];

/// Maximum size of a file that is not Parquet, decompressed.
const MOST_BYTES: u64 = 4 << 30;

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
    /// The messages that follow the prompt, at least one of them from the assistant. Only the assistant's are scored.
    Messages(Vec<Json>),
    /// Texts one after another, not all of them written by the policy.
    Parts(Vec<ResponsePart>),
}

/// A part of a response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResponsePart {
    pub(crate) text: String,
    /// Whether the policy wrote it.
    pub(crate) own: bool,
}

/// The keys that the user selected.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SelectedKeys<'a> {
    /// `--prompt-key`.
    pub(crate) prompt: Option<&'a str>,
    /// `--response-key`, which may be [`NO_RESPONSE`].
    pub(crate) response: Option<&'a str>,
    /// Whether other columns are repeated in an output.
    pub(crate) others: bool,
    /// The columns of `--by`.
    pub(crate) groups: &'a [&'a str],
}

/// The value of `--response-key` for files whose responses are ignored.
pub(crate) const NO_RESPONSE: &str = "none";

impl SelectedKeys<'_> {
    fn has(&self, name: &str) -> bool {
        let is_around = |group: &&str| {
            group.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.prompt == Some(name)
            || self.response == Some(name)
            || self.groups.iter().any(is_around)
    }
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
    /// Whether prompt and response were one list of messages.
    pub(crate) is_conversation: bool,
    /// Which tokens of the response the policy wrote; all of them if empty.
    pub(crate) masks: Vec<TokenMask>,
    /// Columns that `--tokens-out` repeats, and those of `--by`.
    pub(crate) columns: Map<String, Json>,
    /// The names of its columns with single values; only of the first row, and only if a column of `--by` is not among them.
    pub(crate) names: Vec<String>,
    /// Number of answers that are too long to be repeated.
    pub(crate) long_answers: usize,
    /// The functions that the chat template describes.
    pub(crate) tools: Option<Json>,
    /// Why the response ended, as recorded when it was sampled.
    pub(crate) finish_reason: Option<String>,
    /// The number of its tokens, as recorded when it was sampled.
    pub(crate) response_length: Option<u64>,
    /// Whether prompt and response are `input` and `output`, which verl decodes without special tokens.
    pub(crate) is_input_output: bool,
}

/// Reads the rows of a file, at least one. [`names`] has the keys of a row, unless others are selected. Rows without an
/// `id` are numbered from `first` on.
pub(crate) fn read(
    path: &Path,
    selected: SelectedKeys<'_>,
    first: usize,
) -> Result<Vec<PromptRow>, PromptError> {
    let rows = raw_rows(path, selected)?;
    if rows.is_empty() {
        return Err(PromptError::Empty);
    }
    let mut split = Vec::with_capacity(rows.len());
    for row in rows {
        for row in openai::convert(row)? {
            split.extend(lists::split(row, selected.response)?);
        }
    }
    let rows = split.into_iter().enumerate();
    let mut rows: Vec<PromptRow> = rows
        .map(|(index, raw)| interpret(raw, first + index, selected))
        .collect::<Result<_, _>>()?;
    if selected.response != Some(NO_RESPONSE) {
        complete_conversations(&mut rows);
    }
    Ok(rows)
}

/// The rows of a file in any of the formats.
fn raw_rows(path: &Path, selected: SelectedKeys<'_>) -> Result<Vec<RawRow>, PromptError> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    let (_, extension) = stem_and_extension(path);
    match binary_format(&magic, &extension) {
        Some(BinaryFormat::Parquet) if magic == b"PAR1" => {
            return parquet::read_rows([file.try_clone()?, file], selected);
        }
        Some(BinaryFormat::Arrow) if arrow::is_arrow(&magic) => {
            return arrow::read_rows(&mut BufReader::new(file), selected);
        }
        Some(BinaryFormat::Torch) if magic == torch_dump::MAGIC => {
            let map = crate::checkpoint::map(path)
                .map_err(|error| PromptError::Format(error.to_string()))?;
            return torch_dump::read_rows(&map, selected);
        }
        _ => {}
    }
    let bytes = read_decompressed(&mut file, MOST_BYTES)?;
    match binary_format(&bytes[..bytes.len().min(4)], &extension) {
        Some(BinaryFormat::Parquet) => {
            let bytes = Bytes::from(bytes);
            parquet::read_rows([bytes.clone(), bytes], selected)
        }
        Some(BinaryFormat::Arrow) => arrow::read_rows(&mut Cursor::new(bytes), selected),
        Some(BinaryFormat::Torch) => torch_dump::read_rows(&bytes, selected),
        None => read_text(&text(bytes)?, &extension, selected),
    }
}

/// The formats that are not text.
enum BinaryFormat {
    Parquet,
    Arrow,
    Torch,
}

/// The format by the name of a file, else by its first bytes.
fn binary_format(start: &[u8], extension: &str) -> Option<BinaryFormat> {
    match extension {
        "parquet" => Some(BinaryFormat::Parquet),
        "arrow" | "feather" => Some(BinaryFormat::Arrow),
        "pt" => Some(BinaryFormat::Torch),
        known if EXTENSIONS.contains(&known) => None,
        _ if start == b"PAR1" => Some(BinaryFormat::Parquet),
        _ if arrow::is_arrow(start) => Some(BinaryFormat::Arrow),
        _ if start == torch_dump::MAGIC => Some(BinaryFormat::Torch),
        _ => None,
    }
}

/// In a file of conversations that end with a reply, those that end with a tool's output or a user's message are
/// conversations too, not prompts.
fn complete_conversations(rows: &mut [PromptRow]) {
    if !rows.iter().any(|row| row.is_conversation) {
        return;
    }
    for row in rows.iter_mut().filter(|row| row.response.is_none()) {
        if let Prompt::Messages(messages) = &row.prompt
            && let Some((before, turns)) = row::split(messages)
        {
            row.prompt_text = Some(before.clone().into());
            row.response = Some(GivenResponse::Messages(turns));
            row.prompt = Prompt::Messages(before);
            row.is_conversation = true;
        }
    }
}

fn read_text(
    text: &str,
    extension: &str,
    selected: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    match extension {
        "txt" => Ok(lines(text)),
        "json" | "jsonl" | "ndjson" => json::read_rows(text, selected),
        "csv" => csv::read_rows(text, b','),
        "tsv" => csv::read_rows(text, b'\t'),
        _ if text.trim_start().starts_with(['{', '[']) => json::read_rows(text, selected),
        _ => Ok(lines(text)),
    }
}

/// The name of a file without its extension, and the extension in lower case; those of compression do not count.
fn stem_and_extension(path: &Path) -> (String, String) {
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for packed in [".gz", ".zst"] {
        if name.to_lowercase().ends_with(packed) {
            name.truncate(name.len() - packed.len());
        }
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem.to_owned(), extension.to_lowercase()),
        _ => (name, String::new()),
    }
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

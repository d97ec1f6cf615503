//! A limit on the text of a row, so that a row beyond the context of every model is not copied and tokenised.

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};
use serde_json::Value;

use crate::prompts::{GivenResponse, Prompt, PromptRow};

/// Maximum length of the text of a prompt or a response, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Rejects a row with more text than the limit.
pub(crate) fn check_lengths(row: &PromptRow) -> Result<(), CliError> {
    check_length("prompt", prompt_length(&row.prompt))?;
    check_length("response", response_length(row.response.as_ref()))
}

/// The length in bytes of the texts of a prompt.
fn prompt_length(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Messages(messages) => messages.iter().map(text_length).sum(),
        Prompt::Tokens(_) => 0,
    }
}

/// The length in bytes of the texts of a response.
fn response_length(response: Option<&GivenResponse>) -> usize {
    match response {
        Some(GivenResponse::Text(text)) => text.len(),
        Some(GivenResponse::Messages(messages)) => messages.iter().map(text_length).sum(),
        Some(GivenResponse::Parts(parts)) => parts.iter().map(|part| part.text.len()).sum(),
        Some(GivenResponse::Tokens(_)) | None => 0,
    }
}

fn text_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_length).sum(),
        Value::Object(keys) => keys.iter().map(|(key, value)| key.len() + text_length(value)).sum(),
        _ => 0,
    }
}

fn check_length(what: &str, length: usize) -> Result<(), CliError> {
    if length <= MAX_TEXT {
        return Ok(());
    }
    Err(anyhow!(
        "the {what} has {} MiB of text, more than {} MiB, about two million tokens",
        length >> 20,
        MAX_TEXT >> 20
    ))
    .hint("remove or shorten this row")
}

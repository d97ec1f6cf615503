//! The assistant's turns of a conversation, each with the context that the policy saw.
//!
//! Turn k is what the chat template writes for the assistant's k-th message after the generation prompt:
//!
//! ```text
//! template(messages before the turn, generation prompt)      the context
//! template(messages up to the turn) without the context      the turn, as far as its end token
//! ```
//!
//! What the template writes after the end token, such as a line break, was not sampled. Templates that drop the
//! reasoning of earlier turns do so here too, because every turn is rendered as the last one.

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};
use serde_json::{Value, json};

use crate::chat::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// A turn of the assistant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    /// Token ids of everything before it.
    pub(crate) context: Vec<i64>,
    /// Its own token ids, with the end token.
    pub(crate) tokens: Vec<i64>,
}

/// The turns in `replies`, which follow the messages of the `prompt`. If the last turn was `cut`, it has no end token.
pub(crate) fn turns(
    prompt: &[Value],
    replies: &[Value],
    cut: bool,
    arguments: &[(String, Value)],
    chat: &ChatTemplate,
    tokenizer: &Tokenizer,
) -> Result<Vec<Turn>, CliError> {
    let messages = [prompt, replies].concat();
    let places: Vec<usize> =
        (prompt.len()..messages.len()).filter(|&i| messages[i]["role"] == "assistant").collect();
    let without_prompt: Vec<(String, Value)> = arguments
        .iter()
        .cloned()
        .chain([("add_generation_prompt".to_owned(), json!(false))])
        .collect();
    let mut turns = Vec::with_capacity(places.len());
    for (number, &at) in places.iter().enumerate() {
        let context = chat.render(&messages[..at], arguments)?;
        let whole = chat.render(&messages[..=at], &without_prompt)?;
        let Some(own) = whole.strip_prefix(&context) else {
            return Err(anyhow!(
                "message {} is not what the chat template continues: its text does not begin with the generation prompt",
                at + 1
            ))
            .hint("give the token ids of prompt and response, with a mask of the policy's own tokens");
        };
        let mut tokens = tokenizer.encode(own, false)?;
        let end = tokens.iter().position(|id| tokenizer.eos_token_ids.contains(id));
        let is_cut = cut && number + 1 == places.len();
        if let Some(end) = end {
            tokens.truncate(end + usize::from(!is_cut));
        }
        turns.push(Turn { context: tokenizer.encode(&context, false)?, tokens });
    }
    Ok(turns)
}

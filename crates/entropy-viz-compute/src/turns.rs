//! The assistant's turns of a conversation, each with the context that the policy saw.
//!
//! Turn k is what the chat template writes for the assistant's k-th message after the generation prompt:
//!
//! ```text
//! template(messages before the turn, generation prompt)      the context
//! template(messages up to the turn) without the context      the turn, as far as its end token
//! ```
//!
//! What the template writes after the end token, such as a line break, was not sampled. The end token is the first
//! added token in what the template writes after the content of a message: `<|im_end|>` of a base model may not be among
//! its `eos_token_id`s, and the content itself may have the text of an end token. Templates that drop the
//! reasoning of earlier turns do so here too, because every turn is rendered as the last one.

use std::ops::Range;

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};
use serde_json::{Value, json};

use crate::chat::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// The content of a message whose end in the chat is looked for.
const PROBE: &str = "entropyvizprobe";

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
        let mut closed = messages[..at].to_vec();
        closed.push(json!({"role": "assistant", "content": PROBE}));
        // Templates may refuse it, such as one that wants a call before a tool's output.
        let probe = chat.render(&closed, &without_prompt).ok();
        let suffix = probe.as_deref().and_then(|text| text.rsplit_once(PROBE)).map(|(_, end)| end);
        let Some(end) = end_of_turn(own, suffix, &tokenizer.end_texts()) else {
            return Err(anyhow!(
                "the end of message {} cannot be told: the chat template writes no special token after it",
                at + 1
            ))
            .hint("give the token ids of prompt and response, with a mask of the policy's own tokens");
        };
        let is_cut = cut && number + 1 == places.len();
        let written = if is_cut { &own[..end.start] } else { &own[..end.end] };
        let tokens = tokenizer.encode(written, false)?;
        turns.push(Turn { context: tokenizer.encode(&context, false)?, tokens });
    }
    Ok(turns)
}

/// The place of the end token in a turn, empty at its end if the template writes nothing after a message; `None` if it is
/// not known. `suffix` is what the template writes after the content of a message, `end_texts` are the tokens that may
/// end one.
fn end_of_turn(own: &str, suffix: Option<&str>, end_texts: &[String]) -> Option<Range<usize>> {
    if let Some(suffix) = suffix.filter(|suffix| own.ends_with(suffix)) {
        let start = own.len() - suffix.len();
        if suffix.is_empty() {
            return Some(start..start);
        }
        let found = end_texts
            .iter()
            .filter_map(|text| suffix.find(text.as_str()).map(|at| (at, text.len())));
        // Of several that begin there, the longest.
        let (at, length) = found.min_by_key(|(at, length)| (*at, usize::MAX - length))?;
        return Some(start + at..start + at + length);
    }
    // After a call of a function the template may write another end token, with nothing but blanks behind it.
    let text = own.trim_end();
    let ends = end_texts.iter().filter(|end| text.ends_with(end.as_str()));
    let length = ends.map(String::len).max()?;
    Some(text.len() - length..text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(own: &str, suffix: Option<&str>) -> Option<String> {
        let ends = ["<|end|>", "<|endoftext|>", "</call>"].map(str::to_owned);
        end_of_turn(own, suffix, &ends).map(|end| own[..end.end].to_owned())
    }

    #[test]
    fn a_turn_ends_with_the_token_after_its_content() {
        let suffix = Some("<|end|>\n<|endoftext|>");
        assert_eq!(end("a<|end|>\n<|endoftext|>", suffix).as_deref(), Some("a<|end|>"));
        let typed = "write <|end|>, then stop<|end|>\n<|endoftext|>";
        assert_eq!(end(typed, suffix).as_deref(), Some("write <|end|>, then stop<|end|>"));
        assert_eq!(end("a", Some("")).as_deref(), Some("a"));
        assert_eq!(end("a\n\n", Some("\n\n")), None);
        assert_eq!(end("<call>f</call>\n", Some("<|end|>")).as_deref(), Some("<call>f</call>"));
        assert_eq!(end("a", None), None);
    }
}

//! Whether a response ended by itself, when its end token was dropped.
//!
//! A response that was cut off has the maximum length, so it is among the longest of its file. All clearly shorter ones
//! ended by themselves. Of the longest ones this is not known, because a text may have a few tokens more or less than
//! the response had.

use serde_json::Value;

use super::Role;
use crate::chat::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// A response is clearly shorter than the longest one if it lacks more than an eighth of its tokens, and more than this
/// number. Tokenised again, responses of 96 tokens had at most one token more or less (measure_bare_chat.py).
const MARGIN: usize = 2;

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an end token.
    Ended,
    /// It was cut off.
    Cut,
    Unknown,
}

/// Tells how the responses of a file ended, from the number of tokens of the longest one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endings {
    longest: usize,
}

impl Endings {
    /// `lengths` are those of all responses whose end tokens were dropped.
    pub(crate) fn new(lengths: impl Iterator<Item = usize>) -> Endings {
        Endings { longest: lengths.max().unwrap_or(0) }
    }

    /// How a response of `tokens` tokens ended; `finish_reason` is that of its row, `length` its number of tokens
    /// before special tokens were dropped.
    pub(crate) fn of(
        self,
        tokens: usize,
        finish_reason: Option<&str>,
        length: Option<u64>,
    ) -> Ending {
        match (finish_reason, length) {
            (Some("stop"), _) => Ending::Ended,
            (Some("length"), _) => Ending::Cut,
            (_, Some(length)) if length == tokens as u64 + 1 => Ending::Ended,
            (_, Some(length)) if length == tokens as u64 => Ending::Cut,
            _ if tokens + MARGIN.max(self.longest / 8) < self.longest => Ending::Ended,
            _ => Ending::Unknown,
        }
    }
}

/// The end token of the assistant's messages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EndToken {
    pub(super) id: i64,
    /// Its text.
    pub(super) text: String,
    /// What the template writes after it in a chat that goes on.
    pub(super) after: String,
}

/// The end token that a template writes after a message of the assistant, else the only end token of the model.
pub(super) fn of_template(
    chat: &ChatTemplate,
    tokenizer: &Tokenizer,
    arguments: &[(String, Value)],
) -> Option<EndToken> {
    let content = "Content1Zqx";
    let messages = [Role::User.message("Content0Zqx"), Role::Assistant.message(content)];
    let whole = chat.render(&messages, &without_generation_prompt(arguments)).ok();
    let written = whole.as_deref().and_then(|whole| {
        let (_, after) = whole.rsplit_once(content)?;
        let tokens = tokenizer.encode(after, false).ok()?;
        let id = tokens.into_iter().find(|token| tokenizer.eos_token_ids.contains(token))?;
        let text = tokenizer.name(id)?;
        let (_, after) = after.split_once(text.as_str())?;
        Some(EndToken { id, after: after.to_owned(), text })
    });
    written.or_else(|| match tokenizer.eos_token_ids[..] {
        [id] => Some(EndToken { id, text: tokenizer.name(id)?, after: String::new() }),
        _ => None,
    })
}

/// The variables of a template for a chat that ends with the assistant's message.
pub(super) fn without_generation_prompt(arguments: &[(String, Value)]) -> Vec<(String, Value)> {
    let none = ("add_generation_prompt".to_owned(), Value::Bool(false));
    arguments.iter().cloned().chain([none]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearly_shorter_responses_ended_by_themselves() {
        let endings = Endings::new([40, 160, 3].into_iter());
        let of = |tokens| endings.of(tokens, None, None);
        assert_eq!(
            [of(0), of(139), of(140), of(160)],
            [Ending::Ended, Ending::Ended, Ending::Unknown, Ending::Unknown]
        );
        // One response, or responses of almost the same length: nothing is known.
        assert_eq!(Endings::new([160].into_iter()).of(160, None, None), Ending::Unknown);
        assert_eq!(Endings::new([8, 6].into_iter()).of(6, None, None), Ending::Unknown);
        assert_eq!(Endings::new([8, 5].into_iter()).of(5, None, None), Ending::Ended);
    }

    #[test]
    fn row_that_says_how_it_ended_is_believed() {
        let endings = Endings::new([160].into_iter());
        assert_eq!(endings.of(160, Some("stop"), None), Ending::Ended);
        assert_eq!(endings.of(3, Some("length"), None), Ending::Cut);
        assert_eq!(endings.of(160, None, Some(161)), Ending::Ended);
        assert_eq!(endings.of(3, None, Some(3)), Ending::Cut);
        assert_eq!(endings.of(160, None, Some(170)), Ending::Unknown);
    }
}

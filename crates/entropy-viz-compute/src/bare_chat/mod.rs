//! Chats whose special tokens were dropped: rebuilds their token ids from the text that is left.
//!
//! verl and its forks decode a rollout with `skip_special_tokens=True`, so that of a chat only this is left:
//!
//! ```text
//! system\nYou are a careful assistant.\nuser\nWhat is 3 + 4?\nassistant\n
//! ```
//!
//! [`marks`] learns from the checkpoint's own template what is left between two messages. [`parse`] lists the ways to
//! read a text as messages. A way counts if the template turns these messages into a text that, tokenised and decoded
//! without special tokens, is the given one byte for byte. If several ways count and none of them is clearly right, the
//! chat cannot be rebuilt. [`reply`] does the same for the turns in a response, [`end_token`] for its end.

mod end_token;
mod marks;
mod parse;
mod reply;
mod rows;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat::ChatTemplate;
use crate::tokenizer::Tokenizer;
use end_token::{EndToken, Ending, Endings};
use marks::{Marks, Visibility};
use parse::{Message, parses};
use reply::Reply;
pub(crate) use rows::{BareCounts, RowReading, is_any_bare, read_rows};

/// The roles that chats of trainers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    const ALL: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

    fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    fn message(self, content: &str) -> Value {
        json!({"role": self.name(), "content": content})
    }
}

/// How surely a text was decoded without special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The keys of the row are those of a trainer that decodes without special tokens.
    Trainer,
    /// Any text: it stays as it is unless it can be read as a chat.
    Any,
}

/// What a prompt text is.
#[derive(Debug, Clone, PartialEq)]
enum Reading {
    /// Not a chat, or a chat that lost nothing.
    Plain,
    /// A chat without its special tokens.
    Chat(BareChat),
    /// A chat that cannot be rebuilt.
    Unclear(Unclear),
}

/// A prompt that was rebuilt.
#[derive(Debug, Clone, PartialEq)]
struct BareChat {
    messages: Vec<Value>,
    /// The text that the template writes, with special tokens and the generation prompt.
    text: String,
    /// Its token ids.
    tokens: Vec<i64>,
}

/// Why a chat cannot be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unclear {
    /// The text can be read as several chats.
    Ambiguous,
    /// The template writes another text for the messages.
    Differs,
    /// Nothing is left of the template's marks, so that every text may be a chat.
    NoMarks,
    /// The response has role lines, and it is unknown who wrote what is between them.
    Turns,
}

impl Unclear {
    fn reason(self) -> &'static str {
        match self {
            Unclear::Ambiguous => "can be read in several ways",
            Unclear::Differs => "not as the chat template writes it",
            Unclear::NoMarks => "no text is left between messages",
            Unclear::Turns => "role lines in the response",
        }
    }
}

/// Rebuilds chats with the template and the tokenizer of one checkpoint.
pub(crate) struct BareChats<'a> {
    chat: &'a ChatTemplate,
    tokenizer: &'a Tokenizer,
    /// Variables of the template.
    arguments: &'a [(String, Value)],
    marks: Marks,
    /// The end token that the template writes after a message of the assistant.
    end: Option<EndToken>,
}

impl<'a> BareChats<'a> {
    /// Learns the marks of a template; `None` if its text loses nothing without special tokens.
    pub(crate) fn new(
        chat: &'a ChatTemplate,
        tokenizer: &'a Tokenizer,
        arguments: &'a [(String, Value)],
    ) -> Option<BareChats<'a>> {
        let marks = Marks::learn(chat, tokenizer, arguments)?;
        let end = end_token::of_template(chat, tokenizer, arguments);
        Some(BareChats { chat, tokenizer, arguments, marks, end })
    }

    /// The end token of a response.
    fn end(&self) -> Option<i64> {
        self.end.as_ref().map(|end| end.id)
    }

    /// Reads a prompt.
    fn read(&self, text: &str, origin: Origin) -> Reading {
        // A text with special tokens was not decoded without them.
        if self
            .tokenizer
            .encode(text, false)
            .is_ok_and(|tokens| self.tokenizer.has_special(&tokens))
        {
            return Reading::Plain;
        }
        if self.marks.visibility == Visibility::None {
            return match origin {
                Origin::Trainer => Reading::Unclear(Unclear::NoMarks),
                Origin::Any => Reading::Plain,
            };
        }
        match self.rebuild(text) {
            Ok(Some(chat)) if origin == Origin::Any && !self.lost_anything(text, &chat) => {
                Reading::Plain
            }
            Ok(Some(chat)) => Reading::Chat(chat),
            Ok(None) if origin == Origin::Trainer && self.marks.begin_or_end(text) => {
                Reading::Unclear(Unclear::Differs)
            }
            Ok(None) => Reading::Plain,
            Err(unclear) => Reading::Unclear(unclear),
        }
    }

    /// Whether the chat has other token ids than its text.
    fn lost_anything(&self, text: &str, chat: &BareChat) -> bool {
        self.tokenizer.encode_prompt(text).map_or(true, |tokens| tokens != chat.tokens)
    }

    /// The only chat that becomes this text. `None` if no chat with a generation prompt does.
    fn rebuild(&self, text: &str) -> Result<Option<BareChat>, Unclear> {
        let found = parses(&self.marks, text);
        let mut chats: Vec<BareChat> = Vec::new();
        let mut is_continued = false;
        let parses = found.parses.iter().filter(|messages| !ends_with_nothing(messages));
        for (i, messages) in parses.enumerate() {
            let Some(chat) = self.render_back(messages, text) else { continue };
            // The first way to read a text takes every mark for a mark. If it is an ordinary conversation, a message
            // that has the marks of a whole conversation inside it is not considered.
            if i == 0 && is_conversation(messages) {
                return Ok(Some(chat));
            }
            is_continued |= messages.last().is_some_and(|last| last.role != Role::Assistant);
            if chats.iter().all(|other| other.text != chat.text) {
                chats.push(chat);
            }
        }
        match (is_continued, chats.len(), found.complete) {
            (false, _, true) => Ok(None),
            (true, 1, true) => Ok(chats.pop()),
            _ => Err(Unclear::Ambiguous),
        }
    }

    /// The chat of these messages, if it becomes this text without special tokens.
    fn render_back(&self, messages: &[Message<'_>], text: &str) -> Option<BareChat> {
        let messages: Vec<Value> =
            messages.iter().map(|message| message.role.message(message.content)).collect();
        let rendered = self.chat.render(&messages, self.arguments).ok()?;
        let tokens = self.tokenizer.encode(&rendered, false).ok()?;
        let is_same = self.tokenizer.decode(&tokens) == text;
        is_same.then_some(BareChat { messages, text: rendered, tokens })
    }
}

/// Whether the last message is one of the assistant without content: some templates write nothing at the end of a chat,
/// where others write the generation prompt.
fn ends_with_nothing(messages: &[Message<'_>]) -> bool {
    messages.last().is_some_and(|last| last.role == Role::Assistant && last.content.is_empty())
}

/// Whether roles follow each other as in a conversation that the assistant continues.
fn is_conversation(messages: &[Message<'_>]) -> bool {
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    let turns = roles.strip_prefix(&[Role::System]).unwrap_or(&roles);
    let follows = |pair: &[Role]| {
        matches!(
            pair,
            [Role::User, Role::Assistant]
                | [Role::Assistant, Role::User | Role::Tool]
                | [Role::Tool, Role::Tool | Role::Assistant]
        )
    };
    turns.first() == Some(&Role::User)
        && matches!(turns.last(), Some(Role::User | Role::Tool))
        && turns.windows(2).all(follows)
}

/// A text tokenised and decoded without special tokens.
fn bare(tokenizer: &Tokenizer, text: &str) -> Option<String> {
    Some(tokenizer.decode(&tokenizer.encode(text, false).ok()?))
}

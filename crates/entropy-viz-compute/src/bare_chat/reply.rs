//! The turns in a response that was decoded without special tokens.
//!
//! An agent's response has the messages of its tools between its own. The marks between them are those of the template:
//!
//! ```text
//! <tool_call>…</tool_call>\nuser\n<tool_response>\n7\n</tool_response>\nassistant\nThe answer is 7.
//! ```
//!
//! The policy may also have written such lines itself. Only the marks of tools are evidence enough, because a template
//! writes more for them than the name of a role; a response with other role lines is unclear.

use serde_json::Value;

use super::end_token::without_generation_prompt;
use super::parse::{Form, Message, replies};
use super::{BareChat, BareChats, Role};
use crate::turns::Turn;

/// What a response is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// One message: its token ids, without an end token.
    Single(Vec<i64>),
    Turns(ReplyTurns),
    /// It has role lines, and it is unknown who wrote what is between them.
    Unclear,
}

/// The assistant's turns of a response with tools.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReplyTurns {
    /// At least one; those that are followed by a message have their end token.
    pub(super) turns: Vec<Turn>,
    /// Whether the response ends with the last turn, whose end token was dropped, or with a tool's message.
    pub(super) ends_with: Role,
    /// Number of tokens of the response, with those of tools.
    pub(super) length: usize,
}

impl BareChats<'_> {
    /// Reads the response to a prompt, whose text was `input`.
    pub(super) fn reply(
        &self,
        chat: &BareChat,
        input: &str,
        output: &str,
    ) -> anyhow::Result<Reply> {
        let after_end = self.end.as_ref().map_or("", |end| end.after.as_str());
        let found = replies(&self.marks, output, after_end);
        // The first way takes every mark for a mark.
        let Some(messages) = found.parses.first() else {
            return Ok(match found.complete {
                true => Reply::Single(self.tokenizer.encode(output, false)?),
                false => Reply::Unclear,
            });
        };
        let turns = match are_turns_of_tools(messages) {
            true => self.turns(chat, messages, &format!("{input}{output}")),
            false => None,
        };
        Ok(turns.map_or(Reply::Unclear, Reply::Turns))
    }

    /// The turns of a response, if prompt and response become `text` without special tokens.
    fn turns(&self, chat: &BareChat, replies: &[Message<'_>], text: &str) -> Option<ReplyTurns> {
        let end = self.end.as_ref()?;
        let encode = |text: &str| self.tokenizer.encode(text, false).ok();
        let without_prompt = without_generation_prompt(self.arguments);
        let mut messages: Vec<Value> = chat.messages.clone();
        // What the template writes for the messages so far, and the token ids as the trainer joined them.
        let (mut written, mut tokens) = (chat.text.clone(), chat.tokens.clone());
        let mut turns = Vec::new();
        let mut rest = replies;
        while let [turn, after @ ..] = rest {
            messages.push(Role::Assistant.message(turn.content));
            if after.is_empty() {
                let own = encode(turn.content)?;
                tokens.extend(&own);
                let context = tokens[..tokens.len() - own.len()].to_vec();
                turns.push(Turn { context, tokens: own });
                break;
            }
            let own = format!("{}{}", turn.content, end.text);
            let whole = self.chat.render(&messages, &without_prompt).ok()?;
            let after_end = whole.strip_prefix(&written)?.strip_prefix(&own)?;
            let tools = after.iter().take_while(|message| message.role == Role::Tool).count();
            messages.extend(after[..tools].iter().map(|tool| Role::Tool.message(tool.content)));
            written = self.chat.render(&messages, self.arguments).ok()?;
            let of_tools = written.strip_prefix(&whole)?;
            let own = encode(&own)?;
            turns.push(Turn { context: tokens.clone(), tokens: own.clone() });
            tokens.extend(own);
            tokens.extend(encode(&match after[0].mark {
                Some(Form::Joined) => of_tools.to_owned(),
                Some(Form::Whole) | None => format!("{after_end}{of_tools}"),
            })?);
            rest = &after[tools..];
        }
        let ends_with = replies.last()?.role;
        let left = self.tokenizer.decode(&tokens);
        let is_same = match ends_with {
            // The response may have been cut within the tool's message.
            Role::Tool => left.starts_with(text),
            _ => left == text,
        };
        // A turn that was cut before its first token.
        if ends_with == Role::Assistant && turns.last().is_some_and(|turn| turn.tokens.is_empty()) {
            turns.pop();
        }
        let length = tokens.len() - chat.tokens.len();
        is_same.then_some(ReplyTurns { turns, ends_with, length })
    }
}

/// Whether messages of tools are between those of the assistant.
fn are_turns_of_tools(messages: &[Message<'_>]) -> bool {
    let is_turn = |pair: &[Message<'_>]| {
        matches!(
            (pair[0].role, pair[1].role),
            (Role::Assistant | Role::Tool, Role::Tool) | (Role::Tool, Role::Assistant)
        )
    };
    messages.windows(2).all(is_turn)
}

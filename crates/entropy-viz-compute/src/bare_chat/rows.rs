//! The rows of a prompt file whose chats lost their special tokens, and what was done with them.

use std::collections::BTreeMap;

use entropy_shell::plural;
use serde::{Deserialize, Serialize};

use super::{BareChats, Ending, Endings, Origin, Reading, Reply, Role, Unclear};
use crate::prompts::{GivenResponse, Prompt, PromptRow};
use crate::turns::Turn;

/// What the texts of a row are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RowReading {
    /// To be used as they are.
    Plain,
    /// A prompt that was rebuilt; its response, if there is one, is used as it is.
    Prompt(Vec<i64>),
    /// A prompt that was rebuilt, and the token ids of its response.
    Response { prompt: Vec<i64>, tokens: Vec<i64> },
    /// The turns of a conversation that was rebuilt.
    Turns(Vec<Turn>),
    /// A chat that cannot be rebuilt.
    Unclear(Unclear),
}

/// The numbers of rows whose chats lost their special tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BareCounts {
    rebuilt: usize,
    with_tools: usize,
    ended: usize,
    unknown_end: usize,
    unclear: BTreeMap<Unclear, usize>,
}

impl BareCounts {
    /// Adds the counts of other rows.
    pub(crate) fn add(&mut self, other: &BareCounts) {
        self.rebuilt += other.rebuilt;
        self.with_tools += other.with_tools;
        self.ended += other.ended;
        self.unknown_end += other.unknown_end;
        for (unclear, n) in &other.unclear {
            *self.unclear.entry(*unclear).or_default() += n;
        }
    }

    /// Rows that are left out.
    pub(crate) fn unclear(&self) -> usize {
        self.unclear.values().sum()
    }

    /// What was done with the rows; `None` if there are none.
    pub(crate) fn message(&self) -> Option<String> {
        let chats = plural(self.rebuilt + self.unclear(), "chat", "chats");
        if self.rebuilt + self.unclear() == 0 {
            return None;
        }
        let mut parts =
            vec![format!("{} of {chats} rebuilt from text without special tokens", self.rebuilt)];
        if self.with_tools > 0 {
            parts.push(format!("{} with messages of tools in the response", self.with_tools));
        }
        if self.ended + self.unknown_end > 0 {
            let (ended, unknown) = (self.ended, self.unknown_end);
            parts.push(format!("end token restored in {ended}, unknown and left off in {unknown}"));
        }
        if !self.unclear.is_empty() {
            let reasons =
                self.unclear.iter().map(|(unclear, n)| format!("{n} {}", unclear.reason()));
            let reasons: Vec<String> = reasons.collect();
            parts.push(format!("{} left out ({})", self.unclear(), reasons.join(", ")));
        }
        Some(parts.join("; "))
    }
}

/// The origin of the texts of a row.
fn origin(row: &PromptRow) -> Origin {
    match row.is_input_output {
        true => Origin::Trainer,
        false => Origin::Any,
    }
}

/// The prompt of a row, if it can be the text of a chat.
fn text(row: &PromptRow) -> Option<&str> {
    match (&row.prompt, &row.response) {
        (_, Some(GivenResponse::Messages(_) | GivenResponse::Parts(_))) => None,
        (Prompt::Text(text), _) => Some(text),
        _ => None,
    }
}

/// Whether a chat of some row lost its special tokens.
pub(crate) fn is_any_bare(bare: &BareChats<'_>, rows: &[PromptRow]) -> bool {
    let is_bare = |row: &PromptRow| {
        text(row).is_some_and(|text| bare.read(text, origin(row)) != Reading::Plain)
    };
    rows.iter().any(is_bare)
}

/// Reads all rows of a file, because the longest response tells about the others: what each is, and the counts of those
/// that `is_counted`.
pub(crate) fn read_rows(
    bare: &BareChats<'_>,
    rows: &[PromptRow],
    is_counted: impl Fn(usize) -> bool,
) -> anyhow::Result<(Vec<RowReading>, BareCounts)> {
    let mut counts = BareCounts::default();
    let mut readings = Vec::with_capacity(rows.len());
    // Responses whose end token was dropped: index of the row, number of tokens.
    let mut open: Vec<(usize, usize)> = Vec::new();
    // Responses that end with a tool's message, for the longest one.
    let mut lengths: Vec<usize> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let reading = match text(row).map(|text| (text, bare.read(text, origin(row)))) {
            None | Some((_, Reading::Plain)) => RowReading::Plain,
            Some((_, Reading::Unclear(unclear))) => {
                // How long it is still tells about the others.
                if let Some(GivenResponse::Text(output)) = &row.response {
                    lengths.push(bare.tokenizer.encode(output, false)?.len());
                }
                RowReading::Unclear(unclear)
            }
            Some((input, Reading::Chat(chat))) => match &row.response {
                Some(GivenResponse::Text(output)) => match bare.reply(&chat, input, output)? {
                    Reply::Single(tokens) => {
                        open.push((i, tokens.len()));
                        RowReading::Response { prompt: chat.tokens, tokens }
                    }
                    Reply::Turns(reply) => {
                        match reply.ends_with {
                            Role::Assistant => open.push((i, reply.length)),
                            _ => lengths.push(reply.length),
                        }
                        counts.with_tools += usize::from(is_counted(i));
                        RowReading::Turns(reply.turns)
                    }
                    Reply::Unclear => {
                        lengths.push(bare.tokenizer.encode(output, false)?.len());
                        RowReading::Unclear(Unclear::Turns)
                    }
                },
                _ => RowReading::Prompt(chat.tokens),
            },
        };
        match &reading {
            RowReading::Plain => {}
            _ if !is_counted(i) => {}
            RowReading::Unclear(unclear) => *counts.unclear.entry(*unclear).or_default() += 1,
            _ => counts.rebuilt += 1,
        }
        readings.push(reading);
    }
    let endings = Endings::new(open.iter().map(|(_, length)| *length).chain(lengths));
    for (i, length) in open {
        let row = &rows[i];
        let ending = endings.of(length, row.finish_reason.as_deref(), row.response_length);
        let tokens = match &mut readings[i] {
            RowReading::Response { tokens, .. } => Some(tokens),
            RowReading::Turns(turns) => turns.last_mut().map(|turn| &mut turn.tokens),
            _ => None,
        };
        match (ending, bare.end(), tokens) {
            (Ending::Ended, Some(end), Some(tokens)) => {
                tokens.push(end);
                counts.ended += usize::from(is_counted(i));
            }
            (Ending::Cut, ..) => {}
            _ => counts.unknown_end += usize::from(is_counted(i)),
        }
    }
    Ok((readings, counts))
}

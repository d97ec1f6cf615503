//! What is left of a chat template between the contents of messages, when special tokens are dropped.
//!
//! Chats of all short sequences of roles are rendered with sentinels for their contents:
//!
//! ```text
//! <|im_start|>user\nS0<|im_end|>\n<|im_start|>assistant\n    →  "user\n" S0 "\nassistant\n"      Qwen
//! …<|start_header_id|>user<|end_header_id|>\n\nS0<|eot_id|>… →  … "user\n\n" S0 "assistant\n\n"  Llama 3
//! ```

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Role, bare};
use crate::chat::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// Time for all chats of one template; those of published templates take tens of milliseconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Whether messages can be told apart in the text that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Visible,
    /// Between some messages, or around all of them, nothing but whitespace is left.
    None,
}

/// A text between two messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) before: Role,
    pub(super) after: Role,
    pub(super) text: String,
}

/// The texts around and between messages, each with at least one character that is not whitespace, except for `first`
/// and `last`.
#[derive(Debug)]
pub(super) struct Marks {
    /// Before the first message, by its role.
    pub(super) first: Vec<(Role, String)>,
    pub(super) between: Vec<Between>,
    /// After the last message, by its role: the generation prompt.
    pub(super) last: Vec<(Role, String)>,
    pub(super) visibility: Visibility,
    /// Whether the template removes whitespace around contents.
    pub(super) trims: bool,
}

impl Marks {
    /// Learns the marks of a template; `None` if it writes no special token, or if it cannot render a user message.
    pub(super) fn learn(
        chat: &ChatTemplate,
        tokenizer: &Tokenizer,
        arguments: &[(String, Value)],
    ) -> Option<Marks> {
        let start = Instant::now();
        let mut marks = Marks {
            first: Vec::new(),
            between: Vec::new(),
            last: Vec::new(),
            visibility: Visibility::Visible,
            trims: false,
        };
        let render = |roles: &[Role], contents: &[String]| {
            let messages: Vec<Value> =
                roles.iter().zip(contents).map(|(role, content)| role.message(content)).collect();
            chat.render(&messages, arguments).ok()
        };
        let mut lost = false;
        for roles in sequences() {
            if start.elapsed() > TIME_LIMIT {
                // Without all marks nothing is rebuilt, and chats are left out and counted.
                lost = true;
                marks.visibility = Visibility::None;
                break;
            }
            let contents: Vec<String> = (0..roles.len()).map(sentinel).collect();
            let Some(rendered) = render(&roles, &contents) else { continue };
            let Some(left) = bare(tokenizer, &rendered) else { continue };
            lost |= left != rendered;
            let Some(texts) = split(&left, &contents) else { continue };
            add(&mut marks.first, (roles[0], texts[0].to_owned()));
            add(&mut marks.last, (roles[roles.len() - 1], texts[roles.len()].to_owned()));
            for (i, pair) in roles.windows(2).enumerate() {
                let text = texts[i + 1].to_owned();
                if !text.trim().is_empty() {
                    add(&mut marks.between, Between { before: pair[0], after: pair[1], text });
                    continue;
                }
                // Nothing is left between two messages. That is harmless where the template writes the same for one
                // message with both contents.
                let merged_roles = [&roles[..i], &roles[i + 1..]].concat();
                let mut merged = contents.clone();
                merged[i + 1] = format!("{}{text}{}", contents[i], contents[i + 1]);
                merged.remove(i);
                let is_usual = matches!(
                    pair,
                    [Role::System, Role::User]
                        | [Role::User, Role::Assistant]
                        | [Role::Assistant, Role::User]
                );
                if is_usual && render(&merged_roles, &merged).as_ref() != Some(&rendered) {
                    marks.visibility = Visibility::None;
                }
            }
        }
        let is_visible =
            |(role, text): &(Role, String)| *role == Role::User && !text.trim().is_empty();
        if !marks.first.iter().chain(&marks.last).any(is_visible) {
            marks.visibility = Visibility::None;
        }
        let spaced = format!(" {} ", sentinel(0));
        let rendered = render(&[Role::User], std::slice::from_ref(&spaced))?;
        marks.trims = !rendered.contains(&spaced);
        lost.then_some(marks)
    }

    /// Whether a text begins or ends like a chat.
    pub(super) fn begin_or_end(&self, text: &str) -> bool {
        let text = text.trim();
        let is_there = |mark: &str, test: &dyn Fn(&str) -> bool| !mark.is_empty() && test(mark);
        self.first.iter().any(|(_, mark)| is_there(mark.trim(), &|mark| text.starts_with(mark)))
            || self.last.iter().any(|(_, mark)| is_there(mark.trim(), &|mark| text.ends_with(mark)))
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The roles of the chats that are rendered: all sequences of up to three roles, and of four if they begin as usual.
fn sequences() -> Vec<Vec<Role>> {
    let mut all: Vec<Vec<Role>> = vec![vec![Role::System], vec![Role::User]];
    let mut from = 0;
    for length in 2..=4 {
        let to = all.len();
        for i in from..to {
            let begins_as_usual = matches!(
                all[i][..],
                [_] | [_, _] | [Role::System, Role::User, _] | [Role::User, Role::Assistant, _]
            );
            if length < 4 || begins_as_usual {
                let longer = Role::ALL.map(|role| [&all[i][..], &[role]].concat());
                all.extend(longer);
            }
        }
        from = to;
    }
    all
}

/// A content that no template has, without whitespace and special characters.
fn sentinel(index: usize) -> String {
    format!("Content{index}Zqx")
}

/// The texts around the sentinels; `None` if they are not there once each, in their order.
fn split<'t>(text: &'t str, sentinels: &[String]) -> Option<Vec<&'t str>> {
    let mut texts = Vec::new();
    let mut rest = text;
    for sentinel in sentinels {
        let (before, after) = rest.split_once(sentinel.as_str())?;
        texts.push(before);
        rest = after;
    }
    texts.push(rest);
    let is_left = |text: &&str| sentinels.iter().any(|sentinel| text.contains(sentinel.as_str()));
    (!texts.iter().any(is_left)).then_some(texts)
}

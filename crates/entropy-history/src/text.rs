//! Parts of messages, and text without terminal escape sequences.

use std::borrow::Cow;
use std::io;

/// The system's message without Rust's `(os error 2)`, its first letter in lower case.
pub fn io_message(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect())
}

/// A count with its noun: `1 run`, `2 runs`.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The text without escape sequences for colours and cursor movement.
pub(crate) fn without_ansi(text: &str) -> Cow<'_, str> {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut plain = first.to_owned();
    for part in parts {
        let sequence = part.strip_prefix('[').unwrap_or_default();
        let end = sequence.find(|c: char| ('@'..='~').contains(&c));
        plain.push_str(end.map_or(part, |end| &sequence[end + 1..]));
    }
    Cow::Owned(plain)
}

//! Parts of messages: system errors and counted nouns.

use std::io;

/// The operating system's message in lower case, without Rust's suffix `(os error 2)`.
pub fn io_message(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect())
}

/// A count with its noun: `1 run`, `3 runs`.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

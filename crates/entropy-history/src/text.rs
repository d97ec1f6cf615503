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

/// The most similar name, if one is similar enough to be meant.
pub fn nearest_name<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const MIN_SIMILARITY: f64 = 0.8;
    let similar = known.into_iter().map(|other| (other, strsim::jaro(name, other)));
    let nearest = similar.max_by(|a, b| a.1.total_cmp(&b.1));
    nearest
        .filter(|(other, similarity)| *similarity >= MIN_SIMILARITY && *other != name)
        .map(|(other, _)| other)
}

/// The names that exist, for a hint about one that does not: "did you mean …?" if one is similar, and the first 20.
/// `None` without names.
pub fn names_hint(name: &str, known: &[String]) -> Option<String> {
    const MAX_NAMES: usize = 20;
    if known.is_empty() {
        return None;
    }
    let first = match nearest_name(name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean {nearest:?}? There"),
        None => "there".to_owned(),
    };
    let more = match known.len().checked_sub(MAX_NAMES) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    let known: Vec<&str> = known.iter().take(MAX_NAMES).map(String::as_str).collect();
    Some(format!("{first} are {}{more}", known.join(", ")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_exist_are_named_and_a_similar_one_first() {
        let known = ["env", "reward", "step"].map(str::to_owned);
        assert_eq!(
            names_hint("rewrd", &known).unwrap(),
            "did you mean \"reward\"? There are env, reward, step"
        );
        assert_eq!(names_hint("xyz", &known).unwrap(), "there are env, reward, step");
        assert_eq!(names_hint("xyz", &[]), None);
        let many: Vec<String> = (0..23).map(|at| format!("c{at}")).collect();
        assert!(names_hint("xyz", &many).unwrap().ends_with("c19 and 3 more"));
    }
}

//! Labels as they are shown: made safe, shortened, without the parts that all of them share.
//!
//! A label comes from a file name, so it may contain an escape sequence that changes a terminal, or a
//! bidirectional override that reorders a line. [`visible`] escapes these for terminals and pictures.

use std::borrow::Cow;
use std::cmp::Ordering;

mod choose;
mod pieces;
mod seeds;
mod short_names;

pub use choose::{LabelGlobError, matching_labels};
pub use seeds::group_pattern;
pub use short_names::ShortNames;

/// The label with control, bidirectional and other invisible characters escaped as `\u{1b}`. GitHub runs some texts
/// in the log of a job as commands (ActionCommand.cs of actions/runner): `::` at the start of a line, and `##[`
/// anywhere. Their first character is escaped too.
pub fn visible(label: &str) -> Cow<'_, str> {
    let commands = || label.trim_start().starts_with("::") || label.contains("##[");
    if !commands() && !label.chars().any(is_invisible) {
        return Cow::Borrowed(label);
    }
    let at_start = label.len() - label.trim_start().len();
    let mut text = String::with_capacity(label.len() + 8);
    for (at, c) in label.char_indices() {
        let rest = &label[at..];
        let commands = at == at_start && rest.starts_with("::") || rest.starts_with("##[");
        if commands || is_invisible(c) {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// The order of two names, in which numbers count by their size: `run2` is before `run10`.
pub fn compare_names(a: &str, b: &str) -> Ordering {
    alphanumeric_sort::compare_str(a, b)
}

/// The text as a table cell, with an apostrophe in front if a spreadsheet would run it as a formula.
pub fn as_cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

fn is_invisible(c: char) -> bool {
    // U+200D joins emoji and is kept; the others are invisible and change what is shown.
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
        || matches!(
            c,
            '\u{00ad}' | '\u{2060}'
                ..='\u{2064}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// The longest text that `fits` with the middle of the label replaced by `…`. More is kept of the end, where
/// labels of runs mostly differ.
pub fn shorten_middle(label: &str, fits: impl Fn(&str) -> bool) -> String {
    if fits(label) {
        return label.to_owned();
    }
    let chars: Vec<char> = label.chars().collect();
    let keep = |n: usize| -> String {
        let head = n * 2 / 5;
        let tail = n - head;
        chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
    };
    // Width grows with length, so a binary search finds the longest.
    let (mut low, mut high) = (1, chars.len());
    while low + 1 < high {
        let middle = (low + high) / 2;
        if fits(&keep(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    keep(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_and_invisible_characters() {
        assert_eq!(visible("\u{1b}[31mred"), r"\u{1b}[31mred");
        assert_eq!(visible("a\u{202e}b\nc\u{7f}"), r"a\u{202e}b\u{a}c\u{7f}");
        assert_eq!(visible("实验 α 👩‍👧"), "实验 α 👩‍👧");
        assert_eq!(visible("a\u{ad}b\u{2060}c\u{3164}"), r"a\u{ad}b\u{2060}c\u{3164}");
    }

    #[test]
    fn escapes_workflow_commands_of_github() {
        assert_eq!(visible("::set-output name=a::b"), r"\u{3a}:set-output name=a::b");
        assert_eq!(visible(" ::add-mask::x"), r" \u{3a}:add-mask::x");
        assert_eq!(visible("a ##[add-mask]b"), r"a \u{23}#[add-mask]b");
        assert_eq!(visible("a::b #[c] ##"), "a::b #[c] ##");
    }

    #[test]
    fn long_label_loses_its_middle() {
        assert_eq!(
            shorten_middle("questioner_v1_seed3", |s| s.chars().count() <= 10),
            "que…_seed3"
        );
        assert_eq!(shorten_middle("short", |_| true), "short");
    }
}

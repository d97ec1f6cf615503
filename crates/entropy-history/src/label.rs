//! Names of runs on their way to an eye: made visible, shortened, freed of what they share.
//!
//! A label comes from a file name, so it may hold anything: an escape sequence that would repaint a
//! terminal, a bidirectional override that would reorder a line. [`visible`] is the one place that
//! defuses it, for terminals and pictures alike.

use std::borrow::Cow;

/// The label with control, bidirectional and other invisible characters written as `\u{1b}`; what GitHub
/// would take for a command in a job's log is broken up in the same way: `::` at the start of a line, `##[`
/// anywhere (ActionCommand.cs of actions/runner).
pub fn visible(label: &str) -> Cow<'_, str> {
    let commands = || label.trim_start().starts_with("::") || label.contains("##[");
    if !commands() && !label.chars().any(is_unseen) {
        return Cow::Borrowed(label);
    }
    let at_start = label.len() - label.trim_start().len();
    let mut text = String::with_capacity(label.len() + 8);
    for (at, c) in label.char_indices() {
        let rest = &label[at..];
        let commands = at == at_start && rest.starts_with("::") || rest.starts_with("##[");
        if commands || is_unseen(c) {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// The text as a cell of a table: what a spreadsheet would run as a formula gets an apostrophe in front.
pub fn as_cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

fn is_unseen(c: char) -> bool {
    // U+200D joins emoji and stays; the others change what is shown without being shown.
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
        || matches!(
            c,
            '\u{00ad}' | '\u{2060}'
                ..='\u{2064}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// The label with its middle replaced by `…` so that `fits` holds; what distinguishes runs stands
/// mostly at the end, so the end keeps the larger half.
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
    // Widths grow with length, so the longest that fits is found by halving.
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

/// The prefix, ending at a separator, that all labels share, if it is long enough to be worth
/// saying once; each label is longer than it.
pub fn common_prefix<'a>(labels: &[&'a str]) -> &'a str {
    const WORTH: usize = 6;
    let [first, rest @ ..] = labels else { return "" };
    if rest.is_empty() {
        return "";
    }
    let same = |other: &&str| {
        first
            .char_indices()
            .zip(other.chars())
            .find(|((_, a), b)| a != b)
            .map_or(first.len().min(other.len()), |((at, _), _)| at)
    };
    let shared = &first[..rest.iter().map(same).min().unwrap_or(0)];
    let separators = ['_', '-', '.', '/', ' ', ':'];
    let end = shared.rfind(separators).map_or(0, |at| at + 1);
    let whole = labels.iter().all(|label| label.len() > end);
    if shared[..end].chars().count() >= WORTH && whole { &first[..end] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_written_out() {
        assert_eq!(visible("\u{1b}[31mred"), r"\u{1b}[31mred");
        assert_eq!(visible("a\u{202e}b\nc\u{7f}"), r"a\u{202e}b\u{a}c\u{7f}");
        assert_eq!(visible("实验 α 👩‍👧"), "实验 α 👩‍👧");
        assert_eq!(visible("a\u{ad}b\u{2060}c\u{3164}"), r"a\u{ad}b\u{2060}c\u{3164}");
    }

    #[test]
    fn what_would_command_a_job_on_github_is_written_out() {
        assert_eq!(visible("::set-output name=a::b"), r"\u{3a}:set-output name=a::b");
        assert_eq!(visible(" ::add-mask::x"), r" \u{3a}:add-mask::x");
        assert_eq!(visible("a ##[add-mask]b"), r"a \u{23}#[add-mask]b");
        assert_eq!(visible("a::b #[c] ##"), "a::b #[c] ##");
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(
            shorten_middle("questioner_v1_seed3", |s| s.chars().count() <= 10),
            "que…_seed3"
        );
        assert_eq!(shorten_middle("short", |_| true), "short");
    }

    #[test]
    fn a_prefix_is_shared_up_to_a_separator() {
        assert_eq!(common_prefix(&["qwen3-tiny_questioner", "qwen3-tiny_queue"]), "qwen3-tiny_");
        assert_eq!(common_prefix(&["a_1", "a_2"]), "", "too short to be worth a word");
        assert_eq!(common_prefix(&["qwen3-tiny_", "qwen3-tiny_b"]), "", "nothing would be left");
        assert_eq!(common_prefix(&["qwen3-tiny_a"]), "");
        assert_eq!(common_prefix(&["实验实验实验_α", "实验实验实验_β"]), "实验实验实验_");
    }
}

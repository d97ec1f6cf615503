//! The pieces of a label: words, parameters and numbers, as people put them together.
//!
//! ```text
//! qwen3-tiny_solver_lr1e-6_kl0.01_seed1   →   qwen3 -tiny _solver _lr1e-6 _kl0.01 _seed1
//! grpo (trainer_state.json)               →   grpo, (trainer_state.json)
//! ```

/// A part of a label with the separators in front of it. The pieces of a label, one after the other, are the
/// label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Piece<'a> {
    pub(super) separator: &'a str,
    pub(super) text: &'a str,
}

impl Piece<'_> {
    pub(super) fn len(&self) -> usize {
        self.separator.chars().count() + self.text.chars().count()
    }

    /// Whether it is a number, or a part of one: `1`, `03`, `1e-6`, `2026`.
    pub(super) fn is_number(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit()) && self.text.parse::<f64>().is_ok()
    }

    /// Whether it says something alone: two letters in a row, or a letter of a script that is not Latin.
    pub(super) fn is_word(&self) -> bool {
        let chars: Vec<char> = self.text.chars().collect();
        let is_letter = |c: &char| c.is_alphabetic();
        chars.windows(2).any(|pair| pair.iter().all(is_letter))
            || chars.iter().any(|c| c.is_alphabetic() && !c.is_ascii())
    }
}

/// Splits a label. A hyphen or a point inside a number is no separator, and brackets stay together.
pub(super) fn pieces(label: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0; // of the separators of the current piece
    let mut text = 0; // of its text
    let mut depth = 0usize; // of brackets
    for (at, c) in label.char_indices() {
        let after = label[at + c.len_utf8()..].chars().next();
        let opens = c == '(' || c == '[';
        let splits =
            depth == 0 && (is_separator(c) && !is_in_number(&label[text..at], c, after) || opens);
        if splits && at > text {
            pieces.push(Piece { separator: &label[start..text], text: &label[text..at] });
            start = at;
        }
        if splits {
            text = if opens { at } else { at + c.len_utf8() };
        }
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if !label.is_empty() {
        pieces.push(Piece { separator: &label[start..text], text: &label[text..] });
    }
    pieces
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '_' | '-' | '.' | '/' | '\\' | ':' | ',' | ';' | '+' | '|' | '·')
}

/// Whether a separator is a part of the number that `text` ends with: `0.01`, `1e-6`, `1.5e+3`.
fn is_in_number(text: &str, c: char, after: Option<char>) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut last = text.chars().rev();
    match c {
        '.' => is_digit(last.next()) && is_digit(after),
        '-' | '+' => {
            matches!(last.next(), Some('e' | 'E')) && is_digit(last.next()) && is_digit(after)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(label: &str) -> Vec<&str> {
        let pieces = pieces(label);
        let whole: String = pieces.iter().flat_map(|p| [p.separator, p.text]).collect();
        assert_eq!(whole, label, "nothing is lost");
        pieces.iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn numbers_and_brackets_stay_whole() {
        assert_eq!(
            texts("qwen3-tiny_lr1e-6_kl0.01_seed1"),
            ["qwen3", "tiny", "lr1e-6", "kl0.01", "seed1"]
        );
        assert_eq!(texts("grpo (trainer_state.json)"), ["grpo", "(trainer_state.json)"]);
        assert_eq!(texts("a/x · actor/entropy"), ["a", "x", "actor", "entropy"]);
        assert_eq!(texts("2026-11-28_v1.5"), ["2026", "11", "28", "v1.5"]);
        assert_eq!(texts("run(1)[2"), ["run", "(1)", "[2"]);
    }

    #[test]
    fn separators_at_the_ends_are_kept() {
        assert_eq!(texts("_a_"), ["a", ""]);
        assert_eq!(texts("__"), [""]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("实验-α"), ["实验", "α"]);
    }

    #[test]
    fn words_say_something_alone() {
        let words: Vec<&str> = "v1 s1 seed1 kl0.01 T0.7 3 验 1e-6 03"
            .split(' ')
            .filter(|text| Piece { separator: "", text }.is_word())
            .collect();
        assert_eq!(words, ["seed1", "kl0.01", "验"]);
        let numbers: Vec<&str> = "v1 3 1e-6 03 0.5 inf nan"
            .split(' ')
            .filter(|text| Piece { separator: "", text }.is_number())
            .collect();
        assert_eq!(numbers, ["3", "1e-6", "03", "0.5"]);
    }
}

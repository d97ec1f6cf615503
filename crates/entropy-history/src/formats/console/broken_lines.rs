//! Rows of fields that a terminal's width broke over several lines, perhaps inside a number.
//!
//! ```text
//! step:10 - actor/pg_loss:0.010 - actor/entropy:1.41
//! 9596 - actor/grad_norm:0.500
//! ```

use super::fields::fields;
use super::label::StepLabel;
use super::verl_row;
use crate::python_number::python_number;

/// What separates the fields of a row.
const SEPARATORS: [&str; 4] = [" - ", " | ", "  ", ", "];
/// A longer text without a separator is not a piece of a field.
const LONGEST_PIECE: usize = 80;

/// How a line relates to the row before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    /// It is another line.
    None,
    /// It continues the row; this text goes between them.
    With(&'static str),
    /// It may continue the last number of the row, or be a number of its own.
    Unclear,
}

/// Whether `next` continues the row `line`.
pub(crate) fn joint(line: &str, next: &str, is_verl: bool) -> Joint {
    let next = next.trim_end();
    if next.trim().is_empty()
        || next.starts_with(['{', '[', '('])
        || verl_row::find(next, 0).is_some()
        || StepLabel::find(next).is_some_and(|label| label.start == 0)
    {
        return Joint::None;
    }
    let separator = match is_verl {
        true => " - ",
        false => match SEPARATORS.iter().find(|separator| line.contains(*separator)) {
            Some(separator) => separator,
            None => return Joint::None,
        },
    };
    let mark = separator.trim();
    let has_field = |text: &str| text.split(separator).any(|field| !fields(field).is_empty());
    let (piece, tail) = next.split_once(separator).unwrap_or((next, ""));
    if !mark.is_empty() {
        // Broken at a separator, whose spaces may be lost.
        if line.trim_end().ends_with(&separator[..separator.len() - 1]) && has_field(next) {
            return Joint::With(if line.ends_with(' ') { "" } else { " " });
        }
        if let Some(rest) = next.trim_start().strip_prefix(mark)
            && rest.starts_with(' ')
            && has_field(rest)
        {
            return Joint::With(if line.ends_with(' ') || next.starts_with(' ') {
                ""
            } else {
                " "
            });
        }
    }
    let is_piece = piece.len() <= LONGEST_PIECE
        && !piece.contains(char::is_whitespace)
        && (tail.is_empty() || has_field(tail) || is_verl);
    if !is_piece {
        return Joint::None;
    }
    let last = line.rsplit(separator).next().unwrap_or(line);
    let value = last.rsplit([':', '=', ' ']).next().unwrap_or(last);
    let is_complete = fields(last).last().is_some_and(|(_, value)| value.is_some());
    if !is_complete {
        return Joint::With("");
    }
    let continues = !piece.is_empty()
        && piece
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && python_number(&format!("{value}{piece}")).is_some();
    match (continues, tail.is_empty()) {
        (true, false) => Joint::With(""),
        (true, true) => Joint::Unclear,
        (false, _) => Joint::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_row_is_joined() {
        let verl = |line, next| joint(line, next, true);
        let row = "step:10 - actor/pg_loss:0.010 - actor/entropy:1.41";
        assert_eq!(
            verl(row, "9596 - actor/grad_norm:0.500 - critic/rewards/mean:0.500"),
            Joint::With("")
        );
        assert_eq!(verl(row, "- actor/grad_norm:0.500 - b:1"), Joint::With(" "));
        assert_eq!(verl(row, "step:11 - actor/pg_loss:0.010"), Joint::None);
        assert_eq!(verl(row, "WARNING: entropy - is low"), Joint::None);
        assert_eq!(verl(row, ""), Joint::None);
        assert_eq!(verl(row, "9596"), Joint::Unclear);
        assert_eq!(verl("step:10 - actor/entr", "opy:0.5 - b:1"), Joint::With(""));
        assert_eq!(verl("step:10 - actor/entropy:np.float64(0.5", "31) - b:1"), Joint::With(""));
        assert_eq!(verl("step:10 - a:0.5 -", "actor/entropy:0.5 - b:1"), Joint::With(" "));
        assert_eq!(verl("step:10 - a:1e", "-05 - actor/entropy:0.5"), Joint::With(""));
        let bars = |next| joint("Step 3 | Loss 0.01 | Entropy 0.21", next, false);
        assert_eq!(bars("23 | Mismatch KL 0.001"), Joint::With(""));
        assert_eq!(bars("| Mismatch KL 0.001"), Joint::With(" "));
        assert_eq!(bars("10:00:01 | INFO | saved 3"), Joint::None);
        assert_eq!(bars("Step 4 | Loss 0.01"), Joint::None);
    }
}

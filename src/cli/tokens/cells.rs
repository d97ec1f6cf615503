//! Cells of the tables: numbers, tokens, intervals.

use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::typographic;
use entropy_tokens::stats::covariance::{Prediction, TOP_SHARES};
use entropy_tokens::stats::interval::MeanInterval;
use entropy_tokens::{GroupStats, StepAnalysis, TokenName};
use unicode_width::UnicodeWidthStr;

/// The largest width of a token in a table.
const MAX_TOKEN: usize = 18;

/// A number with `digits` decimals.
pub(in crate::cli) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    // Rounding must not leave a minus before a zero.
    let is_zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
    typographic(if is_zero { text.trim_start_matches('-').to_owned() } else { text })
}

/// A number with three decimals, or in scientific notation if it is very small or large.
pub(in crate::cli) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.001..10_000.0 => fixed(value, 3),
        _ => typographic(format!("{value:.2e}")),
    }
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// A share in per cent.
pub(in crate::cli) fn percent(share: f64) -> String {
    format!("{} %", fixed(100.0 * share, 1))
}

/// Half the width of an interval around a mean; a dash without one.
pub(super) fn plus_minus(interval: &MeanInterval) -> String {
    half_width(interval.mean, interval.high, number)
}

/// The distance of the end of an interval from the estimate; a dash without an end.
pub(super) fn half_width(estimate: f64, end: Option<f64>, format: fn(f64) -> String) -> String {
    end.map_or_else(|| "–".to_owned(), |end| format!("±{}", format(end - estimate)))
}

/// What the covariance predicts for the entropy.
pub(super) fn prediction(prediction: Prediction) -> &'static str {
    match prediction {
        Prediction::Falls => "falls",
        Prediction::Rises => "rises",
        Prediction::Unclear => "unclear",
        Prediction::Stays => "stays",
    }
}

/// A share of the tokens with the largest covariance, without rounding: 0.02 %.
pub(super) fn share_name(share: f64) -> String {
    // 0.0002 · 100 is not exactly 0.02.
    format!("{} %", (share * 1e6).round() / 1e4)
}

/// Indices of the shares of tokens with the largest covariance, without those that have as many tokens as the next larger
/// one at each step: of few tokens, the top 0.02 % and 0.2 % are the same one.
pub(super) fn different_tops<'a>(steps: impl Iterator<Item = &'a StepAnalysis>) -> Vec<usize> {
    let mut different = TOP_SHARES.map(|_| false);
    different[TOP_SHARES.len() - 1] = true;
    for top in steps.filter_map(|step| step.covariance.as_ref()).map(|found| &found.covariance.top)
    {
        for at in 1..top.len() {
            different[at - 1] |= top[at - 1].tokens != top[at].tokens;
        }
    }
    (0..TOP_SHARES.len()).filter(|at| different[*at]).collect()
}

/// The mean entropy of a group.
pub(super) fn entropy(group: &GroupStats) -> [String; 2] {
    match group.entropy {
        Some(mean) => [number(mean.mean), plus_minus(&mean)],
        None => ["–".to_owned(), "–".to_owned()],
    }
}

/// A token as a table shows it: spaces, line breaks and tabs are visible; the id if there is no text.
pub(in crate::cli) fn token(token: &TokenName) -> String {
    let Some(text) = &token.text else { return format!("id {}", token.id) };
    if text.is_empty() {
        return format!("“” id {}", token.id);
    }
    let mut shown = String::new();
    for (at, c) in text.char_indices() {
        match c {
            '\n' => shown.push('⏎'),
            '\t' => shown.push('⇥'),
            '\r' => shown.push('␍'),
            ' ' if text.trim().is_empty() || at == 0 || at + 1 == text.len() => shown.push('␣'),
            c => shown.push(c),
        }
    }
    shorten_middle(&visible(&shown), |text| text.width() <= MAX_TOKEN)
}

/// The first items of a list, and how many more there are.
pub(in crate::cli) fn list(items: &[String], most: usize) -> String {
    match items.len() {
        count if count > most => format!("{} and {} more", items[..most].join(", "), count - most),
        _ => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_of_tokens_is_visible() {
        let name = |text: &str| TokenName { id: 7, text: Some(text.to_owned()) };
        for (text, shown) in
            [(" the", "␣the"), ("\n\n", "⏎⏎"), ("  ", "␣␣"), ("a b", "a b"), ("\t", "⇥")]
        {
            assert_eq!(token(&name(text)), shown);
        }
        assert_eq!(token(&TokenName { id: 7, text: None }), "id 7");
        assert_eq!(token(&name("")), "“” id 7");
        assert!(
            token(&name("\u{1b}[31m")).contains("\\u{1b}")
                || !token(&name("\u{1b}[31m")).contains('\u{1b}')
        );
    }

    #[test]
    fn shares_have_their_digits() {
        assert_eq!(TOP_SHARES.map(share_name), ["0.02 %", "0.2 %", "2 %"]);
    }

    #[test]
    fn numbers_have_no_negative_zero() {
        assert_eq!((fixed(-0.0001, 2), fixed(-1.5, 1)), ("0.00".to_owned(), "−1.5".to_owned()));
        assert_eq!(
            (number(1e-5), number(0.0), number(-123.4567)),
            ("1.00e−5".to_owned(), "0".to_owned(), "−123.457".to_owned())
        );
        assert_eq!(list(&["a".to_owned(), "b".to_owned(), "c".to_owned()], 2), "a, b and 1 more");
    }
}

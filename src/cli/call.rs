//! What the surroundings say of this call: the words it was made of, and the day that it is to bear.

use anyhow::anyhow;

use entropy_history::label::visible;
use entropy_shell::{Failure, WithHint};

const YEAR_10000: u64 = 253_402_300_800;

/// The command line, as a shell would take it again.
pub(super) fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("entropy-viz".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// The word, in quotes if a shell would take it for anything else.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:,=+@%".contains(c);
    let word = visible(word);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The seconds of `$SOURCE_DATE_EPOCH`, by which output bears the same time whenever it is made.
///
/// # Errors
/// When it is set to anything else.
pub(super) fn source_date_epoch() -> Result<Option<u64>, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let text = text.to_string_lossy();
    let seconds = text.parse().ok().filter(|seconds| *seconds < YEAR_10000);
    seconds
        .map(Some)
        .ok_or_else(|| anyhow!("$SOURCE_DATE_EPOCH is {text:?}, not a number of seconds"))
        .hint("unset it, or set it to `date +%s`")
}

/// The day of a time in Unix seconds, in UTC: `2026-11-25`.
pub(super) fn day(seconds: u64) -> String {
    // Howard Hinnant's civil_from_days; years begin in March, so that the leap day is their last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        let cases = [
            ("runs/a.json", "runs/a.json"),
            ("α=实验.json", "α=实验.json"),
            ("runs/*.json", "'runs/*.json'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a\nb", r"'a\u{a}b'"),
        ];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn days_are_those_of_date() {
        // date -u -d @SECONDS +%F
        let cases = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_764_086_400, "2025-11-25"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(day(seconds), expected);
        }
    }
}

//! The command line and `$SOURCE_DATE_EPOCH`.

use anyhow::anyhow;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use entropy_history::label::visible;
use entropy_shell::{CliError, WithHint};

/// The command line as text, quoted for a POSIX shell, without the URL of `--notify`: it is a secret, and the command
/// line is shown on pages.
pub(super) fn command_line() -> String {
    let words: Vec<_> = std::env::args_os().skip(1).map(|w| w.to_string_lossy().into()).collect();
    std::iter::once("entropy-viz".to_owned()).chain(shown(&words)).collect::<Vec<_>>().join(" ")
}

/// The words as they are shown.
fn shown(words: &[String]) -> Vec<String> {
    let mut after_notify = false;
    let show = |word: &String| {
        let is_url = std::mem::replace(&mut after_notify, word == "--notify");
        match (is_url, word.starts_with("--notify=")) {
            (true, _) => "URL".to_owned(),
            (false, true) => "--notify=URL".to_owned(),
            (false, false) => quoted(word),
        }
    };
    words.iter().map(show).collect()
}

/// Words as a command line, quoted for a POSIX shell.
pub(super) fn quoted_words(words: impl Iterator<Item = String>) -> String {
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// A word, in single quotes if a shell would interpret one of its characters.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:,=+@%".contains(c);
    let word = visible(word);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The time of `$SOURCE_DATE_EPOCH`, which makes output reproducible; `None` if it is not set.
///
/// # Errors
/// When it is not a number of seconds before the year 10000.
pub(super) fn source_date_epoch() -> Result<Option<Timestamp>, CliError> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let text = text.to_string_lossy();
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some)
        .ok_or_else(|| anyhow!("$SOURCE_DATE_EPOCH is {text:?}, not a number of seconds"))
        .hint("unset it, or set it to `date +%s`")
}

/// The date of a time in UTC: `2026-11-25`.
pub(super) fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_words_are_quoted_for_a_shell() {
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
    fn url_of_notify_is_not_in_the_command_line() {
        let words = ["watch", "--notify", "https://h/secret", "runs", "--notify=https://h/secret"];
        let words: Vec<String> = words.map(str::to_owned).into();
        assert_eq!(shown(&words), ["watch", "--notify", "URL", "runs", "--notify=URL"]);
    }

    #[test]
    fn dates_are_in_utc() {
        // date -u -d @SECONDS +%F
        let cases = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_764_086_400, "2025-11-25"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(date(Timestamp::from_second(seconds).unwrap()), expected);
        }
    }
}

//! The command line and `$SOURCE_DATE_EPOCH`.

use anyhow::anyhow;
use clap::builder::ValueRange;
use clap::{Arg, Command};
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

/// The command line of the process as one of `to`, e.g. `plot` with `first` `--terminal`: its inputs, and its options that
/// `to` has too, except for those in `without`. `None` if it is not a command line of `from`.
pub(super) fn translated(
    program: &Command,
    (from, to): (&str, &str),
    first: &[&str],
    without: &[&str],
) -> Option<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    translated_words(program, (from, to), first, without, &words.collect::<Vec<_>>())
}

fn translated_words(
    program: &Command,
    (from, to): (&str, &str),
    first: &[&str],
    without: &[&str],
    words: &[String],
) -> Option<String> {
    let at = words.iter().position(|word| word == from)?;
    let (source, target) = (program.find_subcommand(from)?, program.find_subcommand(to)?);
    let has = |name: &str| {
        let is_named = |arg: &Arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        !without.contains(&name) && target.get_arguments().any(is_named)
    };
    let mut kept: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
    let mut rest = words[at + 1..].iter().peekable();
    while let Some(word) = rest.next() {
        if word == "--" {
            kept.push(word.clone());
            kept.extend(rest.by_ref().cloned());
            break;
        }
        let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
            kept.push(word.clone());
            continue;
        };
        let long = name.strip_prefix('-');
        let bare = long.unwrap_or(name);
        let (name, has_value) = match bare.split_once('=') {
            Some((name, _)) => (name, true),
            // A short option with its value: -oFILE.
            None if long.is_none() => (bare, bare.chars().count() > 1),
            None => (bare, false),
        };
        let is_it = |arg: &&Arg| match long {
            Some(_) => {
                arg.get_long() == Some(name)
                    || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
            }
            None => arg.get_short().is_some_and(|short| name.starts_with(short)),
        };
        let known = source.get_arguments().find(is_it);
        let values = known.filter(|arg| arg.get_action().takes_values() && !has_value);
        let values = values.map_or(0..=0, |arg| {
            let range = arg.get_num_args().unwrap_or(ValueRange::SINGLE);
            range.min_values()..=range.max_values()
        });
        let keep = long.is_some() && has(name);
        let mut option = vec![word.clone()];
        while option.len() <= *values.end() {
            let is_next =
                |next: &&String| option.len() <= *values.start() || !next.starts_with('-');
            match rest.next_if(is_next) {
                Some(value) => option.push(value.clone()),
                None => break,
            }
        }
        if keep {
            kept.extend(option);
        }
    }
    let words = [program.get_name(), to].map(str::to_owned).into_iter().chain(kept);
    Some(quoted_words(words))
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
    fn options_that_both_commands_have_are_kept() {
        let list = |name: &'static str| Arg::new(name).long(name).num_args(1..);
        let flag = |name: &'static str| Arg::new(name).long(name).action(clap::ArgAction::SetTrue);
        let one = |name: &'static str| Arg::new(name).long(name);
        let inputs = || Arg::new("inputs").num_args(0..);
        let shared =
            [list("labels"), one("metric").alias("key"), flag("allow-partial"), one("smooth")];
        let report = Command::new("report").args(shared.clone()).args([
            inputs(),
            one("output").short('o'),
            one("title"),
            Arg::new("serve").long("serve").num_args(0..=1),
        ]);
        let plot = Command::new("plot").args(shared).args([inputs(), one("output").short('o')]);
        let program = Command::new("p").subcommands([report, plot]);
        let cases = [
            ("report a.json -o x.html --title T", "p plot --terminal a.json"),
            ("report -ox.html a b", "p plot --terminal a b"),
            ("report a --smooth ema:0.9 --metric loss", "p plot --terminal a --metric loss"),
            ("report a b --labels A B --title T", "p plot --terminal a b --labels A B"),
            (
                "report --metric=x --allow-partial a",
                "p plot --terminal --metric=x --allow-partial a",
            ),
            ("report --key x a --serve", "p plot --terminal --key x a"),
            ("report a --serve 0 --metric -x", "p plot --terminal a --metric -x"),
            ("report - -- --a.json", "p plot --terminal - -- --a.json"),
            ("report 'a", r"p plot --terminal ''\''a'"),
        ];
        for (words, expected) in cases {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let without = ["output", "smooth"];
            let line =
                translated_words(&program, ("report", "plot"), &["--terminal"], &without, &words);
            assert_eq!(line.as_deref(), Some(expected), "{words:?}");
        }
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

//! `report --tokens FILE`: dumps of single tokens, read for the page.

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::inputs::resolve;
use crate::report;
use entropy_history::discover::{Found, Location, Origin};
use entropy_history::dump::TokenDump;
use entropy_history::formats::Source;
use entropy_history::formats::tokens::{TokensError, read};
use entropy_history::store::open_log;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};
use entropy_shell::{io_message, plural};

/// Which dumps to show.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// A dump of single tokens to show in the page, as `compute --tokens-out` or prime-rl's token export
    /// writes it: a file, a quoted glob, `-`, or LABEL=FILE; may be given again for other models.
    #[arg(long = "tokens", value_name = "FILE")]
    files: Vec<String>,
}

impl TokenArgs {
    /// Reads the dumps; none without one.
    ///
    /// # Errors
    /// When one that was named cannot be read.
    pub fn load(&self, terminal: &Terminal) -> Result<(Option<Value>, Outcome), Failure> {
        load_tokens(&self.files, terminal)
    }
}

/// Reads dumps and gives what the page embeds of them. The files of one argument, such as those of
/// prime-rl's ranks, belong together; those of several are set against each other.
///
/// # Errors
/// When one that was named cannot be read, or all of them hold no token; one that was found by a glob is
/// skipped with a warning, and the outcome is partial.
pub fn load_tokens(
    arguments: &[String],
    terminal: &Terminal,
) -> Result<(Option<Value>, Outcome), Failure> {
    let (mut dump, mut odd, mut outcome) = (TokenDump::default(), Vec::new(), Outcome::Done);
    if arguments.is_empty() {
        return Ok((None, outcome));
    }
    let mut note = |what: String| {
        terminal.warn(&what);
        odd.push(what);
    };
    for argument in arguments {
        let Found { files: inputs, unreadable } = resolve(&[argument])?;
        for directory in unreadable {
            note(format!("skipped {directory}"));
            outcome = Outcome::Partial;
        }
        if inputs.iter().any(|input| input.origin == Origin::Scanned) {
            let hint = "name its files, or a quoted glob such as 'token_exports/*/rank_*.jsonl'";
            return Err(anyhow!("cannot read tokens from {argument}: it is a directory"))
                .hint(hint);
        }
        let label = inputs.first().and_then(|input| input.label.clone());
        dump.begin(label.unwrap_or_else(|| argument.clone()));
        for input in inputs {
            for location in &input.segments {
                match read_file(location, &mut dump, terminal) {
                    Ok(notes) => notes.into_iter().for_each(&mut note),
                    Err(failure) if input.origin == Origin::Named => return Err(failure),
                    Err(failure) => {
                        note(format!("skipped: {:#}", failure.error));
                        outcome = Outcome::Partial;
                    }
                }
            }
        }
    }
    if dump.empty() > 0 {
        let what = plural(
            dump.empty(),
            "response has no token and was",
            "responses have no token and were",
        );
        note(format!("{what} left out"));
    }
    if dump.negative() > 0 {
        let what = plural(dump.negative(), "token has", "tokens have");
        note(format!("{what} an entropy below 0, which that of a token cannot be"));
    }
    let Some(document) = report::tokens(&dump, &odd) else {
        let names = arguments.join(", ");
        return Err(anyhow!("cannot show the tokens of {names}: no response has a token"))
            .hint("leave --tokens out");
    };
    Ok((Some(document), outcome))
}

/// Reads one file; gives what is odd about it. Of one that fails, no response is kept.
fn read_file(
    location: &Location,
    dump: &mut TokenDump,
    terminal: &Terminal,
) -> Result<Vec<String>, Failure> {
    let name = location.name();
    let before = dump.responses().len();
    let opened = open_log(location).map_err(|e| anyhow!("cannot read {name}: {}", io_message(&e)));
    let (mut reader, path) = opened.hint("check that it is a file that you may read")?;
    let notes = read(Source { reader: &mut *reader, path }, dump).map_err(|error| {
        dump.back_to(before);
        explain(&name, &error)
    })?;
    terminal.verbose(|| {
        let read = &dump.responses()[before..];
        let tokens = read.iter().map(|response| response.entropies().len()).sum();
        format!(
            "{name}: {} of {}",
            plural(tokens, "token", "tokens"),
            plural(read.len(), "response", "responses"),
        )
    });
    Ok(notes.iter().map(|note| format!("{name}: {note}")).collect())
}

fn explain(name: &str, error: &TokensError) -> Failure {
    let hint = match error {
        TokensError::Io(_) => "check that it is a file that you may read",
        TokensError::Foreign(_) => "--tokens takes what `compute --tokens-out` wrote",
        TokensError::Nothing(_) => "a dump takes its place when `compute` ends",
        TokensError::Response { .. } => "repair the file there, or leave it out",
    };
    let error = match error {
        TokensError::Io(e) => anyhow!("cannot read {name}: {}", io_message(e)),
        _ => anyhow!("cannot read {name} as tokens: {error}"),
    };
    Failure { error, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arguments: &[&str]) -> Result<(Option<Value>, Outcome), String> {
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let loaded = load_tokens(&arguments, &Terminal::new(true, false));
        loaded.map_err(|failure| format!("{:#}", failure.error))
    }

    fn fixture(name: &str) -> String {
        format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn files_of_one_argument_belong_together_and_others_are_set_against_them() {
        assert_eq!(load(&[]), Ok((None, Outcome::Done)));
        let shown = |arguments: &[&str]| load(arguments).unwrap().0.unwrap();
        let both = shown(&[&format!(
            "run={}+{}",
            fixture("tokens/run.jsonl"),
            fixture("tokens/run.parquet")
        )]);
        assert_eq!(both["sources"], serde_json::json!(["run"]));
        assert_eq!(both["scorings"][0]["responses"], 24, "of the lines and of the table");
        let (run, prime) = (fixture("tokens/run.jsonl"), fixture("tokens/prime.jsonl"));
        let apart = shown(&[&run, &format!("prime={prime}")]);
        assert_eq!(apart["scorings"].as_array().unwrap().len(), 4);
        assert_eq!(apart["sources"][1], "prime");
    }

    #[test]
    fn of_files_found_by_a_glob_those_that_are_no_dump_are_skipped_and_told() {
        let desk = tempfile::tempdir().unwrap();
        let dump = std::fs::read(fixture("tokens/run.jsonl")).unwrap();
        for (name, bytes) in [("a.jsonl", &dump[..]), ("b.jsonl", b"{\"step\":1}\n")] {
            std::fs::write(desk.path().join(name), bytes).unwrap();
        }
        let (document, outcome) = load(&[&format!("{}/*.jsonl", desk.path().display())]).unwrap();
        let document = document.unwrap();
        assert_eq!(
            (outcome, &document["scorings"][0]["responses"]),
            (Outcome::Partial, &12.into())
        );
        let odd = document["odd"][0].as_str().unwrap();
        assert!(
            odd.ends_with("b.jsonl as tokens: line 1: it has no \"response_token_ids\""),
            "{odd}"
        );
    }

    #[test]
    fn what_is_no_dump_is_refused_by_name() {
        let history = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";
        let said = load(&[&fixture(history)]).unwrap_err();
        assert!(said.contains("as tokens: it is no dump of tokens: it begins with"), "{said}");
        let said = load(&[&fixture("parquet/none.parquet")]).unwrap_err();
        assert!(said.contains("no such file"), "{said}");
        let said = load(&[&fixture("compute")]).unwrap_err();
        assert!(said.contains("it is a directory"), "{said}");
    }
}

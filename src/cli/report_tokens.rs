//! `report --tokens FILE`: reads token dumps for the page.

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::inputs::resolve;
use crate::report;
use entropy_history::discover::{Found, Location, Origin};
use entropy_history::dump::TokenDump;
use entropy_history::dump::{DumpError, read};
use entropy_history::formats::Source;
use entropy_history::store::open_log;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, io_message, plural};

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Token dump to show in the page; repeatable for several models.
    ///
    /// A file of `compute --tokens-out` or of prime-rl's token export, a quoted glob, - for stdin, or LABEL=FILE.
    #[arg(long = "tokens", value_name = "FILE")]
    files: Vec<String>,
}

impl TokenArgs {
    /// The document that the page embeds; `None` without dumps.
    ///
    /// # Errors
    /// When a named file cannot be read, or no dump has a token.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<(Option<Value>, Outcome), CliError> {
        load_tokens(&self.files, terminal)
    }
}

/// The document that the page embeds of these dumps; `None` without dumps. The files of one argument, e.g. one
/// per rank of prime-rl, form one dump; the dumps of several arguments are compared. If a file found by a glob cannot
/// be read, it is skipped with a warning, and the outcome is partial.
///
/// # Errors
/// When a named file cannot be read, or no dump has a token.
pub(super) fn load_tokens(
    arguments: &[String],
    terminal: &Terminal,
) -> Result<(Option<Value>, Outcome), CliError> {
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
            let hint = "name its files, or a quoted glob, e.g. 'token_exports/*/rank_*.jsonl'";
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
            "response has no tokens and is",
            "responses have no tokens and are",
        );
        note(format!("{what} left out"));
    }
    if dump.negative() > 0 {
        let what = plural(dump.negative(), "token has", "tokens have");
        note(format!("{what} an entropy below 0, which is not possible"));
    }
    let Some(document) = report::tokens(&dump, &odd) else {
        let names = arguments.join(", ");
        return Err(anyhow!("cannot show the tokens of {names}: no response has tokens"))
            .hint("leave --tokens out");
    };
    Ok((Some(document), outcome))
}

/// Adds the responses of a file to the dump and returns notes about its data.
///
/// # Errors
/// When the file cannot be read; the dump is then unchanged.
fn read_file(
    location: &Location,
    dump: &mut TokenDump,
    terminal: &Terminal,
) -> Result<Vec<String>, CliError> {
    let name = location.name();
    let before = dump.responses().len();
    let opened = open_log(location).map_err(|e| anyhow!("cannot read {name}: {}", io_message(&e)));
    let (mut reader, path) =
        opened.hint("check that it is a file and that you have permission to read it")?;
    let notes = read(Source { reader: &mut *reader, path }, dump).map_err(|error| {
        dump.truncate(before);
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

fn explain(name: &str, error: &DumpError) -> CliError {
    let hint = match error {
        DumpError::Io(_) => "check that it is a file and that you have permission to read it",
        DumpError::Foreign(_) => "--tokens reads files of `compute --tokens-out`",
        DumpError::Nothing(_) => "`compute` writes a dump when it ends",
        DumpError::Response { .. } => "repair the file, or leave it out",
    };
    let error = match error {
        DumpError::Io(e) => anyhow!("cannot read {name}: {}", io_message(e)),
        _ => anyhow!("cannot read {name} as tokens: {error}"),
    };
    CliError { error, hint: Some(hint.to_owned()) }
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
    fn files_of_one_argument_form_one_dump_and_several_are_compared() {
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
    fn glob_skips_files_that_are_not_dumps_with_a_warning() {
        let tmp = tempfile::tempdir().unwrap();
        let dump = std::fs::read(fixture("tokens/run.jsonl")).unwrap();
        for (name, bytes) in [("a.jsonl", &dump[..]), ("b.jsonl", b"{\"step\":1}\n")] {
            std::fs::write(tmp.path().join(name), bytes).unwrap();
        }
        let (document, outcome) = load(&[&format!("{}/*.jsonl", tmp.path().display())]).unwrap();
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
    fn rejects_files_that_are_not_dumps() {
        let history = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";
        let said = load(&[&fixture(history)]).unwrap_err();
        assert!(said.contains("as tokens: it is not a dump of tokens: it begins with"), "{said}");
        let said = load(&[&fixture("parquet/none.parquet")]).unwrap_err();
        assert!(said.contains("no such file"), "{said}");
        let said = load(&[&fixture("compute")]).unwrap_err();
        assert!(said.contains("it is a directory"), "{said}");
    }
}

//! Reads the dump of tokens, and finds the column of its rewards.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::anyhow;
use serde_json::{Map, Value};

use super::prepare::Prepared;
use crate::cli::tokens::cells::list;
use crate::cli::tokens::{Dump, DumpArgs, Unlabelled};
use entropy_shell::{CliError, Terminal, WithHint};
use entropy_tokens::{REWARD_NAMES, Response};

/// Reads the dumps of a run, which form one under its name.
///
/// # Errors
/// When they cannot be read, or have no entropies.
pub(super) fn load(
    prepared: &Prepared,
    name: &str,
    args: &DumpArgs,
    terminal: &Terminal,
) -> Result<Dump, CliError> {
    let dumps = &prepared.dumps[..];
    let mut notes = Vec::new();
    let mut args = args.of_steps(&prepared.steps);
    if let [dump] = dumps
        && !args.has_reward()
        && let Some((column, why)) = reward_column(Path::new(dump))
    {
        terminal.warn(&why);
        notes.push(why);
        args = args.with_reward(column);
    }
    // A label names a single dump; several are one dump without it.
    let labelled = match dumps {
        [dump] if !name.contains('=') => vec![format!("{name}={dump}")],
        dumps => dumps.to_vec(),
    };
    let mut dump = args.load(&labelled, Unlabelled::OneDump, terminal)?;
    if let [first, second, ..] = dump.table.sources() {
        return Err(anyhow!("cannot explain {first} and {second}: they are different dumps")).hint(
            "give --tokens without labels for the files of one run, or explain each by itself",
        );
    }
    if dump.table.names().entropies.is_empty() {
        return Err(anyhow!(
            "cannot explain {}: no response of the dump has entropies",
            dumps.join(", ")
        ))
        .hint("compute them: give the dump as --rollouts instead of --tokens");
    }
    let mut others: Vec<u64> = dump.table.responses().iter().map(Response::step).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|step| !prepared.steps.contains(step));
    if !prepared.steps.is_empty() && !others.is_empty() {
        let others: Vec<String> = others.iter().map(u64::to_string).collect();
        let note = format!(
            "{} also has the steps {}, which are of no checkpoint that is explained: they are left out",
            dumps.join(", "),
            list(&others, 8)
        );
        terminal.warn(&note);
        notes.push(note);
    }
    dump.warnings.extend(notes);
    Ok(dump)
}

/// The column of the rewards in a dump without one of the known names, and a note about it. TRL names it after the reward
/// function.
fn reward_column(dump: &Path) -> Option<(String, String)> {
    let mut line = String::new();
    BufReader::new(std::fs::File::open(dump).ok()?).read_line(&mut line).ok()?;
    let row: Map<String, Value> = serde_json::from_str(&line).ok()?;
    let columns = row.get("dump")?.as_object()?;
    if REWARD_NAMES.iter().any(|name| row.contains_key(*name) || columns.contains_key(*name)) {
        return None;
    }
    let others = ["step", "global_step", "advantage", "advantages", "id", "index", "idx"];
    let is_number = |value: &Value| value.is_number() || value.is_boolean();
    let numbers: Vec<&String> = columns
        .iter()
        .filter(|(name, value)| is_number(value) && !others.contains(&name.as_str()))
        .map(|(name, _)| name)
        .collect();
    match &numbers[..] {
        [name] => Some((
            (*name).clone(),
            format!(
                "rewards are taken from {name:?}, the only number in the dump; --reward names another column"
            ),
        )),
        _ if columns.get("advantage").is_some_and(Value::is_number) => {
            let names: Vec<String> = numbers.iter().map(|name| format!("{name:?}")).collect();
            let why = match names.is_empty() {
                true => "there is no column of rewards".to_owned(),
                false => format!("any of {} may be the reward", names.join(", ")),
            };
            Some((
                "advantage".to_owned(),
                format!(
                    "{why}: a response counts as right if its advantage is above 0; --reward names the column"
                ),
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reward_of_trl_is_found() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("t.jsonl");
        let found = |dump: &str| {
            std::fs::write(&path, format!("{{\"step\":1,\"dump\":{dump}}}\n")).unwrap();
            reward_column(&path).map(|(column, _)| column)
        };
        assert_eq!(found("{\"step\":2,\"vowels\":1.0,\"advantage\":0.3}"), Some("vowels".into()));
        assert_eq!(found("{\"a\":1.0,\"b\":1.0,\"advantage\":0.3}"), Some("advantage".into()));
        assert_eq!(found("{\"a\":1.0,\"b\":1.0}"), None);
        assert_eq!(found("{\"a\":1.0,\"score\":1.0}"), None, "a known name is read as it is");
    }
}

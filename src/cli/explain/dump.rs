//! Reads the dump of tokens, and finds the column of its rewards.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Map, Value};

use crate::cli::tokens::{data_warnings, files, finite};
use entropy_history::dump::GroupBy;
use entropy_shell::{CliError, Terminal, WithHint};
use entropy_tokens::{Analysis, AnalysisOptions, Columns, TokenTable, analyse};

/// What is taken from a dump.
#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    /// Column of the reward [default: reward, score, …, or the only number of a dump of TRL].
    #[arg(long, value_name = "KEY")]
    reward: Option<String>,
    /// A response is right if its reward is above this.
    #[arg(long, value_name = "REWARD", default_value_t = 0.0, allow_negative_numbers = true, value_parser = finite)]
    right_above: f64,
    /// Also split the change by a column, or by a comparison of one, e.g. 'length>100'.
    #[arg(long, value_name = "EXPR", value_parser = GroupBy::parse)]
    pub(super) by: Option<GroupBy>,
    /// Column that names the prompt of a response [default: group_index, uid, …, else the prompt].
    #[arg(long, value_name = "KEY")]
    prompt_id: Option<String>,
}

/// A dump with its numbers.
pub(super) struct Dump {
    pub(super) table: TokenTable,
    pub(super) analysis: Analysis,
    pub(super) options: AnalysisOptions,
    pub(super) warnings: Vec<String>,
    pub(super) skipped: usize,
}

impl DumpArgs {
    /// Reads the dumps, which form one.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn load(&self, dumps: &[String], terminal: &Terminal) -> Result<Dump, CliError> {
        let mut columns = Columns {
            reward: self.reward.clone(),
            prompt: self.prompt_id.clone(),
            by: self.by.clone(),
            ..Columns::default()
        };
        let mut notes = Vec::new();
        let mut loaded = files::load(&files::resolve(dumps)?, &columns, terminal)?;
        if columns.reward.is_none()
            && loaded.table.names().rewards.is_empty()
            && let [dump] = dumps
            && let Some((column, why)) = reward_column(Path::new(dump))
        {
            notes.push(why);
            columns.reward = Some(column);
            loaded = files::load(&files::resolve(dumps)?, &columns, terminal)?;
        }
        let options =
            AnalysisOptions { right_above: self.right_above, ..AnalysisOptions::default() };
        let files::Loaded { table, mut warnings, skipped } = loaded;
        if table.names().entropies.is_empty() {
            return Err(anyhow!(
                "cannot explain {}: no response of the dump has entropies",
                dumps.join(", ")
            ))
            .hint("compute them: give the dump as --rollouts instead of --tokens");
        }
        let analysis = analyse(&table, &options);
        notes.extend(data_warnings(&table, &analysis, self.by.as_ref()));
        notes.iter().for_each(|warning| terminal.warn(warning));
        warnings.extend(notes);
        Ok(Dump { table, analysis, options, warnings, skipped })
    }
}

/// The column of the rewards in a dump without one of the known names, and a note about it. TRL names it after the reward
/// function.
fn reward_column(dump: &Path) -> Option<(String, String)> {
    let mut line = String::new();
    BufReader::new(std::fs::File::open(dump).ok()?).read_line(&mut line).ok()?;
    let row: Map<String, Value> = serde_json::from_str(&line).ok()?;
    let columns = row.get("dump")?.as_object()?;
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
    }
}

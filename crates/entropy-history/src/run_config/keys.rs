//! Keys of configurations that a user asks for, and their values in each run.
//!
//! A key may be given by its last parts: `lr` for `optim.lr`. It must mean one key in all runs, because a label or a
//! group that takes its value from different keys would mix what does not belong together.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{ConfigValue, RunConfig, comparable};

/// In front of a key where a pattern could be given, too: `config.lr`.
const PREFIX: &str = "config.";
/// At most this many keys that are like the one asked for are named.
const MOST_NEAR: usize = 8;

/// One or more keys that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigKeys(Vec<String>);

/// A key that was asked for, with its value in each run.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigColumn {
    /// The key as it was asked for.
    pub name: String,
    /// The value in each run; `None` in a run that does not have it.
    pub values: Vec<Option<ConfigValue>>,
    /// Keys of runs without a value that end with this one. They are not taken, because other runs have another key.
    pub not_taken: Vec<String>,
}

impl ConfigColumn {
    /// A sentence on the keys that are not taken, if there are any.
    pub fn warning(&self) -> Option<String> {
        let keys = self.not_taken.join(", ");
        let name = &self.name;
        (!self.not_taken.is_empty()).then(|| {
            format!("other runs have {keys}, which is not taken for {name}: a key means one thing in all runs")
        })
    }
}

/// Why a key has no values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigKeyError {
    /// No run has a configuration.
    #[error("no run has a configuration, so none has the key {0:?}")]
    NoConfig(String),
    /// No configuration has the key.
    #[error("no run has the configuration key {key:?}")]
    Unknown {
        /// The key.
        key: String,
        /// Keys that are like it, the nearest first.
        near: Vec<String>,
        /// How many keys the configurations have.
        known: usize,
    },
    /// It may be several keys.
    #[error("the configuration key {key:?} may be {}", .matches.join(", "))]
    Ambiguous {
        /// The key.
        key: String,
        /// The keys that end with it.
        matches: Vec<String>,
    },
}

impl ConfigKeys {
    /// Whether a text is a list of keys where a pattern could be given, too.
    pub fn is_list(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Keys separated by commas, each with or without `config.` in front.
    ///
    /// # Errors
    /// When a key is empty or given twice.
    pub fn parse(text: &str) -> Result<ConfigKeys, String> {
        let mut keys: Vec<String> = Vec::new();
        for key in text.split(',').map(str::trim) {
            let key = key.strip_prefix(PREFIX).unwrap_or(key);
            if key.is_empty() {
                return Err(
                    "a key is empty: give keys separated by commas, as in lr,seed".to_owned()
                );
            }
            if keys.iter().any(|other| other == key) {
                return Err(format!("the key {key:?} is given twice"));
            }
            keys.push(key.to_owned());
        }
        Ok(ConfigKeys(keys))
    }
}

/// As a flag takes them: `config.lr,config.seed`.
impl std::fmt::Display for ConfigKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<String> = self.0.iter().map(|key| format!("{PREFIX}{key}")).collect();
        f.write_str(&keys.join(","))
    }
}

/// The values of the keys in each of these configurations.
///
/// # Errors
/// When no configuration has a key, or it may be several keys.
pub fn columns(
    keys: &ConfigKeys,
    configs: &[&RunConfig],
) -> Result<Vec<ConfigColumn>, ConfigKeyError> {
    let column = |asked: &String| {
        let key = whole_key(asked, configs)?;
        let values: Vec<_> = configs.iter().map(|config| config.get(&key).cloned()).collect();
        let without = configs.iter().zip(&values).filter(|(_, value)| value.is_none());
        let others: BTreeSet<String> =
            without.flat_map(|(config, _)| ending(asked, config)).collect();
        let not_taken = others.into_iter().collect();
        Ok(ConfigColumn { name: asked.clone(), values, not_taken })
    };
    keys.0.iter().map(column).collect()
}

/// `lr=1e-06, seed=1`: the keys and values of one run; `None` if it lacks one of them.
pub fn run_name(columns: &[ConfigColumn], run: usize) -> Option<String> {
    let last = |column: &ConfigColumn| column.name.rsplit(['.', '/']).next().map(str::to_owned);
    let part = |column: &ConfigColumn| {
        let value = column.values[run].as_ref()?;
        let is_alone = columns.iter().filter(|other| last(other) == last(column)).count() == 1;
        let name = last(column).filter(|_| is_alone).unwrap_or_else(|| column.name.clone());
        Some(format!("{name}={}", value.text()))
    };
    Some(columns.iter().map(part).collect::<Option<Vec<_>>>()?.join(", "))
}

/// The keys of a configuration that end with a key, with dots between their parts.
fn ending(asked: &str, config: &RunConfig) -> Vec<String> {
    let end = format!(".{}", comparable(asked));
    let keys = config.entries().iter().map(|(key, _)| comparable(key));
    keys.filter(|key| key.ends_with(&end)).collect()
}

/// The key that is meant, with dots between its parts.
fn whole_key(asked: &str, configs: &[&RunConfig]) -> Result<String, ConfigKeyError> {
    let entries = configs.iter().flat_map(|config| config.entries());
    let known: BTreeSet<String> = entries.map(|(key, _)| comparable(key)).collect();
    let key = comparable(asked);
    if known.contains(&key) {
        return Ok(key);
    }
    let matches: BTreeSet<String> =
        configs.iter().flat_map(|config| ending(asked, config)).collect();
    let mut matches: Vec<String> = matches.into_iter().collect();
    let key = asked.to_owned();
    match matches.len() {
        1 => Ok(matches.remove(0)),
        0 if known.is_empty() => Err(ConfigKeyError::NoConfig(key)),
        0 => {
            let near = near_keys(asked, &known);
            Err(ConfigKeyError::Unknown { key, near, known: known.len() })
        }
        _ => Err(ConfigKeyError::Ambiguous { key, matches }),
    }
}

/// The keys most like one that does not exist: similar ones, those that contain it, and those whose words begin with
/// its letters, as `lr` and `learning_rate`.
fn near_keys(asked: &str, known: &BTreeSet<String>) -> Vec<String> {
    const MIN_SIMILARITY: f64 = 0.85;
    let asked = last_part(asked).to_lowercase();
    let similarity = |key: &String| {
        let last = last_part(key).to_lowercase();
        let initials: String =
            last.split(['_', '-']).filter_map(|word| word.chars().next()).collect();
        match initials == asked || last.contains(&asked) {
            true => 1.0,
            false => strsim::jaro_winkler(&asked, &last),
        }
    };
    let mut near: Vec<(f64, &String)> = known.iter().map(|key| (similarity(key), key)).collect();
    near.retain(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    // Of equally similar keys, the shorter one is nearer.
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.len().cmp(&b.1.len())));
    near.into_iter().take(MOST_NEAR).map(|(_, key)| key.clone()).collect()
}

fn last_part(key: &str) -> &str {
    key.rsplit(['.', '/']).next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::Tree;

    fn config(entries: &[(&str, &str)]) -> RunConfig {
        let leaf = |text: &str| Tree::Leaf(ConfigValue::plain(text));
        let entries = entries.iter().map(|(key, text)| ((*key).to_owned(), leaf(text)));
        RunConfig::from_tree(&Tree::Map(entries.collect()), "config.yaml")
    }

    fn names(keys: &str, configs: &[RunConfig]) -> Result<Vec<Option<String>>, ConfigKeyError> {
        let configs: Vec<&RunConfig> = configs.iter().collect();
        let columns = columns(&ConfigKeys::parse(keys).unwrap(), &configs)?;
        Ok((0..configs.len()).map(|run| run_name(&columns, run)).collect())
    }

    #[test]
    fn keys_are_separated_by_commas_with_or_without_prefix() {
        let parsed = |text| ConfigKeys::parse(text).map(|keys| keys.0);
        let keys = ["lr", "optim.seed"].map(str::to_owned).to_vec();
        assert_eq!(parsed("config.lr,config.optim.seed"), Ok(keys.clone()));
        assert_eq!(parsed("lr, optim.seed"), Ok(keys));
        assert_eq!(ConfigKeys::parse("lr,a.b").unwrap().to_string(), "config.lr,config.a.b");
        assert!(parsed("lr,").is_err() && parsed("config.").is_err() && parsed("lr,lr").is_err());
        assert!(ConfigKeys::is_list("config.lr") && !ConfigKeys::is_list("configs/(.*)"));
    }

    #[test]
    fn key_may_be_given_by_its_last_parts() {
        let runs =
            [config(&[("actor/optim/lr", "1e-06"), ("seed", "1")]), config(&[("seed", "2")])];
        let found = names("lr,seed", &runs).unwrap();
        assert_eq!(found, [Some("lr=1e-06, seed=1".to_owned()), None]);
        assert_eq!(names("optim.lr", &runs).unwrap()[0].as_deref(), Some("lr=1e-06"));
    }

    #[test]
    fn whole_key_is_taken_before_one_that_ends_with_it() {
        let runs = [config(&[("lr", "1"), ("critic.lr", "2")]), config(&[("critic.lr", "3")])];
        assert_eq!(names("lr", &runs).unwrap(), [Some("lr=1".to_owned()), None]);
        let configs: Vec<&RunConfig> = runs.iter().collect();
        let column = columns(&ConfigKeys::parse("lr").unwrap(), &configs).unwrap().remove(0);
        assert_eq!(column.not_taken, ["critic.lr"]);
        assert!(column.warning().unwrap().starts_with("other runs have critic.lr, which is not"));
    }

    #[test]
    fn key_with_two_meanings_in_all_runs_is_refused() {
        let runs = [config(&[("actor.optim.lr", "1")]), config(&[("critic.optim.lr", "2")])];
        let error = names("lr", &runs).unwrap_err().to_string();
        assert_eq!(error, "the configuration key \"lr\" may be actor.optim.lr, critic.optim.lr");
        // The same key of a tracker that joins the parts with slashes is one key.
        let runs = [config(&[("actor.optim.lr", "1")]), config(&[("actor/optim/lr", "2")])];
        assert_eq!(names("lr", &runs).unwrap()[1].as_deref(), Some("lr=2"));
    }

    #[test]
    fn unknown_key_names_those_that_are_like_it() {
        let near = |key: &str| {
            let keys = [("learning_rate", "1"), ("lr_scheduler_type", "x"), ("optim.seed", "1")];
            match names(key, &[config(&keys)]).unwrap_err() {
                ConfigKeyError::Unknown { near, known: 3, .. } => near,
                other => panic!("{other}"),
            }
        };
        assert_eq!(near("lr"), ["learning_rate", "lr_scheduler_type"]);
        assert_eq!(near("optim.sead"), ["optim.seed"]);
        assert!(near("temperature").is_empty());
        let error = names("lr", &[RunConfig::default()]).unwrap_err();
        assert_eq!(error, ConfigKeyError::NoConfig("lr".to_owned()));
    }
}

//! The configuration of a run: learning rate, seed, KL coefficient, as its trainer wrote them.
//!
//! A configuration is a list of dotted keys with scalar values, in the order of the file. It is read only when it is
//! asked for, by the readers of `formats/run_config/` and of the log formats. Keys are compared with `/` as `.`,
//! because trackers that flatten a configuration write either.

mod keys;
mod secret;
mod tree;
mod value;

use std::collections::HashSet;

pub use keys::{ConfigColumn, ConfigKeyError, ConfigKeys, columns, run_name};
pub use secret::is_secret;
pub(crate) use tree::{DEEPEST, Tree};
pub use value::{ConfigEntries, ConfigValue, ConfigValueKind};

/// The configuration of a run: dotted keys and their values, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunConfig {
    entries: Vec<(String, ConfigValue)>,
    sources: Vec<String>,
    left_out: usize,
    repeated: Vec<tree::Repeated>,
}

impl RunConfig {
    /// The keys of a tree that was read from `source`, up to a limit.
    pub(crate) fn from_tree(tree: &Tree, source: impl Into<String>) -> RunConfig {
        let tree::Flattened { entries, left_out, repeated } = tree::flatten(tree);
        let sources = if entries.is_empty() { Vec::new() } else { vec![source.into()] };
        RunConfig { entries, sources, left_out, repeated }
    }

    /// The keys and values; no key twice.
    pub fn entries(&self) -> &[(String, ConfigValue)] {
        &self.entries
    }

    /// The files that the keys were read from.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// How many keys were left out, because there are too many or they are nested too deeply.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// A sentence about keys that `file` has twice, with different values.
    pub(crate) fn repeated_in(&self, file: &str) -> Option<String> {
        let tree::Repeated { keys: [first, later], values: [other, kept] } =
            self.repeated.first()?;
        let more = match self.repeated.len() - 1 {
            0 => String::new(),
            1 => ", and 1 other key".to_owned(),
            more => format!(", and {more} other keys"),
        };
        let is_secret = is_secret(first, other) || is_secret(later, kept);
        let shown = |value: &ConfigValue| if is_secret { value.hidden() } else { value.clone() };
        let (other, kept) = (shown(other), shown(kept));
        Some(format!(
            "{file}: its configuration has {first:?} = {} and {later:?} = {}, which is one key{more}; the later value counts",
            other.text(),
            kept.text()
        ))
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the keys that only another record of the same run has.
    pub fn add_missing(&mut self, other: RunConfig) {
        let known: HashSet<String> = self.entries.iter().map(|(key, _)| comparable(key)).collect();
        let before = self.entries.len();
        let new = other.entries.into_iter().filter(|(key, _)| !known.contains(&comparable(key)));
        self.entries.extend(new);
        if self.entries.len() > before {
            self.sources.extend(other.sources);
        }
        self.left_out += other.left_out;
    }

    /// Keeps the keys that have the same value in `other`.
    pub fn retain_common(&mut self, other: &RunConfig) {
        self.entries.retain(|(key, value)| {
            other.get(&comparable(key)).is_some_and(|other| other.is_same(value))
        });
    }

    /// The value of a whole key.
    fn get(&self, key: &str) -> Option<&ConfigValue> {
        self.entries.iter().find(|(other, _)| comparable(other) == key).map(|(_, value)| value)
    }
}

/// A key as it is compared: its parts are separated by dots.
fn comparable(key: &str) -> String {
    key.replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, &str)], source: &str) -> RunConfig {
        let leaf = |text: &str| Tree::Leaf(ConfigValue::plain(text));
        let entries = entries.iter().map(|(key, text)| ((*key).to_owned(), leaf(text)));
        RunConfig::from_tree(&Tree::Map(entries.collect()), source)
    }

    #[test]
    fn record_of_the_same_run_adds_only_what_is_missing() {
        let mut run = config(&[("optim/lr", "1e-6")], "a");
        run.add_missing(config(&[("optim.lr", "1e-05"), ("seed", "1")], "b"));
        run.add_missing(config(&[("seed", "2")], "c"));
        let entries: Vec<_> = run.entries().iter().map(|(k, v)| (k.as_str(), v.text())).collect();
        assert_eq!(entries, [("optim/lr", "1e-6"), ("seed", "1")]);
        assert_eq!(run.sources(), ["a", "b"]);
        run.retain_common(&config(&[("optim.lr", "0.000001"), ("seed", "3")], "d"));
        assert_eq!(run.entries().len(), 1, "1e-6 is the same number");
    }
}

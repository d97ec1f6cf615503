//! Typed access to a checkpoint's `config.json`; errors name the key and its value.
//!
//! Its layout depends on the version of transformers: `rope_theta` and `rope_scaling` became `rope_parameters`,
//! `torch_dtype` became `dtype`. A key that is `null` counts as missing, except in `is_null` and `window_or`.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::io_message;
use serde_json::Value;

use crate::{bounded, python_json};

/// The settings of a model, or a section of them.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    path: PathBuf,
    value: Value,
}

/// Reads a JSON file.
pub(crate) fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = bounded::read(path, bounded::MAX_JSON)
        .map_err(|e| anyhow!("cannot read {}: {}", path.display(), io_message(&e)))?;
    let text = String::from_utf8_lossy(&text);
    python_json::parse(&text).map_err(|error| {
        anyhow!(
            "cannot read {} as JSON: line {}, column {}",
            path.display(),
            error.line(),
            error.column()
        )
    })
}

impl Config {
    /// Reads `config.json` of a checkpoint directory.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Config> {
        Config::read_file(&directory.join("config.json"))
    }

    /// Reads a JSON object of settings.
    pub(crate) fn read_file(path: &Path) -> anyhow::Result<Config> {
        let value = read_json(path)?;
        if !value.is_object() {
            return Err(anyhow!("cannot read {}: it is not a JSON object", path.display()));
        }
        Ok(Config { path: path.to_owned(), value })
    }

    /// Returns a copy with `key` set to `value`.
    pub(crate) fn with(&self, key: &str, value: Value) -> Config {
        let mut config = self.clone();
        config.value[key] = value;
        config
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// The keys and values, in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// The object under a key, unless it is missing or empty.
    pub(crate) fn section(&self, key: &str) -> Option<Config> {
        let value =
            self.get(key).filter(|value| value.as_object().is_some_and(|o| !o.is_empty()))?;
        Some(Config { path: self.path.clone(), value: value.clone() })
    }

    fn invalid(&self, key: &str, expected: &str) -> anyhow::Error {
        match self.get(key) {
            None => anyhow!("{} has no {key}", self.path.display()),
            Some(value) => anyhow!("{}: {key} is {value}, not {expected}", self.path.display()),
        }
    }

    /// A positive integer.
    pub(crate) fn count(&self, key: &str) -> anyhow::Result<i64> {
        let count = self.get(key).and_then(Value::as_i64).filter(|n| (1..1 << 40).contains(n));
        count.ok_or_else(|| self.invalid(key, "a positive integer"))
    }

    pub(crate) fn count_or(&self, key: &str, default: i64) -> anyhow::Result<i64> {
        if self.get(key).is_none() { Ok(default) } else { self.count(key) }
    }

    /// Whether the value of a key is `null`.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(Value::is_null)
    }

    /// `sliding_window` in tokens: `null` means no window, a missing key the architecture's default.
    pub(crate) fn window_or(&self, default: i64) -> anyhow::Result<Option<i64>> {
        if self.is_null("sliding_window") {
            Ok(None)
        } else {
            self.count_or("sliding_window", default).map(Some)
        }
    }

    pub(crate) fn number(&self, key: &str) -> anyhow::Result<f64> {
        self.get(key).and_then(Value::as_f64).ok_or_else(|| self.invalid(key, "a number"))
    }

    pub(crate) fn number_or(&self, key: &str, default: f64) -> anyhow::Result<f64> {
        if self.get(key).is_none() { Ok(default) } else { self.number(key) }
    }

    pub(crate) fn flag_or(&self, key: &str, default: bool) -> anyhow::Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.invalid(key, "true or false")),
        }
    }

    pub(crate) fn string(&self, key: &str) -> anyhow::Result<&str> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| self.invalid(key, "a string"))
    }

    /// A list of numbers.
    pub(crate) fn numbers(&self, key: &str) -> anyhow::Result<Vec<f64>> {
        let list = self.get(key).and_then(Value::as_array);
        let numbers = list.map(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
        numbers.flatten().ok_or_else(|| self.invalid(key, "a list of numbers"))
    }

    /// A list of strings, unless the key is missing.
    pub(crate) fn strings(&self, key: &str) -> anyhow::Result<Option<Vec<&str>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        texts.map(Some).ok_or_else(|| self.invalid(key, "a list of strings"))
    }

    /// Returns an error if a key has a value for which `harmless` returns false: such settings are not supported.
    pub(crate) fn refuse(
        &self,
        key: &str,
        harmless: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        match self.get(key) {
            Some(value) if !harmless(value) => {
                Err(anyhow!("{}: {key} = {value} is not supported", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

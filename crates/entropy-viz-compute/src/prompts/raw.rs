//! Rows of a prompt file before their keys are interpreted, and the errors of prompt files.

use std::io;

use serde_json::{Map, Value as Json};
use thiserror::Error;

/// Why a prompt file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum PromptError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file has no rows.
    #[error("it has no prompts")]
    Empty,
    /// The file is not valid in its format.
    #[error("{0}")]
    Format(String),
    /// A row is not valid.
    #[error("{place}: {reason}")]
    Row { place: String, reason: String, hint: Option<String> },
}

impl PromptError {
    /// What the user can do, if that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            PromptError::Row { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    pub(super) fn at(place: impl Into<String>, reason: impl Into<String>) -> PromptError {
        PromptError::Row { place: place.into(), reason: reason.into(), hint: None }
    }
}

/// A row of a prompt file, before its keys are interpreted.
#[derive(Debug, PartialEq)]
pub(super) struct RawRow {
    /// `line 3` or `row 2`, counted from 1.
    pub(super) place: String,
    pub(super) content: RawContent,
}

/// A bare prompt, or an object.
#[derive(Debug, PartialEq)]
pub(super) enum RawContent {
    Text(String),
    Keys(Map<String, Json>),
}

/// Whether a key exists and is not null.
pub(super) fn has(keys: &Map<String, Json>, key: &str) -> bool {
    keys.get(key).is_some_and(|value| !value.is_null())
}

/// The type of a value, for messages.
pub(super) fn json_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

//! Choosing runs by their labels.

use thiserror::Error;

use super::ShortNames;
use crate::text::names_hint;

/// Why a glob chooses no label.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LabelGlobError {
    /// It is not a pattern, with the reason.
    #[error("{glob:?} is not a glob pattern: {reason}")]
    Invalid {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No label matches.
    #[error("no run is called {glob:?}")]
    NoMatch {
        /// The glob.
        glob: String,
        /// The short names that there are, in words, the most similar first.
        known: String,
    },
}

/// Which labels a glob matches: `*` and `?` stand for any characters, and a whole label or short name for itself.
///
/// # Errors
/// When the glob is invalid, or matches neither a label nor a short name.
pub fn matching_labels(glob: &str, labels: &[&str]) -> Result<Vec<bool>, LabelGlobError> {
    let short = ShortNames::of(labels.iter().copied());
    let both = || labels.iter().zip(short.names());
    let exact: Vec<bool> = both().map(|(label, name)| *label == glob || name == glob).collect();
    if exact.contains(&true) {
        return Ok(exact);
    }
    let pattern = glob::Pattern::new(glob)
        .map_err(|e| LabelGlobError::Invalid { glob: glob.to_owned(), reason: e.msg.to_owned() })?;
    let matches = |text: &str| pattern.matches(text);
    let found: Vec<bool> = both().map(|(label, name)| matches(label) || matches(name)).collect();
    if found.contains(&true) {
        return Ok(found);
    }
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    let hints = [&labels, short.names()].map(|known| names_hint(glob, known).unwrap_or_default());
    let [of_labels, of_names] = hints;
    let known = if of_labels.starts_with("there") { of_names } else { of_labels };
    Err(LabelGlobError::NoMatch { glob: glob.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 3] = ["qwen3-tiny_solver_s1", "qwen3-tiny_solver_s2", "base[line]"];

    fn found(glob: &str) -> Vec<bool> {
        matching_labels(glob, &LABELS).unwrap()
    }

    #[test]
    fn globs_match_labels_and_short_names() {
        assert_eq!(found("*solver*"), [true, true, false]);
        assert_eq!(found("solver_s?"), [true, true, false]);
        assert_eq!(found("solver_s2"), [false, true, false]);
        assert_eq!(found("base[line]"), [false, false, true], "a label is no pattern");
        assert_eq!(found("*"), [true; 3]);
    }

    #[test]
    fn glob_without_match_names_similar_labels() {
        let error = matching_labels("solver_s3", &LABELS).unwrap_err();
        let LabelGlobError::NoMatch { known, .. } = &error else { panic!("{error}") };
        assert!(known.starts_with("did you mean \"solver_s"), "{known}");
        assert!(matches!(matching_labels("[", &LABELS), Err(LabelGlobError::Invalid { .. })));
    }
}

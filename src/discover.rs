//! From what the user typed to files and labels: globs, directories, `LABEL=INPUT`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The name of R-Zero's histories.
const HISTORY_FILES: &str = "entropy_history_*.json";

/// Where the bytes of a log are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Location {
    /// As the user would write it.
    pub fn name(&self) -> String {
        match self {
            Location::Stdin => "stdin".to_owned(),
            Location::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// How an input came to be: what is named must be usable, what is found may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By its own name.
    Named,
    /// By a pattern or in a directory.
    Found,
}

/// One log to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Where.
    pub location: Location,
    /// What it is called, if the user said so.
    pub label: Option<String>,
    /// How it came to be.
    pub origin: Origin,
}

/// Why an input names nothing.
#[derive(Debug, Error, PartialEq)]
pub enum DiscoverError {
    /// No file of that name.
    #[error("cannot read {0}: there is no such file or directory")]
    Missing(String),
    /// The pattern matches nothing.
    #[error("nothing matches {0}")]
    NoMatch(String),
    /// The directory has no log that is known.
    #[error("cannot read {directory} as a run: it holds no {pattern}")]
    NoLog {
        /// The directory.
        directory: String,
        /// What was looked for.
        pattern: String,
    },
    /// The pattern is not one.
    #[error("{0:?} is not a glob pattern: {1}")]
    BadPattern(String, String),
    /// One label for several files.
    #[error("the label {label:?} names {count} files: {first}, …")]
    OneLabelForMany {
        /// The label.
        label: String,
        /// How many files.
        count: usize,
        /// The first of them.
        first: String,
    },
}

/// What a pattern or an argument stands for.
#[derive(Debug, Default, PartialEq)]
pub struct Found<T> {
    /// The files, in natural order (`v2` before `v10`).
    pub files: Vec<T>,
    /// Directories that could not be looked into, with the reason.
    pub unreadable: Vec<String>,
}

/// Resolves one INPUT: what exists as a path is a path, else the text before the first `=` is a
/// label; `-` is stdin; a directory stands for the histories in it; anything else is a glob.
pub fn resolve(argument: &str) -> Result<Found<Input>, DiscoverError> {
    let (label, rest) = match argument.split_once('=') {
        Some((label, rest)) if !label.is_empty() && !Path::new(argument).exists() => {
            (Some(label.to_owned()), rest)
        }
        _ => (None, argument),
    };
    let input = |location, origin| Input { location, label: label.clone(), origin };
    let named =
        |location| Found { files: vec![input(location, Origin::Named)], unreadable: vec![] };
    if rest == "-" {
        return Ok(named(Location::Stdin));
    }
    let path = Path::new(rest);
    let found = if path.is_dir() {
        histories_in(path)?
    } else if path.exists() {
        return Ok(named(Location::File(path.to_owned())));
    } else if rest.contains(['*', '?', '[']) {
        let found = expand(rest)?;
        if found.files.is_empty() && found.unreadable.is_empty() {
            return Err(DiscoverError::NoMatch(rest.to_owned()));
        }
        found
    } else {
        return Err(DiscoverError::Missing(rest.to_owned()));
    };
    if let (Some(label), [first, _, ..]) = (&label, &found.files[..]) {
        let (count, first) = (found.files.len(), first.display().to_string());
        return Err(DiscoverError::OneLabelForMany { label: label.clone(), count, first });
    }
    let files = found.files.into_iter().map(|path| input(Location::File(path), Origin::Found));
    Ok(Found { files: files.collect(), unreadable: found.unreadable })
}

/// The histories of the run, or else of the runs, in a directory.
fn histories_in(directory: &Path) -> Result<Found<PathBuf>, DiscoverError> {
    for pattern in [HISTORY_FILES.to_owned(), format!("*/{HISTORY_FILES}")] {
        let found = expand(&below(directory, &pattern))?;
        if !found.files.is_empty() || !found.unreadable.is_empty() {
            return Ok(found);
        }
    }
    Err(DiscoverError::NoLog {
        directory: directory.display().to_string(),
        pattern: HISTORY_FILES.to_owned(),
    })
}

/// The pattern below a directory whose own name is taken literally.
pub fn below(directory: &Path, pattern: &str) -> String {
    let directory = glob::Pattern::escape(&directory.to_string_lossy());
    format!("{}/{pattern}", directory.trim_end_matches('/'))
}

/// The files that match a pattern.
///
/// # Errors
/// When the pattern is not one.
pub fn expand(pattern: &str) -> Result<Found<PathBuf>, DiscoverError> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let bad =
        |e: glob::PatternError| DiscoverError::BadPattern(pattern.to_owned(), e.msg.to_owned());
    let mut found = Found::default();
    for entry in glob::glob_with(pattern, options).map_err(bad)? {
        match entry {
            Ok(path) if path.is_dir() => {}
            Ok(path) => found.files.push(path),
            Err(e) => {
                found.unreadable.push(format!("{}: {}", e.path().display(), e.error().kind()))
            }
        }
    }
    found.files.sort_by(|a, b| {
        alphanumeric_sort::compare_str(a.to_string_lossy(), b.to_string_lossy()).then(a.cmp(b))
    });
    Ok(found)
}

/// The label of a log that was given none: `<name>` of `entropy_history_<name>.json`, else the file's
/// name without its extension.
pub fn default_label(location: &Location) -> String {
    let Location::File(path) = location else { return location.name() };
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    match stem.strip_prefix("entropy_history_") {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => stem.into_owned(),
    }
}

/// Default labels for all, told apart by the directories in front where names are equal.
pub fn default_labels(locations: &[&Location]) -> Vec<String> {
    let mut labels: Vec<String> = locations.iter().map(|l| default_label(l)).collect();
    for depth in 1.. {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for label in &labels {
            *seen.entry(label).or_default() += 1;
        }
        let clashes: Vec<usize> =
            (0..labels.len()).filter(|&i| seen[labels[i].as_str()] > 1).collect();
        let mut longer = false;
        for i in clashes {
            let Location::File(path) = locations[i] else { continue };
            if let Some(directory) = path.ancestors().nth(depth).and_then(Path::file_name) {
                labels[i] = format!("{}/{}", directory.to_string_lossy(), labels[i]);
                longer = true;
            }
        }
        if !longer {
            break; // none clash, or one file was given twice: the comparison says so
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Location {
        Location::File(path.into())
    }

    #[test]
    fn a_label_is_the_name_of_the_run() {
        let label = |path| default_label(&file(path));
        assert_eq!(label("models/q/entropy_history_q_v1.json"), "q_v1");
        assert_eq!(label("entropy_history_.json"), "entropy_history_");
        assert_eq!(label("logs/solver.v2.jsonl"), "solver.v2");
    }

    #[test]
    fn equal_labels_get_their_directory_in_front() {
        let paths = [file("a/x/e.json"), file("b/x/e.json"), file("b/y/e.json"), file("c/f.json")];
        let labels = default_labels(&paths.each_ref());
        assert_eq!(labels, ["a/x/e", "b/x/e", "y/e", "f"]);
    }

    #[test]
    fn one_file_given_twice_keeps_its_clash() {
        let paths = [file("a/e.json"), file("a/e.json")];
        let labels = default_labels(&paths.each_ref());
        assert_eq!(labels[0], labels[1]);
    }
}

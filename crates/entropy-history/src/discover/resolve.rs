//! Arguments to logs: paths, directories, globs, segments, `LABEL=INPUT`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::input::{Found, Input, Location, Origin, natural_order};
use super::scan::logs_in;

/// Why an argument cannot be resolved to logs.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DiscoverError {
    /// There is no such file.
    #[error("cannot read {0}: there is no such file or directory")]
    Missing(String),
    /// The pattern matches nothing.
    #[error("nothing matches {0}")]
    NoMatch(String),
    /// The directory has no file that looks like a log.
    #[error("cannot read {0}: the directory holds no file that looks like a log")]
    NoLog(String),
    /// The pattern is invalid, with the reason.
    #[error("{0:?} is not a glob pattern: {1}")]
    BadPattern(String, String),
    /// One label is given to several files.
    #[error("the label {label:?} names {count} logs: {first}, …")]
    OneLabelForMany {
        /// The label.
        label: String,
        /// How many logs there are.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A segment of a run is several logs.
    #[error("{0} is more than one log, and cannot be a segment of a run")]
    ManySegments(String),
    /// Standard input is given twice.
    #[error("stdin is given twice")]
    StdinTwice,
}

/// Resolves one INPUT.
///
/// - `-` is standard input, a directory means all logs in it, and any other path is a log.
/// - `a+b` are segments of one run if both exist.
/// - Text with `*`, `?` or `[` is a glob of logs, and of directories, which mean all logs in them.
/// - In `LABEL=INPUT`, the text before the first `=` is a label, unless the whole text exists as a path or
///   matches as a glob.
/// - Text that is not UTF-8 is a path.
///
/// # Errors
/// When nothing has that name, or several logs are found where there must be one.
pub fn resolve(argument: &OsStr) -> Result<Found<Input>, DiscoverError> {
    let Some(argument) = argument.to_str() else {
        let missing = || DiscoverError::Missing(argument.to_string_lossy().into_owned());
        return at_path(Path::new(argument))?.ok_or_else(missing);
    };
    let (label, rest) = match argument.split_once('=') {
        Some((label, rest)) if !label.is_empty() && !names_files(argument) => {
            (Some(label.to_owned()), rest)
        }
        _ => (None, argument),
    };
    let mut found = match segments(rest) {
        Some(parts) => joined(&parts)?,
        None => resolve_one(rest)?,
    };
    // Which scanned files are logs is known only once they are read.
    let mut logs = found.files.iter().filter(|input| input.origin != Origin::Scanned);
    if let (Some(label), Some(first), Some(_)) = (&label, logs.next(), logs.next()) {
        let (count, first) = (logs.count() + 2, first.name());
        return Err(DiscoverError::OneLabelForMany { label: label.clone(), count, first });
    }
    for input in &mut found.files {
        input.label.clone_from(&label);
    }
    Ok(found)
}

/// Resolves several arguments (see [`resolve`]), in their order.
///
/// # Errors
/// As [`resolve`], and when standard input is given twice.
pub fn resolve_all(arguments: &[impl AsRef<OsStr>]) -> Result<Found<Input>, DiscoverError> {
    let mut all = Found::default();
    for (number, argument) in arguments.iter().enumerate() {
        let mut found = resolve(argument.as_ref())?;
        for input in found.files.iter_mut().filter(|input| input.place.is_some()) {
            input.place = Some(number);
        }
        all.files.extend(found.files);
        all.unreadable.extend(found.unreadable);
        all.directories.extend(found.directories);
    }
    leave_out_found_twice(&mut all.files);
    let segments = all.files.iter().flat_map(|input: &Input| &input.segments);
    if segments.filter(|location| **location == Location::Stdin).count() > 1 {
        return Err(DiscoverError::StdinTwice);
    }
    Ok(all)
}

/// Whether the whole text is a path, several paths, or a pattern with a match.
fn names_files(text: &str) -> bool {
    let is_glob = text.contains(['*', '?', '[']);
    let has_match = || {
        let found = matches(text);
        found.is_ok_and(|m| !m.found.files.is_empty() || !m.directories.is_empty())
    };
    Path::new(text).exists() || segments(text).is_some() || is_glob && has_match()
}

fn resolve_one(text: &str) -> Result<Found<Input>, DiscoverError> {
    if text == "-" {
        return Ok(one_log(vec![Location::Stdin]));
    }
    if let Some(found) = at_path(Path::new(text))? {
        return Ok(found);
    }
    if !text.contains(['*', '?', '[']) {
        // Of several segments, name the one that is missing.
        let missing = text.split('+').find(|part| !Path::new(part).exists());
        let some = text.split('+').any(|part| Path::new(part).exists());
        let missing = missing.filter(|_| some).unwrap_or(text);
        return Err(DiscoverError::Missing(missing.to_owned()));
    }
    // `runs/**` matches directories alone; what is meant is everything in `runs/`.
    match text.strip_suffix("**") {
        Some("") => return resolve_one("."),
        Some(start) if start.ends_with('/') => return resolve_one(start),
        _ => {}
    }
    let Matches { found, directories } = matches(text)?;
    if found.files.is_empty() && found.unreadable.is_empty() && directories.is_empty() {
        return Err(DiscoverError::NoMatch(text.to_owned()));
    }
    let files = found.files.into_iter().map(|path| Input::file(path, Origin::Found));
    let mut all =
        Found { files: files.collect(), unreadable: found.unreadable, ..Found::default() };
    for directory in &directories {
        let in_it = logs_in(directory);
        all.files.extend(in_it.files);
        all.unreadable.extend(in_it.unreadable);
    }
    match directories.last() {
        Some(last) if all.files.is_empty() && all.unreadable.is_empty() => {
            Err(DiscoverError::NoLog(last.to_string_lossy().into_owned()))
        }
        _ => Ok(Found { directories, ..all }),
    }
}

/// Leaves out logs that were found in a directory or by a glob, and are there already. One that is named twice is
/// an error, which the store reports.
fn leave_out_found_twice(inputs: &mut Vec<Input>) {
    let files = |input: &Input| -> Option<Vec<PathBuf>> {
        input.segments.iter().map(Location::absolute).collect()
    };
    let is_named = |input: &Input| input.origin == Origin::Named;
    let named = inputs.iter().filter(|input| is_named(input)).filter_map(files);
    let mut known: HashSet<Vec<PathBuf>> = named.collect();
    inputs.retain(|input| is_named(input) || files(input).is_none_or(|files| known.insert(files)));
}

/// The log at a path, or those in a directory; `None` if the path does not exist.
fn at_path(path: &Path) -> Result<Option<Found<Input>>, DiscoverError> {
    if path.is_dir() {
        let found = logs_in(path);
        if found.files.is_empty() && found.unreadable.is_empty() {
            return Err(DiscoverError::NoLog(path.to_string_lossy().into_owned()));
        }
        return Ok(Some(Found { directories: vec![path.to_owned()], ..found }));
    }
    Ok(path.exists().then(|| one_log(vec![Location::File(path.to_owned())])))
}

/// The parts of `a+b` if each exists and the whole does not; a part may have a `+` in its name.
fn segments(text: &str) -> Option<Vec<&str>> {
    if !text.contains('+') || Path::new(text).exists() {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut start = 0;
    // Each part is the shortest text that exists, so that a `+` in a name is not a separator.
    for (at, _) in text.match_indices('+').chain([(text.len(), "")]) {
        if Path::new(&text[start..at]).exists() {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    (parts.len() > 1 && start > text.len()).then_some(parts)
}

fn joined(parts: &[&str]) -> Result<Found<Input>, DiscoverError> {
    let mut segments = Vec::new();
    for part in parts {
        let found = resolve_one(part)?;
        let [input] = &found.files[..] else {
            return Err(DiscoverError::ManySegments((*part).to_owned()));
        };
        segments.extend(input.segments.iter().cloned());
    }
    Ok(one_log(segments))
}

fn one_log(segments: Vec<Location>) -> Found<Input> {
    let input =
        Input { segments, directory: None, label: None, origin: Origin::Named, place: None };
    Found { files: vec![input], ..Found::default() }
}

/// The pattern below a directory, whose own name is escaped.
pub fn below(directory: &Path, pattern: &str) -> String {
    let directory = glob::Pattern::escape(&directory.to_string_lossy());
    format!("{}/{pattern}", directory.trim_end_matches('/'))
}

/// The files that match a pattern.
///
/// # Errors
/// When the pattern is invalid.
pub fn expand(pattern: &str) -> Result<Found<PathBuf>, DiscoverError> {
    matches(pattern).map(|matches| matches.found)
}

/// What matches a pattern, in natural order.
struct Matches {
    found: Found<PathBuf>,
    directories: Vec<PathBuf>,
}

fn matches(pattern: &str) -> Result<Matches, DiscoverError> {
    // Hidden files are filtered here: the option of the library for it panics at names that are not UTF-8.
    let dotted: Vec<&str> = pattern.split('/').filter(|part| part.starts_with('.')).collect();
    let is_shown = |name: &str| {
        let is_matched = |part: &&str| glob::Pattern::new(part).is_ok_and(|p| p.matches(name));
        match name {
            "." | ".." => dotted.contains(&name),
            _ => !name.starts_with('.') || dotted.iter().any(is_matched),
        }
    };
    let bad =
        |e: glob::PatternError| DiscoverError::BadPattern(pattern.to_owned(), e.msg.to_owned());
    let (mut found, mut directories) = (Found::default(), Vec::new());
    for entry in glob::glob(pattern).map_err(bad)? {
        if let Ok(path) = &entry
            && !path.to_string_lossy().split(std::path::is_separator).all(is_shown)
        {
            continue;
        }
        match entry {
            // To open a pipe waits for a writer.
            Ok(path) => match path.metadata() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(kind) if !kind.is_file() => {
                    found.unreadable.push(format!("{}: it is a pipe or a device", path.display()));
                }
                _ => found.files.push(path),
            },
            Err(e) => {
                found.unreadable.push(format!("{}: {}", e.path().display(), e.error().kind()))
            }
        }
    }
    found.files.sort_by(|a, b| natural_order(a, b));
    directories.sort_by(|a, b| natural_order(a, b));
    Ok(Matches { found, directories })
}

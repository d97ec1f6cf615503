//! From what the user typed to files and labels: globs, directories, segments, `LABEL=INPUT`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;

mod scan;

pub use scan::{Depth, logs_in};

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

    /// The path of the file from the root, if it is one.
    pub fn absolute(&self) -> Option<PathBuf> {
        match self {
            Location::Stdin => None,
            Location::File(path) => std::path::absolute(path).ok(),
        }
    }
}

/// How an input came to be: what is named must be usable, what is found may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By its own name.
    Named,
    /// By a pattern, or under the name that a trainer gives to its history.
    Found,
    /// In a directory, among files of any kind: it may be no log at all.
    Scanned,
}

/// One log to read, of one run or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its files, in the order in which they were written: most have one.
    pub segments: Vec<Location>,
    /// The directory that stands for it, where a trainer writes several files into one.
    pub directory: Option<PathBuf>,
    /// What it is called, if the user said so.
    pub label: Option<String>,
    /// How it came to be.
    pub origin: Origin,
}

impl Input {
    /// A log in one file.
    pub fn file(path: PathBuf, origin: Origin) -> Input {
        let segments = vec![Location::File(path)];
        Input { segments, directory: None, label: None, origin }
    }

    /// As the user would write it.
    pub fn name(&self) -> String {
        match &self.directory {
            Some(directory) => directory.to_string_lossy().into_owned(),
            None => self.segments.iter().map(Location::name).collect::<Vec<_>>().join("+"),
        }
    }

    /// The path that its name is made from.
    fn path(&self) -> Option<&Path> {
        match (&self.directory, self.segments.first()) {
            (Some(directory), _) => Some(directory),
            (None, Some(Location::File(path))) => Some(path),
            _ => None,
        }
    }
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
    #[error("cannot read {0}: the directory holds no file that looks like a log")]
    NoLog(String),
    /// The pattern is not one.
    #[error("{0:?} is not a glob pattern: {1}")]
    BadPattern(String, String),
    /// One label for several files.
    #[error("the label {label:?} names {count} logs: {first}, …")]
    OneLabelForMany {
        /// The label.
        label: String,
        /// How many logs.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A segment of a run that is several logs.
    #[error("{0} is more than one log, and cannot be a segment of a run")]
    ManySegments(String),
    /// Standard input is given twice.
    #[error("stdin is given twice")]
    StdinTwice,
}

/// What a pattern or an argument stands for.
#[derive(Debug, PartialEq)]
pub struct Found<T> {
    /// The files, in natural order (`v2` before `v10`).
    pub files: Vec<T>,
    /// Directories that could not be looked into, with the reason.
    pub unreadable: Vec<String>,
}

impl<T> Default for Found<T> {
    fn default() -> Found<T> {
        Found { files: Vec::new(), unreadable: Vec::new() }
    }
}

/// Resolves one INPUT: what exists as a path, or matches as a glob, is that, else the text before the first `=` is a
/// label; `-` is stdin; a directory stands for the logs in it; what has `+` between parts that all
/// exist are segments of one run; anything else is a glob. What is not UTF-8 is a path.
///
/// # Errors
/// When it names nothing, or not what it must.
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
    // Of scanned files most may be no logs: which are is known once they are read.
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

/// Resolves several INPUTs (see [`resolve`]), in their order.
///
/// # Errors
/// As [`resolve`], and when standard input is given twice.
pub fn resolve_all(arguments: &[impl AsRef<OsStr>]) -> Result<Found<Input>, DiscoverError> {
    let mut all = Found::default();
    for argument in arguments {
        let found = resolve(argument.as_ref())?;
        all.files.extend(found.files);
        all.unreadable.extend(found.unreadable);
    }
    let segments = all.files.iter().flat_map(|input: &Input| &input.segments);
    if segments.filter(|location| **location == Location::Stdin).count() > 1 {
        return Err(DiscoverError::StdinTwice);
    }
    Ok(all)
}

/// Whether the whole text is a path, several, or a pattern that something matches.
fn names_files(text: &str) -> bool {
    let is_glob = text.contains(['*', '?', '[']);
    let matches = || expand(text).is_ok_and(|found| !found.files.is_empty());
    Path::new(text).exists() || segments(text).is_some() || is_glob && matches()
}

fn resolve_one(text: &str) -> Result<Found<Input>, DiscoverError> {
    if text == "-" {
        let input = Input {
            segments: vec![Location::Stdin],
            directory: None,
            label: None,
            origin: Origin::Named,
        };
        return Ok(Found { files: vec![input], unreadable: vec![] });
    }
    if let Some(found) = at_path(Path::new(text))? {
        return Ok(found);
    }
    if !text.contains(['*', '?', '[']) {
        // Of segments, the one that is not there.
        let missing = text.split('+').find(|part| !Path::new(part).exists());
        let some = text.split('+').any(|part| Path::new(part).exists());
        let missing = missing.filter(|_| some).unwrap_or(text);
        return Err(DiscoverError::Missing(missing.to_owned()));
    }
    let found = expand(text)?;
    if found.files.is_empty() && found.unreadable.is_empty() {
        return Err(DiscoverError::NoMatch(text.to_owned()));
    }
    let files = found.files.into_iter().map(|path| Input::file(path, Origin::Found));
    Ok(Found { files: files.collect(), unreadable: found.unreadable })
}

/// The log that a path is, or those in a directory; `None` if there is nothing.
fn at_path(path: &Path) -> Result<Option<Found<Input>>, DiscoverError> {
    if path.is_dir() {
        let found = logs_in(path, Depth::Runs);
        if found.files.is_empty() && found.unreadable.is_empty() {
            return Err(DiscoverError::NoLog(path.to_string_lossy().into_owned()));
        }
        return Ok(Some(found));
    }
    let input = || Input::file(path.to_owned(), Origin::Named);
    Ok(path.exists().then(|| Found { files: vec![input()], unreadable: vec![] }))
}

/// The parts of `a+b`, if that is no path and each part is one, or would be a path with `+` in it.
fn segments(text: &str) -> Option<Vec<&str>> {
    if !text.contains('+') || Path::new(text).exists() {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut start = 0;
    // The shortest piece that exists comes first, so that a `+` in a name is no separator.
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
    let input = Input { segments, directory: None, label: None, origin: Origin::Named };
    Ok(Found { files: vec![input], unreadable: vec![] })
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
    found.files.sort_by(|a, b| natural(a, b));
    Ok(found)
}

/// `v2` before `v10`.
fn natural(a: &Path, b: &Path) -> std::cmp::Ordering {
    alphanumeric_sort::compare_str(a.to_string_lossy(), b.to_string_lossy()).then(a.cmp(b))
}

/// Names of files that many runs have: the directory tells them apart.
const FILES_OF_ANY_RUN: [&str; 15] = [
    "trainer_state",
    "experiment_log",
    "metrics",
    "progress",
    "history",
    "log",
    "train",
    "events",
    "stdout",
    "output",
    "console",
    "nohup",
    "result",
    "results",
    "logging",
];
/// Names of directories that many runs have: the one above tells them apart.
const DIRECTORIES_OF_ANY_RUN: [&str; 14] = [
    "tensorboard",
    "tensorboard_log",
    "tensorboard_logs",
    "tb",
    "tb_log",
    "tb_logs",
    "logs",
    "log",
    "runs",
    "events",
    "wandb",
    "output",
    "outputs",
    "files",
];

/// The label of a log that was given none: `<name>` of `entropy_history_<name>.json`, else the name
/// of its file or directory, whichever is its own.
pub fn default_label(input: &Input) -> String {
    let Some(path) = input.path() else { return input.name() };
    if input.directory.is_some() {
        return name_of_directory(path).unwrap_or_else(|| input.name());
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    if let Some(name) = stem.strip_prefix("entropy_history_").filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    let of_directory = || name_of_directory(path.parent()?);
    match is_of_any_run(path) {
        false => stem.into_owned(),
        true => of_directory().unwrap_or_else(|| stem.into_owned()),
    }
}

/// Whether many runs have a file of that name.
fn is_of_any_run(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    FILES_OF_ANY_RUN.contains(&stem) || name.contains(".tfevents.")
}

/// The directory of the run whose log this is, where the log is called after it: what else is in it
/// may be the same run's.
pub fn run_directory(input: &Input) -> Option<PathBuf> {
    let path = input.path()?;
    if input.directory.is_some() {
        return own_directory(path);
    }
    let parent = path.parent()?;
    let directory = parent.file_name()?.to_string_lossy();
    let history = format!("entropy_history_{directory}.json");
    if path.file_name()?.to_string_lossy() == history {
        return std::path::absolute(parent).ok();
    }
    if is_of_any_run(path) { own_directory(parent) } else { None }
}

fn name_of_directory(path: &Path) -> Option<String> {
    let directory = own_directory(path)?;
    Some(directory.file_name()?.to_string_lossy().into_owned())
}

/// The nearest directory that is a run's own.
fn own_directory(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let own = absolute.ancestors().find(|directory| {
        directory.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            let is_checkpoint = scan::checkpoint_step(&name).is_some();
            !is_checkpoint && !DIRECTORIES_OF_ANY_RUN.contains(&name.to_lowercase().as_str())
        })
    });
    own.map(Path::to_owned)
}

/// Labels for all, told apart where names are equal: by the names of their files where these are in
/// one directory, else by the directories in front. `names` are what they would be called alone;
/// those that `is_given` stay as they are.
pub fn distinct(
    names: Vec<String>,
    inputs: &[&Input],
    is_given: impl Fn(usize) -> bool,
) -> Vec<String> {
    let free = |i: usize| !is_given(i);
    let mut beside: BTreeMap<(&str, Option<&Path>), Vec<&Path>> = BTreeMap::new();
    for (name, input) in names.iter().zip(inputs) {
        let Some(path) = input.path() else { continue };
        let paths = beside.entry((name, path.parent())).or_default();
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let by_file = names.iter().enumerate().map(|(i, name)| {
        let path = inputs[i].path().filter(|_| free(i))?;
        let file = path.file_name()?.to_string_lossy();
        let several = beside.get(&(name.as_str(), path.parent())).is_some_and(|p| p.len() > 1);
        let of_file = *name == default_label(inputs[i]);
        several.then(|| if of_file { file.into_owned() } else { format!("{file}/{name}") })
    });
    let by_file: Vec<Option<String>> = by_file.collect();
    // Where the directory is the name already, those above it come in front.
    let named_after: Vec<usize> = (0..names.len())
        .map(|i| if by_file[i].is_none() { depth_of_name(&names[i], inputs[i]) } else { 0 })
        .collect();
    let mut labels: Vec<String> = names
        .iter()
        .zip(by_file)
        .map(|(name, file)| file.unwrap_or_else(|| name.clone()))
        .collect();
    for depth in 1.. {
        let mut longer = false;
        for i in clashes(&labels) {
            let directory = inputs[i]
                .path()
                .and_then(|path| path.ancestors().nth(named_after[i] + depth)?.file_name());
            if let Some(directory) = directory.filter(|_| free(i)) {
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

/// How far above the log the directory is that its name is made from; 0 if it is made from something
/// else.
fn depth_of_name(name: &str, input: &Input) -> usize {
    let Some(path) = input.path() else { return 0 };
    let (directory, above) = match &input.directory {
        Some(directory) => (own_directory(directory), 0),
        None if is_of_any_run(path) => (path.parent().and_then(own_directory), 1),
        None => return 0,
    };
    let rest = name.strip_prefix(&default_label(input));
    let Some(directory) = directory
        .filter(|_| rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '/'])))
    else {
        return 0;
    };
    let is_own = |path: &Path| std::path::absolute(path).is_ok_and(|path| path == directory);
    path.ancestors().skip(above).position(is_own).map_or(0, |at| at + above)
}

/// The labels that others have too.
fn clashes(labels: &[String]) -> Vec<usize> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels {
        *seen.entry(label).or_default() += 1;
    }
    (0..labels.len()).filter(|&i| seen[labels[i].as_str()] > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Input {
        Input::file(path.into(), Origin::Named)
    }

    fn labels(paths: &[&str]) -> Vec<String> {
        let inputs: Vec<Input> = paths.iter().map(|path| file(path)).collect();
        let names = inputs.iter().map(default_label).collect();
        distinct(names, &inputs.iter().collect::<Vec<_>>(), |_| false)
    }

    #[test]
    fn a_label_is_the_name_of_the_run() {
        let label = |path| default_label(&file(path));
        assert_eq!(label("models/q/entropy_history_q_v1.json"), "q_v1");
        assert_eq!(label("models/q/entropy_history_q_v1.json.gz"), "q_v1");
        assert_eq!(label("entropy_history_.json"), "entropy_history_");
        assert_eq!(label("logs/solver.v2.jsonl"), "solver.v2");
        assert_eq!(label("out/solver/trainer_state.json"), "solver");
        assert_eq!(label("out/solver/checkpoint-40/trainer_state.json"), "solver");
        assert_eq!(label("solver/tensorboard_log/events.out.tfevents.1.h.1.0"), "solver");
        assert_eq!(label("easyr1/solver/experiment_log.jsonl.zst"), "solver");
    }

    #[test]
    fn equal_labels_get_their_directory_in_front() {
        let labels = labels(&["a/x/e.json", "b/x/e.json", "b/y/e.json", "c/f.json"]);
        assert_eq!(labels, ["a/x/e", "b/x/e", "y/e", "f"]);
    }

    #[test]
    fn a_directory_that_names_a_run_is_not_put_in_front_of_it_again() {
        let paths = ["lab/a/metrics.jsonl", "lab/deep/a/metrics.jsonl", "lab/b/metrics.jsonl"];
        assert_eq!(labels(&paths), ["lab/a", "deep/a", "b"]);
        let paths = ["x/e/checkpoint-9/trainer_state.json", "y/e/logs/metrics.jsonl"];
        assert_eq!(labels(&paths), ["x/e", "y/e"]);
    }

    #[test]
    fn equal_labels_in_one_directory_are_told_by_their_files() {
        assert_eq!(labels(&["a/e.json", "a/e.csv", "b/e.csv"]), ["e.json", "e.csv", "e"]);
    }

    #[test]
    fn one_file_given_twice_keeps_its_clash() {
        let labels = labels(&["a/e.json", "a/e.json"]);
        assert_eq!(labels[0], labels[1]);
    }
}

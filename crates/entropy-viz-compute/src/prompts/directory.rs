//! A directory with one dump per step, as trainers write them:
//!
//! ```text
//! 10.jsonl                        verl
//! completions_00010.parquet       TRL
//! train_data_step10.jsonl         NeMo-RL, beside val_data_step10.jsonl
//! step_10/…/traces.jsonl          prime-rl
//! 10/<task>.jsonl                 AReaL: every file in the directory of a step belongs to it
//! rollout_12.pt                   slime, beside rollout_eval_12.pt
//! step_10/state.json, …           Hugging Face datasets: a folder for each step
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::arrow_folder::{self, FolderError};
use super::{EXTENSIONS, stem_and_extension};

/// The dumps of a directory by step.
#[derive(Debug)]
pub(crate) struct DumpDirectory {
    pub(crate) path: PathBuf,
    /// The files of each step, in the order of their names.
    pub(crate) steps: BTreeMap<u64, Vec<PathBuf>>,
    /// The names that were used, with `N` for the step.
    pub(crate) pattern: String,
    /// Other names with steps, such as those of evaluations.
    pub(crate) unused: Vec<String>,
}

/// Why a directory has no dumps that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder of `datasets` in it cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No name has a step.
    #[error("none of its files is named by a step, such as 10.jsonl or completions_00010.parquet")]
    NoSteps,
    #[error("it has several kinds of dumps: {0}")]
    Kinds(String),
    #[error("step {step} is in {first:?} and in {second:?}")]
    Twice { step: u64, first: String, second: String },
}

/// Finds the dumps of a directory.
pub(crate) fn find(directory: &Path) -> Result<DumpDirectory, DirectoryError> {
    let mut kinds: BTreeMap<String, BTreeMap<u64, PathBuf>> = BTreeMap::new();
    for path in entries(directory)? {
        let Some((pattern, step)) = step_of(&path) else { continue };
        let kind = kinds.entry(pattern).or_default();
        if let Some(first) = kind.get(&step) {
            let (first, second) = (name(first), name(&path));
            return Err(DirectoryError::Twice { step, first, second });
        }
        kind.insert(step, path);
    }
    let names: Vec<String> = kinds.keys().cloned().collect();
    let pattern = match &names[..] {
        [] => return Err(DirectoryError::NoSteps),
        names => one(names, |name| name.contains("train"))
            .or_else(|| {
                one(names, |name| !["val", "eval", "test"].iter().any(|e| name.contains(e)))
            })
            .ok_or_else(|| DirectoryError::Kinds(names.join(", ")))?,
    };
    let mut steps = BTreeMap::new();
    for (step, path) in kinds.remove(&pattern).unwrap_or_default() {
        steps.insert(step, files(&path, &mut BTreeSet::new())?);
    }
    let unused = names.into_iter().filter(|name| *name != pattern).collect();
    Ok(DumpDirectory { path: directory.to_owned(), steps, pattern, unused })
}

/// The only name, or the only one that fits.
fn one(names: &[String], fits: impl Fn(&str) -> bool) -> Option<String> {
    if let [name] = names {
        return Some(name.clone());
    }
    let mut names = names.iter().filter(|name| fits(name));
    names.next().filter(|_| names.next().is_none()).cloned()
}

/// The entries of a directory, sorted, without hidden ones.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    alphanumeric_sort::sort_path_slice(&mut paths);
    Ok(paths)
}

/// The file itself, or all dumps at any depth of a directory. `visited` holds the directories already listed, so that
/// a symbolic link to one of them adds nothing.
fn files(path: &Path, visited: &mut BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, DirectoryError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    if !visited.insert(fs::canonicalize(path)?) {
        return Ok(all);
    }
    if let Some(folder) = arrow_folder::find(path)? {
        return Ok(folder.files);
    }
    for entry in entries(path)? {
        if entry.is_dir() || is_dump(&entry) {
            all.extend(files(&entry, visited)?);
        }
    }
    Ok(all)
}

fn is_dump(path: &Path) -> bool {
    EXTENSIONS.contains(&stem_and_extension(path).1.as_str())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The step in a name, and the name with `N` for it.
fn step_of(path: &Path) -> Option<(String, u64)> {
    if path.is_dir() {
        // Other numbers, as in `exp_001`, are not steps.
        let name = name(path);
        let (pattern, step) = number(&name)?;
        let is_step = pattern == "N" || pattern.contains("step") || pattern.contains("iter");
        return is_step.then(|| (format!("{pattern}/"), step));
    }
    let (stem, extension) = stem_and_extension(path);
    if !EXTENSIONS.contains(&extension.as_str()) {
        return None;
    }
    let (pattern, step) = number(&stem)?;
    Some((format!("{pattern}.{extension}"), step))
}

/// The number after `step`, else at the end of a text; and the text with `N` for it.
fn number(text: &str) -> Option<(String, u64)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let after = text.rfind("step").map(|at| at + "step".len());
    let after = after.map(|at| at + usize::from(text[at..].starts_with(['_', '-'])));
    let start = match after.filter(|at| digits(&text[*at..]) > 0) {
        Some(start) => start,
        None => text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count(),
    };
    let end = start + digits(&text[start..]);
    let step = text[start..end].parse().ok()?;
    Some((format!("{}N{}", &text[..start], &text[end..]), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let tmp = tempfile::tempdir().unwrap();
        for name in names {
            let path = tmp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n").unwrap();
        }
        tmp
    }

    #[test]
    fn steps_are_found_in_the_names_of_trainers() {
        for (names, pattern) in [
            (&["8.jsonl", "10.jsonl", "README.md", ".10.jsonl.swp"][..], "N.jsonl"),
            (&["completions_00008.parquet", "completions_00010.parquet"], "completions_N.parquet"),
            (
                &["train_data_step8.jsonl", "train_data_step10.jsonl.gz", "val_data_step10.jsonl"],
                "train_data_stepN.jsonl",
            ),
            (&["step_8/a/traces.jsonl", "step_10/b/traces.jsonl", "exp_001/x.jsonl"], "step_N/"),
            (&["8/a.jsonl", "10/b.jsonl", "10/note.md"], "N/"),
            (&["global_step_8.json.zst", "global_step_10.json"], "global_step_N.json"),
        ] {
            let tmp = directory(names);
            let found = find(tmp.path()).unwrap();
            assert_eq!(found.steps.keys().copied().collect::<Vec<_>>(), [8, 10], "{names:?}");
            assert_eq!(found.pattern, pattern);
            assert!(found.steps.values().all(|files| files.len() == 1), "{names:?}");
        }
    }

    #[test]
    fn rejects_directory_without_steps_or_with_several_kinds() {
        let error = |names: &[&str]| find(directory(names).path()).unwrap_err().to_string();
        assert!(
            error(&["a.jsonl", "notes.txt"]).starts_with("none of its files is named by a step")
        );
        assert_eq!(
            error(&["a_1.jsonl", "b_1.jsonl"]),
            "it has several kinds of dumps: a_N.jsonl, b_N.jsonl"
        );
        assert_eq!(
            error(&["7.jsonl", "007.jsonl"]),
            "step 7 is in \"7.jsonl\" and in \"007.jsonl\""
        );
    }

    #[cfg(unix)]
    #[test]
    fn link_to_a_directory_above_adds_nothing() {
        let tmp = directory(&["10/a.jsonl", "10/b/c.jsonl"]);
        for link in ["10/latest", "10/b/latest"] {
            std::os::unix::fs::symlink(tmp.path().join("10"), tmp.path().join(link)).unwrap();
        }
        assert_eq!(find(tmp.path()).unwrap().steps[&10].len(), 2);
    }
}

//! What a run directory has: rollouts by step, and dumps of tokens. Checkpoints are found by the helper, which knows
//! their layouts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use entropy_history::discover::sort_naturally;
use entropy_shell::{CliError, WithHint, io_message};

/// Levels below the run that are searched for rollouts.
const MAX_LEVELS: usize = 3;
/// Directories that are listed in one search.
const MAX_DIRECTORIES: usize = 5_000;
/// Extensions of dumps that `compute` reads, also with `.gz` or `.zst`.
const EXTENSIONS: [&str; 5] = ["jsonl", "ndjson", "json", "parquet", "pt"];
/// Extensions in directories of a step: JSON and .pt are also those of checkpoints.
const ROWS: [&str; 3] = ["jsonl", "ndjson", "parquet"];
/// Parts of names that trainers give to directories of rollouts.
const ROLLOUTS: [&str; 7] =
    ["rollout", "completion", "dump", "train_data", "generation", "trajector", "sample"];
/// Names of evaluations, whose responses were not trained on.
const EVALUATIONS: [&str; 4] = ["val", "eval", "test", "bench"];
/// Names of dumps of tokens with entropies: of `compute --tokens-out` and of prime-rl.
const TOKENS: [&str; 2] = ["tokens", "token_exports"];

/// A directory with a dump for each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rollouts {
    pub(super) path: PathBuf,
    /// The steps in its names.
    pub(super) steps: BTreeSet<u64>,
}

/// Finds the rollouts of a run; `None` if there are none.
///
/// # Errors
/// When the run cannot be read, or it has several directories of rollouts.
pub(super) fn rollouts(run: &Path) -> Result<Option<Rollouts>, CliError> {
    let mut found = Vec::new();
    let mut left = MAX_DIRECTORIES;
    search(run, 0, &mut left, &mut found)
        .map_err(|error| anyhow!("cannot read {}: {}", run.display(), io_message(&error)))
        .hint("check that it is a directory and that you have permission to read it")?;
    let has = |rollouts: &Rollouts, words: &[&str]| {
        let path = rollouts.path.strip_prefix(run).unwrap_or(&rollouts.path);
        let name = path.to_string_lossy().to_lowercase();
        words.iter().any(|word| name.contains(word))
    };
    // Each filter is used if something is left: no evaluations; names of rollouts; not a single file among others.
    let filters: [&dyn Fn(&Rollouts) -> bool; 3] = [
        &|rollouts| !has(rollouts, &EVALUATIONS),
        &|rollouts| has(rollouts, &ROLLOUTS),
        &|rollouts| rollouts.steps.len() > 1,
    ];
    for fits in filters {
        if found.iter().any(fits) {
            found.retain(fits);
        }
    }
    if let [first, second, ..] = &found[..] {
        let (first, second) = (first.path.display(), second.path.display());
        return Err(anyhow!(
            "cannot tell which rollouts {} was trained on: {} directories have a dump per step, such as {first} and {second}",
            run.display(),
            found.len()
        ))
        .hint("name one with --rollouts DIR");
    }
    Ok(found.pop())
}

/// The dumps of a directory that the user named; `None` if no name has a step.
///
/// # Errors
/// When it cannot be read.
pub(super) fn steps_in(directory: &Path) -> Result<Option<Rollouts>, CliError> {
    let entries = entries(directory)
        .map_err(|error| anyhow!("cannot read {}: {}", directory.display(), io_message(&error)))
        .hint("check that you have permission to read it")?;
    let steps = steps_of(&entries);
    Ok((!steps.is_empty()).then(|| Rollouts { path: directory.to_owned(), steps }))
}

/// The steps in the names of dumps.
fn steps_of(entries: &[PathBuf]) -> BTreeSet<u64> {
    let mut steps = BTreeSet::new();
    for path in entries {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.is_dir() {
            steps.extend(step_of_directory(name).filter(|_| has_rows(path, 1)));
        } else if let Some(stem) = stem(name, &EXTENSIONS) {
            steps.extend(step_of(stem));
        }
    }
    steps
}

/// Adds the directories with a dump per step.
fn search(
    directory: &Path,
    level: usize,
    left: &mut usize,
    found: &mut Vec<Rollouts>,
) -> std::io::Result<()> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    let entries = entries(directory)?;
    let steps = steps_of(&entries);
    let is_dump = !steps.is_empty();
    if is_dump && level > 0 {
        found.push(Rollouts { path: directory.to_owned(), steps });
    }
    if level < MAX_LEVELS && (!is_dump || level == 0) {
        for path in entries.iter().filter(|path| path.is_dir()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Directories of a step are checkpoints; links could lead back.
            if step_of_directory(&name).is_none() && !path.is_symlink() {
                // A directory that cannot be read is that of somebody else; the run itself must be readable.
                let _ = search(path, level + 1, left, found);
            }
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.flatten().map(|entry| entry.path()).collect();
    let is_hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    paths.retain(|path| !is_hidden(path));
    sort_naturally(&mut paths);
    Ok(paths)
}

/// Whether a directory of a step has rows, and no weights beside them.
fn has_rows(directory: &Path, levels: usize) -> bool {
    let Ok(entries) = entries(directory) else { return false };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_checkpoint =
        |path: &PathBuf| name(path) == "config.json" || name(path).ends_with(".safetensors");
    !entries.iter().any(is_checkpoint)
        && entries.iter().any(|path| match path.is_dir() {
            true => levels > 0 && has_rows(path, levels - 1),
            false => stem(&name(path), &ROWS).is_some(),
        })
}

/// A name without its extension and that of its compression; `None` for other extensions.
fn stem<'a>(name: &'a str, extensions: &[&str]) -> Option<&'a str> {
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let (stem, extension) = name.rsplit_once('.')?;
    extensions.contains(&extension).then_some(stem)
}

/// The step in a name: the number after `step`, or at its end.
fn step_of(name: &str) -> Option<u64> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let after = name.rfind("step").map(|at| &name[at + "step".len()..]);
    let after = after.map(|text| text.trim_start_matches(['_', '-']));
    let text = match after.filter(|text| digits(text) > 0) {
        Some(text) => &text[..digits(text)],
        None => &name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..],
    };
    text.parse().ok()
}

/// The step in the name of a directory; other numbers, as in `exp_001`, are not steps.
fn step_of_directory(name: &str) -> Option<u64> {
    let is_step = name.bytes().all(|byte| byte.is_ascii_digit())
        || ["step", "iter", "checkpoint"].iter().any(|word| name.contains(word));
    step_of(name).filter(|_| is_step)
}

/// Dumps of tokens in the directory of a run, which may have entropies already.
pub(super) fn token_dumps(run: &Path) -> Vec<PathBuf> {
    let is_dump = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match path.is_dir() {
            true => TOKENS.contains(&&*name) && has_rows(path, MAX_LEVELS),
            false => stem(&name, &ROWS).is_some_and(|stem| TOKENS.contains(&stem)),
        }
    };
    entries(run).unwrap_or_default().into_iter().filter(is_dump).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[&str]) -> tempfile::TempDir {
        let tmp = tempfile::tempdir().unwrap();
        for name in files {
            let path = tmp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        tmp
    }

    #[test]
    fn rollouts_are_found_where_trainers_put_them() {
        for (files, place, steps) in [
            (
                &[
                    "checkpoint-10/config.json",
                    "checkpoint-10/trainer_state.json",
                    "completions/completions_00010.parquet",
                    "completions/completions_00011.parquet",
                ][..],
                "completions",
                &[10, 11][..],
            ),
            (&["global_step_5/actor/x.pt", "rollout/5.jsonl", "val/5.jsonl"], "rollout", &[5]),
            (
                &["logs/exp_001/train_data_step1.jsonl", "logs/exp_001/train_data_step2.jsonl"],
                "logs/exp_001",
                &[1, 2],
            ),
            (
                &["weights/step_4/model.safetensors", "rollouts/step_4/a/traces.jsonl"],
                "rollouts",
                &[4],
            ),
        ] {
            let tmp = run(files);
            let found = rollouts(tmp.path()).unwrap();
            let found = found.unwrap();
            assert_eq!(found.path, tmp.path().join(place));
            assert_eq!(found.steps.into_iter().collect::<Vec<_>>(), steps);
        }
    }

    #[test]
    fn several_directories_of_rollouts_are_an_error_that_names_them() {
        let tmp = run(&[
            "rollouts_a/1.jsonl",
            "rollouts_a/2.jsonl",
            "rollouts_b/1.jsonl",
            "rollouts_b/2.jsonl",
        ]);
        let failure = rollouts(tmp.path()).unwrap_err();
        assert!(failure.error.to_string().contains("rollouts_a and"), "{}", failure.error);
        assert!(failure.hint.unwrap().contains("--rollouts"));
        assert!(rollouts(&tmp.path().join("none")).is_err());
        assert_eq!(rollouts(run(&["checkpoint-1/config.json"]).path()).unwrap(), None);
    }

    #[test]
    fn dumps_of_tokens_are_found_by_name() {
        let tmp = run(&["tokens.jsonl", "tokenizer.json", "token_exports/step_1/rank_0.jsonl"]);
        let found = token_dumps(tmp.path());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["token_exports", "tokens.jsonl"]);
    }
}

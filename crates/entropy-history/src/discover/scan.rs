//! The files in a directory that may be logs, by their names; their content is checked when they are read.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::input::{Found, Input, Location, Origin, natural_order};

/// Stops at loops of the file system.
const MAX_LEVELS: usize = 64;

/// Extensions of files that may be logs, without `.gz` and `.zst`.
const EXTENSIONS: [&str; 12] = [
    "json", "jsonl", "ndjson", "csv", "tsv", "parquet", "db", "sqlite", "log", "out", "txt",
    "wandb",
];
/// W&B's last values of each key, and facts about the machine.
const NO_HISTORIES: [&str; 2] = ["wandb-summary.json", "wandb-metadata.json"];
/// Directories with many files and no logs.
const SKIPPED_DIRECTORIES: [&str; 8] = [
    "huggingface",
    "token_exports",
    "node_modules",
    "__pycache__",
    "site-packages",
    "profile",
    "artifacts",
    "lost+found",
];

/// The logs below a directory at any depth, in natural order; their place is 0.
pub fn logs_in(directory: &Path) -> Found<Input> {
    let mut found = Found::default();
    walk(directory, 0, &mut found);
    join_wandb_segments(&mut found.files);
    found
}

fn walk(directory: &Path, level: usize, found: &mut Found<Input>) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) => {
            found.unreadable.push(format!("{}: {}", directory.display(), e.kind()));
            return;
        }
    };
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a directory may lead anywhere, and W&B's `latest-run` to a run that is found already.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => directories.push(path),
            Ok(kind) if kind.is_file() => files.push(path),
            Ok(kind) if kind.is_symlink() && path.is_file() => files.push(path),
            _ => {}
        }
    }
    directories.sort_by(|a, b| natural_order(a, b));
    found.files.extend(logs_among(directory, files, &directories));
    for directory in directories.iter().filter(|_| level < MAX_LEVELS) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        if !SKIPPED_DIRECTORIES.contains(&name.as_ref()) && checkpoint_step(&name).is_none() {
            walk(directory, level + 1, found);
        }
    }
}

/// The logs among the files of one directory.
fn logs_among(directory: &Path, files: Vec<PathBuf>, directories: &[PathBuf]) -> Vec<Input> {
    let (mut events, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| name(path).contains(".tfevents."));
    let mut logs = Vec::new();
    if !events.is_empty() {
        events.sort_by(|a, b| natural_order(a, b));
        logs.push(Input {
            segments: events.into_iter().map(Location::File).collect(),
            directory: Some(directory.to_owned()),
            label: None,
            origin: Origin::Scanned,
            place: Some(0),
        });
    }
    let may_be_log = |path: &PathBuf| {
        EXTENSIONS.contains(&extension(path).as_str()) && !NO_HISTORIES.contains(&&*name(path))
    };
    let mut files: Vec<PathBuf> = files.into_iter().filter(may_be_log).collect();
    if !files.iter().any(|path| name(path) == "trainer_state.json") {
        files.extend(state_of_last_checkpoint(directories));
    }
    let mut files: Vec<(PathBuf, PathBuf)> =
        files.into_iter().map(|path| (PathBuf::from(stem(&path)), path)).collect();
    files.sort_by(|a, b| natural_order(&a.0, &b.0).then_with(|| natural_order(&a.1, &b.1)));
    let mut log_of: BTreeMap<(String, String), usize> = BTreeMap::new(); // by stem and extension
    for (_, path) in files {
        let (stem, extension) = (stem(&path), extension(&path));
        let continued =
            base_of_continuation(&stem).map(|base| (base.to_owned(), extension.clone()));
        if let Some(&log) = continued.and_then(|base| log_of.get(&base)) {
            logs[log].segments.push(Location::File(path));
            continue;
        }
        let is_history = stem.starts_with("entropy_history_") && extension == "json";
        let origin = if is_history { Origin::Found } else { Origin::Scanned };
        log_of.insert((stem, extension), logs.len());
        logs.push(Input { place: Some(0), ..Input::file(path, origin) });
    }
    logs
}

/// The name of the file that a resumed run continues: `q` for `q_resumed_2`.
fn base_of_continuation(stem: &str) -> Option<&str> {
    const SUFFIXES: [&str; 6] = ["resumed", "resume", "restarted", "continued", "part", "segment"];
    let is_separator = |c: char| matches!(c, '_' | '-' | '.');
    let word = stem.trim_end_matches(|c: char| c.is_ascii_digit() || is_separator(c));
    let base = word.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    let is_suffix = SUFFIXES.contains(&word[base.len()..].to_lowercase().as_str());
    base.strip_suffix(is_separator).filter(|base| is_suffix && !base.is_empty())
}

/// The `trainer_state.json` of the last checkpoint, which has the whole history.
fn state_of_last_checkpoint(directories: &[PathBuf]) -> Option<PathBuf> {
    let states = directories.iter().filter_map(|directory| {
        let step = checkpoint_step(&name(directory))?;
        let state = directory.join("trainer_state.json");
        state.is_file().then_some((step, state))
    });
    states.max().map(|(_, state)| state)
}

/// The step in the name of a checkpoint directory: `checkpoint-40`, `global_step_40`.
pub(super) fn checkpoint_step(name: &str) -> Option<u64> {
    let step = name.strip_prefix("checkpoint-").or_else(|| name.strip_prefix("global_step_"));
    step?.parse().ok()
}

/// Joins logs of W&B with the same file name: a run that is resumed under its id writes another directory.
fn join_wandb_segments(logs: &mut Vec<Input>) {
    let mut runs: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    let mut joined: Vec<Input> = Vec::new();
    for log in logs.drain(..) {
        let run = match &log.segments[..] {
            [Location::File(path)] if extension(path) == "wandb" => {
                let of_all_runs = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
                Some((of_all_runs.to_owned(), name(path)))
            }
            _ => None,
        };
        match run.as_ref().and_then(|run| runs.get(run)) {
            Some(&first) => joined[first].segments.extend(log.segments),
            None => {
                if let Some(run) = run {
                    runs.insert(run, joined.len());
                }
                joined.push(log);
            }
        }
    }
    *logs = joined;
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path without `.gz` or `.zst`.
fn uncompressed(path: &Path) -> PathBuf {
    let compressed =
        path.extension().is_some_and(|e| e == OsStr::new("gz") || e == OsStr::new("zst"));
    if compressed { path.with_extension("") } else { path.to_owned() }
}

fn extension(path: &Path) -> String {
    uncompressed(path).extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn stem(path: &Path) -> String {
    uncompressed(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Vec<String> {
        let tmp = tempfile::tempdir().unwrap();
        for file in files {
            let path = tmp.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        let relative = |location: &Location| {
            let Location::File(path) = location else { panic!("not a file") };
            path.strip_prefix(tmp.path()).unwrap().display().to_string()
        };
        let logs = logs_in(tmp.path()).files;
        logs.iter().map(|l| l.segments.iter().map(relative).collect::<Vec<_>>().join("+")).collect()
    }

    #[test]
    fn event_files_of_a_directory_are_one_log() {
        let files = [
            "a/events.out.tfevents.2.h.0",
            "a/events.out.tfevents.1.h.0",
            "a/sub/events.out.tfevents.3.h.0",
        ];
        let events = "a/events.out.tfevents.1.h.0+a/events.out.tfevents.2.h.0";
        assert_eq!(found(&files), [events, "a/sub/events.out.tfevents.3.h.0"]);
    }

    #[test]
    fn last_checkpoint_is_the_log_of_an_output_directory() {
        let files = ["checkpoint-9/trainer_state.json", "checkpoint-10/trainer_state.json"];
        assert_eq!(found(&files), ["checkpoint-10/trainer_state.json"]);
        let whole = [&files[..], &["trainer_state.json"]].concat();
        assert_eq!(found(&whole), ["trainer_state.json"]);
    }

    #[test]
    fn resumed_file_continues_the_one_before() {
        assert_eq!(
            found(&["q.jsonl", "q_resumed.jsonl", "q_resumed_2.jsonl"]),
            ["q.jsonl+q_resumed.jsonl+q_resumed_2.jsonl"]
        );
        assert_eq!(found(&["q.jsonl", "q_v2.jsonl"]), ["q.jsonl", "q_v2.jsonl"]);
        assert_eq!(found(&["q_resumed.jsonl", "s.jsonl"]), ["q_resumed.jsonl", "s.jsonl"]);
        assert_eq!(found(&["q-resumed.jsonl", "q.jsonl"]), ["q.jsonl+q-resumed.jsonl"]);
    }

    #[test]
    fn resumed_wandb_run_is_one_log() {
        let files = [
            "wandb/run-1-abc/run-abc.wandb",
            "wandb/run-2-abc/run-abc.wandb",
            "wandb/run-3-x/run-x.wandb",
        ];
        assert_eq!(found(&files), [format!("{}+{}", files[0], files[1]), files[2].to_owned()]);
    }

    #[test]
    fn files_that_are_not_logs_are_skipped() {
        assert_eq!(
            found(&["model.safetensors", ".hidden.json", "huggingface/config.json", "a.png"]),
            [""; 0]
        );
    }
}

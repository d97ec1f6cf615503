//! The files in a directory that may be logs, by their names; their content is checked when they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::input::{Found, Input, Location, Origin, natural_order};

/// Stops at loops of the file system.
const MAX_LEVELS: usize = 64;

/// Extensions of files that may be logs, without `.gz` and `.zst`.
const EXTENSIONS: [&str; 14] = [
    "json", "jsonl", "ndjson", "csv", "tsv", "parquet", "db", "sqlite", "log", "out", "txt",
    "wandb", "swanlab", "swanlog",
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
    leave_out_swanlab_values(&mut found.files);
    join_resumed_runs(&mut found.files);
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
    if let Some(meta) = mlflow_run(&files, &directories) {
        let directory = Some(directory.to_owned());
        found.files.push(Input {
            directory,
            place: Some(0),
            ..Input::file(meta.to_owned(), Origin::Scanned)
        });
        return;
    }
    directories.sort_by(|a, b| natural_order(a, b));
    found.files.extend(logs_among(directory, files, &directories));
    for directory in directories.iter().filter(|_| level < MAX_LEVELS) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let is_skipped = SKIPPED_DIRECTORIES.contains(&name.as_ref()) || is_parts(&name);
        if !is_skipped && checkpoint_step(&name).is_none() {
            walk(directory, level + 1, found);
        }
    }
}

/// The `meta.yaml` that stands for a run of MLflow, if the directory with these files and directories is
/// one: each metric is a file below `metrics`.
fn mlflow_run<'a>(files: &'a [PathBuf], directories: &[PathBuf]) -> Option<&'a PathBuf> {
    let has_metrics = directories.iter().any(|directory| name(directory) == "metrics");
    files.iter().find(|path| has_metrics && name(path) == "meta.yaml")
}

/// The logs among the files of one directory.
fn logs_among(directory: &Path, files: Vec<PathBuf>, directories: &[PathBuf]) -> Vec<Input> {
    let is_of_tag = directory.parent().is_some_and(|parent| name(parent) == "logs");
    let is_events = |path: &PathBuf| name(path).contains(".tfevents.");
    let is_part = |path: &PathBuf| is_events(path) || is_of_tag && is_swanlab_values(path);
    let (mut parts, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_part);
    let mut logs = Vec::new();
    if !parts.is_empty() {
        parts.sort_by(|a, b| natural_order(a, b));
        logs.push(Input {
            segments: parts.into_iter().map(Location::File).collect(),
            directory: Some(directory.to_owned()),
            label: None,
            origin: Origin::Scanned,
            place: Some(0),
        });
    }
    let may_be_log = |path: &PathBuf| {
        let is_log =
            EXTENSIONS.contains(&extension(path).as_str()) || is_clearml_session(path, directories);
        is_log && !NO_HISTORIES.contains(&&*name(path)) && !is_shard(directory, &name(path))
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

/// Whether a file in a directory is a shard of a history that `compute --shard` writes: `shards/2-of-8.<history>.json` or
/// `shards/rows-2-of-8.<history>.json`. The merged history is the log.
fn is_shard(directory: &Path, file: &str) -> bool {
    let shard = file.strip_prefix("rows-").unwrap_or(file).split('.').next().unwrap_or_default();
    let is_number = |text: &str| text.parse::<usize>().is_ok();
    let numbers = shard.split_once("-of-");
    name(directory) == "shards" && numbers.is_some_and(|(i, n)| is_number(i) && is_number(n))
}

/// Whether a directory has the parts of an unfinished file of tokens or rollouts, `tokens.jsonl.parts`.
fn is_parts(directory: &str) -> bool {
    let file = directory.strip_suffix(".parts").map(Path::new);
    file.is_some_and(|file| ["json", "jsonl", "ndjson", "parquet"].contains(&&*extension(file)))
}

/// Whether the file is `1000.log`, `2000.log` and so on: values of SwanLab's local mode.
fn is_swanlab_values(path: &Path) -> bool {
    extension(path) == "log" && stem(path).bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the file is an offline session of ClearML, packed as ZIP, without its directory next to it.
fn is_clearml_session(path: &Path, directories: &[PathBuf]) -> bool {
    let is_session = extension(path) == "zip" && name(path).starts_with("offline-");
    is_session && !directories.iter().any(|directory| name(directory) == stem(path))
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

/// Leaves out the files of values of SwanLab's local mode, `<run>/logs/<key>/1000.log`, that are read with
/// the database in the directory above the run.
fn leave_out_swanlab_values(logs: &mut Vec<Input>) {
    let is_database = |path: &&Path| matches!(name(path).as_str(), "runs.swanlab" | "runs.swanlog");
    let databases = logs.iter().filter_map(Input::path).filter(is_database);
    let databases: BTreeSet<PathBuf> =
        databases.filter_map(|path| path.parent().map(Path::to_owned)).collect();
    logs.retain(|log| {
        let Some(Location::File(first)) = log.segments.first() else { return true };
        let values = first.ancestors().nth(2);
        let is_logs = values.is_some_and(|logs| logs.ends_with("logs"));
        let of_database = values.and_then(|logs| logs.ancestors().nth(2));
        !(is_logs && of_database.is_some_and(|directory| databases.contains(directory)))
    });
}

/// Joins run files of W&B and SwanLab with the same file name: a run that is resumed under its id writes
/// another directory.
fn join_resumed_runs(logs: &mut Vec<Input>) {
    let mut runs: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    let mut joined: Vec<Input> = Vec::new();
    for log in logs.drain(..) {
        let run = match &log.segments[..] {
            [Location::File(path)] => run_id(path).map(|id| {
                let of_all_runs = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
                (of_all_runs.to_owned(), id)
            }),
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

/// The id of the run in the name of a run file of W&B or SwanLab, or in the name of its directory.
fn run_id(path: &Path) -> Option<String> {
    match (extension(path).as_str(), stem(path).as_str()) {
        ("wandb", stem) => Some(stem.to_owned()),
        ("swanlab", "backup") => {
            let directory = name(path.parent()?);
            Some(directory.strip_prefix("run-")?.rsplit_once('-')?.1.to_owned())
        }
        ("swanlab", stem) => stem.starts_with("run-").then(|| stem.to_owned()),
        _ => None,
    }
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

    #[test]
    fn shards_and_parts_of_compute_are_skipped() {
        let files = ["shards/entropy_history_q.json", "parts/40.jsonl"];
        let skipped = [
            "shards/1-of-2.entropy_history_q.json",
            "shards/rows-2-of-2.entropy_history_q.json",
            "tokens.jsonl.parts/40-a-b.jsonl",
        ];
        assert_eq!(found(&[&files[..], &skipped].concat()), [files[1], files[0]]);
    }

    #[test]
    fn swanlab_values_are_read_with_their_database() {
        let files = ["run-1-a/logs/0/1000.log", "run-1-a/console/x.log", "runs.swanlab"];
        assert_eq!(found(&files), [files[2], files[1]]);
        assert_eq!(found(&files[..2]), [files[1], files[0]]);
        let parts = ["logs/0/1000.log", "logs/0/2000.log", "logs/0/_summary.json"];
        assert_eq!(found(&parts), [format!("{}+{}", parts[0], parts[1]), parts[2].to_owned()]);
    }

    #[test]
    fn clearml_session_is_one_log() {
        let files = ["offline-1/metrics.jsonl", "offline-2.zip", "other.zip"];
        assert_eq!(found(&files), [files[1], files[0]]);
        assert_eq!(found(&["offline-1/metrics.jsonl", "offline-1.zip"]), [files[0]]);
    }

    #[test]
    fn mlflow_run_is_one_log() {
        let files = [
            "mlruns/0/meta.yaml",
            "mlruns/7/meta.yaml",
            "mlruns/7/a1/meta.yaml",
            "mlruns/7/a1/metrics/actor/entropy",
            "mlruns/7/a1/tags/x.json",
            "mlruns/7/b2/meta.yaml",
            "mlruns/7/b2/metrics/entropy",
        ];
        assert_eq!(found(&files), ["mlruns/7/a1/meta.yaml", "mlruns/7/b2/meta.yaml"]);
    }

    #[test]
    fn resumed_swanlab_run_is_one_log() {
        let files = [
            "swanlog/run-1-abc/run-abc.swanlab",
            "swanlog/run-2-abc/run-abc.swanlab",
            "swanlog/run-3-x/backup.swanlab",
            "swanlog/run-4-y/backup.swanlab",
            "swanlog/run-5-y/backup.swanlab",
        ];
        let resumed = |at: usize| format!("{}+{}", files[at], files[at + 1]);
        assert_eq!(found(&files), [resumed(0), files[2].to_owned(), resumed(3)]);
        let databases = ["a/runs.swanlab", "b/runs.swanlab"];
        assert_eq!(found(&databases), databases);
    }
}

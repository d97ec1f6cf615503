//! Default labels of logs, from the names of their files and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::scan::checkpoint_step;

/// File names that many runs share: their directory gives the label.
const SHARED_FILE_NAMES: [&str; 17] = [
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
    "backup",
    "all_scalars",
];
/// Directory names that many runs share: the directory above gives the label.
const SHARED_DIRECTORY_NAMES: [&str; 16] = [
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
    "swanlog",
    "swanlab_log",
    "output",
    "outputs",
    "files",
];

/// The label of a log without one from the user: `<name>` of `entropy_history_<name>.json`, else the name of
/// its file, or of its directory if many runs share the file name.
pub fn default_label(input: &Input) -> String {
    let Some(path) = input.path() else { return input.name() };
    if input.directory.is_some() {
        return directory_name(path).unwrap_or_else(|| input.name());
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    if let Some(name) = stem.strip_prefix("entropy_history_").filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    let of_directory = || directory_name(path.parent()?);
    match has_shared_name(path) {
        false => stem.into_owned(),
        true => of_directory().unwrap_or_else(|| stem.into_owned()),
    }
}

/// Whether many runs share the file name.
fn has_shared_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    SHARED_FILE_NAMES.contains(&stem) || name.contains(".tfevents.")
}

/// The directory of the run, if the log has its name: other logs in it may be of the same run.
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
    if has_shared_name(path) { own_directory(parent) } else { None }
}

fn directory_name(path: &Path) -> Option<String> {
    let directory = own_directory(path)?;
    Some(directory.file_name()?.to_string_lossy().into_owned())
}

/// The nearest directory whose name is not shared by many runs.
fn own_directory(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let own = absolute.ancestors().find(|directory| {
        directory.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            let is_checkpoint = checkpoint_step(&name).is_some();
            !is_checkpoint && !is_shared_directory(&name)
        })
    });
    own.map(Path::to_owned)
}

fn is_shared_directory(name: &str) -> bool {
    SHARED_DIRECTORY_NAMES.contains(&name.to_lowercase().as_str())
}

/// Makes labels distinct: logs with equal `names` get the names of their files if they are in one directory or belong to
/// one run directory, else the names of their parent directories. `names` are the labels of single logs; a name that `is_given` is kept.
pub fn distinct(
    names: Vec<String>,
    inputs: &[&Input],
    is_given: impl Fn(usize) -> bool,
) -> Vec<String> {
    let path = |i: usize| inputs[i].path().filter(|_| !is_given(i));
    let mut same_directory: BTreeMap<(&str, Option<&Path>), BTreeSet<&Path>> = BTreeMap::new();
    for (name, input) in names.iter().zip(inputs) {
        let is_stem = |path: &&Path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let Some(path) = input.path().filter(is_stem) else { continue };
        same_directory.entry((name, path.parent())).or_default().insert(path);
    }
    let mut labels = Vec::new();
    let mut depths = Vec::new(); // of the directory that a label is made from
    for (i, name) in names.iter().enumerate() {
        let file = path(i).and_then(|path| {
            let several = same_directory.get(&(name.as_str(), path.parent()))?.len() > 1;
            Some(path.file_name()?.to_string_lossy()).filter(|_| several)
        });
        depths.push(if file.is_none() { depth_of_name(name, inputs[i]) } else { 0 });
        labels.push(match file {
            Some(file) if *name == default_label(inputs[i]) => file.into_owned(),
            Some(file) => format!("{file}/{name}"),
            None => name.clone(),
        });
    }
    // A trainer's own log and a history beside it, such as one that `compute` wrote, are named after one directory.
    let home = |i: usize| path(i)?.ancestors().nth(depths[i].max(1));
    let mut of_home: BTreeMap<(String, &Path), Vec<usize>> = BTreeMap::new();
    for i in duplicates(&labels) {
        if let Some(home) = home(i) {
            of_home.entry((labels[i].clone(), home)).or_default().push(i);
        }
    }
    for i in of_home.into_values().filter(|logs| logs.len() > 1).flatten() {
        if let Some(file) = path(i).and_then(Path::file_name) {
            labels[i] = format!("{} ({})", labels[i], file.to_string_lossy());
        }
    }
    // The directories above each log, the nearest first. Names that a program made up and those that many runs share say
    // little: they are used only if the others are not enough.
    let above = |i: usize| -> Vec<String> {
        let above = path(i).into_iter().flat_map(Path::ancestors).skip(depths[i] + 1);
        let names = above.filter_map(Path::file_name);
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    };
    let above: BTreeMap<usize, Vec<String>> =
        duplicates(&labels).into_iter().map(|i| (i, above(i))).collect();
    let chosen = above.iter().map(|(i, names)| {
        let chosen = names.iter().filter(|name| !is_made_up(name) && !is_shared_directory(name));
        (*i, chosen.cloned().collect())
    });
    let with_chosen = prefixed(&labels, &chosen.collect());
    let with_all = prefixed(&labels, &above);
    let unclear = duplicates(&with_chosen);
    let pick = |i: usize| if unclear.contains(&i) { &with_all[i] } else { &with_chosen[i] };
    let picked: Vec<String> = (0..labels.len()).map(|i| pick(i).clone()).collect();
    if duplicates(&picked).len() > duplicates(&with_all).len() { with_all } else { picked }
}

/// The labels with as many directories in front as are needed to make them distinct. Labels stay equal if the
/// directories are not enough, or one file is given twice, which the store reports.
fn prefixed(labels: &[String], directories: &BTreeMap<usize, Vec<String>>) -> Vec<String> {
    let mut labels = labels.to_vec();
    for level in 0.. {
        let mut longer = false;
        for i in duplicates(&labels) {
            if let Some(directory) = directories.get(&i).and_then(|names| names.get(level)) {
                labels[i] = format!("{directory}/{}", labels[i]);
                longer = true;
            }
        }
        if !longer {
            break;
        }
    }
    labels
}

/// Whether a program made up the name of a directory: `run-20261127_194442-d7pbkf4i` of W&B and SwanLab, and the
/// numbers of MLflow.
fn is_made_up(name: &str) -> bool {
    let run = name.strip_prefix("offline-").unwrap_or(name).strip_prefix("run-");
    let is_time = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let is_run = run.and_then(|rest| rest.split_once('_')).is_some_and(|(day, _)| is_time(day));
    let is_number = name.len() >= 9 && name.bytes().all(|b| b.is_ascii_digit());
    let is_hash = name.len() >= 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    is_run || is_number || is_hash
}

/// The number of levels from the log up to the directory that `name` is made from; 0 if it is made from
/// something else.
fn depth_of_name(name: &str, input: &Input) -> usize {
    let Some(path) = input.path() else { return 0 };
    let (directory, above) = match &input.directory {
        Some(directory) => (own_directory(directory), 0),
        None if has_shared_name(path) => (path.parent().and_then(own_directory), 1),
        // models/grpo/entropy_history_grpo.json: the directory has the name of the run, too.
        None => {
            let parent = path.parent().and_then(Path::file_name);
            return usize::from(parent.is_some_and(|parent| parent == name));
        }
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

/// The indices of labels that occur more than once.
fn duplicates(labels: &[String]) -> Vec<usize> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels {
        *seen.entry(label).or_default() += 1;
    }
    (0..labels.len()).filter(|&i| seen[labels[i].as_str()] > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::super::input::Origin;
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
    fn label_is_the_name_of_the_run() {
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
    fn equal_labels_are_prefixed_with_their_directory() {
        let labels = labels(&["a/x/e.json", "b/x/e.json", "b/y/e.json", "c/f.json"]);
        assert_eq!(labels, ["a/x/e", "b/x/e", "y/e", "f"]);
    }

    #[test]
    fn directory_in_a_label_is_not_prefixed_again() {
        let paths = ["lab/a/metrics.jsonl", "lab/deep/a/metrics.jsonl", "lab/b/metrics.jsonl"];
        assert_eq!(labels(&paths), ["lab/a", "deep/a", "b"]);
        let paths = ["x/e/checkpoint-9/trainer_state.json", "y/e/logs/metrics.jsonl"];
        assert_eq!(labels(&paths), ["x/e", "y/e"]);
    }

    #[test]
    fn made_up_directories_are_used_only_if_no_other_differs() {
        let run = "swanlog/run-20261127_194442-d7pbkf4i/logs/metrics.jsonl";
        let other = "swanlog/run-20261128_101112-abcdefgh/logs/metrics.jsonl";
        let inputs = [
            [format!("0.7.11/{run}"), format!("0.10.3/{other}")],
            [format!("0.7.11/{run}"), format!("0.7.11/{other}")],
        ];
        let labels = inputs.map(|paths| {
            let inputs = paths.map(|path| file(&path));
            distinct(vec!["solver".to_owned(); 2], &inputs.iter().collect::<Vec<_>>(), |_| false)
        });
        assert_eq!(labels[0], ["0.7.11/solver", "0.10.3/solver"]);
        assert!(labels[1][0].contains("d7pbkf4i"), "{:?}", labels[1]);
        assert_ne!(labels[1][0], labels[1][1]);
        assert!(is_made_up("offline-run-20261123_020319-3ptzi3v8"));
        assert!(is_made_up("372253632745067484") && is_made_up("58381c48db6d4ef7b0ba4e6017a205d4"));
        assert!(!["run-1", "seed_1", "2026-04-02_12-00-00", "face"].into_iter().any(is_made_up));
    }

    #[test]
    fn equal_labels_in_one_directory_become_file_names() {
        assert_eq!(labels(&["a/e.json", "a/e.csv", "b/e.csv"]), ["e.json", "e.csv", "e"]);
    }

    #[test]
    fn logs_of_one_run_directory_are_told_apart_by_their_files() {
        let run = "models/grpo/";
        let logs =
            ["checkpoint-9/trainer_state.json", "entropy_history_grpo.json", "metrics.jsonl"];
        let paths: Vec<String> = logs.iter().map(|log| format!("{run}{log}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let expected = ["trainer_state.json", "entropy_history_grpo.json", "metrics.jsonl"];
        assert_eq!(labels(&paths), expected.map(|file| format!("grpo ({file})")));
        // Another run of the same name keeps its directory.
        let other = ["models/grpo/entropy_history_grpo.json", "old/grpo/metrics.jsonl"];
        assert_eq!(labels(&other), ["models/grpo", "old/grpo"]);
    }

    #[test]
    fn file_given_twice_keeps_equal_labels() {
        let labels = labels(&["a/e.json", "a/e.json"]);
        assert_eq!(labels[0], labels[1]);
    }
}

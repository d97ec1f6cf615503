//! The stores of experiment trackers: SwanLab, MLflow, ClearML, tensorboardX and miles, as a user has them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{fixture, run, stderr, stdout};
use entropy_history::store::{LoadOptions, SearchPath, Store};
use serde_json::Value;

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// A directory with the copies of fixtures, each under its own name.
fn place(copies: &[(&str, &str)]) -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    copies.iter().for_each(|(from, to)| copy(&fixture(from), &tmp.path().join(to)));
    tmp
}

/// The labels and numbers of points that `stats` gives, sorted.
fn runs(directory: &Path, arguments: &[&str]) -> Vec<(String, u64)> {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let run =
        |run: &Value| (run["label"].as_str().unwrap().to_owned(), run["points"].as_u64().unwrap());
    let mut runs: Vec<_> = document["runs"].as_array().unwrap().iter().map(run).collect();
    runs.sort();
    runs
}

fn owned(runs: &[(&str, u64)]) -> Vec<(String, u64)> {
    runs.iter().map(|(label, points)| ((*label).to_owned(), *points)).collect()
}

#[test]
fn each_run_below_swanlog_is_found_once() {
    for (version, expected) in [
        ("0.7.11", &[("edges", 3), ("long", 400), ("solver", 40)][..]),
        ("0.10.3", &[("edges", 3), ("killed", 1035), ("long", 400), ("solver", 40)]),
    ] {
        let from = format!("swanlab/{version}/swanlog");
        for to in ["swanlog", "out/run/swanlab_log"] {
            let tmp = place(&[(&from, to)]);
            assert_eq!(runs(tmp.path(), &["."]), owned(expected), "{version}");
        }
    }
    let tmp = place(&[("swanlab-local/0.4.6/swanlog", "swanlog")]);
    assert_eq!(runs(tmp.path(), &["."]), owned(&[("solver", 40), ("solver-2", 40)]));
}

#[test]
fn each_run_below_mlruns_is_found_once() {
    let tmp = place(&[("mlflow-files/mlruns", "out/mlruns")]);
    let all = runs(tmp.path(), &["out"]);
    let mut points: Vec<u64> = all.iter().map(|(_, points)| *points).collect();
    points.sort_unstable();
    assert_eq!(points, [2, 20, 30]);
    assert!(all[0].0.ends_with("/solver") && all[1].0.ends_with("/solver") && all[2].0 == "odd");
    assert_eq!(runs(tmp.path(), &["out/mlruns"]), all);
    // The directory of a run, its file, and a metric of it.
    let (solver, _) = all.iter().find(|(_, points)| *points == 30).unwrap();
    let solver = solver.split('/').next().unwrap();
    let metrics = fs::read_dir(tmp.path().join("out/mlruns").join(solver)).unwrap();
    let of_solver = metrics.map(|entry| entry.unwrap().path()).find(|run| {
        fs::read_to_string(run.join("meta.yaml"))
            .is_ok_and(|meta| meta.contains("run_name: solver"))
    });
    let of_solver = of_solver.unwrap();
    for end in ["", "meta.yaml", "metrics/actor/entropy"] {
        let path = of_solver.join(end);
        assert_eq!(runs(tmp.path(), &[path.to_str().unwrap()]), owned(&[("solver", 30)]), "{end}");
    }
    let output = run(tmp.path(), &["check", "out"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 other file holds no entropy"), "the deleted run");
}

#[test]
fn stores_and_smaller_logs_are_found_in_a_directory() {
    let tmp = place(&[
        ("mlflow/mlflow.db", "a/mlruns.db"),
        ("clearml", "b"),
        ("tensorboardx", "c/tx"),
        ("miles", "d/miles_run"),
    ]);
    assert_eq!(
        runs(tmp.path(), &["a"]),
        owned(&[("grpo/solver", 30), ("odd", 2), ("ppo/solver", 20)])
    );
    // The session lies there twice: as a directory and packed.
    assert_eq!(runs(tmp.path(), &["b"]), owned(&[("solver", 30)]));
    assert_eq!(runs(tmp.path(), &["c"]), owned(&[("solver", 30)]));
    assert_eq!(runs(tmp.path(), &["d"]), owned(&[("miles_run", 30)]));
}

#[test]
fn every_command_reads_every_backend() {
    let tmp = tempfile::tempdir().unwrap();
    let names = [
        "swanlab/0.10.3",
        "swanlab/0.7.11",
        "swanlab-local",
        "mlflow",
        "mlflow-files",
        "clearml",
        "tensorboardx",
        "miles",
    ];
    for name in names {
        let path = fixture(name);
        let path = path.to_str().unwrap();
        let commands: [&[&str]; 6] = [
            &["plot", path, "-o", "a.svg"],
            &["inspect", path],
            &["check", path],
            &["watch", path, "--once"],
            &["law", path, "--reward", "critic/score/mean", "-o", "law.svg"],
            &["plot", path, "--x", "time", "-o", "b.svg"],
        ];
        for (at, command) in commands.iter().enumerate() {
            // Not every run of the others has this reward.
            let output = run(tmp.path(), command);
            let has_all = at < 4
                || !["miles", "tensorboardx", "swanlab/0.10.3", "swanlab/0.7.11"].contains(&name);
            let is_read = matches!(output.status.code(), Some(0 | 1)); // 1: `check` found a collapse
            assert!(is_read || !has_all, "{command:?}: {}", stderr(&output));
        }
        let directory = format!("{}.out", name.replace('/', "_"));
        let output = run(tmp.path(), &["convert", path, "--to", "jsonl", "-o", &directory]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let points = |paths: &[&str]| -> Vec<u64> {
            let mut points: Vec<_> = runs(tmp.path(), paths).into_iter().map(|run| run.1).collect();
            points.sort_unstable();
            points
        };
        // Named one by one: these made-up runs have the values of each other.
        let directory = tmp.path().join(&directory);
        let converted: Vec<String> = match fs::read_dir(&directory) {
            Ok(files) => files.map(|file| file.unwrap().path().display().to_string()).collect(),
            Err(_) => vec![directory.display().to_string()], // a single run is a file
        };
        let converted: Vec<&str> = converted.iter().map(String::as_str).collect();
        assert_eq!(points(&converted), points(&[path]), "{name}");
    }
}

/// A store that follows a path, and a clock that a test moves.
struct Followed {
    store: Store,
    now: Instant,
}

impl Followed {
    fn new(path: &Path) -> Followed {
        let path = SearchPath::Argument(path.into());
        let interval = Duration::from_millis(50);
        let store = Store::follow(vec![path], &LoadOptions::default(), interval).unwrap();
        Followed { store, now: Instant::now() }
    }

    /// The numbers of points of all runs, after a poll ten minutes later.
    fn poll(&mut self) -> Vec<usize> {
        self.now += Duration::from_secs(600);
        self.store.poll(self.now).unwrap();
        let mut points: Vec<_> =
            self.store.runs().iter().map(|run| run.history.points().len()).collect();
        points.sort_unstable();
        points
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn growing_swanlab_run_is_followed() {
    for version in ["0.10.3", "0.7.11"] {
        let directory = fixture(&format!("swanlab/{version}/swanlog"));
        let files = fs::read_dir(directory).unwrap().map(|run| run.unwrap().path());
        let files = files.map(|run| fs::read_dir(run).unwrap().next().unwrap().unwrap().path());
        let whole = files.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let bytes = fs::read(&whole).unwrap();
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("swanlog/run-1-a").join(whole.file_name().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"").unwrap();
        let mut followed = Followed::new(tmp.path());
        assert_eq!(followed.poll(), [0; 0]);
        let mut seen = vec![0];
        for part in bytes.chunks(bytes.len() / 7 + 1) {
            append(&path, part);
            seen.push(followed.poll().first().copied().unwrap_or(0));
        }
        let (_, all) = runs(tmp.path(), &["."])[0];
        assert!(seen.is_sorted() && seen[3] > 50 && seen[7] as u64 == all, "{seen:?}");
    }
}

#[test]
fn growing_metric_of_mlflow_is_followed() {
    let tmp = place(&[("mlflow-files/mlruns", "mlruns")]);
    let mut followed = Followed::new(tmp.path());
    assert_eq!(followed.poll(), [2, 20, 30]);
    let meta = fs::read_dir(tmp.path().join("mlruns")).unwrap().flat_map(|experiment| {
        fs::read_dir(experiment.unwrap().path()).unwrap().map(|run| run.unwrap().path())
    });
    let is_long = |metric: &std::path::PathBuf| {
        fs::read_to_string(metric).is_ok_and(|text| text.lines().count() == 30)
    };
    let metric = meta.map(|run| run.join("metrics/actor/entropy")).find(is_long).unwrap();
    append(&metric, b"1795781900000 0.75 31\n1795781900000 0.75 3");
    assert_eq!(followed.poll(), [2, 20, 31]);
    append(&metric, b"2\n");
    assert_eq!(followed.poll(), [2, 20, 32]);
}

#[test]
fn growing_values_of_the_local_mode_are_followed() {
    let tmp = place(&[("swanlab-local/0.4.6/swanlog", "swanlog")]);
    let mut followed = Followed::new(tmp.path());
    assert_eq!(followed.poll(), [40, 40]);
    let runs = fs::read_dir(tmp.path().join("swanlog")).unwrap().map(|run| run.unwrap().path());
    let values = runs.map(|run| run.join("logs/0/1000.log")).find(|path| path.is_file()).unwrap();
    let line =
        b"{\"index\": 41, \"data\": 0.5, \"create_time\": \"2026-11-27T18:57:45.3+00:00\"}\n";
    append(&values, line);
    assert_eq!(followed.poll(), [40, 41]);
    fs::write(values.with_file_name("2000.log"), line.map(|b| if b == b'1' { b'2' } else { b }))
        .unwrap();
    assert_eq!(followed.poll(), [40, 42]);
}

#[test]
fn deleted_run_and_foreign_database_say_what_to_do() {
    let tmp = place(&[("mlflow-files/mlruns", "mlruns")]);
    let runs = fs::read_dir(tmp.path().join("mlruns")).unwrap().flat_map(|experiment| {
        fs::read_dir(experiment.unwrap().path()).unwrap().map(|run| run.unwrap().path())
    });
    let meta = runs.map(|run| run.join("meta.yaml")).find(|meta| {
        fs::read_to_string(meta).is_ok_and(|text| text.contains("lifecycle_stage: deleted"))
    });
    let output = run(tmp.path(), &["stats", meta.unwrap().to_str().unwrap()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("the run was deleted") && said.contains("mlflow runs restore"), "{said}");
    let foreign = fixture("trackio/odd/other_tables.db");
    let said = stderr(&run(tmp.path(), &["stats", foreign.to_str().unwrap()]));
    assert!(said.contains("not of trackio, MLflow or SwanLab"), "{said}");
    assert!(said.contains("mlflow.db"), "{said}");
}

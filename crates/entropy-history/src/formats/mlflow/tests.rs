use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::*;
use crate::formats::{Log, LogSeries, SeriesSelector, Source};

/// A fixture, written by `tests/fixtures/make/logs/mlflow_make.py`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn log(path: &Path, selector: &SeriesSelector) -> Result<Log, ReadError> {
    let mut file = fs::File::open(path)?;
    let source = Source { reader: &mut file, path: Some(path) };
    crate::formats::read(source, None, selector).map(|(format, log)| {
        assert_eq!(format.name, "mlflow");
        log
    })
}

fn series(path: &Path) -> Vec<LogSeries> {
    log(path, &SeriesSelector::default_keys()).unwrap().series
}

fn error(path: &Path) -> String {
    log(path, &SeriesSelector::default_keys()).unwrap_err().to_string()
}

/// The values of `mlflow_make.py`.
fn entropies(first: f64, rows: usize) -> Vec<(f64, f64)> {
    (1..=rows).map(|step| (step as f64, first * 0.95f64.powf(step as f64 / 10.0))).collect()
}

fn values(series: &LogSeries) -> Vec<(f64, f64)> {
    series.points.iter().map(|point| (point.step, point.entropy)).collect()
}

fn assert_close(found: &LogSeries, first: f64, rows: usize) {
    let (found, wanted) = (values(found), entropies(first, rows));
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.0 == wanted.0 && (found.1 - wanted.1).abs() < 1e-14, "{found:?} {wanted:?}");
    }
}

fn odd() -> Vec<String> {
    ["0 0", "1 NaN", "2 inf", "3 -inf", "4 9", "4 0.5"].map(str::to_owned).to_vec()
}

fn as_texts(series: &LogSeries) -> Vec<String> {
    values(series).iter().map(|(step, value)| format!("{step} {value}")).collect()
}

/// The `meta.yaml` of the runs of the file store with their names and numbers of points.
fn stored_runs() -> Vec<(PathBuf, String, usize)> {
    let mut found = Vec::new();
    for experiment in fs::read_dir(fixture("mlflow-files/mlruns")).unwrap() {
        for run in fs::read_dir(experiment.unwrap().path()).unwrap() {
            let meta = run.unwrap().path().join("meta.yaml");
            if let Ok(log) = log(&meta, &SeriesSelector::default_keys()) {
                let series = &log.series[0];
                found.push((meta, series.run.clone().unwrap(), series.points.len()));
            }
        }
    }
    found.sort_by_key(|(_, name, points)| (name.clone(), *points));
    found
}

#[test]
fn runs_of_a_database_are_read_and_deleted_ones_left_out() {
    let log = log(&fixture("mlflow/mlflow.db"), &SeriesSelector::default_keys()).unwrap();
    let names: Vec<_> = log.series.iter().map(|series| series.run.clone().unwrap()).collect();
    assert_eq!(names, ["grpo/solver", "odd", "ppo/solver"]);
    assert!(log.notes[0].to_string() == "1 deleted run was left out" && !log.notes[0].is_warning());
    assert_close(&log.series[0], 0.9, 30);
    assert_close(&log.series[2], 0.8, 20);
    assert_eq!(as_texts(&log.series[1]), odd());
}

#[test]
fn rewards_and_clocks_of_each_run_are_read() {
    let selector = SeriesSelector::default_keys().with_clock();
    let selector = selector.with_quantities(&[vec!["critic/score/mean".to_owned()]]).unwrap();
    let runs = stored_runs();
    let of_files = &log(&runs[1].0, &selector).unwrap().series[0];
    let of_database = &log(&fixture("mlflow/mlflow.db"), &selector).unwrap().series[2];
    for series in [of_files, of_database] {
        let seconds: Vec<f64> = series.clocks[0].rows.iter().map(|(_, time)| *time).collect();
        let start = seconds[0];
        assert!(start > 1.795e9 && start < 1.796e9);
        let wanted: Vec<f64> = (0..20).map(|second| start + f64::from(second)).collect();
        assert_eq!(seconds, wanted);
        assert_eq!(series.quantities[0].rows[19], (20.0, 0.5));
    }
}

#[test]
fn each_directory_of_a_file_store_is_a_run() {
    let runs = stored_runs();
    let names: Vec<_> = runs.iter().map(|(_, name, points)| (name.as_str(), *points)).collect();
    assert_eq!(names, [("odd", 6), ("solver", 20), ("solver", 30)]);
    assert_eq!(as_texts(&series(&runs[0].0)[0]), odd());
    assert_close(&series(&runs[2].0)[0], 0.9, 30);
    let metric = runs[2].0.with_file_name("metrics").join("actor/entropy");
    assert_close(&series(&metric)[0], 0.9, 30);
}

#[test]
fn deleted_run_of_a_file_store_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("metrics")).unwrap();
    let meta = tmp.path().join("meta.yaml");
    fs::write(&meta, "lifecycle_stage: deleted\nrun_id: 'a1'\n").unwrap();
    assert_eq!(error(&meta), "the run was deleted");
    fs::write(&meta, "lifecycle_stage: active\nrun_id: 'a1'\n").unwrap();
    assert_eq!(error(&meta), "it holds no points");
}

#[test]
fn file_cut_at_any_byte_keeps_its_complete_lines() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("metrics")).unwrap();
    fs::write(tmp.path().join("meta.yaml"), "run_id: a1\nrun_name: 'it''s'\n").unwrap();
    let text = "1795781766764 1.403013 1\n1795781766769 1.25 2 data 0a1b\n1795781766771 nan 13\n";
    for length in 0..=text.len() {
        fs::write(tmp.path().join("metrics/entropy"), &text[..length]).unwrap();
        let lines = text[..length].matches('\n').count();
        let Ok(log) = log(&tmp.path().join("meta.yaml"), &SeriesSelector::default_keys()) else {
            assert_eq!(lines, 0);
            continue;
        };
        assert_eq!(log.series[0].run.as_deref(), Some("it's"));
        let found = as_texts(&log.series[0]);
        assert_eq!(found, ["1 1.403013", "2 1.25", "13 NaN"][..lines]);
        let is_cut = !text[..length].ends_with('\n');
        assert_eq!(
            log.notes.iter().any(|note| matches!(note, crate::formats::LogNote::Cut { .. })),
            is_cut
        );
    }
}

#[test]
fn lines_without_steps_are_numbered_and_others_counted() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("metrics")).unwrap();
    fs::write(tmp.path().join("meta.yaml"), "run_uuid: a1\n").unwrap();
    fs::write(tmp.path().join("metrics/entropy"), "1 0.5\nx\n3 0.25\n").unwrap();
    fs::write(tmp.path().join("metrics/once"), "1 9.5 0\n").unwrap();
    let log = log(&tmp.path().join("meta.yaml"), &SeriesSelector::default_keys()).unwrap();
    assert_eq!(as_texts(&log.series[0]), ["1 0.5", "2 0.25"]);
    let notes: Vec<_> = log.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes[0], "the log has no steps; its rows are numbered");
    assert!(notes[1].starts_with("1 line is not a value"), "{notes:?}");
}

#[test]
fn old_database_without_names_is_read_by_its_tags() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("mlruns.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
         CREATE TABLE runs (run_uuid TEXT, name TEXT, start_time INTEGER, lifecycle_stage TEXT,
             experiment_id INTEGER);
         CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
         CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INTEGER, run_uuid TEXT,
             step INTEGER, is_nan BOOLEAN);
         INSERT INTO experiments VALUES (1, 'e', 'active'), (2, 'f', 'deleted');
         INSERT INTO runs VALUES ('a', '', 1, 'active', 1), ('b', '', 2, 'active', 1),
             ('c', 'c', 3, 'active', 2);
         INSERT INTO tags VALUES ('mlflow.runName', 'tagged', 'a');
         INSERT INTO metrics VALUES ('entropy', 0.5, 9, 'a', 1, 0), ('entropy', 0.25, 3, 'a', 1, 0),
             ('entropy', 2.5, 1, 'b', 1, 0), ('entropy', 2.5, 1, 'c', 1, 0);",
    )
    .unwrap();
    drop(db);
    let found: Vec<_> = series(&path).iter().map(|s| (s.run.clone(), as_texts(s))).collect();
    let run = |name: &str, values: &[&str]| {
        (Some(name.to_owned()), values.iter().map(|&v| v.to_owned()).collect())
    };
    // The value with the later time counts, so it comes last.
    assert_eq!(found, [run("tagged", &["1 0.25", "1 0.5"]), run("b", &["1 2.5"])]);

    let db = Connection::open(&path).unwrap();
    db.execute_batch("UPDATE metrics SET step = 0; ALTER TABLE metrics DROP COLUMN is_nan")
        .unwrap();
    drop(db);
    let log = log(&path, &SeriesSelector::default_keys()).unwrap();
    assert_eq!(as_texts(&log.series[0]), ["1 0.25", "2 0.5"]);
    assert_eq!(as_texts(&log.series[1]), ["0 2.5"]);
    assert!(log.notes.contains(&crate::formats::LogNote::RowsNumbered));
}

#[test]
fn cut_or_overwritten_database_never_panics() {
    let whole = fs::read(fixture("mlflow/mlflow.db")).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("mlflow.db");
    for at in (0..whole.len()).step_by(16_000) {
        let mut damaged = whole.clone();
        damaged[at..(at + 100).min(whole.len())].fill(0xaa);
        for bytes in [&whole[..at], &damaged[..]] {
            fs::write(&path, bytes).unwrap();
            let mut file = fs::File::open(&path).unwrap();
            let source = Source { reader: &mut file, path: Some(&path) };
            let _ = crate::formats::read(source, None, &SeriesSelector::default_keys());
        }
    }
}

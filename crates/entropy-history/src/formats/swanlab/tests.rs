use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::formats::{Log, LogSeries, SeriesSelector, Source};
use crate::framing::leveldb::append_record;
use crate::framing::protobuf::Message;

/// The run files that a version of SwanLab wrote (`tests/fixtures/make/logs/swanlab_make.py`), by the
/// name of the run.
fn run_files(version: &str) -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/swanlab");
    let runs = fs::read_dir(root.join(version).join("swanlog")).unwrap();
    let files = |run: PathBuf| fs::read_dir(run).unwrap().map(|file| file.unwrap().path());
    let files = runs.flat_map(|run| files(run.unwrap().path()));
    files
        .map(|path| {
            let bytes = fs::read(path).unwrap();
            (series(&bytes).remove(0).run.unwrap(), bytes)
        })
        .collect()
}

fn log(mut bytes: &[u8], selector: &SeriesSelector) -> Result<Log, ReadError> {
    let source = Source { reader: &mut bytes, path: None };
    crate::formats::read(source, None, selector).map(|(format, log)| {
        assert_eq!(format.name, "swanlab");
        log
    })
}

fn series(bytes: &[u8]) -> Vec<LogSeries> {
    log(bytes, &SeriesSelector::default_keys()).unwrap().series
}

fn values(series: &LogSeries) -> Vec<(f64, f64)> {
    series.points.iter().map(|point| (point.step, point.entropy)).collect()
}

/// The values of `swanlab_run.py`.
fn entropies(first: f64, rows: usize) -> Vec<(f64, f64)> {
    (1..=rows).map(|step| (step as f64, first * 0.95f64.powf(step as f64 / 10.0))).collect()
}

fn assert_close(found: &[(f64, f64)], wanted: &[(f64, f64)]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.0 == wanted.0 && (found.1 - wanted.1).abs() < 1e-14, "{found:?} {wanted:?}");
    }
}

#[test]
fn both_versions_give_the_logged_values() {
    for version in ["0.10.3", "0.7.11"] {
        let files = run_files(version);
        for (name, first, rows) in [("solver", 0.9, 40), ("long", 0.8, 400)] {
            let series = series(&files[name]);
            assert_eq!((series.len(), series[0].metric.as_str()), (1, "actor/entropy"));
            assert_close(&values(&series[0]), &entropies(first, rows));
        }
    }
}

#[test]
fn zeros_and_values_that_are_not_finite_are_read() {
    for version in ["0.10.3", "0.7.11"] {
        let files = run_files(version);
        let series = series(&files["edges"]);
        let found: Vec<_> = values(&series[0]).iter().map(|(s, e)| format!("{s} {e}")).collect();
        // Version 1 writes both infinities as "INF".
        let minus = if version == "0.10.3" { "4 -inf" } else { "4 inf" };
        assert_eq!(found, ["0 0", "1 NaN", "2 inf", "3 1", minus, "5 0.5"], "{version}");
        let wanted = if version == "0.10.3" { "a/b" } else { "a.b" };
        let selector = SeriesSelector::metrics(&[wanted.to_owned()]).unwrap();
        let nested = log(&files["edges"], &selector).unwrap().series.remove(0);
        assert_eq!(nested.points.iter().map(|p| p.entropy).collect::<Vec<_>>(), [0.0, 0.0]);
    }
}

#[test]
fn killed_run_keeps_its_complete_records() {
    let file = &run_files("0.10.3")["killed"];
    let log = log(file, &SeriesSelector::default_keys()).unwrap();
    let rows = log.series[0].points.len();
    assert!(rows > 100);
    assert_close(&values(&log.series[0]), &entropies(0.7, rows));
    assert!(matches!(log.notes[0], LogNote::Cut { unit: "record", .. }), "{:?}", log.notes);
}

#[test]
fn wrong_checksum_is_reported_and_reading_continues_at_the_next_block() {
    let mut file = run_files("0.10.3")["long"].clone();
    file[2000] ^= 1;
    let log = log(&file, &SeriesSelector::default_keys()).unwrap();
    let note = log.notes[0].to_string();
    assert!(note.contains("the checksum of a chunk is wrong"), "{note}");
    let found = values(&log.series[0]);
    assert!(found.len() > 150 && found.len() < 400);
    assert_eq!(found.last().unwrap().0, 400.0);
}

#[test]
fn clock_is_the_time_of_each_value() {
    for version in ["0.10.3", "0.7.11"] {
        let selector = SeriesSelector::default_keys().with_clock();
        let log = log(&run_files(version)["solver"], &selector).unwrap();
        let rows = &log.series[0].clocks[0].rows;
        assert_eq!(rows.len(), 40);
        assert!(rows.iter().all(|(_, time)| *time > 1.79e9 && *time < 1.81e9), "{rows:?}");
        assert!(rows.is_sorted_by(|a, b| a.1 <= b.1));
    }
}

fn file(version: u8, records: &[&[u8]]) -> Vec<u8> {
    let mut file = [MAGIC, &[version]].concat();
    records.iter().for_each(|record| append_record(&mut file, record));
    file
}

#[test]
fn version_1_record_in_another_layout_is_read() {
    let records: [&[u8]; 4] = [
        br#"{"data":{"step":3,"key":"actor/entropy","metric":{"create_time":"x","data":0.25,"index":3}},"model_type":"Scalar"}"#,
        b"{\"model_type\": \"Scalar\", \"data\": {\"metric\": {\"index\": 1, \"data\": 0.5, \"create_time\": \"\"}, \"key\": \"actor\\u002fentropy\", \"step\": 4, \"epoch\": 1}}\n",
        br#"{"model_type": "Scalar", "data": {"key": "actor/entropy"}}"#,
        b"no JSON",
    ];
    let log = log(&file(1, &records), &SeriesSelector::default_keys()).unwrap();
    assert_eq!(values(&log.series[0]), [(3.0, 0.25), (4.0, 0.5)]);
    let note = log.notes[0].to_string();
    assert!(note.starts_with("it has 2 records with a valid checksum that are not"), "{note}");
}

#[test]
fn version_2_value_that_is_not_a_number_is_skipped() {
    let scalar = |message| Message::new().integer(1, 1).message(13, &message).bytes().to_vec();
    let key = || Message::new().text(1, "actor/entropy").integer(2, -1);
    let text = scalar(key());
    let number = scalar(key().message(5, &Message::new().double(1, 0.5)));
    let log = log(&file(2, &[&text, &number, b"\x0b"]), &SeriesSelector::default_keys()).unwrap();
    assert_eq!(values(&log.series[0]), [(-1.0, 0.5)]);
    assert!(log.notes[0].to_string().contains("that are not records of SwanLab"));
}

#[test]
fn rejects_other_versions_and_other_content() {
    let error = |bytes: &[u8]| {
        let source = Source { reader: &mut &*bytes, path: Some(Path::new("a.swanlab")) };
        let read = crate::formats::read(source, None, &SeriesSelector::default_keys());
        read.unwrap_err().to_string()
    };
    assert_eq!(
        error(&file(3, &[])),
        "byte 6: it has version 3 of SwanLab's format; 1 and 2 can be read"
    );
    assert_eq!(error(b"{}"), "byte 0: it does not begin as a SwanLab file does");
    assert_eq!(error(&file(2, &[])), "it holds no points");
}

/// The directory `swanlog` that SwanLab 0.4.6 wrote in its local mode.
fn local_fixture() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    root.join("swanlab-local/0.4.6/swanlog")
}

fn log_at(path: &Path, selector: &SeriesSelector) -> Result<Log, ReadError> {
    let mut file = fs::File::open(path)?;
    let source = Source { reader: &mut file, path: Some(path) };
    crate::formats::read(source, None, selector).map(|(format, log)| {
        assert_eq!(format.name, "swanlab");
        log
    })
}

#[test]
fn database_of_the_local_mode_gives_all_runs() {
    let selector = SeriesSelector::default_keys().with_clock();
    let selector = selector.with_quantities(&[vec!["critic/score/mean".to_owned()]]).unwrap();
    let log = log_at(&local_fixture().join("runs.swanlab"), &selector).unwrap();
    let names: Vec<_> = log.series.iter().map(|series| series.run.clone().unwrap()).collect();
    assert_eq!(names, ["solver", "solver-2"]);
    for (series, first) in log.series.iter().zip([0.9, 0.8]) {
        assert_close(&values(series), &entropies(first, 40));
        assert_eq!((series.clocks[0].rows.len(), series.quantities[0].rows[39]), (40, (40.0, 1.0)));
    }
    assert_eq!(log.notes, []);
}

#[test]
fn file_of_values_has_the_names_of_the_database() {
    let files = value_files(&local_fixture().join("runs.swanlab"));
    assert_eq!(files.len(), 4);
    let log = log_at(&files[0], &SeriesSelector::default_keys()).unwrap();
    assert_eq!(log.series[0].metric, "actor/entropy");
    assert_close(&values(&log.series[0]), &entropies(0.9, 40));
    let error = log_at(&files[1], &SeriesSelector::default_keys()).unwrap().series;
    assert!(error.is_empty(), "the score is no entropy");
}

#[test]
fn file_of_values_cut_at_any_byte_keeps_its_complete_lines() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("run-1-a/logs/actor%2Fentropy/1000.log");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = "{\"index\": 1, \"data\": 0.5, \"create_time\": \"2026-11-27T18:57:45.3+00:00\"}\n\
                {\"index\": 12, \"data\": \"NaN\", \"create_time\": \"\"}\n";
    for length in 0..=text.len() {
        fs::write(&path, &text[..length]).unwrap();
        let lines = text[..length].matches('\n').count();
        let Ok(log) = log_at(&path, &SeriesSelector::default_keys()) else {
            assert_eq!(lines, 0);
            continue;
        };
        let found: Vec<_> =
            values(&log.series[0]).iter().map(|(s, v)| format!("{s} {v}")).collect();
        assert_eq!(found, ["1 0.5", "12 NaN"][..lines]);
    }
}

#[test]
fn missing_runs_of_the_local_mode_are_counted() {
    let tmp = tempfile::tempdir().unwrap();
    let database = tmp.path().join("runs.swanlog");
    fs::copy(local_fixture().join("runs.swanlab"), &database).unwrap();
    let files = value_files(&local_fixture().join("runs.swanlab"));
    let error = log_at(&database, &SeriesSelector::default_keys()).unwrap_err();
    assert_eq!(error.to_string(), "it holds no points");
    let run = files[0].ancestors().nth(3).unwrap().file_name().unwrap();
    let to = tmp.path().join(run).join("logs/0/1000.log");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(&files[0], &to).unwrap();
    let log = log_at(&database, &SeriesSelector::default_keys()).unwrap();
    assert_eq!(log.series.len(), 1);
    assert_eq!(log.notes[0].to_string(), "1 run has no directory next to the database");
}

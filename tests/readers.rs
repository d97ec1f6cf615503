//! Every format, on real logs and on damaged ones.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::{fixture, run, stderr, stdout};
use entropy_history::formats::{
    self, Confidence, FORMATS, Format, LogNote, LogSeries, ReadError, SeriesSelector, Source,
};
use entropy_history::history::{History, Point};
use entropy_history::quantity::EntropyKind;
use rayon::prelude::*;
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn assert_close(a: &Value, b: &Value, what: &str) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{what}: {a} is not {b}");
}

/// Reads a log as the program does: the series of its best-known key.
fn read(bytes: &[u8], path: Option<&Path>) -> Result<(&'static Format, Vec<LogSeries>), ReadError> {
    let source = Source { reader: &mut &*bytes, path };
    let (format, log) = formats::read(source, None, &SeriesSelector::default_keys())?;
    let (series, _) = log.choose(&SeriesSelector::default_keys(), format)?;
    Ok((format, series))
}

/// Reads a text that holds exactly one series.
fn read_single_series(text: &str) -> Result<LogSeries, ReadError> {
    let (_, mut series) = read(text.as_bytes(), None)?;
    assert_eq!(series.len(), 1);
    Ok(series.remove(0))
}

#[test]
fn statistics_of_real_logs_match_numpy() {
    let expected = json(&fixture("expected/logs.json"));
    let files = expected["files"].as_array().unwrap();
    assert!(files.len() >= 230);
    for file in files {
        let path = file["path"].as_str().unwrap();
        let (label, metric) =
            match file["metric"].as_str().unwrap_or("policy/entropy").split_once(" - ") {
                Some((run, metric)) => (Some(run), metric), // a column of a W&B export
                None => (file["run"].as_str(), file["metric"].as_str().unwrap_or("policy/entropy")),
            };
        let what = format!("{path} {label:?} {metric}");
        let source = fixture(path);
        let arguments = ["stats", "--json", "--metric", metric, source.to_str().unwrap()];
        let output = run(Path::new("."), &arguments);
        // The library that made the expected values reads on behind a wrong checksum.
        let is_damaged = path == "compressed/bad_checksum.jsonl.gz";
        if is_damaged || file["rows"] == 0 || file["keep_last_per_step"]["n"] == 0 {
            assert_eq!(output.status.code(), Some(2), "{what}");
            continue;
        }
        assert!(output.status.success(), "{what}: {}", stderr(&output));
        let Some(wanted) = file.get("keep_last_per_step") else { continue };
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let runs = document["runs"].as_array().unwrap();
        let named = |run: &&Value| {
            let all = run["label"].as_str().unwrap();
            // The label has a suffix if the log has the metric twice or two runs of the same name.
            let part = all.split(" · ").next().unwrap().trim_end_matches(" (2)");
            runs.len() == 1 || label.is_none_or(|label| part == label)
        };
        let mut found = runs.iter().filter(named).filter(|run| run["points"] == wanted["n"]);
        let run = found.next().unwrap_or_else(|| panic!("{what}: {runs:?}"));
        assert_same_statistics(run, wanted, file["sign"] == "negated", &what);
        if let Some(kind) = file["kind"].as_str().filter(|kind| *kind != "unknown") {
            assert_eq!(run["quantity"], kind, "{what}");
        }
        for (step, end) in [("first_step", "first"), ("last_step", "last")] {
            let logged = &file[end];
            let same_step = logged["step"].as_f64() == run[step].as_f64();
            // If the first step was logged again, its first value is not the one kept.
            let is_kept = end == "last" || file["rows"] == file["distinct_steps"];
            if logged["value"].is_f64() && same_step && is_kept {
                let sign = if file["sign"] == "negated" { -1.0 } else { 1.0 };
                let value = logged["value"].as_f64().unwrap() * sign;
                assert_close(&run[end], &value.into(), &what);
            }
        }
        let relogged = file["rows"].as_u64().unwrap() - file["distinct_steps"].as_u64().unwrap();
        assert_eq!(run["repairs"]["relogged"], relogged, "{what}");
        if let Some(name) = file["display_name"].as_str() {
            assert_eq!(run["label"], name, "{what}");
        }
    }
}

/// Compares a run's statistics with NumPy's, negated if the log holds −H.
fn assert_same_statistics(run: &Value, wanted: &Value, negated: bool, what: &str) {
    let negative = |key: &str| -> Value {
        let value = wanted[key].as_f64().unwrap();
        if negated { (-value).into() } else { value.into() }
    };
    let (max, max_step, min, min_step) = match negated {
        false => ("max", "max_step", "min", "min_step"),
        true => ("min", "min_step", "max", "max_step"),
    };
    assert_eq!(run["points"], wanted["n"], "{what}");
    assert_close(&run["mean"], &negative("mean"), what);
    assert_close(&run["median"], &negative("median"), what);
    assert_close(&run["max"], &negative(max), what);
    assert_close(&run["min"], &negative(min), what);
    match wanted["std_sample"].as_f64() {
        Some(_) => assert_close(&run["std"], &wanted["std_sample"], what),
        None => assert!(run["std"].is_null(), "{what}"),
    }
    assert_eq!(run["max_step"].as_f64(), wanted[max_step].as_f64(), "{what}");
    assert_eq!(run["min_step"].as_f64(), wanted[min_step].as_f64(), "{what}");
}

#[test]
fn console_logs_match_the_values_that_trainers_logged() {
    let expected = json(&fixture("expected/console.json"));
    let cases = expected.as_array().unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let (file, metric) = (case["file"].as_str().unwrap(), case["metric"].as_str().unwrap());
        let bytes = fs::read(fixture(file)).unwrap();
        let wanted = SeriesSelector::metrics(&[metric.to_owned()]).unwrap();
        let source = Source { reader: &mut &bytes[..], path: None };
        let (_, log) = formats::read(source, None, &wanted).unwrap();
        let run = case["run"].as_str();
        let series = log.series.iter().find(|series| series.run.as_deref() == run);
        let series = series.unwrap_or_else(|| panic!("{file} has no {metric}"));
        let points = points_of(case).unwrap();
        assert_eq!(series.points.len(), points.len(), "{file} {metric}");
        for (found, wanted) in series.points.iter().zip(&points) {
            let same = (found.entropy - wanted.entropy).abs() <= 1e-12 * wanted.entropy.abs()
                || found.entropy.to_string() == wanted.entropy.to_string(); // equal NaN or infinities
            assert!(
                found.step == wanted.step && same,
                "{file} {metric}: {found:?} is not {wanted:?}"
            );
        }
        let numbered = log.notes.contains(&LogNote::RowsNumbered);
        assert_eq!(numbered, case["numbered"] == true, "{file}");
    }
}

/// Every fixture of a format, at any depth.
fn fixtures_of(format: &Format) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if name != "experiment_config.json"
                && name != "task.json"
                && !name.ends_with("-wal")
                && !name.ends_with("-shm")
            {
                found.push(path);
            }
        }
    }
    let directory = if format.name == "rzero" { "models" } else { format.name };
    let mut found = Vec::new();
    walk(&fixture(directory), &mut found);
    found.sort();
    assert!(!found.is_empty(), "{} has no fixture in tests/fixtures/{directory}", format.name);
    found
}

#[test]
fn each_log_is_recognised_as_exactly_its_format() {
    for format in FORMATS {
        for path in fixtures_of(format) {
            let mut file = fs::File::open(&path).unwrap();
            // Without a path: recognised by content only. Databases and archives are opened by their paths.
            let opened = path.extension().is_some_and(|e| e == "db" || e == "zip");
            let source =
                Source { reader: &mut file, path: Some(path.as_path()).filter(|_| opened) };
            let claims = formats::claims(source).unwrap();
            let sure = claims.iter().filter(|(_, claim)| *claim >= Confidence::Likely);
            let names: Vec<_> = sure.map(|(format, _)| format.name).collect();
            assert_eq!(names, [format.name], "{}", path.display());
        }
    }
}

/// The points that `expected.json` lists for a file; NaN is a string there.
fn points_of(case: &Value) -> Option<Vec<Point>> {
    let points = case["points"].as_array()?;
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok());
    let point = |p: &Value| Some(Point { step: number(&p[0])?, entropy: number(&p[1])? });
    points.iter().map(point).collect()
}

#[test]
fn awkward_files_are_read_or_rejected_with_a_hint() {
    let cases = json(&fixture("awkward/expected.json"));
    let mut read = 0;
    let mut refused = 0;
    for case in cases.as_array().unwrap() {
        let path = case["path"].as_str().unwrap();
        let source = fixture(path);
        if !source.is_file() {
            continue; // a generated file that is not committed
        }
        let output = run(Path::new("."), &["stats", "--json", source.to_str().unwrap()]);
        let said = stderr(&output);
        assert!(!said.contains("bug in entropy-viz"), "{path}: {said}");
        if output.status.success() {
            read += 1;
            let Some(points) = points_of(case) else { continue };
            let (history, _) = History::from_raw("x", EntropyKind::TokenMean, points).unwrap();
            let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
            let run = &document["runs"][0];
            assert_eq!(run["points"], history.points().len(), "{path}");
            let (first, last) = (history.points()[0], history.points()[history.points().len() - 1]);
            let got = |key: &str| run[key].as_f64().unwrap();
            assert_eq!((got("first_step"), got("first")), (first.step, first.entropy), "{path}");
            assert_eq!((got("last_step"), got("last")), (last.step, last.entropy), "{path}");
        } else {
            refused += 1;
            assert_eq!(output.status.code(), Some(2), "{path}");
            assert!(said.starts_with("entropy-viz: cannot "), "{path}: {said}");
            assert!(said.contains("\n  hint: "), "{path}: {said}");
            assert!(output.stdout.is_empty(), "{path}");
        }
    }
    assert!((read, refused) > (30, 10), "{read} read, {refused} refused");
}

#[test]
fn log_cut_at_any_byte_keeps_its_complete_rows() {
    let odd = [
        "nan_inf.json",
        "wrapped.json",
        "columns.json",
        "extra_keys.json",
        "bom.json",
        "crlf.jsonl",
    ];
    let odd = odd.iter().map(|name| fixture(&format!("awkward/{name}")));
    let real = FORMATS.iter().flat_map(fixtures_of);
    let sources: Vec<PathBuf> = odd.chain(real).collect();
    sources.into_par_iter().for_each(|source| {
        let bytes = fs::read(&source).unwrap();
        let bits = |points: &[Point]| -> Vec<_> {
            points.iter().map(|p| (p.step.to_bits(), p.entropy.to_bits())).collect()
        };
        // Every readable series: a cut log may lack the series that the complete log would give.
        let candidates = |bytes: &[u8]| {
            let source = Source { reader: &mut &*bytes, path: Some(&source) };
            formats::read(source, None, &SeriesSelector::default_keys()).map(|(_, log)| log.series)
        };
        let whole = candidates(&bytes).unwrap_or_default(); // one file holds no point
        let whole: Vec<_> = whole.iter().map(|s| (&s.metric, bits(&s.points))).collect();
        // Cuts short files at every byte; long ones at 50 places and at each of the last 100 bytes.
        let stride = 1 + bytes.len() / 50;
        let last = bytes.len().saturating_sub(100);
        for length in (0..last).step_by(stride).chain(last..bytes.len()) {
            let Ok(cut) = candidates(&bytes[..length]) else { continue };
            for series in cut {
                let part = bits(&series.points);
                let of = whole.iter().find(|(metric, points)| {
                    **metric == series.metric && points.starts_with(&part)
                });
                assert!(of.is_some(), "{} cut at {length}", source.display());
            }
        }
    });
}

#[test]
fn compressed_log_equals_the_plain_log() {
    let path = fixture("verl/qwen3-tiny_solver_s1.jsonl");
    let bytes = fs::read(&path).unwrap();
    let (_, whole) = read(&bytes, Some(&path)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&bytes).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&bytes[..], 3).unwrap();
    for packed in [&gzip, &zstd] {
        let (format, series) = read(packed, None).unwrap();
        assert_eq!((format.name, &series), ("verl", &whole));
        let source = Source { reader: &mut &packed[..packed.len() / 2], path: None };
        let Ok((_, log)) = formats::read(source, None, &SeriesSelector::default_keys()) else {
            continue;
        };
        assert!(whole[0].points.starts_with(&log.series[0].points));
        assert!(
            log.notes.iter().any(|note| note.to_string().contains("compression ends too early"))
        );
    }
}

#[test]
fn rows_of_different_shape_are_parsed_separately() {
    // The second row starts like the first; the third has no entropy; the fourth has NaN.
    let text = r#"[{"step": 1, "entropy": 1.5}, {"step": 2, "entropy": 2.5, "x": [3]},
        {"step": 3, "reward": 1.0}, {"step": 4, "entropy": NaN}, {"step": 5, "entropy": -5.25e-1},
        {"entropy": 6.5, "step": 6}, {"step": 7, "entropy": 7}, {"step": 8, "entropy": 8.5}]"#;
    let log = read_single_series(text).unwrap();
    let steps: Vec<f64> = log.points.iter().map(|p| p.step).collect();
    assert_eq!(steps, [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let values: Vec<f64> = log.points.iter().map(|p| p.entropy).collect();
    assert!(values[2].is_nan());
    assert_eq!((values[1], values[3], values[4], values[5]), (2.5, -0.525, 6.5, 7.0));
}

#[test]
fn long_array_is_read_exactly_across_buffer_windows() {
    // Long enough for several buffer windows, so that rows cross their ends.
    let value = |i: u32| f64::from(i).sin() * 1e-3 + f64::from(i).sqrt();
    let rows: Vec<String> = (1..=40_000)
        .map(|i| format!("  {{\n    \"step\": {i},\n    \"entropy\": {:?}\n  }}", value(i)))
        .collect();
    let text = format!("[\n{}\n]", rows.join(",\n"));
    let log = read_single_series(&text).unwrap();
    assert_eq!(log.points.len(), 40_000);
    for (i, point) in (1..).zip(&log.points) {
        assert_eq!((point.step, point.entropy), (f64::from(i), value(i)));
    }
}

#[test]
fn rejects_integer_steps_that_round_to_the_same_float() {
    let pairs = [
        ("9007199254740993", "9007199254740992"), // the first rounds to the second
        ("9007199254740992", "9007199254740993"),
        ("9007199254740995", "9007199254740997"), // both round to …996
    ];
    for (a, b) in pairs {
        let text = format!(r#"[{{"step": {a}, "entropy": 1.0}}, {{"step": {b}, "entropy": 2.0}}]"#);
        let error = read_single_series(&text).unwrap_err().to_string();
        assert!(error.contains("are the same 64-bit float"), "{error}");
    }
    let same = r#"[{"step": 9007199254740993, "entropy": 1.0}, {"step": 9007199254740993, "entropy": 2.0}]"#;
    assert!(read_single_series(same).is_ok());
}

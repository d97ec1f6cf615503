//! The page of `report`: its data, its escaping, and its behaviour in a real browser.
//!
//! `scripts/browser.sh` installs Chromium and selenium at the first run, which needs a network; without them
//! the last test fails with a message.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{files, fixture, program, run, stderr, stdout};
use base64::prelude::{BASE64_STANDARD, Engine};
use entropy_history::stats::band::{MissingSteps, Spread, band_segments};
use entropy_history::{EntropyKind, History, Point, Smoothing};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SOLVER: &str = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";
const HOSTILE: &str = "<img src=x onerror=alert(1)></script><script>alert(2)</script>";

fn temp_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

fn history(rows: impl Iterator<Item = (f64, f64)>) -> String {
    let rows = rows.map(|(step, h)| format!(r#"{{"step": {step}, "entropy": {h:?}}}"#));
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}

/// Runs `report` and returns the page.
pub(crate) fn page(tmp: &Path, arguments: &[&str]) -> String {
    let output = run(tmp, &[&["report"], arguments, &["-o", "-"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// The contents of each `<name>` element without attributes, in order.
fn element_bodies<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    page.split(&start).skip(1).map(|rest| rest.split(&end).next().unwrap()).collect()
}

/// The JSON document that the page embeds.
pub(crate) fn document(page: &str) -> Value {
    let data = page.split("id=\"report-data\">").nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(data).unwrap()
}

/// Decodes a list of numbers; src/report/page/numbers.rs describes the encodings.
pub(crate) fn numbers(list: &Value) -> Vec<f64> {
    if let Some(stretches) = list["stretches"].as_array() {
        let each = stretches.iter().flat_map(|stretch| {
            let [first, stride, count] = [0, 1, 2].map(|i| stretch[i].as_i64().unwrap());
            (0..count).map(move |i| (first + i * stride) as f64)
        });
        return each.collect();
    }
    let bytes = |key: &str| BASE64_STANDARD.decode(list[key].as_str().unwrap()).unwrap();
    if list["f32"].is_string() {
        let parts = bytes("f32");
        return parts
            .chunks(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect();
    }
    if list["f64"].is_string() {
        let parts = bytes("f64");
        return parts.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    }
    let power = 10f64.powi(i32::try_from(list["decimals"].as_i64().unwrap()).unwrap());
    let (mut values, mut sum, mut rest, mut shift) = (Vec::new(), 0i64, 0u64, 0);
    for byte in bytes("deltas") {
        rest |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            sum += (rest >> 1) as i64 ^ -((rest & 1) as i64);
            values.push(sum as f64 / power);
            (rest, shift) = (0, 0);
        }
    }
    values
}

/// Steps and values of a run that is embedded without reduction.
pub(crate) fn points(document: &Value, run: usize) -> Vec<(f64, f64)> {
    let series = &document["runs"][run]["series"];
    let grid = usize::try_from(series["steps"].as_u64().unwrap()).unwrap();
    let steps = numbers(&document["grids"][grid]);
    let values = numbers(&series["values"]);
    assert_eq!(steps.len(), values.len());
    steps.into_iter().zip(values).collect()
}

#[test]
fn report_writes_a_page_and_prints_its_path() {
    let tmp = temp_dir();
    let output = run(tmp.path(), &["report", &path_of("models")]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "entropy_report.html\n");
    let page = fs::read_to_string(tmp.path().join("entropy_report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"));
    let document = document(&page);
    assert_eq!((&document["schema"], &document["exact"]), (&1.into(), &true.into()));
    let labels = document["runs"].as_array().unwrap().iter().map(|run| &run["stats"]["label"]);
    assert_eq!(labels.count(), 7);
    assert_eq!(document["names_note"], "names without “qwen3-tiny_”");
    assert_eq!(document["runs"][0]["name"], "questioner_collapse_s1");
    assert_eq!(document["runs"][0]["stats"]["state_step"], 68);
    let command = document["command"].as_str().unwrap();
    assert!(
        command.starts_with("entropy-viz report ") && command.ends_with("/models"),
        "{command}"
    );
    let heads = document["pairs"]["heads"].as_array().unwrap();
    assert_eq!(
        (heads[0].as_str(), document["pairs"]["rows"].as_array().unwrap().len()),
        (Some("a − b"), 21)
    );
    assert_eq!(document["groups"], Value::Null);
}

#[test]
fn title_smoothing_and_groups_reach_the_page() {
    let tmp = temp_dir();
    let arguments = [
        "--title",
        "Seeds & <b>",
        "--smooth",
        "ema:0.9",
        "--log-y",
        "--group",
        "questioner|solver",
    ];
    let page = page(tmp.path(), &[&[&path_of("models")[..]], &arguments[..]].concat());
    assert!(page.contains("<title>Seeds &amp; &lt;b&gt;</title>"));
    let document = document(&page);
    assert_eq!(document["title"], "Seeds & <b>");
    assert_eq!(document["start"], serde_json::json!({"smoothing": 0.9, "log_y": true}));
    assert_eq!(document["groups"]["rows"].as_array().unwrap().len(), 2);
    assert!(document["command"].as_str().unwrap().ends_with(
        "--title 'Seeds & <b>' --smooth ema:0.9 --log-y --group 'questioner|solver' -o -"
    ));
}

/// The points of a group's line: step, mean, and the ends of its band.
pub(crate) fn band_points(line: &Value) -> Vec<(usize, [f64; 4])> {
    let segments = line["segments"].as_array().unwrap().iter();
    let points = segments.flat_map(|segment| {
        let runs = usize::try_from(segment["runs"].as_u64().unwrap()).unwrap();
        let lists = ["steps", "mean", "low", "high"].map(|key| match &segment[key] {
            Value::Null => vec![f64::NAN; numbers(&segment["steps"]).len()],
            list => numbers(list),
        });
        (0..lists[0].len()).map(move |i| (runs, [0, 1, 2, 3].map(|list: usize| lists[list][i])))
    });
    points.collect()
}

#[test]
fn groups_on_the_page_have_the_means_of_stats_and_the_bands_of_pictures() {
    let tmp = temp_dir();
    let models = path_of("models");
    let arguments =
        [&models, "--group", "questioner|solver", "--smooth", "ema:0.9", "--band", "ci95"];
    let document = document(&page(tmp.path(), &arguments));
    let stats = run(tmp.path(), &["stats", &models, "--group", "questioner|solver", "--json"]);
    let stats: Value = serde_json::from_str(&stdout(&stats)).unwrap();
    let bands = &document["bands"];
    assert_eq!(bands["words"], "95 % interval of the mean, Student’s t over runs");
    for (group, expected) in
        bands["groups"].as_array().unwrap().iter().zip(stats["groups"].as_array().unwrap())
    {
        assert_eq!(group["name"], expected["name"]);
        let members: Vec<&Value> = group["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|index| &document["runs"][usize::try_from(index.as_u64().unwrap()).unwrap()])
            .collect();
        let labels: Vec<&Value> = members.iter().map(|run| &run["stats"]["label"]).collect();
        assert_eq!(labels, expected["runs"].as_array().unwrap().iter().collect::<Vec<_>>());
        assert!(members.iter().all(|run| run["style"] == group["style"]), "one colour per group");
        // Where all runs have a value, the mean over steps and runs is that of `stats`.
        let all: Vec<f64> = band_points(&group["lines"][0])
            .into_iter()
            .filter(|(runs, _)| *runs == labels.len())
            .map(|(_, point)| point[1])
            .collect();
        assert_eq!(all.len() as u64, expected["shared_steps"].as_u64().unwrap());
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - expected["mean"].as_f64().unwrap()).abs() < 1e-12, "{mean} {expected}");
    }
    // The smoothed line is what the code of the pictures computes.
    let solvers: Vec<History> = (4..7)
        .map(|run| {
            let points = points(&document, run)
                .into_iter()
                .map(|(step, entropy)| Point { step, entropy })
                .collect();
            let history = History::from_raw("x", EntropyKind::TokenMean, points).unwrap().0;
            history.with_values(&Smoothing::Ema(0.9).apply(history.points(), 1.0))
        })
        .collect();
    let segments =
        band_segments(&solvers.iter().collect::<Vec<_>>(), Spread::Ci95, MissingSteps::Skip);
    let with_band =
        segments.iter().filter(|segment| segment.runs == 3).flat_map(|segment| &segment.points);
    let expected: Vec<(usize, [f64; 4])> = with_band
        .map(|point| {
            let (low, high) = point.band.unwrap();
            (3, [point.step, point.mean, low, high])
        })
        .collect();
    let line = &bands["groups"][1]["lines"][1];
    assert_eq!(line["weight"], 0.9);
    assert_eq!(line["segments"][1]["low"], Value::Null, "two runs have no such interval");
    let whole = serde_json::json!({"segments": [line["segments"][0]]});
    assert_eq!(band_points(&whole), expected);
    assert_eq!(expected.len(), 100);
}

#[test]
fn page_has_the_command_that_draws_its_runs_in_a_terminal() {
    let tmp = temp_dir();
    for name in ["it's a.json", "b.json"] {
        let rows = history((1..40).map(|i| (f64::from(i), 2.0 / f64::from(i))));
        fs::write(tmp.path().join(name), rows).unwrap();
    }
    let arguments = [
        "it's a.json",
        "b.json",
        "--title",
        "T",
        "--smooth",
        "ema:0.9",
        "--labels",
        "Questioner",
        "Solver",
    ];
    let page = document(&page(tmp.path(), &arguments));
    let command = page["terminal"]["command"].as_str().unwrap();
    assert_eq!(
        command,
        r"entropy-viz plot --terminal 'it'\''s a.json' b.json --labels Questioner Solver"
    );
    assert_eq!(page["terminal"]["has_ranges"], true);
    // The page appends options of the view, as it does for this address.
    let line =
        format!("{command} --smooth ema:0.9 --log-y --x relative --from-step=2.5 --to-step=20");
    let line = line.replacen("entropy-viz", "\"$PROGRAM\"", 1);
    let shell = Command::new("sh")
        .arg("-c")
        .arg(line)
        .current_dir(tmp.path())
        .env("PROGRAM", env!("CARGO_BIN_EXE_entropy-viz"))
        .output()
        .unwrap();
    assert!(shell.status.success(), "{}", stderr(&shell));
    assert!(
        stdout(&shell).contains("Questioner") && stdout(&shell).contains("Solver"),
        "{}",
        stdout(&shell)
    );
}

#[test]
fn page_embeds_every_logged_value_exactly() {
    let tmp = temp_dir();
    type Point = fn(u32) -> (f64, f64);
    let values: [(&str, Point); 6] = [
        ("full", |i| (f64::from(i), (f64::from(i) * 0.7).sin() / 3.0)),
        ("short", |i| (f64::from(5 * i), f64::from(i * 37 % 1000) / 1e4)),
        ("single", |i| (f64::from(i * i), f64::from((f64::from(i) * 0.7).sin() as f32))),
        ("fractional", |i| (f64::from(i) / 8.0 + 0.1, 1.0 / f64::from(i + 3))),
        ("huge", |i| (f64::from(i) * 1e12, f64::from(i) * 1e300 - 1e302)),
        ("tiny", |i| (-f64::from(500 - i), f64::from(i) * 5e-324)),
    ];
    for (name, point) in values {
        fs::write(tmp.path().join(format!("{name}.json")), history((1..400).map(point))).unwrap();
    }
    let names: Vec<String> = values.iter().map(|(name, _)| format!("{name}.json")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let document = document(&page(tmp.path(), &names));
    assert_eq!(document["exact"], true);
    for (run, (name, point)) in values.iter().enumerate() {
        let expected: Vec<(f64, f64)> = (1..400).map(point).collect();
        assert_eq!(points(&document, run), expected, "{name}");
    }
}

#[test]
fn page_keeps_gaps_and_repair_counts() {
    let tmp = temp_dir();
    fs::write(
        tmp.path().join("a.json"),
        r#"[{"step":1,"entropy":1.5},{"step":2,"entropy":NaN},{"step":3,"entropy":1.25},{"step":3,"entropy":1.0}]"#,
    )
    .unwrap();
    let document = document(&page(tmp.path(), &["a.json"]));
    assert_eq!(points(&document, 0), [(1.0, 1.5), (3.0, 1.0)]);
    assert_eq!(document["runs"][0]["series"]["gaps"], serde_json::json!([1]));
    let repairs = &document["runs"][0]["stats"]["repairs"];
    assert_eq!((&repairs["not_finite"], &repairs["relogged"]), (&1.into(), &1.into()));
}

#[test]
fn page_escapes_labels_and_has_a_content_security_policy() {
    let tmp = temp_dir();
    let log = tmp.path().join("<b>.json");
    fs::write(&log, history((1..20).map(|i| (f64::from(i), 1.0)))).unwrap();
    let label = format!("{HOSTILE}\u{2028}\u{202e}x");
    let page = page(
        tmp.path(),
        &["<b>.json", "--labels", &label, "--title", "</title><script>alert(3)</script>"],
    );
    assert!(!page.contains("<img") && !page.contains("<b>") && !page.contains("<script>alert"));
    assert!(!page.contains(['\u{2028}', '\u{202e}']));
    let label = document(&page)["runs"][0]["stats"]["label"].as_str().unwrap().to_owned();
    assert_eq!(label, format!(r"{HOSTILE}\u{{2028}}\u{{202e}}x"));

    let digests = |name| -> Vec<String> {
        let digest = |body: &str| {
            format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(body.as_bytes())))
        };
        element_bodies(&page, name).into_iter().map(digest).collect()
    };
    let policy = page
        .split("Content-Security-Policy\" content=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let policy = policy.replace("&#x27;", "'").replace("&#x2f;", "/");
    let (scripts, styles) = (digests("script"), digests("style"));
    assert_eq!((scripts.len(), styles.len()), (2, 1));
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {};",
        scripts.join(" "),
        styles.join(" ")
    );
    assert!(policy.starts_with(&expected), "{policy}");
    for attribute in [" style=", " onclick=", " onload=", "http-equiv=\"refresh"] {
        let markup: String =
            page.split("<script").map(|part| part.split("</script>").last().unwrap()).collect();
        assert!(!markup.contains(attribute), "{attribute}");
    }
}

#[test]
fn page_is_deterministic_and_dated_only_by_source_date_epoch() {
    let tmp = temp_dir();
    let models = path_of("models");
    let first = page(tmp.path(), &[&models]);
    assert!(first == page(tmp.path(), &[&models]));
    assert_eq!(document(&first)["date"], Value::Null);
    let dated = |epoch: &str| {
        let mut command = program(tmp.path());
        command.args(["report", &models, "-o", "-"]).env("SOURCE_DATE_EPOCH", epoch);
        command.output().unwrap()
    };
    assert_eq!(document(&stdout(&dated("1764086400")))["date"], "2025-11-25");
    let output = dated("yesterday");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("$SOURCE_DATE_EPOCH is \"yesterday\""), "{}", stderr(&output));
}

#[test]
fn unreadable_files_are_reported_in_page_and_exit_code() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("a.json"), history((1..20).map(|i| (f64::from(i), 1.0)))).unwrap();
    fs::write(tmp.path().join("b.json"), "[{").unwrap();
    let output = run(tmp.path(), &["report", "*.json"]);
    assert_eq!(output.status.code(), Some(2));
    let page = fs::read_to_string(tmp.path().join("entropy_report.html")).unwrap();
    assert!(document(&page)["notes"][0].as_str().unwrap().contains("could not be read"));
    fs::remove_file(tmp.path().join("entropy_report.html")).unwrap();
    let refused: [&[&str]; 4] = [
        &["report", "a.json", "b.json"],
        &["report", "a.json", "-o", "page.png"],
        &["report", "a.json", "--smooth", "mean:5"],
        &["report", "a.json", "--tokens", "a.json"],
    ];
    for arguments in refused {
        let output = run(tmp.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("\n  hint: "), "{}", stderr(&output));
        assert_eq!(files(tmp.path()), ["a.json", "b.json"], "{arguments:?}");
    }
}

/// Writes one file per run, each with `steps` values of full double precision.
fn write_runs(directory: &Path, runs: u32, steps: u32) {
    fs::create_dir_all(directory).unwrap();
    for run in 0..runs {
        let mut state = u64::from(run) + 1;
        let mut text = String::from("[");
        for step in 1..=steps {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 33) as f64 / f64::from(1u32 << 31);
            let value = 2.0 * (-f64::from(step * (run % 4)) / f64::from(steps)).exp() + 0.3 * noise;
            let comma = if step > 1 { ",\n" } else { "" };
            write!(text, "{comma}{{\"step\": {step}, \"entropy\": {value:?}}}").unwrap();
        }
        fs::write(directory.join(format!("entropy_history_run_{run:03}.json")), text + "]")
            .unwrap();
    }
}

#[test]
fn million_points_are_reduced_to_under_three_megabytes() {
    let tmp = temp_dir();
    write_runs(&tmp.path().join("runs"), 100, 10_000);
    let page = page(tmp.path(), &["runs", "--group", "[0-9]$", "--smooth", "ema:0.9"]);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    let bands = &document(&page)["bands"]["groups"];
    assert_eq!(bands.as_array().unwrap().len(), 10);
    // Of a long line every tenth point and the last one are embedded.
    let (line, kept) = (&bands[3]["lines"][1], band_points(&bands[3]["lines"][1]));
    assert_eq!((&line["every"], kept.len()), (&10.into(), 1001));
    let steps: Vec<f64> = kept.iter().map(|(_, point)| point[0]).collect();
    assert_eq!((steps[0], steps[1], steps[1000]), (1.0, 11.0, 10_000.0));
    let document = document(&page);
    assert_eq!((&document["exact"], &document["points"]), (&false.into(), &1_000_000.into()));
    let series = &document["runs"][42]["series"];
    let steps = |key: &str| {
        numbers(&document["grids"][usize::try_from(series[key].as_u64().unwrap()).unwrap()])
    };
    let (from, to) = (steps("from"), steps("to"));
    let [counts, mean, low, high] =
        ["counts", "mean", "low", "high"].map(|key| numbers(&series[key]));
    assert!(from.len() >= 1000, "{} places", from.len());
    assert_eq!((from[0], to[to.len() - 1], counts.iter().sum::<f64>()), (1.0, 10_000.0, 10_000.0));
    let log = fs::read(tmp.path().join("runs/entropy_history_run_042.json")).unwrap();
    let log: Value = serde_json::from_slice(&log).unwrap();
    for i in [0, 7, from.len() - 1] {
        let logged = &log.as_array().unwrap()[from[i] as usize - 1..to[i] as usize];
        let values: Vec<f64> = logged.iter().map(|row| row["entropy"].as_f64().unwrap()).collect();
        assert_eq!(values.len() as f64, counts[i]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(mean[i], values.iter().sum::<f64>() / counts[i]));
        assert!(near(low[i], values.iter().copied().fold(f64::MAX, f64::min)));
        assert!(near(high[i], values.iter().copied().fold(f64::MIN, f64::max)));
    }
}

#[test]
fn page_is_exact_up_to_two_hundred_thousand_points() {
    let tmp = temp_dir();
    write_runs(&tmp.path().join("runs"), 25, 8_000); // more than 20 runs: no pairwise comparison
    let exact = page(tmp.path(), &["runs"]);
    assert!(exact.len() < 3_000_000, "{} bytes", exact.len());
    assert_eq!(document(&exact)["exact"], true);
    fs::write(tmp.path().join("one.json"), history([(1.0, 1.0)].into_iter())).unwrap();
    let reduced = document(&page(tmp.path(), &["runs", "one.json"]));
    assert_eq!(reduced["exact"], false);
    assert_eq!(points(&reduced, 25), [(1.0, 1.0)], "a short run stays whole");
}

/// The Python interpreter that has selenium; Chromium is installed with it.
pub(crate) fn browser_python() -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = root.join(".venv/browser");
    let status =
        Command::new("bash").arg(root.join("scripts/browser.sh")).arg(&venv).status().unwrap();
    assert!(status.success(), "scripts/browser.sh failed: no browser to look at the page with");
    venv.join("bin/python")
}

#[test]
fn report_page_works_in_a_browser() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&tmp).unwrap();
    let models = path_of("models");
    write_runs(&tmp.join("many"), 21, 10_000);
    let clock: String = (1..=60)
        .map(|i| {
            format!(
                "{{\"step\": {i}, \"entropy\": {:?}, \"_timestamp\": {}}}\n",
                2.0 / f64::from(i),
                1_700_000_000 + 90 * i
            )
        })
        .collect();
    fs::write(tmp.join("clock.jsonl"), clock).unwrap();
    let dump = tmp.join("a_dump_whose_name_has_no_blank_and_is_longer_than_a_phone_is_wide.jsonl");
    fs::copy(path_of("tokens/run.jsonl"), &dump).unwrap();
    let dump = dump.to_str().unwrap();
    fs::create_dir_all(tmp.join("long")).unwrap();
    for run in 0..40 {
        let label = match run % 3 {
            0 => format!("千问策略熵实验第{run}轮_学习率一乘十的负六次方_问题生成器_种子{run}"),
            _ => format!(
                "qwen3-8b-instruct_questioner_iteration_{}_lr1e-6_kl0.001_seed{run}",
                run / 4
            ),
        };
        let points =
            (1..60).map(|i| (f64::from(i), 2.0 + f64::from(run) / 20.0 - f64::from(i % 7) / 50.0));
        fs::write(tmp.join(format!("long/{label}.json")), history(points)).unwrap();
    }
    fs::create_dir_all(tmp.join("collapses")).unwrap();
    for run in 0..12 {
        // Each falls nine steps after the one before, so that lines cross where the events are.
        let fall = |step: f64| (-(step - 60.0 - 9.0 * f64::from(run)).max(0.0) / 30.0).exp();
        let points = (1..300).map(|i| {
            let level = 1.2 + f64::from(run) / 20.0 + f64::from(i * 7 % 5) / 100.0;
            (f64::from(i), level * fall(f64::from(i)) + 0.02)
        });
        fs::write(tmp.join(format!("collapses/run_{run:02}.json")), history(points)).unwrap();
    }
    let pages: [(&str, &[&str]); 7] = [
        ("collapses.html", &["collapses"]),
        ("models.html", &[&models, "--group", "questioner|solver"]),
        ("many.html", &["many"]),
        ("clock.html", &["clock.jsonl", &path_of(SOLVER)]),
        ("hostile.html", &[&path_of(SOLVER), "clock.jsonl", "--labels", HOSTILE, "策略熵 <b>"]),
        ("long.html", &["long"]),
        ("tokens.html", &[&path_of(SOLVER), "--tokens", dump]),
    ];
    for (name, arguments) in pages {
        let output = run(&tmp, &[&["report", "-o", name], arguments].concat());
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report_check.py");
    let output = Command::new(browser_python()).arg(script).arg(&tmp).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

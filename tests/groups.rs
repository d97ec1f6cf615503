//! Groups as means with bands, and the forest plot, as a person at a terminal meets them.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{files, fixture, run, stderr, stdout};
use serde_json::Value;

fn models() -> String {
    fixture("models").to_str().unwrap().to_owned()
}

fn write(directory: &Path, name: &str, points: impl Iterator<Item = (u32, f64)>) {
    let rows: Vec<String> = points
        .map(|(step, value)| format!(r#"{{"step": {step}, "entropy": {value:?}}}"#))
        .collect();
    fs::write(directory.join(name), format!("[{}]", rows.join(", "))).unwrap();
}

/// Draws two groups of the real runs into an SVG and returns it.
fn drawn(desk: &Path, flags: &[&str]) -> String {
    let models = models();
    let fixed = ["plot", &models, "--group", "questioner|solver", "-o", "x.svg"];
    let output = run(desk, &[&fixed[..], flags].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(desk.join("x.svg")).unwrap()
}

fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", stdout(output));
    assert!(stderr(output).contains(words), "{words:?} is not in {}", stderr(output));
    assert!(stderr(output).contains("  hint: "), "{}", stderr(output));
}

#[test]
fn a_group_is_one_line_with_its_number_of_runs() {
    let desk = tempfile::tempdir().unwrap();
    let svg = drawn(desk.path(), &[]);
    for words in [
        "Policy entropy by group",
        "questioner, n = 4",
        "solver, n = 3",
        "line: mean over runs · band: ± standard deviation of runs · faint: runs as logged",
        "solver: n = 3, 2 from step 101",
    ] {
        assert!(svg.contains(words), "{words:?} is not in the picture");
    }
    assert!(!svg.contains("collapsed at"), "that is of one run");
}

#[test]
fn each_band_says_what_it_is_and_looks_different() {
    let desk = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for (band, words) in [
        ("sd", "band: ± standard deviation of runs"),
        ("se", "band: ± standard error of the mean"),
        ("minmax", "band: smallest to largest run"),
        ("ci95", "band: 95 % interval of the mean, 1000 resamples of runs, seed 0"),
    ] {
        let svg = drawn(desk.path(), &["--band", band]);
        assert!(svg.contains(words), "{words:?} is not in the picture");
        assert!(!pictures.contains(&svg));
        pictures.push(svg);
    }
    let again = drawn(desk.path(), &["--band", "ci95", "--seed", "1"]);
    assert!(again.contains("seed 1") && again != pictures[3]);
    assert!(
        drawn(desk.path(), &["--band", "ci95"]) == pictures[3],
        "the same seed, the same bytes"
    );
}

#[test]
fn groups_go_with_every_axis_and_encoding() {
    let desk = tempfile::tempdir().unwrap();
    let relative = drawn(desk.path(), &["--x", "relative", "--log-y", "--smooth", "ema:0.8"]);
    assert!(relative.contains("each smoothed by EMA 0.8 first"));
    assert!(relative.contains("2 from 100 steps in"));
    let cut = drawn(desk.path(), &["--from-step", "20", "--to-step", "90", "--theme", "dark"]);
    assert!(!cut.contains("fewer runs"), "all runs are behind what is shown");
    let models = models();
    for file in ["x.png", "x.pdf"] {
        let output = run(desk.path(), &["plot", &models, "--group", "solver", "-o", file]);
        assert!(output.status.success());
        assert!(stderr(&output).contains("4 runs are in no group and not drawn"));
    }
}

#[test]
fn runs_over_time_have_a_mean_once_it_is_interpolated() {
    let desk = tempfile::tempdir().unwrap();
    for (name, tick) in [("a_s1.jsonl", 60.0), ("a_s2.jsonl", 61.0371)] {
        let row = |step: i32| {
            let (step, time) = (f64::from(step), 1e9 + tick * f64::from(step));
            format!(
                "{{\"step\": {step}, \"entropy\": {}, \"_timestamp\": {time}}}\n",
                2.0 - step / 100.0
            )
        };
        fs::write(desk.path().join(name), (0..50).map(row).collect::<String>()).unwrap();
    }
    let draw = |flags: &[&str]| {
        let fixed =
            ["plot", "a_s1.jsonl", "a_s2.jsonl", "--group", "^a", "--x", "time", "-o", "t.svg"];
        run(desk.path(), &[&fixed[..], flags].concat())
    };
    let apart = draw(&[]);
    refused(&apart, "there is no mean to draw: group a: its runs share 1 place on");
    assert!(stderr(&apart).contains("--interpolate"));
    assert!(files(desk.path()).iter().all(|name| !name.ends_with(".svg")));
    assert!(draw(&["--interpolate"]).status.success());
    let svg = fs::read_to_string(desk.path().join("t.svg")).unwrap();
    assert!(svg.contains("interpolated between logged points"));
}

#[test]
fn what_a_group_cannot_have_is_said() {
    let desk = tempfile::tempdir().unwrap();
    write(desk.path(), "one_s1.json", [(1, 2.0), (2, 1.5)].into_iter());
    write(desk.path(), "flat_s1.json", (1..40).map(|step| (step, 0.5)));
    write(desk.path(), "flat_s2.json", (1..40).map(|step| (step, 0.5)));
    write(desk.path(), "odd_s1.json", (0..20).map(|i| (2 * i + 1, 1.0)));
    write(desk.path(), "odd_s2.json", (0..20).map(|i| (2 * i + 2, 2.0)));
    let plot =
        |flags: &[&str]| run(desk.path(), &[&["plot", "*.json", "-o", "x.svg"], flags].concat());

    let some = plot(&["--group", "^[a-z]+", "--band", "ci95"]);
    assert!(some.status.success(), "{}", stderr(&some));
    for words in [
        "group one: one run has no band",
        "group flat: 2 runs: a band by resampling asks for 4",
        "group odd: its runs share no place on the axis and have no mean; values between logged",
    ] {
        assert!(stderr(&some).contains(words), "{words:?} is not in {}", stderr(&some));
    }
    let svg = fs::read_to_string(desk.path().join("x.svg")).unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.contains("odd, n = 2"));

    refused(&plot(&["--group", "actor"]), "--group actor matches none of the runs");
    refused(&plot(&["--group", "^odd"]), "group odd: its runs share no place on the axis");
    assert!(plot(&["--group", "."]).status.success(), "a pattern may match everything");
    let alone = plot(&["--band", "se"]);
    assert!(stderr(&alone).contains("--group"), "{}", stderr(&alone));
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn auto_draws_groups_and_gives_the_runs_of_one_its_colour() {
    let desk = tempfile::tempdir().unwrap();
    let arguments = ["auto", &models(), "--group", "questioner|solver", "--artifacts", "ci"];
    let output = run(desk.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let curves = fs::read_to_string(desk.path().join("ci/entropy_comparison.svg")).unwrap();
    assert!(curves.contains("Policy entropy by group"));
    let bars = fs::read_to_string(desk.path().join("ci/entropy_comparison_stats.svg")).unwrap();
    let colours = |colour: &str| bars.to_lowercase().matches(colour).count();
    assert_eq!((colours("\"#226daa\""), colours("\"#da7e1e\"")), (4 * 3, 3 * 3));
    let stats = fs::read_to_string(desk.path().join("ci/stats.json")).unwrap();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["groups"][0]["runs"].as_array().unwrap().len(), 4);
}

#[test]
fn pairs_are_drawn_as_a_forest_beside_a_document() {
    let desk = tempfile::tempdir().unwrap();
    let models = models();
    let output = run(desk.path(), &["stats", &models, "--json", "--comparison-plot", "pairs.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap(); // nothing but the document
    assert!(stderr(&output).contains("pairs.svg"));
    assert_eq!(files(desk.path()), ["pairs.svg"]);
    let svg = fs::read_to_string(desk.path().join("pairs.svg")).unwrap();
    assert!(svg.contains("moving blocks of step-wise differences (1000 resamples, seed 0)"));
    assert!(svg.contains("names without “qwen3-tiny_”"));
    let mean = document["comparisons"].as_array().unwrap().iter();
    let mean = mean.filter(|c| c["statistic"] == "mean_difference");
    for contrast in mean {
        let name = |key: &str| {
            contrast[key].as_str().unwrap().trim_start_matches("qwen3-tiny_").to_owned()
        };
        let row = format!("{} − {}", name("a"), name("b"));
        assert!(svg.contains(&row), "{row} has no row");
    }
    // NumPy 2.4: mean of the 120 step-wise differences of questioner_s1 and solver_s1 is 0.9373536.
    assert!(svg.contains(">\n0.937 [") || svg.contains("0.937 ["));
}

#[test]
fn groups_are_compared_in_a_forest_by_welchs_interval() {
    let desk = tempfile::tempdir().unwrap();
    let models = models();
    let arguments = ["stats", &models, "--group", "questioner|solver", "--no-plot"];
    let output = run(desk.path(), &[&arguments[..], &["--comparison-plot", "g.svg"]].concat());
    assert!(stdout(&output).starts_with("g.svg\n"), "{}", stdout(&output));
    let svg = fs::read_to_string(desk.path().join("g.svg")).unwrap();
    assert!(
        svg.contains("questioner − solver") && svg.contains("intervals by Welch’s t over runs")
    );
    assert!(
        run(desk.path(), &[&arguments[..], &["--comparison-plot", "g.pdf"]].concat())
            .status
            .success()
    );
    let bytes = run(
        desk.path(),
        &[&arguments[..], &["--comparison-plot", "-", "--output-format", "png"]].concat(),
    );
    assert!(bytes.stdout.starts_with(b"\x89PNG"));
}

#[test]
fn a_forest_without_a_pair_is_refused_before_anything_is_written() {
    let desk = tempfile::tempdir().unwrap();
    let at = |first: u32| (first..first + 30).map(|step| (step, f64::from(step % 7)));
    write(desk.path(), "run_a.json", at(1));
    write(desk.path(), "run_b.json", at(1000));
    let forest = |arguments: &[&str]| {
        let output =
            run(desk.path(), &[&["stats", "--comparison-plot", "x.png"], arguments].concat());
        assert_eq!(files(desk.path()).len(), 2, "{:?}", files(desk.path()));
        output
    };
    refused(
        &forest(&["run_a.json"]),
        "nothing to compare for --comparison-plot: there is only one run",
    );
    refused(&forest(&["run_a.json", "run_b.json"]), "the runs share no step");
    let both = ["run_a.json", "run_b.json", "--group"];
    refused(&forest(&[&both[..], &["run"]].concat()), "--group puts all runs into one group");
    refused(&forest(&[&both[..], &["x*"]].concat()), "--group x* matches none of the runs");
    let gif = ["stats", "run_a.json", "run_b.json", "--comparison-plot", "x.gif"];
    refused(&run(desk.path(), &gif), "\"gif\" is no kind of picture");
}

#[test]
fn many_runs_have_a_forest_against_a_baseline_only() {
    let desk = tempfile::tempdir().unwrap();
    for i in 0..50 {
        let value = move |step: u32| 1.0 + 0.1 * f64::from(i) + 0.02 * f64::from(step * i % 11);
        let points = (1..20).map(move |step| (step, value(step)));
        write(desk.path(), &format!("r{i}.json"), points);
    }
    let output = run(desk.path(), &["stats", "*.json", "--no-plot", "--comparison-plot", "x.svg"]);
    refused(&output, "50 runs: above 20, pairs are only made against a baseline");
    let arguments =
        ["stats", "*.json", "--no-plot", "--comparison-plot", "x.svg", "--baseline", "r0"];
    let output = run(desk.path(), &arguments);
    assert!(
        stderr(&output).contains("the other 9 are among the numbers only"),
        "{}",
        stderr(&output)
    );
    let svg = fs::read_to_string(desk.path().join("x.svg")).unwrap();
    assert!(svg.contains("40 of 49 pairs"));
    assert!(svg.contains("r49 − r0") && !svg.contains("r1 − r0"));
}

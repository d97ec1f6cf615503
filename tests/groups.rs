//! Group means with bands in `plot`, and the forest plot of `stats --comparison-plot`.

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

/// Draws two groups of the real runs and returns the SVG.
fn draw_two_groups(tmp: &Path, flags: &[&str]) -> String {
    let models = models();
    let fixed = ["plot", &models, "--group", "questioner|solver", "-o", "x.svg"];
    let output = run(tmp, &[&fixed[..], flags].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(tmp.join("x.svg")).unwrap()
}

fn assert_rejected(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", stdout(output));
    assert!(stderr(output).contains(words), "{words:?} is not in {}", stderr(output));
    assert!(stderr(output).contains("  hint: "), "{}", stderr(output));
}

#[test]
fn group_is_drawn_as_one_line_with_its_run_count() {
    let tmp = tempfile::tempdir().unwrap();
    let svg = draw_two_groups(tmp.path(), &[]);
    for words in [
        "Policy entropy by group",
        "questioner, n = 4",
        "solver, n = 3",
        "line: mean over runs · band: ± standard deviation of runs · faint: runs as logged",
        "solver: n\u{a0}=\u{a0}3, 2 from step 101",
    ] {
        assert!(svg.contains(words), "{words:?} is not in the picture");
    }
    assert!(!svg.contains("collapsed at"), "that is of one run");
}

#[test]
fn each_band_kind_has_its_own_legend_and_shape() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for (band, words) in [
        ("sd", "band: ± standard deviation of runs"),
        ("se", "band: ± standard error of the mean"),
        ("minmax", "band: smallest to largest run"),
        ("ci95", "band: 95 % interval of the mean, Student’s t over runs"),
    ] {
        let svg = draw_two_groups(tmp.path(), &["--band", band]);
        assert!(svg.contains(words), "{words:?} is not in the picture");
        assert!(!pictures.contains(&svg));
        pictures.push(svg);
    }
    assert!(draw_two_groups(tmp.path(), &["--band", "ci95"]) == pictures[3]);
}

#[test]
fn groups_work_with_every_axis_and_picture_format() {
    let tmp = tempfile::tempdir().unwrap();
    let relative =
        draw_two_groups(tmp.path(), &["--x", "relative", "--log-y", "--smooth", "ema:0.8"]);
    assert!(relative.contains("each smoothed by EMA 0.8 first"));
    assert!(relative.contains("2 from 100 steps in"));
    let cut =
        draw_two_groups(tmp.path(), &["--from-step", "20", "--to-step", "90", "--theme", "dark"]);
    assert!(!cut.contains("fewer runs"), "all runs are behind what is shown");
    let models = models();
    for file in ["x.png", "x.pdf"] {
        let output = run(tmp.path(), &["plot", &models, "--group", "solver", "-o", file]);
        assert!(output.status.success());
        assert!(stderr(&output).contains("4 runs are in no group and not drawn"));
    }
}

#[test]
fn group_mean_over_time_needs_interpolation() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, tick) in [("a_s1.jsonl", 60.0), ("a_s2.jsonl", 61.0371)] {
        let row = |step: i32| {
            let (step, time) = (f64::from(step), 1e9 + tick * f64::from(step));
            format!(
                "{{\"step\": {step}, \"entropy\": {}, \"_timestamp\": {time}}}\n",
                2.0 - step / 100.0
            )
        };
        fs::write(tmp.path().join(name), (0..50).map(row).collect::<String>()).unwrap();
    }
    let draw = |flags: &[&str]| {
        let fixed =
            ["plot", "a_s1.jsonl", "a_s2.jsonl", "--group", "^a", "--x", "time", "-o", "t.svg"];
        run(tmp.path(), &[&fixed[..], flags].concat())
    };
    let apart = draw(&[]);
    assert_rejected(&apart, "there is no mean to draw: group a: its runs share 1 point of");
    assert!(stderr(&apart).contains("--interpolate"));
    assert!(files(tmp.path()).iter().all(|name| !name.ends_with(".svg")));
    assert!(draw(&["--interpolate"]).status.success());
    let svg = fs::read_to_string(tmp.path().join("t.svg")).unwrap();
    assert!(svg.contains("interpolated between logged points"));
}

#[test]
fn reports_why_a_group_has_no_band_or_mean() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "one_s1.json", [(1, 2.0), (2, 1.5)].into_iter());
    write(tmp.path(), "flat_s1.json", (1..40).map(|step| (step, 0.5)));
    write(tmp.path(), "flat_s2.json", (1..40).map(|step| (step, 0.5)));
    write(tmp.path(), "odd_s1.json", (0..20).map(|i| (2 * i + 1, 1.0)));
    write(tmp.path(), "odd_s2.json", (0..20).map(|i| (2 * i + 2, 2.0)));
    let plot =
        |flags: &[&str]| run(tmp.path(), &[&["plot", "*.json", "-o", "x.svg"], flags].concat());

    let some = plot(&["--group", "^[a-z]+", "--band", "ci95"]);
    assert!(some.status.success(), "{}", stderr(&some));
    for words in [
        "group one: one run has no band",
        "group odd: its runs share no point of the x axis and have no mean; values between logged",
    ] {
        assert!(stderr(&some).contains(words), "{words:?} is not in {}", stderr(&some));
    }
    let svg = fs::read_to_string(tmp.path().join("x.svg")).unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.contains("odd, n = 2"));

    assert_rejected(&plot(&["--group", "actor"]), "--group actor matches none of the runs");
    assert_rejected(
        &plot(&["--group", "^odd"]),
        "group odd: its runs share no point of the x axis",
    );
    assert!(plot(&["--group", "."]).status.success(), "a pattern may match everything");
    let alone = plot(&["--band", "se"]);
    assert!(stderr(&alone).contains("--group"), "{}", stderr(&alone));
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn auto_draws_groups_and_colours_bars_by_group() {
    let tmp = tempfile::tempdir().unwrap();
    let arguments = ["auto", &models(), "--group", "questioner|solver", "--artifacts", "ci"];
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let curves = fs::read_to_string(tmp.path().join("ci/entropy_comparison.svg")).unwrap();
    assert!(curves.contains("Policy entropy by group"));
    let bars = fs::read_to_string(tmp.path().join("ci/entropy_comparison_stats.svg")).unwrap();
    let colours = |colour: &str| bars.to_lowercase().matches(colour).count();
    let found = (colours("\"#226daa\""), colours("\"#da7e1e\""));
    assert_eq!(found, (4 * 2, 3 * 2), "a line and a dot per run");
    let stats = fs::read_to_string(tmp.path().join("ci/stats.json")).unwrap();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["groups"][0]["runs"].as_array().unwrap().len(), 4);
}

#[test]
fn comparison_plot_draws_pairs_and_leaves_stdout_to_json() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    let output = run(tmp.path(), &["stats", &models, "--json", "--comparison-plot", "pairs.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap(); // stdout is only the document
    assert!(stderr(&output).contains("pairs.svg"));
    assert_eq!(files(tmp.path()), ["pairs.svg"]);
    let svg = fs::read_to_string(tmp.path().join("pairs.svg")).unwrap();
    assert!(svg.contains("95 % intervals by equal-weighted cosines"));
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
fn comparison_plot_draws_groups_with_welch_intervals() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    let arguments = ["stats", &models, "--group", "questioner|solver", "--no-plot"];
    let output = run(tmp.path(), &[&arguments[..], &["--comparison-plot", "g.svg"]].concat());
    assert!(stdout(&output).starts_with("g.svg\n"), "{}", stdout(&output));
    let svg = fs::read_to_string(tmp.path().join("g.svg")).unwrap();
    assert!(
        svg.contains("questioner − solver") && svg.contains("intervals by Welch’s t over runs")
    );
    assert!(
        run(tmp.path(), &[&arguments[..], &["--comparison-plot", "g.pdf"]].concat())
            .status
            .success()
    );
    let bytes = run(
        tmp.path(),
        &[&arguments[..], &["--comparison-plot", "-", "--output-format", "png"]].concat(),
    );
    assert!(bytes.stdout.starts_with(b"\x89PNG"));
}

#[test]
fn comparison_plot_without_pairs_is_rejected_before_writing() {
    let tmp = tempfile::tempdir().unwrap();
    let at = |first: u32| (first..first + 30).map(|step| (step, f64::from(step % 7)));
    write(tmp.path(), "run_a.json", at(1));
    write(tmp.path(), "run_b.json", at(1000));
    let forest = |arguments: &[&str]| {
        let output =
            run(tmp.path(), &[&["stats", "--comparison-plot", "x.png"], arguments].concat());
        assert_eq!(files(tmp.path()).len(), 2, "{:?}", files(tmp.path()));
        output
    };
    assert_rejected(
        &forest(&["run_a.json"]),
        "nothing to compare for --comparison-plot: there is only one run",
    );
    assert_rejected(&forest(&["run_a.json", "run_b.json"]), "the runs share no step");
    let both = ["run_a.json", "run_b.json", "--group"];
    assert_rejected(
        &forest(&[&both[..], &["run"]].concat()),
        "--group puts all runs into one group",
    );
    assert_rejected(&forest(&[&both[..], &["x*"]].concat()), "--group x* matches none of the runs");
    let gif = ["stats", "run_a.json", "run_b.json", "--comparison-plot", "x.gif"];
    assert_rejected(&run(tmp.path(), &gif), "\"gif\" is not a picture type");
}

#[test]
fn comparison_plot_of_many_runs_needs_a_baseline() {
    let tmp = tempfile::tempdir().unwrap();
    for i in 0..50 {
        let value = move |step: u32| 1.0 + 0.1 * f64::from(i) + 0.02 * f64::from(step * i % 11);
        let points = (1..20).map(move |step| (step, value(step)));
        write(tmp.path(), &format!("r{i}.json"), points);
    }
    let output = run(tmp.path(), &["stats", "*.json", "--no-plot", "--comparison-plot", "x.svg"]);
    assert_rejected(
        &output,
        "pairwise comparisons are skipped above 20 runs (50 here): use --baseline LABEL, --group REGEX or --group-by config.KEY",
    );
    let arguments =
        ["stats", "*.json", "--no-plot", "--comparison-plot", "x.svg", "--baseline", "r0"];
    let output = run(tmp.path(), &arguments);
    assert!(stderr(&output).contains("the other 9 are only in the table"), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("x.svg")).unwrap();
    assert!(svg.contains("40 of 49 pairs"));
    let has = |name: &str| svg.contains(&format!(">\n{name}\n<"));
    assert!(has("minus r0") && has("r49") && !has("r1"));
}

#[test]
fn panels_say_that_they_do_not_mark_collapses() {
    let tmp = tempfile::tempdir().unwrap();
    let models = fixture("models");
    let models = models.to_str().unwrap();
    let output = run(tmp.path(), &["plot", models, "--facet", "questioner|solver", "-o", "a.svg"]);
    let expected = "2 runs collapsed or exploded; panels do not mark where";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
fn label_of_the_x_axis_names_the_values_of_a_picture_of_rows() {
    let tmp = tempfile::tempdir().unwrap();
    let model = fixture("models");
    let model = model.to_str().unwrap();
    let stats = |more: &[&str]| {
        let flags = ["stats", model, "-o", "s.svg"];
        run(tmp.path(), &[&flags[..], more].concat())
    };
    let output = stats(&["--x-label", "H of the policy"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read_to_string(tmp.path().join("s.svg")).unwrap().contains("H of the policy"));
    for (more, words) in [
        (&["--x-label", "a", "--y-label", "b"][..], "two labels are given"),
        (&["--x-label", "a", "--style", "bars"], "no x axis to label"),
        (&["--y-label", "a", "--style", "bars"], "no y axis to label"),
    ] {
        let output = stats(more);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

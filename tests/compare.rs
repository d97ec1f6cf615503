//! Comparisons of runs and groups in `stats`, and the CI gate `check`.

use std::fs;
use std::path::Path;

use crate::common::{fixture, run, stderr, stdout};
use serde_json::Value;

fn models() -> String {
    fixture("models").to_str().unwrap().to_owned()
}

fn model(name: &str) -> String {
    let path = format!("models/qwen3-tiny_{name}/entropy_history_qwen3-tiny_{name}.json");
    fixture(&path).to_str().unwrap().to_owned()
}

fn write(directory: &Path, name: &str, values: &[f64]) {
    let rows: Vec<String> = (1..)
        .zip(values)
        .map(|(step, value)| format!(r#"{{"step": {step}, "entropy": {value:?}}}"#))
        .collect();
    fs::write(directory.join(name), format!("[{}]", rows.join(", "))).unwrap();
}

fn document(directory: &Path, arguments: &[&str]) -> Value {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stdout(&output).contains("NaN"));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn every_pair_comparison_states_its_assumptions() {
    let tmp = tempfile::tempdir().unwrap();
    let (a, b) = (model("questioner_s1"), model("solver_s1"));
    let document = document(tmp.path(), &[&a, &b]);
    let comparisons = document["comparisons"].as_array().unwrap();
    let keys: Vec<&str> = comparisons.iter().map(|c| c["statistic"].as_str().unwrap()).collect();
    assert_eq!(keys, ["mean_difference", "late_difference", "area_ratio", "separation_step"]);
    let mean = &comparisons[0];
    assert_eq!(
        (&mean["a"], &mean["b"]),
        (&document["runs"][0]["label"], &document["runs"][1]["label"])
    );
    // NumPy 2.4: mean of the 120 step-wise differences.
    assert!((mean["estimate"].as_f64().unwrap() - 0.9373536244034767).abs() < 1e-12, "{mean}");
    assert!(mean["low"].as_f64() < mean["estimate"].as_f64());
    assert!(mean["p"].is_null() && mean["p_holm"].is_null());
    assert!(mean["assumption"].as_str().unwrap().contains("stationary"));
    assert!(document["resampling"].is_null());

    let table = stdout(&run(tmp.path(), &["stats", &a, &b, "--no-plot"]));
    let sentence = "solver is 0.937 nats below questioner [0.698, 1.18], separated since step 1";
    assert_eq!(table.lines().last(), Some(sentence));
    let table = stdout(&run(tmp.path(), &["stats", &a, &b, "--no-plot", "--pairs", "-v"]));
    for words in ["a − b", "questioner − ", "equal-weighted cosines", "no p-value"] {
        assert!(table.contains(words), "{words:?} is not in {table}");
    }
}

#[test]
fn pairs_csv_has_all_comparisons() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    let document = document(tmp.path(), &[&models]);
    let csv = stdout(&run(tmp.path(), &["stats", &models, "--no-plot", "--pairs-csv", "-"]));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let comparisons = document["comparisons"].as_array().unwrap();
    assert_eq!(rows.len(), comparisons.len());
    for (row, contrast) in rows.iter().zip(comparisons) {
        for (head, cell) in heads.iter().zip(row) {
            let expected = match &contrast[head] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            let same = cell == expected || cell.parse::<f64>().ok() == expected.parse().ok();
            assert!(same, "{head}: {cell} is not {expected}");
        }
    }
    let both = run(tmp.path(), &["stats", &models, "--json", "--pairs-csv", "-"]);
    assert_eq!(both.status.code(), Some(2));
    assert!(stderr(&both).contains("two documents cannot both go to stdout"));
}

#[test]
fn baseline_accepts_the_short_name_of_the_table() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    let of = |name| document(tmp.path(), &[&models, "--baseline", name])["comparisons"].clone();
    assert_eq!(of("solver_s1"), of("qwen3-tiny_solver_s1"));
}

#[test]
fn seed_has_no_effect_and_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    let output = |seed| run(tmp.path(), &["stats", &models, "--json", "--seed", seed]);
    assert!(output("1").stdout == output("2").stdout);
    assert!(stderr(&output("1")).contains("--seed has no effect"));
}

#[test]
fn groups_compare_questioners_with_solvers() {
    let tmp = tempfile::tempdir().unwrap();
    let document = document(tmp.path(), &[&models(), "--group", "questioner|solver"]);
    let groups = document["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!((&groups[0]["name"], &groups[1]["name"]), (&"questioner".into(), &"solver".into()));
    assert_eq!(groups[0]["runs"].as_array().unwrap().len(), 4);
    let comparisons = document["comparisons"].as_array().unwrap();
    assert!(comparisons.iter().all(|c| c["between"] == "groups" && c["a"] == "questioner"));
    let p = comparisons[0]["p"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&p) && comparisons[0]["p_holm"].as_f64() == Some(p));
    // The first capture names the group, if there is one.
    let models = models();
    let seeds = self::document(tmp.path(), &[&models, "--group", r"_(s\d)$", "--baseline", "s2"]);
    assert_eq!(seeds["comparisons"][0]["b"], "s2");
}

#[test]
fn rejects_unmatched_group_and_unknown_baseline() {
    let tmp = tempfile::tempdir().unwrap();
    let models = models();
    for (arguments, words) in [
        (["--group", "actor"], "--group actor matches none of the runs: \"qwen3-tiny_questioner"),
        (["--group", "(x"], "unclosed group"),
        (["--baseline", "solver"], "there is no run \"solver\""),
    ] {
        let output = run(tmp.path(), &[&["stats", &models, "--json"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let output = run(tmp.path(), &["stats", &models, "--json", "--group", "solver"]);
    assert!(stderr(&output).contains("4 runs are in no group"), "{}", stderr(&output));
}

#[test]
fn reports_why_runs_cannot_be_compared() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "one.json", &[2.0]);
    write(tmp.path(), "two.json", &[2.0, 3.0]);
    write(tmp.path(), "flat.json", &[2.0; 40]);
    write(tmp.path(), "flat2.json", &[1.0; 40]);
    fs::write(tmp.path().join("late.json"), r#"[{"step": 900, "entropy": 1.0}]"#).unwrap();
    let notes = |arguments: &[&str]| {
        let text = stdout(&run(tmp.path(), &[&["stats", "--no-plot"], arguments].concat()));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        text
    };
    assert!(!notes(&["one.json"]).contains("a − b"));
    assert!(notes(&["one.json", "two.json"]).contains("fewer than 20 shared steps"));
    assert!(notes(&["flat.json", "flat2.json"]).contains("the difference does not vary"));
    assert!(notes(&["flat.json", "late.json"]).contains("the runs share no step"));
    let groups = notes(&["flat.json", "flat2.json", "two.json", "--group", "flat|two"]);
    assert!(groups.contains("one run has no spread over runs"), "{groups}");
    let all = notes(&["flat.json", "flat2.json", "--group", "flat"]);
    assert!(all.contains("flat") && !all.contains("a − b"), "{all}");
}

#[test]
fn check_passes_healthy_runs_and_names_the_collapse_step() {
    let tmp = tempfile::tempdir().unwrap();
    let check = |names: &[&str]| {
        let files: Vec<String> = names.iter().map(|name| model(name)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        run(tmp.path(), &[&["check"], &files[..]].concat())
    };
    let healthy = check(&["questioner_s1", "questioner_s2"]);
    assert_eq!((healthy.status.code(), stdout(&healthy).as_str()), (Some(0), ""));
    let collapsed = check(&["questioner_collapse_s1", "solver_resumed"]);
    assert_eq!(collapsed.status.code(), Some(1));
    let said = stdout(&collapsed);
    assert!(
        said.contains("collapsed at step 68") && said.contains("collapsed at step 54"),
        "{said}"
    );
}

#[test]
fn baseline_without_matching_label_is_skipped_with_a_warning() {
    let tmp = tempfile::tempdir().unwrap();
    let (a, b) = (model("solver_s1"), model("solver_s2"));
    let baseline = run(tmp.path(), &["stats", &a, "--json"]);
    fs::write(tmp.path().join("main.json"), &baseline.stdout).unwrap();
    let output = run(tmp.path(), &["check", &b, "--no-worse-than", "main.json", "--json"]);
    assert!(
        stderr(&output).contains("the baseline has no run of this label"),
        "{}",
        stderr(&output)
    );
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(document["checks"][2]["outcome"], "skipped");
}

#[test]
fn baseline_of_another_quantity_is_skipped_with_a_warning() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.json", &[1.0; 40]);
    let baseline = run(tmp.path(), &["stats", "a.json", "--json"]);
    let other = stdout(&baseline).replace("\"token_mean\"", "\"logprob_surrogate\"");
    assert_ne!(other, stdout(&baseline));
    fs::write(tmp.path().join("main.stats"), other).unwrap();
    let arguments = ["check", "a.json", "--no-worse-than", "main.stats", "--junit", "j.xml"];
    let output = run(tmp.path(), &arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("different quantities"), "{}", stderr(&output));
    let junit = fs::read_to_string(tmp.path().join("j.xml")).unwrap();
    assert!(junit.contains("name=\"no-worse-than\"><skipped"), "{junit}");
}

#[test]
fn run_of_only_zeros_is_skipped_by_check() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.json", &[1.0; 40]);
    let baseline = run(tmp.path(), &["stats", "a.json", "--json"]);
    fs::write(tmp.path().join("main.stats"), &baseline.stdout).unwrap();
    write(tmp.path(), "a.json", &[0.0; 40]);
    let rules = ["--no-worse-than", "main.stats", "--max-entropy", "3", "--junit", "j.xml"];
    let output = run(tmp.path(), &[&["check", "a.json"], &rules[..]].concat());
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    let junit = fs::read_to_string(tmp.path().join("j.xml")).unwrap();
    assert_eq!((junit.matches("<testcase").count(), junit.matches("<skipped").count()), (4, 4));
}

#[test]
fn rejects_contradictory_entropy_bounds() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.json", &[1.5; 40]);
    let check = |more: &[&str]| run(tmp.path(), &[&["check", "a.json"], more].concat());
    let output = check(&["--min-entropy", "2", "--max-entropy", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("at least 2 and at most 1"), "{}", stderr(&output));
    assert_eq!(check(&["--preset", "rlwatch", "--max-entropy", "0.5"]).status.code(), Some(2));
    assert_eq!(check(&["--min-entropy", "1", "--max-entropy", "2"]).status.code(), Some(0));
}

#[test]
fn check_json_writes_integer_steps_like_stats() {
    let tmp = tempfile::tempdir().unwrap();
    let values: Vec<f64> = (0..100).map(|i| if i < 50 { 2.0 } else { 0.2 }).collect();
    write(tmp.path(), "a.json", &values);
    let said = stdout(&run(tmp.path(), &["check", "a.json", "--json"]));
    assert!(said.contains("\"step\": 57,"), "{said}");
}

#[test]
fn runs_of_only_zeros_are_left_out_of_group_means() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "solver_a.json", &[2.0; 40]);
    write(tmp.path(), "solver_b.json", &[3.0; 40]);
    write(tmp.path(), "solver_zero.json", &[0.0; 40]);
    write(tmp.path(), "other_zero.json", &[0.0; 40]);
    let group = ["--group", "solver|other"];
    let numbers = document(tmp.path(), &[&["."], &group[..]].concat());
    let solvers = numbers["groups"].as_array().unwrap().iter().find(|g| g["name"] == "solver");
    assert_eq!(solvers.unwrap()["mean"], 2.5);
    assert_eq!(solvers.unwrap()["left_out"], serde_json::json!(["solver_zero"]));
    let table = stdout(&run(tmp.path(), &[&["stats", ".", "--no-plot"], &group[..]].concat()));
    assert!(table.contains("solver: left out: solver_zero was not recorded"), "{table}");
    assert!(table.contains("no run of other was recorded"), "{table}");

    let plot = run(tmp.path(), &[&["plot", ".", "-o", "x.svg"], &group[..]].concat());
    assert!(plot.status.success(), "{}", stderr(&plot));
    let said = stderr(&plot);
    assert!(said.contains("group solver: left out: solver_zero was not recorded"), "{said}");
    assert!(said.contains("group other: no mean: other_zero was not recorded"), "{said}");
    let svg = fs::read_to_string(tmp.path().join("x.svg")).unwrap();
    assert!(svg.contains(", n = 2") && !svg.contains("other"), "the mean is of two runs");

    let none = run(tmp.path(), &["plot", ".", "-o", "y.svg", "--group", "zero"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("no run of a group recorded its entropy"), "{}", stderr(&none));

    let forest = ["stats", ".", "--json", "--comparison-plot", "f.svg", "--baseline", "solver_a"];
    assert!(run(tmp.path(), &forest).status.success());
    let svg = fs::read_to_string(tmp.path().join("f.svg")).unwrap();
    assert!(svg.contains("was not recorded"), "the row says why it has no point");
}

#[test]
fn means_of_equal_values_in_another_order_are_ties() {
    let tmp = tempfile::tempdir().unwrap();
    for i in 0..4 {
        let values: Vec<f64> = (0..21).map(|j| 0.1 * f64::from((j * 5 + i) % 21)).collect();
        let reversed: Vec<f64> = values.iter().rev().copied().collect();
        write(tmp.path(), &format!("a{i}.json"), &values);
        write(tmp.path(), &format!("b{i}.json"), &reversed);
    }
    let document = document(tmp.path(), &[".", "--group", "^[ab]"]);
    let found = |name: &str| {
        let comparisons = document["comparisons"].as_array().unwrap();
        comparisons.iter().find(|c| c["statistic"] == name).unwrap().clone()
    };
    assert_eq!(found("mann_whitney_u")["p"], 1.0);
    assert_eq!(found("probability_of_improvement")["estimate"], 0.5);
    assert_eq!(found("cliffs_delta")["estimate"], 0.0);
}

#[test]
fn sentence_says_over_how_many_steps_if_not_over_all() {
    let tmp = tempfile::tempdir().unwrap();
    let noise = |i: usize| 2.0 + 0.1 * ((i * 7 % 11) as f64 - 5.0);
    write(tmp.path(), "long.json", &(0..300).map(noise).collect::<Vec<f64>>());
    write(
        tmp.path(),
        "short.json",
        &(0..40).map(|i| noise(i) - 1.0 + 0.01 * (i % 3) as f64).collect::<Vec<f64>>(),
    );
    let output = run(tmp.path(), &["stats", "long.json", "short.json", "--no-plot"]);
    let text = stdout(&output);
    assert!(
        text.lines().last().unwrap().contains(" over 40 shared steps, separated since"),
        "{text}"
    );
}

#[test]
fn runs_of_the_baseline_that_are_missing_are_named() {
    let tmp = tempfile::tempdir().unwrap();
    write(tmp.path(), "a.json", &[1.0; 30]);
    write(tmp.path(), "b.json", &[2.0; 30]);
    let baseline = run(tmp.path(), &["stats", "a.json", "b.json", "--json"]);
    fs::write(tmp.path().join("main.json"), &baseline.stdout).unwrap();
    let output = run(tmp.path(), &["check", "a.json", "--no-worse-than", "main.json"]);
    assert!(
        stderr(&output).contains("1 run of the baseline is not among these runs: \"b\""),
        "{}",
        stderr(&output)
    );
}

#[test]
fn drop_of_exactly_the_limit_passes() {
    let tmp = tempfile::tempdir().unwrap();
    let values: Vec<f64> = (0..40).map(|i| if i < 20 { 0.1 } else { 0.08 }).collect();
    write(tmp.path(), "a.json", &values);
    let check =
        |limit| run(tmp.path(), &["check", "a.json", "--rules", "bounds", "--max-drop", limit]);
    assert_eq!(check("20%").status.code(), Some(0));
    assert_eq!(check("19%").status.code(), Some(1));
}

#[test]
fn coarsely_rounded_run_is_not_a_record_of_another_run() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir(tmp.path().join("d")).unwrap();
    let log = |name: &str, rows: Vec<(u32, f64)>| {
        let rows = rows.iter().map(|(step, value)| format!("{step},{value}\n"));
        fs::write(
            tmp.path().join("d").join(name),
            "step,entropy\n".to_owned() + &rows.collect::<String>(),
        )
        .unwrap();
    };
    log(
        "coarse.csv",
        (1..=100).map(|step| (step, if step % 2 == 0 { 0.3 } else { 1.2 })).collect(),
    );
    let fine = |i: u32| (3000.0 + 7.0 * (f64::from(i * i * 17 % 31) - 15.0)) / 10000.0;
    log("fine.csv", (1..=100).map(|i| (2 * i, fine(i))).collect());
    let runs = document(tmp.path(), &["d"])["runs"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
}

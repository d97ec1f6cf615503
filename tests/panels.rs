//! `--with` on pages: panels of other quantities in the documents of `report` and `auto`, and in a real browser.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{fixture, run, stderr, stdout};
use crate::report::{band_points, browser_python, document, numbers, page};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

fn temp_dir() -> TempDir {
    tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// The steps and values that a log in verl's format has under a key.
fn logged(path: &str, key: &str) -> Vec<(f64, f64)> {
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["step"].as_f64().unwrap(), row["data"][key].as_f64().unwrap())).collect()
}

/// The steps and values of a run in a panel that is embedded without reduction.
fn drawn(document: &Value, panel: usize, run: usize) -> Vec<(f64, f64)> {
    let series = &document["panels"][panel]["runs"][run]["series"];
    let grid = usize::try_from(series["steps"].as_u64().unwrap()).unwrap();
    numbers(&document["grids"][grid]).into_iter().zip(numbers(&series["values"])).collect()
}

/// Writes a log with an entropy and these other quantities, as functions of the step.
fn write_log(path: &Path, steps: u32, others: &[(&str, &dyn Fn(u32) -> String)]) {
    write_run(path, (steps, 0.0), others);
}

/// Writes a log whose entropy is higher by `offset`, so that it is of another run.
fn write_run(path: &Path, (steps, offset): (u32, f64), others: &[(&str, &dyn Fn(u32) -> String)]) {
    let mut text = String::new();
    for step in 1..=steps {
        write!(text, "{{\"step\":{step},\"entropy\":{}", 2.0 + offset - f64::from(step % 7) / 10.0)
            .unwrap();
        others.iter().for_each(|(key, value)| write!(text, ",\"{key}\":{}", value(step)).unwrap());
        text.push_str("}\n");
    }
    fs::write(path, text).unwrap();
}

#[test]
fn page_has_a_panel_of_each_quantity_with_every_logged_value() {
    let tmp = temp_dir();
    let logs =
        ["solver_s1", "questioner_s1"].map(|n| path_of(&format!("verl/qwen3-tiny_{n}.jsonl")));
    let page = page(tmp.path(), &[&logs[0], &logs[1], "--with", "reward,length"]);
    let document = document(&page);
    let panels = document["panels"].as_array().unwrap();
    let facts: Vec<_> = panels.iter().map(|p| [&p["name"], &p["keys"], &p["unit"]]).collect();
    let facts = serde_json::json!(facts);
    let expected = serde_json::json!([
        ["reward", "critic/rewards/mean", null],
        ["length", "response_length/mean", "tokens"]
    ]);
    assert_eq!((facts, panels[0]["points"].as_u64()), (expected, Some(240)));
    for (panel, key) in ["critic/rewards/mean", "response_length/mean"].into_iter().enumerate() {
        for (run, path) in logs.iter().enumerate() {
            let values = logged(path, key);
            assert_eq!(drawn(&document, panel, run), values, "{key} of {path}");
            assert_eq!(panels[panel]["runs"][run]["last"], values[values.len() - 1].1);
        }
    }
    let command = document["terminal"]["command"].as_str().unwrap();
    assert!(command.ends_with(" --with reward,length"), "{command}");
    // Without the flag there is no panel.
    let alone = crate::report::document(&crate::report::page(tmp.path(), &[&logs[0]]));
    assert_eq!(alone["panels"], serde_json::json!([]));
}

#[test]
fn runs_that_lack_a_quantity_are_left_out_of_its_panel() {
    let tmp = temp_dir();
    write_log(&tmp.path().join("a.jsonl"), 9, &[("kl", &|step| format!("0.{step}"))]);
    write_log(&tmp.path().join("b.jsonl"), 9, &[]);
    write_log(&tmp.path().join("c.jsonl"), 9, &[("actor/kl_loss", &|step| format!("{step}"))]);
    let arguments = ["report", "a.jsonl", "b.jsonl", "c.jsonl", "--with", "kl", "-o", "r.html"];
    let output = run(tmp.path(), &arguments);
    let said = stderr(&output);
    assert!(said.contains("1 run has no kl and no line in its panel: b"), "{said}");
    let document = document(&fs::read_to_string(tmp.path().join("r.html")).unwrap());
    let panel = &document["panels"][0];
    let runs: Vec<_> = panel["runs"].as_array().unwrap().iter().map(|run| &run["run"]).collect();
    assert_eq!(
        (serde_json::json!(runs), &panel["keys"]),
        (serde_json::json!([0, 2]), &"actor/kl_loss | kl".into())
    );
    assert_eq!(drawn(&document, 0, 1)[8], (9.0, 9.0));
    let output = run(tmp.path(), &["report", "b.jsonl", "--with", "kl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output)
            .contains("cannot draw \"kl\": no log has a finite value of one of its keys")
    );
}

#[test]
fn panels_share_the_size_of_the_page_with_the_entropy() {
    let tmp = temp_dir();
    fs::create_dir(tmp.path().join("runs")).unwrap();
    for run in 0..11u32 {
        let value = |step: u32| format!("{:?}", (f64::from(step * (run + 3)) * 0.7).sin() / 3.0);
        let path = tmp.path().join(format!("runs/run_{run}.jsonl"));
        write_run(
            &path,
            (5_000, f64::from(run) / 8.0),
            &[("kl", &value), ("reward", &value), ("lr", &value)],
        );
    }
    let exact = page(tmp.path(), &["runs", "--with", "kl"]);
    assert_eq!(document(&exact)["exact"], true, "110,000 points");
    let page = page(tmp.path(), &["runs", "--with", "kl,reward,lr", "--group", "run"]);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    let document = document(&page);
    assert_eq!(document["exact"], false, "220,000 points");
    let mut steps = 0.0;
    for panel in document["panels"].as_array().unwrap() {
        assert_eq!(panel["points"], 55_000);
        for run in panel["runs"].as_array().unwrap() {
            steps += numbers(&run["series"]["counts"]).iter().sum::<f64>();
        }
    }
    assert_eq!(steps, 165_000.0, "each logged value is in a bucket");
}

#[test]
fn panels_of_groups_have_the_mean_of_their_runs() {
    let tmp = temp_dir();
    let logs = ["solver_s1", "solver_s2", "questioner_s1"]
        .map(|name| path_of(&format!("verl/qwen3-tiny_{name}.jsonl")));
    let arguments =
        [&logs[0], &logs[1], &logs[2], "--with", "reward", "--group", "questioner|solver"];
    let document = document(&page(tmp.path(), &arguments));
    let groups = document["panels"][0]["bands"]["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| &group["name"]).collect();
    assert_eq!(
        names,
        document["bands"]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| &g["name"])
            .collect::<Vec<_>>()
    );
    let solver = groups.iter().position(|group| group["name"] == "solver").unwrap();
    assert_eq!(groups[solver]["style"], document["bands"]["groups"][solver]["style"]);
    let [a, b] = [0, 1].map(|i| logged(&logs[i], "critic/rewards/mean"));
    let points = band_points(&groups[solver]["lines"][0]);
    assert_eq!(points.len(), a.len());
    for ((runs, [step, mean, low, high]), (a, b)) in points.into_iter().zip(a.iter().zip(&b)) {
        // The standard deviation of two values is their distance divided by the root of two.
        let sd = (a.1 - b.1).abs() / 2f64.sqrt();
        let expected =
            [f64::midpoint(a.1, b.1), f64::midpoint(a.1, b.1) - sd, f64::midpoint(a.1, b.1) + sd];
        assert_eq!((runs, step), (2, a.0));
        assert!([mean, low, high].iter().zip(expected).all(|(is, want)| (is - want).abs() < 1e-12));
    }
}

#[test]
fn values_that_are_not_finite_are_counted_and_break_the_line() {
    let tmp = temp_dir();
    let value =
        |step: u32| if step == 4 || step == 7 { "NaN".to_owned() } else { format!("{step}") };
    write_log(&tmp.path().join("a.jsonl"), 9, &[("kl", &value)]);
    let output = run(tmp.path(), &["report", "a.jsonl", "--with", "kl", "-o", "r.html"]);
    let said = "2 values of \"kl\" are not finite and left out";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    let document = document(&fs::read_to_string(tmp.path().join("r.html")).unwrap());
    assert_eq!(document["panels"][0]["runs"][0]["series"]["gaps"], serde_json::json!([3, 5]));
    assert_eq!(document["runs"][0]["stats"]["warnings"], serde_json::json!([said]));
    let output = run(tmp.path(), &["plot", "a.jsonl", "--with", "kl"]);
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
}

#[test]
fn quantity_that_a_round_lacks_is_drawn_in_the_others() {
    let tmp = temp_dir();
    let kl = |step: u32| format!("0.{step}");
    for (round, others) in [(1, &[("kl", &kl as &dyn Fn(u32) -> String)][..]), (2, &[])] {
        write_log(&tmp.path().join(format!("solver_v{round}.jsonl")), 9, others);
    }
    let chain = ["--chain", "(.*)_v([0-9]+)", "--with", "kl"];
    let logs = ["solver_v1.jsonl", "solver_v2.jsonl"];
    let output = run(tmp.path(), &[&["report"], &logs[..], &chain, &["-o", "r.html"]].concat());
    let said = "solver: no value of \"kl\" in round 2: its line is drawn in the other rounds";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    let document = document(&fs::read_to_string(tmp.path().join("r.html")).unwrap());
    let steps: Vec<f64> = drawn(&document, 0, 0).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, (1..=9).map(f64::from).collect::<Vec<_>>());
    let output = run(tmp.path(), &[&["plot"], &logs[..], &chain, &["-o", "p.svg"]].concat());
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("p.svg")).unwrap();
    assert_eq!(svg.matches("<g aria-label=\"solver\">").count(), 2, "a line in both panels");
}

#[test]
fn page_of_auto_has_the_panels_of_its_pictures() {
    let tmp = temp_dir();
    let models = path_of("verl");
    let output = run(tmp.path(), &["auto", &models, "--artifacts", "out", "--with", "reward"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(tmp.path().join("out/report.html")).unwrap();
    assert_eq!(document(&page)["panels"][0]["name"], "reward");
    let range = ["--from-step", "10", "--to-step", "20"];
    let arguments =
        [&["auto", &models, "--artifacts", "cut", "--with", "reward"], &range[..]].concat();
    assert!(run(tmp.path(), &arguments).status.success());
    let page = fs::read_to_string(tmp.path().join("cut/report.html")).unwrap();
    let steps: Vec<f64> = drawn(&document(&page), 0, 0).into_iter().map(|(step, _)| step).collect();
    assert_eq!((steps[0], steps[steps.len() - 1]), (10.0, 20.0));
}

#[test]
fn panels_work_in_a_browser() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panels");
    fs::create_dir_all(&tmp).unwrap();
    let mut logs: Vec<String> = Vec::new();
    for name in ["questioner_collapse_s1", "questioner_s1", "solver_s1", "solver_s2"] {
        logs.push(path_of(&format!("verl/qwen3-tiny_{name}.jsonl")));
    }
    let entropy_only =
        "models/qwen3-tiny_questioner_s2/entropy_history_qwen3-tiny_questioner_s2.json";
    logs.push(path_of(entropy_only));
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    let with = ["--with", "reward,length"];
    for (name, more) in [("runs.html", &[][..]), ("groups.html", &["--group", "questioner|solver"])]
    {
        let output = run(&tmp, &[&["report", "-o", name], &logs[..], &with, more].concat());
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/panels_check.py");
    let program = env!("CARGO_BIN_EXE_entropy-viz");
    let output =
        Command::new(browser_python()).arg(script).arg(&tmp).arg(program).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

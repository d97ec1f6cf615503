//! Layouts of logs: keys, columns and steps as trainers, dashboards and scripts write them.

use std::fs;
use std::path::Path;

use crate::common::{fixture, run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

fn temp_dir(files: &[(&str, &str)]) -> TempDir {
    let tmp = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = tmp.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    tmp
}

/// The runs of `stats --json`, and its stderr.
fn stats_in(directory: &Path, arguments: &[&str]) -> (Vec<Value>, String) {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    let said = stderr(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    (document["runs"].as_array().unwrap().clone(), said)
}

/// The runs of `stats --json` for one file with this text, and its stderr.
fn stats(name: &str, text: &str, arguments: &[&str]) -> (Vec<Value>, String) {
    let tmp = temp_dir(&[(name, text)]);
    stats_in(tmp.path(), &[&[name], arguments].concat())
}

/// The message of `stats` for a file that it rejects.
fn rejection_message(name: &str, text: &str) -> String {
    let tmp = temp_dir(&[(name, text)]);
    let output = run(tmp.path(), &["stats", name]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    stderr(&output)
}

/// Label, metric, first and last step, last value.
fn summarise(runs: &[Value]) -> Vec<String> {
    let brief = |run: &Value| {
        let text = |key: &str| run[key].as_str().unwrap().to_owned();
        let (label, metric) = (text("label"), text("metric"));
        format!(
            "{label}: {metric}, {} to {}, {}",
            run["first_step"],
            run["last_step"],
            run["last"].as_f64().unwrap()
        )
    };
    runs.iter().map(brief).collect()
}

const ROWS: &str = "r1 - own_entropy\",\"r1 - own_entropy__MIN\",\"r1 - own_entropy__MAX\",\
\"r2 - own_entropy\",\"r2 - own_entropy__MIN\",\"r2 - own_entropy__MAX\"\n\
\"0\",\"2.5\",\"2.25\",\"2.75\",\"3.5\",\"3.25\",\"3.75\"\n\
\"10\",\"2\",\"1.75\",\"2.25\",\"3\",\"2.75\",\"3.25\"\n";

#[test]
fn wandb_min_and_max_columns_are_not_runs() {
    let (runs, said) = stats("wb.csv", &format!("\"Step\",\"{ROWS}"), &[]);
    assert_eq!(summarise(&runs), ["r1: own_entropy, 0 to 10, 2", "r2: own_entropy, 0 to 10, 3"]);
    assert!(said.contains("\"own_entropy\" is taken"), "{said}");
}

#[test]
fn standard_deviation_of_an_entropy_is_not_a_run() {
    let text = "step,entropy_mean,entropy_std\n1,2.5,0.5\n2,2.25,0.25\n";
    let (runs, said) = stats("run_a.csv", text, &[]);
    assert_eq!(summarise(&runs), ["run_a: entropy_mean, 1 to 2, 2.25"]);
    assert!(said.contains("\"entropy_mean\" is taken"), "{said}");
    let text = "step,a entropy,b entropy,b entropy std,max_entropy\n1,2,3,1,4\n2,1,2,1,4\n";
    let (runs, _) = stats("two.csv", text, &[]);
    assert_eq!(
        summarise(&runs),
        ["a entropy: a entropy, 1 to 2, 1", "b entropy: b entropy, 1 to 2, 2"]
    );
}

#[test]
fn each_named_array_with_an_entropy_is_a_run() {
    let rows = |first: u32| {
        format!("[{{\"step\": 1, \"entropy\": {first}.5}}, {{\"step\": 2, \"entropy\": 1.5}}]")
    };
    let text = format!("{{\"run_a\": {}, \"note\": [1, 2], \"run_b\": {}}}", rows(2), rows(3));
    let (runs, _) = stats("two.json", &text, &[]);
    let values: Vec<_> =
        runs.iter().map(|r| (r["label"].as_str().unwrap(), r["first"].as_f64().unwrap())).collect();
    assert_eq!(values, [("run_a", 2.5), ("run_b", 3.5)]);

    let text = "{\"config\": {\"lr\": 1}, \"reward_history\": [{\"step\": 1, \"reward\": 2.0}, {\"reward\": 1}],
        \"entropy_history\": [{\"step\": 1, \"entropy\": 2.5}, {\"step\": 2, \"entropy\": 2}]}";
    let (runs, said) = stats("wrapped.json", text, &["-v"]);
    assert_eq!(summarise(&runs), ["wrapped: entropy, 1 to 2, 2"]);
    assert!(said.contains("parts without the metric: \"reward_history\""), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let (runs, _) = stats("wrapped.json", text, &["--metric", "reward"]);
    assert_eq!(summarise(&runs), ["wrapped: reward, 1 to 1, 2"]);
}

#[test]
fn step_keys_are_the_same_in_json_jsonl_and_csv() {
    let keys = [
        "step",
        "Step",
        "global_step",
        "_step",
        "iteration",
        "train/global_step",
        "time/total_timesteps",
        "training_iteration",
        "steps",
        "timestep",
        "update",
        "epoch",
    ];
    for key in keys {
        let rows: Vec<String> = [(10, 2.5), (20, 2.25), (30, 2.0)]
            .iter()
            .map(|(step, value)| {
                format!("{{\"{key}\": {step}, \"loss\": 0.5, \"entropy\": {value:?}}}")
            })
            .collect();
        let array = format!("[{}]", rows.join(", "));
        let wrapped = format!("{{\"history\": {array}}}");
        let csv = format!("{key},loss,entropy\n10,0.5,2.5\n20,0.5,2.25\n30,0.5,2.0\n");
        let columns = format!("{{\"{key}\": [10, 20, 30], \"entropy\": [2.5, 2.25, 2.0]}}");
        for (name, text) in [
            ("a.json", array),
            ("a.jsonl", rows.join("\n") + "\n"),
            ("a.json", wrapped),
            ("a.csv", csv),
            ("a.json", columns),
        ] {
            let (runs, _) = stats(name, &text, &[]);
            assert_eq!(summarise(&runs), ["a: entropy, 10 to 30, 2"], "{text}");
        }
    }
    // The best-known step key wins, wherever it stands.
    let text = "[{\"epoch\": 0.1, \"entropy\": 2.5, \"_step\": 7, \"step\": 10}]";
    assert_eq!(summarise(&stats("a.json", text, &[]).0), ["a: entropy, 10 to 10, 2.5"]);
}

#[test]
fn reads_a_metric_nested_in_array_rows() {
    let rows = "{\"step\": 1, \"train\": {\"entropy\": 2.5, \"loss\": 1}, \"lr\": 1}";
    for text in [format!("[{rows}, {rows}]"), format!("{rows}\n"), format!("{{\"h\": [{rows}]}}")] {
        let (runs, _) = stats("a.json", &text, &[]);
        assert_eq!(summarise(&runs), ["a: train/entropy, 1 to 1, 2.5"], "{text}");
        assert_eq!(runs[0]["quantity"], "token_mean");
    }
}

#[test]
fn tensorboard_download_of_another_scalar_has_no_entropy() {
    let csv = "Wall time,Step,Value\n1700000000.0,1,2.5\n1700000010.0,2,2.25\n";
    let json = "[[1700000000.0, 1, 2.5], [1700000010.0, 2, 2.25]]";
    for (end, text) in [("csv", csv), ("json", json)] {
        let loss = format!("run-exp1_tb-tag-train_loss.{end}");
        let entropy = format!("run-exp1_tb-tag-train_entropy.{end}");
        let tmp = temp_dir(&[(&loss, text), (&entropy, text)]);
        let (runs, said) = stats_in(tmp.path(), &["."]);
        let labels: Vec<_> = runs.iter().map(|run| run["label"].as_str().unwrap()).collect();
        assert_eq!(labels, ["exp1_tb"]);
        assert_eq!(runs[0]["quantity"], "token_mean");
        assert!(said.contains("1 other file holds no entropy"), "{said}");
        let output = run(tmp.path(), &["stats", &loss]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("\"train_loss\""), "{}", stderr(&output));
        for asked in ["train/loss", "train_loss", "*/loss"] {
            let (runs, _) = stats_in(tmp.path(), &[".", "--metric", asked]);
            assert_eq!(summarise(&runs), ["exp1_tb: train_loss, 1 to 2, 2.25"], "{asked}");
        }
    }
}

#[test]
fn reads_rllib_result_json() {
    let row = |i: u32, entropy: f64| {
        format!(
            "{{\"custom_metrics\": {{}}, \"episode_reward_mean\": 20.5, \"hist_stats\": {{\"episode_reward\": [1.0, 2.0]}}, \
             \"info\": {{\"learner\": {{\"default_policy\": {{\"learner_stats\": {{\"entropy\": {entropy:?}, \"kl\": 0.1}}}}}}}}, \
             \"timesteps_total\": {}, \"training_iteration\": {i}, \"config\": {{\"entropy_coeff\": 0.0, \"step\": {{\"a\": 1}}}}, \"done\": false}}\n",
            4000 * i
        )
    };
    let text = row(1, 0.6875) + &row(2, 0.625);
    let tmp = temp_dir(&[("PPO_x/result.json", &text), ("PPO_x/params.json", "{\"lr\": 1}\n")]);
    let (runs, _) = stats_in(tmp.path(), &["."]);
    let key = "info/learner/default_policy/learner_stats/entropy";
    assert_eq!(summarise(&runs), [format!("PPO_x: {key}, 4000 to 8000, 0.625")]);
    assert_eq!(runs[0]["quantity"], "action_distribution");
}

#[test]
fn reads_ms_swift_step_from_step_slash_max_steps() {
    let row = |step: u32, entropy: f64| {
        format!(
            "{{\"loss\": 0.1, \"entropy\": {entropy:?}, \"epoch\": 0.25, \"global_step/max_steps\": \"{step}/400\"}}"
        )
    };
    let (a, b) = (row(10, 2.5), row(20, 2.25));
    for (name, text) in [("x.jsonl", format!("{a}\n{b}\n")), ("x.json", format!("[{a}, {b}]"))] {
        assert_eq!(summarise(&stats(name, &text, &[]).0), ["x: entropy, 10 to 20, 2.25"]);
    }
    let said =
        rejection_message("x.jsonl", "{\"entropy\": 2.5, \"global_step/max_steps\": \"ten\"}\n");
    assert!(said.contains("the step is a string, not a number"), "{said}");
}

#[test]
fn console_rows_with_a_step_are_not_numbered() {
    for key in ["step", "global_step"] {
        let row = |step: u32| {
            format!("{{'loss': 0.5, 'entropy': {step}.5, '{key}': {step}, 'epoch': 0.1}}\n")
        };
        let (runs, said) = stats("train.log", &(row(10) + &row(20)), &[]);
        assert_eq!(runs[0]["last_step"], 20, "{said}");
        assert!(!said.contains("numbered"), "{said}");
    }
}

#[test]
fn rejects_wandb_download_over_time_without_steps() {
    for axis in ["Relative Time (Process)", "Relative Time (Wall)", "Wall Time"] {
        let said = rejection_message("wb.csv", &format!("\"{axis}\",\"{ROWS}"));
        assert!(said.contains(&format!("first column is {axis:?}, which is time")), "{said}");
        assert!(said.contains("hint: set the x-axis of the panel to Step"), "{said}");
    }
    let text = "\"Wall Time\",\"r1 - actor/entropy\"\n\"2026-01-01T00:00:00.000Z\",\"2.0\"\n";
    assert!(rejection_message("wb.csv", text).contains("which is time"));
}

#[test]
fn wandb_download_over_time_uses_step_columns() {
    let text = "\"Relative Time (Process)\",\"r1 - _step\",\"r1 - _step__MIN\",\"r1 - actor/entropy\",\"r2 - _step\",\"r2 - actor/entropy\"\n\
        0.5,7,7,2.5,3,3.5\n1.5,15,15,2.25,,\n2.5,,,,9,3\n";
    let (runs, _) = stats("wb.csv", text, &[]);
    assert_eq!(
        summarise(&runs),
        ["r1: actor/entropy, 7 to 15, 2.25", "r2: actor/entropy, 3 to 9, 3"]
    );
}

#[test]
fn reads_parquet_float16_and_decimal_columns() {
    // pyarrow wrote 2.5, 2.25, a rounded value and a null.
    for (metric, last) in [("half", 0.333_251_953_125), ("decimal", 0.3333), ("wide", -0.125)] {
        let path = fixture("parquet/small_numbers.parquet");
        let (runs, _) = stats_in(Path::new("."), &[path.to_str().unwrap(), "--metric", metric]);
        let run = &runs[0];
        assert_eq!((&run["points"], run["first"].as_f64()), (&3.into(), Some(2.5)), "{metric}");
        assert_eq!(run["last"].as_f64(), Some(last), "{metric}");
    }
}

#[test]
fn unsupported_parquet_codec_is_named() {
    for (file, codec) in [("brotli", "Brotli"), ("lz4", "LZ4")] {
        let path = fixture(&format!("parquet/{file}.parquet"));
        let output = run(Path::new("."), &["stats", path.to_str().unwrap()]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            said.contains(&format!("compressed with {codec}, which is not supported")),
            "{said}"
        );
        assert!(said.contains("hint: write it again with zstd or snappy"), "{said}");
    }
}

#[test]
fn capitalised_entropy_key_is_known() {
    for (name, text) in [
        ("a.csv", "step,Entropy\n1,2.5\n2,2.25\n"),
        ("a.json", "[{\"Step\": 1, \"Entropy\": 2.5}, {\"Step\": 2, \"Entropy\": 2.25}]"),
    ] {
        let (runs, said) = stats(name, text, &[]);
        assert_eq!(summarise(&runs), ["a: Entropy, 1 to 2, 2.25"]);
        assert_eq!((&runs[0]["quantity"], said.as_str()), (&"token_mean".into(), ""));
    }
}

#[test]
fn existing_path_or_matching_glob_is_not_a_label_prefix() {
    let row = "{\"step\": 1, \"entropy\": 2.5}\n{\"step\": 2, \"entropy\": 2}\n";
    let tmp = temp_dir(&[("lr=1e-6.jsonl", row), ("lr=1e-5,seed=1.jsonl", row), ("b.jsonl", row)]);
    let labels = |argument: &str| -> Vec<String> {
        let (runs, _) = stats_in(tmp.path(), &[argument]);
        runs.iter().map(|run| run["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels("lr=*.jsonl"), ["lr=1e-5,seed=1", "lr=1e-6"]);
    assert_eq!(labels("lr=1e-6.jsonl+lr=1e-5,seed=1.jsonl"), ["lr=1e-6"]);
    assert_eq!(labels("b=b*.jsonl"), ["b"]);
}

#[test]
fn warns_about_duplicate_column_names() {
    let (runs, said) = stats("a.csv", "step,entropy,entropy\n1,2.5,3.5\n2,2,3\n", &[]);
    assert_eq!(summarise(&runs), ["a: entropy, 1 to 2, 3"]);
    assert!(said.contains("2 columns are called \"entropy\"; the last is read"), "{said}");
}

#[test]
fn row_cut_inside_a_string_is_skipped_and_reported_with_its_line() {
    let row = "{\"step\": 1, \"data\": {\"actor/entropy\": 2.5, \"note\": \"x\"}}\n";
    for cut in ["{\"step\": 2, \"data\": {\"actor/ent", "{\"step\": 2, \"data\": {\"note\": \"unf"]
    {
        let next = row.replace("\"step\": 1", "\"step\": 3");
        let (runs, said) = stats("a.jsonl", &format!("{row}{cut}\n{next}"), &[]);
        assert_eq!((&runs[0]["points"], &runs[0]["last_step"]), (&2.into(), &3.into()));
        assert!(
            said.contains("a broken row was skipped (line 2, column ")
                && said.contains("the line ends inside a string"),
            "{said}"
        );
        // At the end of the file it is the last line of a killed run.
        let (runs, said) = stats("a.jsonl", &format!("{row}{cut}\n"), &[]);
        assert_eq!(runs[0]["points"], 1);
        assert!(said.contains("the file ends inside a row (line 2"), "{said}");
    }
}

#[test]
fn row_with_a_malformed_number_is_skipped_and_counted() {
    let row = |step: usize, other: &str| {
        format!(
            "{{\"step\": {step}, \"data\": {{\"actor/lr\": {other}, \"actor/entropy\": 2.5}}}}\n"
        )
    };
    let mut text: String = (1..40).map(|step| row(step, "0.5")).collect();
    text += &row(40, ".5");
    text += &row(41, "0.5");
    let (runs, said) = stats("a.jsonl", &text, &[]);
    assert_eq!((&runs[0]["points"], &runs[0]["last_step"]), (&40.into(), &41.into()));
    let words = "a broken row was skipped (line 40, column 35: expected a value, found '.')";
    assert!(said.contains(words), "{said}");
}

#[test]
fn numbers_in_strings_are_read_as_python_prints_them() {
    let rows = [
        r#"{"step": "1", "actor/entropy": "2.5"}"#,
        r#"{"step": 2, "actor/entropy": "tensor(2.25, device='cuda:0')"}"#,
        r#"{"step": 3, "actor/entropy": "np.float32(2.0)"}"#,
    ];
    let (runs, said) = stats("a.jsonl", &format!("{}\n", rows.join("\n")), &[]);
    assert_eq!((&runs[0]["points"], &runs[0]["mean"]), (&3.into(), &2.25.into()), "{said}");
    let (runs, said) =
        stats("a.csv", "step,entropy\n1,\"tensor(2.5, device='cuda:0')\"\n2,2.0\n", &[]);
    assert_eq!((&runs[0]["points"], &runs[0]["mean"]), (&2.into(), &2.25.into()), "{said}");
}

#[test]
fn rows_behind_other_text_and_two_on_a_line_are_read() {
    let text = "banner\n{\"step\": 1, \"actor/entropy\": 2.5} {\"step\": 2, \"actor/entropy\": 2.25}\n\
                saving checkpoint... {\"step\": 3, \"actor/entropy\": 2.0}\nTraceback\n  trainer.fit()\n";
    let (runs, said) = stats("a.jsonl", text, &[]);
    assert_eq!((&runs[0]["points"], &runs[0]["last_step"]), (&3.into(), &3.into()), "{said}");
    assert!(said.contains("3 lines are not rows and were skipped, the first is line 1"), "{said}");
}

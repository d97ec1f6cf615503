//! Logs of many trainers: mixed in one directory, in segments, in rounds, compressed; `inspect`, and conversion
//! to other formats.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{files, fixture, run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

const RESUMED: [&str; 2] =
    ["verl/qwen3-tiny_solver_resumed.jsonl", "verl/qwen3-tiny_solver_resumed_resumed.jsonl"];

fn temp_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// The runs of `stats --json`.
fn runs(arguments: &[&str]) -> Vec<Value> {
    let output = run(temp_dir().path(), &[&["stats", "--json"], arguments].concat());
    let document: Value = serde_json::from_str(&stdout(&output))
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", stderr(&output)));
    document["runs"].as_array().unwrap().clone()
}

fn labels(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["label"].as_str().unwrap()).collect()
}

fn assert_rejected(arguments: &[&str], words: &[&str]) {
    let output = run(temp_dir().path(), arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn copy(from: &str, directory: &Path, name: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(fixture(from), path).unwrap();
}

/// A directory with one run per format, and files that are not logs.
fn directory_of_mixed_formats() -> TempDir {
    let tmp = temp_dir();
    let place = tmp.path();
    copy(
        "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json",
        place,
        "rzero/entropy_history_rzero.json",
    );
    copy("verl/qwen3-tiny_questioner_s2.jsonl", place, "logs/verl_run.jsonl");
    copy("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl", place, "easy/experiment_log.jsonl");
    copy(
        "trainer_state/qwen3-tiny_questioner_s1/trainer_state.json",
        place,
        "trl/checkpoint-120/trainer_state.json",
    );
    copy(
        "trainer_state/qwen3-tiny_questioner_log5/trainer_state.json",
        place,
        "trl/checkpoint-9/trainer_state.json",
    );
    for file in files(&fixture("tensorboard/qwen3-tiny_solver_resumed")) {
        copy(
            &format!("tensorboard/qwen3-tiny_solver_resumed/{file}"),
            place,
            &format!("board/tensorboard_log/{file}"),
        );
    }
    copy(
        "wandb/rzero_0.16.6/offline-run-20261123_020319-3ptzi3v8/run-3ptzi3v8.wandb",
        place,
        "wandb/offline-run-20261123_020319-3ptzi3v8/run-3ptzi3v8.wandb",
    );
    copy("csv/wandb_ui_export_ragged.csv", place, "export.csv");
    copy("jsonl/trainer/metrics.jsonl", place, "prime/metrics.jsonl");
    write(place, "trl/config.json", r#"{"hidden_size": 64, "rope": {"theta": 1e4}}"#);
    write(place, "notes.txt", "remember: entropy went down\nafter step: 12\n");
    write(place, "results.json", r#"[{"task": "gsm8k", "accuracy": 0.5}]"#);
    write(place, "trl/checkpoint-120/huge.json", r#"{"step": 1, "entropy": 9}"#);
    tmp
}

#[test]
fn directory_of_mixed_formats_gets_the_right_labels() {
    let tmp = directory_of_mixed_formats();
    let wanted = [
        "qwen3-tiny_questioner_s1", // this and the next are in export.csv, and in trl/ and logs/
        "qwen3-tiny_questioner_s2",
        "board",
        "qwen3-tiny_solver_s1", // the display name of the W&B run, which is in easy/ and rzero/ too
        "prime",
    ];
    let place = tmp.path().to_str().unwrap();
    assert_eq!(labels(&runs(&[place])), wanted);
    let output = run(tmp.path(), &["auto", place, "-o", "all.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("5 runs compared: 1 collapsed, 4 healthy"), "{said}");
    assert!(said.contains("1 other file holds no entropy and was left out"), "{said}");
    let svg = fs::read_to_string(tmp.path().join("all.svg")).unwrap();
    assert!(svg.contains("\nprime\n") && svg.contains("\nboard\n"), "{svg}");
    let one = runs(&[tmp.path().join("board").to_str().unwrap()]);
    assert_eq!((&one[0]["points"], &one[0]["repairs"]["relogged"]), (&100.into(), &7.into()));
}

#[test]
fn directory_with_one_log_takes_one_label() {
    let tmp = directory_of_mixed_formats();
    let (trl, board) = (tmp.path().join("trl"), tmp.path().join("board"));
    write(&board, "latest_global_step.txt", "40");
    let (trl, board) = (trl.to_str().unwrap(), board.to_str().unwrap());
    assert_eq!(labels(&runs(&[&format!("T={trl}"), board])), ["T", "board"]);
    assert_eq!(labels(&runs(&[trl, board, "--labels", "A", "B"])), ["A", "B"]);
    assert_rejected(&["stats", trl, board, "--labels", "A"], &["1 label for 2 runs", "1. ", "2. "]);
    assert_rejected(&["stats", trl, board, "--labels", "A", "B", "C"], &["3 labels for 2 runs"]);
    let all = tmp.path().to_str().unwrap();
    assert_rejected(&["stats", &format!("T={all}")], &["two runs are called \"T"]);
}

#[test]
fn segments_of_a_resumed_run_are_joined() {
    let segments = format!("{}+{}", path_of(RESUMED[0]), path_of(RESUMED[1]));
    let joined = &runs(&[&format!("solver={segments}")])[0];
    assert_eq!((&joined["label"], &joined["points"]), (&"solver".into(), &100.into()));
    assert_eq!(joined["repairs"]["relogged"], 7);
    // NumPy's mean of the run that was recorded whole (expected/logs.json).
    let mean = joined["mean"].as_f64().unwrap();
    assert!((mean - 0.707_718_476_131_558_5).abs() < 1e-12);

    let tmp = temp_dir();
    for file in RESUMED {
        copy(file, tmp.path(), file);
    }
    let found = runs(&[tmp.path().join("verl").to_str().unwrap()]);
    assert_eq!(labels(&found), ["qwen3-tiny_solver_resumed"]);
    assert_eq!(found[0]["points"], 100);
    // In reverse order the older rows would win, so there is a warning.
    let turned = format!("{}+{}", path_of(RESUMED[1]), path_of(RESUMED[0]));
    let output = run(tmp.path(), &["stats", "--json", &turned]);
    assert!(stderr(&output).contains("starts before the segment that it follows"));
}

#[test]
fn chain_joins_rounds_end_to_end() {
    let tmp = temp_dir();
    for (digit, round) in [(2, "v1"), (3, "v2"), (4, "v10")] {
        for (name, seed) in [("questioner", "questioner_s1"), ("solver", "solver_s2")] {
            let source = format!("models/qwen3-tiny_{seed}/entropy_history_qwen3-tiny_{seed}.json");
            let target = format!("{name}_{round}/entropy_history_{name}_{round}.json");
            copy(&source, tmp.path(), &target);
            // Each round has other values: equal ones are records of one run.
            let path = tmp.path().join(target);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace(": 2.", &format!(": {digit}."))).unwrap();
        }
    }
    let place = tmp.path().to_str().unwrap();
    let chains = runs(&[place, "--chain", "(.*)_v([0-9]+)"]);
    assert_eq!(labels(&chains), ["questioner", "solver"]);
    assert_eq!((&chains[0]["points"], &chains[0]["last_step"]), (&360.into(), &360.into()));
    assert_eq!(chains[0]["joints"][0]["step"], 121.0);
    assert_eq!(chains[0]["joints"][1]["round"], "10");
    let arguments = ["plot", place, "--chain", "(.*)_v([0-9]+)", "-o", "chain.svg"];
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(tmp.path().join("chain.svg")).unwrap().contains("round 10"));
    assert_rejected(&["stats", place, "--chain", "(a)_v([0-9]+)"], &["matches none of the runs"]);
    assert_rejected(
        &["stats", place, "--chain", "_v([0-9]+)"],
        &["it has 1 capture groups, not two"],
    );
    assert_rejected(
        &["stats", place, "--chain", "(questioner|solver)()"],
        &["are both stage \"\""],
    );
}

#[test]
fn metric_accepts_globs_and_repetition() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    let both = runs(&[&log, "--metric", "*/entropy*"]);
    let wanted =
        ["qwen3-tiny_solver_s1 · actor/entropy_loss", "qwen3-tiny_solver_s1 · policy/entropy"];
    assert_eq!(labels(&both), wanted);
    assert_eq!(both[0]["quantity"], "log_prob_surrogate");
    let two = runs(&[&log, "--metric", "critic/rewards/mean", "--metric", "actor.entropy_loss"]);
    assert_eq!(two.len(), 2);
    assert_eq!(
        [&two[0]["metric"], &two[1]["metric"]],
        ["critic/rewards/mean", "actor/entropy_loss"]
    );
    let named = runs(&[&log, "--labels", "surrogate", "exact", "--metric", "*/entropy*"]);
    assert_eq!(labels(&named), ["surrogate", "exact"]);
    assert_eq!(named[0]["quantity"], "log_prob_surrogate");
    assert_rejected(&["stats", &log, "--metric", "[x"], &["is not a glob pattern"]);
}

#[test]
fn labels_follow_the_order_of_metrics() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    for keys in [["policy/entropy", "actor/entropy_loss"], ["actor/entropy_loss", "policy/entropy"]]
    {
        let [first, second] = keys;
        let arguments = ["stats", &log, "--metric", first, "--metric", second];
        let arguments = [&arguments[..], &["--labels", "one", "two", "--json"]].concat();
        let output = run(temp_dir().path(), &arguments);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let named = |i: usize| {
            let run = &document["runs"][i];
            (run["label"].as_str().unwrap().to_owned(), run["metric"].as_str().unwrap().to_owned())
        };
        assert_eq!(named(0), ("one".to_owned(), first.to_owned()));
        assert_eq!(named(1), ("two".to_owned(), second.to_owned()));
        let said = stderr(&output);
        assert!(said.contains(&format!("one: {first}; two: {second}")), "{said}");
    }
}

#[test]
fn metric_that_no_log_has_is_named() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    let arguments = ["stats", &log, "--metric", "policy/entropy", "--metric", "typo"];
    let output = run(temp_dir().path(), &arguments);
    assert!(output.status.success());
    assert!(stderr(&output).contains("warning: no log has \"typo\""), "{}", stderr(&output));
}

#[test]
fn labels_of_a_glob_follow_the_keys_in_every_log() {
    let place = temp_dir();
    for (name, keys) in [("a", ["e{r>0}", "e{r<=0}"]), ("b", ["e{r<=0}", "e{r>0}"])] {
        let rows: Vec<String> = (1..=2)
            .map(|step| format!("{{\"step\":{step},{:?}:1.0,{:?}:2.0}}", keys[0], keys[1]))
            .collect();
        std::fs::write(place.path().join(format!("{name}.jsonl")), rows.join("\n")).unwrap();
    }
    let labels = ["--metric", "e{*", "--labels", "w1", "r1", "w2", "r2", "--json"];
    let arguments = [&["stats", "a.jsonl", "b.jsonl"], &labels[..]].concat();
    let output = run(place.path(), &arguments);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = document["runs"].as_array().unwrap();
    let named: Vec<String> = runs
        .iter()
        .map(|run| {
            format!("{} {}", run["label"].as_str().unwrap(), run["metric"].as_str().unwrap())
        })
        .collect();
    assert_eq!(named, ["w1 e{r<=0}", "r1 e{r>0}", "w2 e{r<=0}", "r2 e{r>0}"]);
    assert!(stderr(&output).contains("w1: a.jsonl, e{r<=0}"), "{}", stderr(&output));
}

#[test]
fn groups_of_responses_are_known_entropies_with_a_title() {
    let place = temp_dir();
    let rows = r#"[{"step":1,"entropy":1.0,"entropy{reward<=0}":1.5,"entropy{reward>0}":0.5},
                   {"step":2,"entropy":0.9,"entropy{reward<=0}":1.4,"entropy{reward>0}":0.4}]"#;
    std::fs::write(place.path().join("h.json"), rows).unwrap();
    let right = ["--metric", "entropy{reward>0}"];
    let output = run(place.path(), &[&["stats", "h.json", "--json"], &right[..]].concat());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["runs"][0]["quantity"], "token_mean");
    let output = run(place.path(), &[&["plot", "h.json", "-o", "a.svg"], &right[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let drawn = std::fs::read_to_string(place.path().join("a.svg")).unwrap();
    assert!(drawn.contains("Policy entropy (reward&gt;0)"), "{drawn}");
    let output = run(place.path(), &["stats", "h.json", "--metric", "entropy{reward>1}"]);
    assert!(stderr(&output).contains("the log has \"entropy{reward>0}\""), "{}", stderr(&output));
}

#[test]
fn warns_when_runs_hold_different_quantities() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    let output = run(temp_dir().path(), &["stats", "--json", &log]);
    let said = stderr(&output);
    assert!(said.contains("\"policy/entropy\" (token mean)"), "{said}");
    assert!(said.contains("\"actor/entropy_loss\" (log-prob surrogate)"), "{said}");

    let surrogate = format!("surrogate={log}");
    let verl = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let arguments = ["plot", &surrogate, &verl, "--metric", "actor/*entropy*", "-o", "a.svg"];
    let place = temp_dir();
    let output = run(place.path(), &arguments);
    assert!(
        stderr(&output).contains("different quantities (log-prob surrogate and token mean)"),
        "{}",
        stderr(&output)
    );
    let svg = fs::read_to_string(place.path().join("a.svg")).unwrap();
    assert!(svg.contains("mean −log π of the sampled tokens"));
}

#[test]
fn stable_baselines_entropy_loss_is_negated_with_a_note() {
    let tmp = temp_dir();
    let rows =
        "time/total_timesteps,train/entropy_loss\n2048,-0.6864\n4096,-0.6661\n6144,\n8192,-0.6\n";
    let log = write(tmp.path(), "ppo/progress.csv", rows);
    let output = run(tmp.path(), &["stats", "--json", log.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let run = &document["runs"][0];
    assert_eq!(
        (&run["label"], &run["first"], &run["last"]),
        (&"ppo".into(), &0.6864.into(), &0.6.into())
    );
    assert_eq!(
        (&run["sign"], &run["quantity"]),
        (&"flipped".into(), &"action_distribution".into())
    );
    assert!(
        stderr(&output).contains("holds −H, as Stable-Baselines3 logs it; the sign was flipped")
    );
}

#[test]
fn warns_about_values_above_the_largest_possible_entropy() {
    let tmp = temp_dir();
    let rows = |value: &str| {
        format!(r#"[{{"step": 1, "entropy": {value}}}, {{"step": 2, "entropy": 1}}]"#)
    };
    let log = write(tmp.path(), "a.json", &rows("13.5"));
    let said = |extra: &[&str]| {
        let arguments = [&["stats", "--json", log.to_str().unwrap()], extra].concat();
        stderr(&run(tmp.path(), &arguments))
    };
    assert!(
        said(&[])
            .contains("1 value is above 12.48, the largest possible for a vocabulary of 262144")
    );
    assert!(said(&["--vocabulary", "2"]).contains("2 values are above 0.69"));
    assert_eq!(said(&["--vocabulary", "1000000"]), "");
}

#[test]
fn log_without_entropy_lists_the_closest_keys() {
    let log = "tensorboard/rzero_tensorboard_log/1795399397.4662635/events.out.tfevents.1795399397.vm.29142.1";
    assert_rejected(
        &["stats", &path_of(log)],
        &["the log has \"placeholder\"", "hint: choose the series with --metric KEY"],
    );
    let tmp = temp_dir();
    let rows = r#"{"step": 1, "a/loss": 1, "c/entropy_max": 9, "b/an_entropy": 2, "b/other_entropy_mean": 2}"#;
    let log = write(tmp.path(), "m.jsonl", &format!("{rows}\n{rows}\n"));
    assert_rejected(
        &["stats", log.to_str().unwrap()],
        &[
            "the log has \"b/other_entropy_mean\", \"b/an_entropy\", \"c/entropy_max\", \"a/loss\"",
            "hint: try --metric b/other_entropy_mean",
        ],
    );
}

#[test]
fn inspect_lists_the_series_of_a_log() {
    let log = path_of("wandb/quirks_0.16.6/run-8ubectki.wandb");
    let text = stdout(&run(temp_dir().path(), &["inspect", &log]));
    for line in
        ["  format  wandb", "  step    _step", "  * policy/entropy        6           2  2 → 10"]
    {
        assert!(text.contains(line), "{text}");
    }
    let text = stdout(&run(temp_dir().path(), &["inspect", "--json", &log]));
    let document: Value = serde_json::from_str(&text).unwrap();
    let contents = &document["logs"][0];
    assert_eq!(contents["taken"][0]["metric"], "policy/entropy");
    assert_eq!(contents["taken"][0]["run"], "名前 <b>run</b> & \"q\"");
    let series = contents["series"].as_array().unwrap();
    let nested = series.iter().find(|s| s["metric"] == "policy.deep.x").unwrap();
    assert_eq!((&nested["rows"], &nested["last"]), (&1.into(), &2.0.into()));

    let none = "tensorboard/rzero_tensorboard_log/1795399397.4662635/events.out.tfevents.1795399397.vm.29142.1";
    let output = run(temp_dir().path(), &["inspect", &path_of(none)]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("  plotted nothing"));
}

#[test]
fn formats_lists_formats_and_known_keys() {
    let text = stdout(&run(temp_dir().path(), &["formats", "--json"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> =
        document["formats"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert!(names.contains(&&"wandb".into()) && names.contains(&&"tensorboard".into()));
    let keys = document["keys"].as_array().unwrap();
    assert!(
        keys.iter().any(|k| k["key"] == "objective/entropy" && k["quantity"] == "sequence_sum")
    );
    let text = stdout(&run(temp_dir().path(), &["formats"]));
    let line = text.lines().find(|line| line.trim_start().starts_with("policy/policy_entropy "));
    assert!(line.is_some_and(|line| line.contains(" token mean ")));
}

#[test]
fn converted_files_are_read_back_unchanged() {
    let models = path_of("models");
    let original = runs(&[&models]);
    for format in ["json", "jsonl", "csv", "parquet", "tensorboard", "wandb"] {
        let tmp = temp_dir();
        let arguments = ["convert", &models, "--to", format, "-o", "out"];
        let output = run(tmp.path(), &arguments);
        assert!(output.status.success(), "{format}: {}", stderr(&output));
        assert!(stderr(&output).ends_with("700 points of 7 runs converted\n"));
        let mut back = runs(&[tmp.path().join("out").to_str().unwrap()]);
        back.sort_by_key(|run| run["label"].as_str().unwrap().to_owned());
        assert_eq!(labels(&back), labels(&original), "{format}");
        for (back, original) in back.iter().zip(&original) {
            for key in ["points", "first_step", "last_step", "mean", "min", "max_step", "last"] {
                let (a, b) = (back[key].as_f64().unwrap(), original[key].as_f64().unwrap());
                // TensorBoard's scalars are 32-bit floats.
                let near = if format == "tensorboard" { 1e-7 * b.abs() } else { 0.0 };
                assert!((a - b).abs() <= near, "{format}: {key} is {a}, was {b}");
            }
        }
    }
}

#[test]
fn label_is_made_a_safe_file_name() {
    let tmp = temp_dir();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let (a, b) = (format!("../up={log}"), format!(".._up={log}"));
    let output = run(tmp.path(), &["convert", &a, &b, "--to", "jsonl", "-o", "out"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files(&tmp.path().join("out")), ["_.._up-2.jsonl", "_.._up.jsonl"]);
}

#[test]
fn impossible_conversion_is_rejected_before_writing() {
    let tmp = temp_dir();
    let log = path_of("awkward/fractional_steps.json");
    for format in ["tensorboard", "wandb"] {
        let output = run(tmp.path(), &["convert", &log, "--to", format, "-o", "out"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is not an integer"), "{}", stderr(&output));
        assert!(files(tmp.path()).is_empty());
    }
    let models = path_of("models");
    assert_rejected(
        &["convert", &models, "--to", "json", "-o", "x.json"],
        &["7 runs cannot be written to one json file"],
    );
    assert_rejected(
        &["convert", &log, "--to", "wandb", "-o", "-"],
        &["a directory cannot go to stdout"],
    );
}

#[test]
fn history_and_event_file_of_one_run_are_drawn_once() {
    let tmp = temp_dir();
    copy(
        "models/qwen3-tiny_questioner_s1/entropy_history_qwen3-tiny_questioner_s1.json",
        tmp.path(),
        "models/q/entropy_history_q.json",
    );
    let events = "tensorboard/rzero_tensorboard_log/events.out.tfevents.1795399397.vm.29142.0";
    copy(events, tmp.path(), "models/q/tensorboard_log/events.out.tfevents.1795399397.vm.29142.0");
    let output = run(tmp.path(), &["auto", "models"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).ends_with("1 run compared: 1 healthy\n"), "{}", stderr(&output));
    assert!(stderr(&output).contains("q: read from models/q/entropy_history_q.json; also recorded in models/q/tensorboard_log (120 points)"), "{}", stderr(&output));
}

#[test]
fn record_with_a_wrong_checksum_is_skipped_with_a_warning() {
    for (name, what) in
        [("bad_data_crc", "checksum of the data"), ("bad_length_crc", "checksum of the length")]
    {
        let log = path_of(&format!("tensorboard/{name}"));
        let output = run(temp_dir().path(), &["stats", "--json", &log]);
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
        assert!(stderr(&output).contains("record 31, byte 1567"), "{}", stderr(&output));
        // 60 steps were logged; step 30, in the damaged record, is missing.
        assert_eq!(runs(&[&log])[0]["points"], 59);
    }
}

#[test]
fn purged_steps_of_a_resumed_writer_are_left_out() {
    let log = &runs(&[&path_of("tensorboard/resumed_purge")])[0];
    // Steps 1 to 47 were logged, then purged from 41 and logged to 44; the mean of the valid points is NumPy's.
    assert_eq!((&log["points"], &log["last_step"]), (&44.into(), &44.into()));
    assert!((log["mean"].as_f64().unwrap() - 1.388_169_862_329_96).abs() < 1e-12);
}

#[test]
fn compressed_logs_are_read_as_far_as_they_are_intact() {
    let points = |name: &str| {
        let log = path_of(&format!("compressed/{name}"));
        let output = run(temp_dir().path(), &["stats", "--json", &log]);
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let warned = stderr(&output).contains("compression ends too early");
        (document["runs"][0]["points"].as_u64().unwrap(), warned)
    };
    for name in
        ["no_gz_in_its_name.jsonl", "two_members_inside_a_line.jsonl.gz", "two_frames.jsonl.zst"]
    {
        assert_eq!(points(name), (120, false), "{name}");
    }
    // The row count that zlib decompresses before the damage (expected/logs.json).
    for (name, rows) in [("cut.jsonl.gz", 53), ("cut_trailer.jsonl.gz", 120)] {
        assert_eq!(points(name), (rows, true), "{name}");
    }
    let log = path_of("compressed/bad_checksum.jsonl.gz");
    assert_rejected(&["stats", &log], &["its compressed data is damaged", "checksum"]);
}

#[test]
fn one_run_logged_in_three_files_is_drawn_once() {
    let tmp = temp_dir();
    for (kind, name) in [("csv", "progress.csv"), ("jsonl", "progress.json")] {
        copy(&format!("{kind}/sb3/a2c/{name}"), tmp.path(), &format!("a2c/{name}"));
    }
    let events = files(&fixture("tensorboard/sb3/a2c")).remove(0);
    copy(&format!("tensorboard/sb3/a2c/{events}"), tmp.path(), &format!("a2c/{events}"));
    let found = runs(&[tmp.path().to_str().unwrap()]);
    assert_eq!((labels(&found), &found[0]["sign"]), (vec!["a2c"], &"flipped".into()));
}

#[test]
fn check_fails_on_collapse_and_passes_healthy_runs() {
    let tmp = temp_dir();
    let check = |arguments: &[&str]| run(tmp.path(), &[&["check"], arguments].concat());
    let models = path_of("models");
    let output = check(&[&models, "--junit", "junit.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(
        said.contains("qwen3-tiny_questioner_collapse_s1: collapse: collapsed at step 68"),
        "{said}"
    );
    assert!(said.contains("qwen3-tiny_solver_resumed: collapse: collapsed at step 54"), "{said}");
    assert_eq!(said.lines().count(), 2);
    let junit = fs::read_to_string(tmp.path().join("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"14\" failures=\"2\""), "{junit}");
    for run in ["questioner_s1", "questioner_s2"] {
        let output = check(&[&path_of(&format!("models/qwen3-tiny_{run}"))]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    }
    let stats = run(tmp.path(), &["stats", "--json", &models]);
    fs::write(tmp.path().join("stats.json"), &stats.stdout).unwrap();
    let solver = path_of("models/qwen3-tiny_solver_s1");
    let now = format!("qwen3-tiny_questioner_s1={solver}");
    let output = check(&[&now, "--no-worse-than", "stats.json"]);
    assert!(
        stdout(&output).contains("no-worse-than: the mean is 1.6257 nats, was 2.5630"),
        "{}",
        stdout(&output)
    );
    let mut command = crate::common::program(tmp.path());
    let output = command.args(["check", &models]).env("GITHUB_ACTIONS", "true").output().unwrap();
    assert!(stdout(&output).contains("::error title=collapse%3A qwen3"));
}

#[test]
fn label_starting_with_hash_survives_csv() {
    let tmp = temp_dir();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let input = format!("#1 of 2={log}");
    let output = run(tmp.path(), &["convert", &input, "--to", "csv", "-o", "out.csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let back = runs(&[tmp.path().join("out.csv").to_str().unwrap()]);
    assert_eq!((labels(&back), &back[0]["points"]), (vec!["#1 of 2"], &120.into()));
}

#[test]
fn incomplete_last_csv_line_is_ignored() {
    let tmp = temp_dir();
    let log = write(tmp.path(), "a.csv", "step,entropy,run\n1,2.5,a\n2,2.25,a\n3,2.0");
    let output = run(tmp.path(), &["stats", "--json", log.to_str().unwrap()]);
    assert!(
        stderr(&output).contains("line 4: the last line ends before its last field"),
        "{}",
        stderr(&output)
    );
    assert_eq!(runs(&[log.to_str().unwrap()])[0]["points"], 2);
}

/// An output directory of Hugging Face's Trainer: the log, and files that are not logs.
fn trainer_output_directory() -> TempDir {
    let tmp = temp_dir();
    let state = "trainer_state/qwen3-tiny_questioner_s1/trainer_state.json";
    copy(state, tmp.path(), "out/trainer_state.json");
    let config = "{\"architectures\": [\"Qwen3ForCausalLM\"], \"hidden_size\": 64}\n";
    write(tmp.path(), "out/config.json", config);
    write(tmp.path(), "out/all_results.json", "{\"epoch\": 1.0, \"train_loss\": 0.01}\n");
    write(tmp.path(), "out/merges.txt", "#version: 0.2\nĠ t\nĠ a\n");
    write(tmp.path(), "out/loss.csv", "step,loss\n1,2.5\n2,2.25\n");
    tmp
}

#[test]
fn inspect_of_a_directory_ignores_other_files_like_stats() {
    let tmp = trainer_output_directory();
    for arguments in [&["inspect", "out"][..], &["stats", "out"]] {
        let output = run(tmp.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("skipped"), "{said}");
        assert!(said.contains("1 other file holds no entropy and was left out"), "{said}");
    }
    let text = stdout(&run(tmp.path(), &["inspect", "--json", "out"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["logs"].as_array().unwrap().len(), 1);
    assert_eq!(document["logs"][0]["source"], "out/trainer_state.json");

    // A broken log is skipped, with exit code 2.
    write(tmp.path(), "out/metrics.jsonl", "{\"step\": 1, \"a/entropy\": 1}\n{\"step\": null}\n");
    let output = run(tmp.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot read out/metrics.jsonl"));
    assert_eq!(run(tmp.path(), &["inspect", "--allow-partial", "out"]).status.code(), Some(0));
}

#[test]
fn inspect_of_a_directory_without_entropy_shows_other_series() {
    let tmp = trainer_output_directory();
    fs::remove_file(tmp.path().join("out/trainer_state.json")).unwrap();
    let output = run(tmp.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("    loss "), "{}", stdout(&output));
    fs::remove_file(tmp.path().join("out/loss.csv")).unwrap();
    let output = run(tmp.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output)
            .contains("the format of none of 3 files is recognised: out/all_results.json, "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn known_key_without_numbers_does_not_hide_another_and_one_with_few_is_noted() {
    let tmp = tempfile::tempdir().unwrap();
    let log = |name: &str, row: &dyn Fn(u32) -> String| {
        fs::write(tmp.path().join(name), (1..21).map(row).collect::<String>()).unwrap();
        let output = run(tmp.path(), &["stats", name, "--json"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        (document["runs"][0]["metric"].as_str().unwrap().to_owned(), stderr(&output))
    };
    let null = |step| format!("{{\"step\":{step},\"entropy\":1.{step},\"actor/entropy\":null}}\n");
    assert_eq!(log("null.jsonl", &null).0, "entropy");
    let few = |step| match step {
        7 => format!("{{\"step\":{step},\"actor/entropy\":1.{step},\"policy/entropy\":2.0}}\n"),
        _ => format!("{{\"step\":{step},\"actor/entropy\":1.{step}}}\n"),
    };
    let (metric, said) = log("few.jsonl", &few);
    assert_eq!(metric, "policy/entropy");
    let note = r#""policy/entropy" with 1 value and "actor/entropy" with 20; the first is taken"#;
    assert!(said.contains(note), "{said}");
}

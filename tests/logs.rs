//! Logs of many trainers as people have them: mixed in one directory, in segments, in rounds, packed;
//! what is in them, and what becomes of them in other formats.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{files, fixture, run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

const RESUMED: [&str; 2] =
    ["verl/qwen3-tiny_solver_resumed.jsonl", "verl/qwen3-tiny_solver_resumed_resumed.jsonl"];

fn desk() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// The runs of `stats --json`.
fn runs(arguments: &[&str]) -> Vec<Value> {
    let output = run(desk().path(), &[&["stats", "--json"], arguments].concat());
    let document: Value = serde_json::from_str(&stdout(&output))
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", stderr(&output)));
    document["runs"].as_array().unwrap().clone()
}

fn labels(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["label"].as_str().unwrap()).collect()
}

fn fails(arguments: &[&str], words: &[&str]) {
    let output = run(desk().path(), arguments);
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

/// A directory that holds a run of each kind, and files that are no logs.
fn mixed() -> TempDir {
    let desk = desk();
    let place = desk.path();
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
    desk
}

#[test]
fn a_directory_of_all_formats_is_one_chart_with_the_right_labels() {
    let desk = mixed();
    let wanted = [
        "qwen3-tiny_questioner_s1", // of export.csv, with the next
        "qwen3-tiny_questioner_s2",
        "board",
        "easy",
        "verl_run",
        "prime",
        "rzero",
        "trl",
        "qwen3-tiny_solver_s1", // as the W&B run calls itself
    ];
    let place = desk.path().to_str().unwrap();
    assert_eq!(labels(&runs(&[place])), wanted);
    let output = run(desk.path(), &["auto", place, "-o", "all.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("9 runs compared"), "{said}");
    assert!(said.contains("1 other file holds no entropy and was left out"), "{said}");
    let svg = fs::read_to_string(desk.path().join("all.svg")).unwrap();
    assert!(svg.contains("\nverl_run\n") && svg.contains("\nboard\n"), "{svg}");
    let one = runs(&[desk.path().join("board").to_str().unwrap()]);
    assert_eq!((&one[0]["points"], &one[0]["repairs"]["relogged"]), (&100.into(), &7.into()));
}

#[test]
fn a_directory_with_other_files_in_it_has_one_label() {
    let desk = mixed();
    let (trl, board) = (desk.path().join("trl"), desk.path().join("board"));
    write(&board, "latest_global_step.txt", "40");
    let (trl, board) = (trl.to_str().unwrap(), board.to_str().unwrap());
    assert_eq!(labels(&runs(&[&format!("T={trl}"), board])), ["T", "board"]);
    assert_eq!(labels(&runs(&[trl, board, "--labels", "A", "B"])), ["A", "B"]);
    fails(&["stats", trl, board, "--labels", "A"], &["1 label for 2 curves", "1. ", "2. "]);
    fails(&["stats", trl, board, "--labels", "A", "B", "C"], &["3 labels for 2 curves"]);
    let all = desk.path().to_str().unwrap();
    fails(&["stats", &format!("T={all}")], &["two runs are called \"T"]);
}

#[test]
fn segments_of_a_resumed_run_are_one_history() {
    let segments = format!("{}+{}", path_of(RESUMED[0]), path_of(RESUMED[1]));
    let joined = &runs(&[&format!("solver={segments}")])[0];
    assert_eq!((&joined["label"], &joined["points"]), (&"solver".into(), &100.into()));
    assert_eq!(joined["repairs"]["relogged"], 7);
    // NumPy's mean of the run that was recorded whole (expected/logs.json).
    let mean = joined["mean"].as_f64().unwrap();
    assert!((mean - 0.707_718_476_131_558_5).abs() < 1e-12);

    let desk = desk();
    for file in RESUMED {
        copy(file, desk.path(), file);
    }
    let found = runs(&[desk.path().join("verl").to_str().unwrap()]);
    assert_eq!(labels(&found), ["qwen3-tiny_solver_resumed"]);
    assert_eq!(found[0]["points"], 100);
    // The other way round the earlier rows would win: that is said.
    let turned = format!("{}+{}", path_of(RESUMED[1]), path_of(RESUMED[0]));
    let output = run(desk.path(), &["stats", "--json", &turned]);
    assert!(stderr(&output).contains("starts before the segment that it follows"));
}

#[test]
fn rounds_are_laid_end_to_end() {
    let desk = desk();
    for round in ["v1", "v2", "v10"] {
        for (name, seed) in [("questioner", "questioner_s1"), ("solver", "solver_s2")] {
            let source = format!("models/qwen3-tiny_{seed}/entropy_history_qwen3-tiny_{seed}.json");
            copy(
                &source,
                desk.path(),
                &format!("{name}_{round}/entropy_history_{name}_{round}.json"),
            );
        }
    }
    let place = desk.path().to_str().unwrap();
    let chains = runs(&[place, "--chain", "(.*)_v([0-9]+)"]);
    assert_eq!(labels(&chains), ["questioner", "solver"]);
    assert_eq!((&chains[0]["points"], &chains[0]["last_step"]), (&360.into(), &360.into()));
    assert_eq!(chains[0]["joints"][0]["step"], 121.0);
    assert_eq!(chains[0]["joints"][1]["round"], "10");
    let arguments = ["plot", place, "--chain", "(.*)_v([0-9]+)", "-o", "chain.svg"];
    let output = run(desk.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(desk.path().join("chain.svg")).unwrap().contains("round 10"));
    fails(&["stats", place, "--chain", "(a)_v([0-9]+)"], &["matches none of the runs"]);
    fails(&["stats", place, "--chain", "_v([0-9]+)"], &["it has 1 capture groups, not two"]);
    fails(&["stats", place, "--chain", "(questioner|solver)()"], &["are both round \"\""]);
}

#[test]
fn a_metric_may_be_a_glob_or_several() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    let both = runs(&[&log, "--metric", "*/entropy*"]);
    let wanted =
        ["qwen3-tiny_solver_s1 · policy/entropy", "qwen3-tiny_solver_s1 · actor/entropy_loss"];
    assert_eq!(labels(&both), wanted);
    assert_eq!(both[1]["quantity"], "log_prob_surrogate");
    let two = runs(&[&log, "--metric", "critic/rewards/mean", "--metric", "actor.entropy_loss"]);
    assert_eq!(two.len(), 2);
    let named = runs(&[&log, "--labels", "exact", "surrogate", "--metric", "*/entropy*"]);
    assert_eq!(labels(&named), ["exact", "surrogate"]);
    fails(&["stats", &log, "--metric", "[x"], &["is not a glob pattern"]);
}

#[test]
fn quantities_are_told_apart() {
    let log = path_of("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl");
    let output = run(desk().path(), &["stats", "--json", &log]);
    let said = stderr(&output);
    assert!(said.contains("\"policy/entropy\" (token mean)"), "{said}");
    assert!(said.contains("\"actor/entropy_loss\" (log-prob surrogate)"), "{said}");

    let surrogate = format!("surrogate={log}");
    let verl = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let arguments = ["plot", &surrogate, &verl, "--metric", "actor/*entropy*", "-o", "a.svg"];
    let place = desk();
    let output = run(place.path(), &arguments);
    assert!(
        stderr(&output).contains("different quantities (log_prob_surrogate and token_mean)"),
        "{}",
        stderr(&output)
    );
    let svg = fs::read_to_string(place.path().join("a.svg")).unwrap();
    assert!(svg.contains("mean −log π of the sampled tokens"));
}

#[test]
fn stable_baselines_sign_is_turned_and_said() {
    let desk = desk();
    let rows =
        "time/total_timesteps,train/entropy_loss\n2048,-0.6864\n4096,-0.6661\n6144,\n8192,-0.6\n";
    let log = write(desk.path(), "ppo/progress.csv", rows);
    let output = run(desk.path(), &["stats", "--json", log.to_str().unwrap()]);
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
        stderr(&output).contains("holds −H, as Stable-Baselines3 logs it; the sign was turned")
    );
}

#[test]
fn impossible_values_are_told() {
    let desk = desk();
    let rows = |value: &str| {
        format!(r#"[{{"step": 1, "entropy": {value}}}, {{"step": 2, "entropy": 1}}]"#)
    };
    let log = write(desk.path(), "a.json", &rows("13.5"));
    let said = |extra: &[&str]| {
        let arguments = [&["stats", "--json", log.to_str().unwrap()], extra].concat();
        stderr(&run(desk.path(), &arguments))
    };
    assert!(said(&[]).contains("1 value is above 12.48, the logarithm of a vocabulary of 262144"));
    assert!(said(&["--vocabulary", "2"]).contains("2 values are above 0.69"));
    assert_eq!(said(&["--vocabulary", "1000000"]), "");
}

#[test]
fn a_log_without_an_entropy_lists_what_is_nearest() {
    let log = "tensorboard/rzero_tensorboard_log/1795399397.4662635/events.out.tfevents.1795399397.vm.29142.1";
    fails(&["stats", &path_of(log)], &["the log has \"placeholder\"", "hint: --metric KEY"]);
    let desk = desk();
    let rows = r#"{"step": 1, "a/loss": 1, "b/policy_entropy_mean": 2, "z/x": 3}"#;
    let log = write(desk.path(), "m.jsonl", &format!("{rows}\n{rows}\n"));
    fails(
        &["stats", log.to_str().unwrap()],
        &[
            "the log has \"b/policy_entropy_mean\", \"a/loss\"",
            "hint: try --metric b/policy_entropy_mean",
        ],
    );
}

#[test]
fn inspect_shows_what_is_in_a_log() {
    let log = path_of("wandb/quirks_0.16.6/run-8ubectki.wandb");
    let text = stdout(&run(desk().path(), &["inspect", &log]));
    for line in
        ["  format  wandb", "  step    _step", "  * policy/entropy        6           2  2 → 10"]
    {
        assert!(text.contains(line), "{text}");
    }
    let text = stdout(&run(desk().path(), &["inspect", "--json", &log]));
    let document: Value = serde_json::from_str(&text).unwrap();
    let contents = &document["logs"][0];
    assert_eq!(contents["taken"][0]["metric"], "policy/entropy");
    assert_eq!(contents["taken"][0]["run"], "名前 <b>run</b> & \"q\"");
    let series = contents["series"].as_array().unwrap();
    let nested = series.iter().find(|s| s["metric"] == "policy.deep.x").unwrap();
    assert_eq!((&nested["rows"], &nested["last"]), (&1.into(), &2.0.into()));

    let none = "tensorboard/rzero_tensorboard_log/1795399397.4662635/events.out.tfevents.1795399397.vm.29142.1";
    let output = run(desk().path(), &["inspect", &path_of(none)]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("  plotted nothing"));
}

#[test]
fn formats_lists_formats_and_keys() {
    let text = stdout(&run(desk().path(), &["formats", "--json"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> =
        document["formats"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert!(names.contains(&&"wandb".into()) && names.contains(&&"tensorboard".into()));
    let keys = document["keys"].as_array().unwrap();
    assert!(
        keys.iter().any(|k| k["key"] == "objective/entropy" && k["quantity"] == "sequence_sum")
    );
    assert!(
        stdout(&run(desk().path(), &["formats"])).contains("policy/policy_entropy   token mean")
    );
}

#[test]
fn what_is_converted_is_read_back_as_it_was() {
    let models = path_of("models");
    let original = runs(&[&models]);
    for format in ["json", "jsonl", "csv", "parquet", "tensorboard", "wandb"] {
        let desk = desk();
        let arguments = ["convert", &models, "--to", format, "-o", "out"];
        let output = run(desk.path(), &arguments);
        assert!(output.status.success(), "{format}: {}", stderr(&output));
        assert!(stderr(&output).ends_with("700 points of 7 runs converted\n"));
        let mut back = runs(&[desk.path().join("out").to_str().unwrap()]);
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
fn a_label_makes_a_harmless_file_name() {
    let desk = desk();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let (a, b) = (format!("../up={log}"), format!(".._up={log}"));
    let output = run(desk.path(), &["convert", &a, &b, "--to", "jsonl", "-o", "out"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files(&desk.path().join("out")), ["_.._up-2.jsonl", "_.._up.jsonl"]);
}

#[test]
fn what_cannot_be_converted_is_refused_before_anything_is_written() {
    let desk = desk();
    let log = path_of("awkward/fractional_steps.json");
    for format in ["tensorboard", "wandb"] {
        let output = run(desk.path(), &["convert", &log, "--to", format, "-o", "out"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is no integer"), "{}", stderr(&output));
        assert!(files(desk.path()).is_empty());
    }
    let models = path_of("models");
    fails(
        &["convert", &models, "--to", "json", "-o", "x.json"],
        &["7 runs cannot be written to one json file"],
    );
    fails(&["convert", &log, "--to", "wandb", "-o", "-"], &["a directory cannot go to stdout"]);
}

#[test]
fn a_history_of_its_directory_is_not_drawn_twice() {
    let desk = desk();
    copy(
        "models/qwen3-tiny_questioner_s1/entropy_history_qwen3-tiny_questioner_s1.json",
        desk.path(),
        "models/q/entropy_history_q.json",
    );
    let events = "tensorboard/rzero_tensorboard_log/events.out.tfevents.1795399397.vm.29142.0";
    copy(events, desk.path(), "models/q/tensorboard_log/events.out.tfevents.1795399397.vm.29142.0");
    let output = run(desk.path(), &["auto", "models"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).ends_with("1 run compared\n"), "{}", stderr(&output));
    assert!(stderr(&output).contains("holds the points of"), "{}", stderr(&output));
}

#[test]
fn a_record_with_a_wrong_checksum_is_passed_over_and_told() {
    for (name, what) in
        [("bad_data_crc", "checksum of the data"), ("bad_length_crc", "checksum of the length")]
    {
        let log = path_of(&format!("tensorboard/{name}"));
        let output = run(desk().path(), &["stats", "--json", &log]);
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
        assert!(stderr(&output).contains("record 31, byte 1567"), "{}", stderr(&output));
        // 60 steps were logged; that of the damaged record, 30, is the one that is missing.
        assert_eq!(runs(&[&log])[0]["points"], 59);
    }
}

#[test]
fn what_a_resumed_writer_declares_void_is_left_out() {
    let log = &runs(&[&path_of("tensorboard/resumed_purge")])[0];
    // Steps 1 to 47, then taken back to 41 and logged to 44; numpy's mean of those that count.
    assert_eq!((&log["points"], &log["last_step"]), (&44.into(), &44.into()));
    assert!((log["mean"].as_f64().unwrap() - 1.388_169_862_329_96).abs() < 1e-12);
}

#[test]
fn packed_logs_are_read_by_any_name_and_damaged_ones_as_far_as_they_go() {
    let points = |name: &str| {
        let log = path_of(&format!("compressed/{name}"));
        let output = run(desk().path(), &["stats", "--json", &log]);
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let warned = stderr(&output).contains("compression ends too early");
        (document["runs"][0]["points"].as_u64().unwrap(), warned)
    };
    for name in
        ["no_gz_in_its_name.jsonl", "two_members_inside_a_line.jsonl.gz", "two_frames.jsonl.zst"]
    {
        assert_eq!(points(name), (120, false), "{name}");
    }
    // What zlib gives before the end (expected/logs.json).
    for (name, rows) in
        [("cut.jsonl.gz", 53), ("cut_trailer.jsonl.gz", 120), ("bad_checksum.jsonl.gz", 120)]
    {
        assert_eq!(points(name), (rows, true), "{name}");
    }
}

#[test]
fn one_run_logged_in_three_files_is_drawn_once() {
    let desk = desk();
    for (kind, name) in [("csv", "progress.csv"), ("jsonl", "progress.json")] {
        copy(&format!("{kind}/sb3/a2c/{name}"), desk.path(), &format!("a2c/{name}"));
    }
    let events = files(&fixture("tensorboard/sb3/a2c")).remove(0);
    copy(&format!("tensorboard/sb3/a2c/{events}"), desk.path(), &format!("a2c/{events}"));
    let found = runs(&[desk.path().to_str().unwrap()]);
    assert_eq!((labels(&found), &found[0]["sign"]), (vec!["a2c"], &"flipped".into()));
}

#[test]
fn check_fails_on_collapse_and_passes_without() {
    let desk = desk();
    let check = |arguments: &[&str]| run(desk.path(), &[&["check"], arguments].concat());
    let models = path_of("models");
    let output = check(&[&models, "--junit", "junit.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(said.contains("qwen3-tiny_questioner_collapse_s1: collapse [step 62]"), "{said}");
    assert!(said.contains("qwen3-tiny_solver_resumed: collapse [step 48]"), "{said}");
    assert_eq!(said.lines().count(), 2);
    let junit = fs::read_to_string(desk.path().join("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"14\" failures=\"2\""), "{junit}");
    for run in ["questioner_s1", "questioner_s2"] {
        let output = check(&[&path_of(&format!("models/qwen3-tiny_{run}"))]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    }
    let stats = run(desk.path(), &["stats", "--json", &models]);
    fs::write(desk.path().join("stats.json"), &stats.stdout).unwrap();
    let solver = path_of("models/qwen3-tiny_solver_s1");
    let now = format!("qwen3-tiny_questioner_s1={solver}");
    let output = check(&[&now, "--no-worse-than", "stats.json"]);
    assert!(
        stdout(&output).contains("no-worse-than: the mean is 1.6257 nats, was 2.5630"),
        "{}",
        stdout(&output)
    );
    let mut command = crate::common::program(desk.path());
    let output = command.args(["check", &models]).env("GITHUB_ACTIONS", "true").output().unwrap();
    assert!(stdout(&output).contains("::error title=collapse%3A qwen3"));
}

#[test]
fn a_label_that_looks_like_a_comment_survives_csv() {
    let desk = desk();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let input = format!("#1 of 2={log}");
    let output = run(desk.path(), &["convert", &input, "--to", "csv", "-o", "out.csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let back = runs(&[desk.path().join("out.csv").to_str().unwrap()]);
    assert_eq!((labels(&back), &back[0]["points"]), (vec!["#1 of 2"], &120.into()));
}

#[test]
fn a_csv_line_that_ends_before_its_last_field_is_not_taken() {
    let desk = desk();
    let log = write(desk.path(), "a.csv", "step,entropy,run\n1,2.5,a\n2,2.25,a\n3,2.0");
    let output = run(desk.path(), &["stats", "--json", log.to_str().unwrap()]);
    assert!(
        stderr(&output).contains("line 4: the last line ends before its last field"),
        "{}",
        stderr(&output)
    );
    assert_eq!(runs(&[log.to_str().unwrap()])[0]["points"], 2);
}

/// An output directory of Hugging Face's Trainer, with what stands in it beside the log.
fn output_directory() -> TempDir {
    let desk = desk();
    let state = "trainer_state/qwen3-tiny_questioner_s1/trainer_state.json";
    copy(state, desk.path(), "out/trainer_state.json");
    let config = "{\"architectures\": [\"Qwen3ForCausalLM\"], \"hidden_size\": 64}\n";
    write(desk.path(), "out/config.json", config);
    write(desk.path(), "out/all_results.json", "{\"epoch\": 1.0, \"train_loss\": 0.01}\n");
    write(desk.path(), "out/merges.txt", "#version: 0.2\nĠ t\nĠ a\n");
    write(desk.path(), "out/loss.csv", "step,loss\n1,2.5\n2,2.25\n");
    desk
}

#[test]
fn inspect_of_a_directory_shows_its_logs_and_leaves_out_other_files_as_stats_does() {
    let desk = output_directory();
    for arguments in [&["inspect", "out"][..], &["stats", "out"]] {
        let output = run(desk.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("skipped"), "{said}");
        assert!(said.contains("1 other file holds no entropy and was left out"), "{said}");
    }
    let text = stdout(&run(desk.path(), &["inspect", "--json", "out"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["logs"].as_array().unwrap().len(), 1);
    assert_eq!(document["logs"][0]["source"], "out/trainer_state.json");

    // A log that is broken is skipped, and told by the exit code.
    write(desk.path(), "out/metrics.jsonl", "{\"step\": 1, \"a/entropy\": 1}\n{\"step\": 2; }\n");
    let output = run(desk.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot read out/metrics.jsonl"));
    assert_eq!(run(desk.path(), &["inspect", "--allow-partial", "out"]).status.code(), Some(0));
}

#[test]
fn inspect_of_a_directory_without_an_entropy_shows_what_is_there_instead() {
    let desk = output_directory();
    fs::remove_file(desk.path().join("out/trainer_state.json")).unwrap();
    let output = run(desk.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("    loss "), "{}", stdout(&output));
    fs::remove_file(desk.path().join("out/loss.csv")).unwrap();
    let output = run(desk.path(), &["inspect", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("none of the 3 files found is recognised as a log"),
        "{}",
        stderr(&output)
    );
}

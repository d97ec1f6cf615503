//! Labels, columns and groups from the configurations that trainers write.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{fixture, run, stderr, stdout};
use serde_json::Value;

/// Writes a run of ten steps into a directory of its own, with files of its configuration.
fn write_run(directory: &Path, name: &str, entropy: f64, files: &[(&str, &str)]) {
    let directory = directory.join(name);
    fs::create_dir_all(&directory).unwrap();
    let rows = (1..=10).map(|step| {
        let entropy = entropy + 0.1 * f64::from(step % 3);
        format!("{{\"step\": {step}, \"entropy\": {entropy}}}\n")
    });
    fs::write(directory.join("metrics.jsonl"), rows.collect::<String>()).unwrap();
    for (file, text) in files {
        let path = directory.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Four runs: two learning rates, the second with two seeds, and one run without a configuration.
fn four_runs(directory: &Path) {
    write_run(directory, "a", 2.0, &[("config.yaml", "optim:\n  lr: 1e-06\nseed: 1\n")]);
    write_run(directory, "b", 1.0, &[("args.json", r#"{"optim": {"lr": 1e-05}, "seed": 1}"#)]);
    write_run(directory, "c", 1.1, &[(".hydra/config.yaml", "optim: {lr: 0.00001}\nseed: 2\n")]);
    write_run(directory, "d", 3.0, &[]);
}

fn json(directory: &Path, arguments: &[&str]) -> (Value, String) {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (serde_json::from_str(&stdout(&output)).unwrap(), stderr(&output))
}

fn assert_rejected(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{}", stdout(output));
    for words in words {
        assert!(stderr(output).contains(words), "{words:?} is not in {}", stderr(output));
    }
}

#[test]
fn columns_are_in_json_csv_and_the_table() {
    let tmp = tempfile::tempdir().unwrap();
    four_runs(tmp.path());
    let (document, warnings) = json(tmp.path(), &[".", "--columns", "lr,seed"]);
    let config = |i: usize| document["runs"][i]["config"].to_string();
    assert_eq!(config(0), r#"{"lr":1e-6,"seed":1}"#);
    assert_eq!(config(2), r#"{"lr":0.00001,"seed":2}"#);
    assert_eq!(config(3), r#"{"lr":null,"seed":null}"#);
    assert!(warnings.contains("--columns has no value for 1 run: \"d\""), "{warnings}");

    let csv = stdout(&run(tmp.path(), &["stats", ".", "--csv", "--columns", "lr,config.optim.lr"]));
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].ends_with(",config.lr,config.optim.lr"), "{csv}");
    assert!(lines[1].ends_with(",1e-06,1e-06") && lines[4].ends_with(",,"), "{csv}");

    let table = stdout(&run(tmp.path(), &["stats", ".", "--no-plot", "--columns", "lr,seed"]));
    let cells = |i: usize| table.lines().nth(i).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(cells(0)[..5], ["state", "run", "lr", "seed", "last"], "{table}");
    assert_eq!(cells(2)[2..4], ["1e-05", "1"], "{table}");
    assert_eq!(cells(4)[2..4], ["–", "–"], "{table}");
    // Without the flag nothing is read, and the document has no new key.
    let (document, warnings) = json(tmp.path(), &["."]);
    assert!(document["runs"][0].get("config").is_none() && warnings.is_empty(), "{warnings}");
}

#[test]
fn runs_are_grouped_by_equal_values() {
    let tmp = tempfile::tempdir().unwrap();
    four_runs(tmp.path());
    write_run(tmp.path(), "A", 2.0, &[("config.yaml", "optim: {lr: 1e-04}\nseed: 3\n")]);
    let (document, warnings) = json(tmp.path(), &[".", "--group-by", "config.lr"]);
    let groups = document["groups"].as_array().unwrap();
    let named = |i: usize| (groups[i]["name"].to_string(), groups[i]["runs"].to_string());
    assert_eq!(named(0), (r#""lr=1e-06""#.to_owned(), r#"["a"]"#.to_owned()));
    assert_eq!(named(1), (r#""lr=1e-05""#.to_owned(), r#"["b","c"]"#.to_owned()));
    assert_eq!(groups[2]["name"], "lr=1e-04", "by their values, not by their runs");
    let words = "1 run is in no group: --group-by config.lr has no value for \"d\"";
    assert!(warnings.contains(words), "{warnings}");

    let (document, _) = json(tmp.path(), &[".", "--group-by", "lr,seed"]);
    assert_eq!(document["groups"][2]["name"], "lr=0.00001, seed=2");
    let arguments = ["plot", ".", "--group-by", "config.lr", "--band", "minmax", "-o", "x.svg"];
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("x.svg")).unwrap();
    assert!(svg.contains("lr=1e-05, n = 2"), "the legend names the group");
    let output = run(tmp.path(), &["report", ".", "--group-by", "config.lr", "-o", "x.html"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read_to_string(tmp.path().join("x.html")).unwrap().contains("lr=1e-05"));
}

#[test]
fn lists_in_any_spelling_are_one_group_and_null_is_not_a_missing_key() {
    let tmp = tempfile::tempdir().unwrap();
    let yaml = |text: &str| text.to_owned();
    for (name, file, text) in [
        ("a", "config.yaml", yaml("betas: [0.9, 0.99]\n")),
        ("b", "args.json", yaml(r#"{"betas": "[0.9,0.990]"}"#)),
        ("c", "args.json", yaml(r#"{"betas": null}"#)),
        ("d", "config.yaml", yaml("betas:\n")),
        ("e", "config.yaml", yaml("seed: 1\n")),
    ] {
        write_run(tmp.path(), name, 2.0, &[(file, &text)]);
    }
    let (document, warnings) = json(tmp.path(), &[".", "--group-by", "config.betas"]);
    let groups: Vec<(String, usize)> = document["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (group["name"].as_str().unwrap().to_owned(), group["runs"].as_array().unwrap().len())
        })
        .collect();
    let expected = [("betas=[0.9, 0.99]".to_owned(), 2), ("betas=null".to_owned(), 2)];
    assert_eq!(groups, expected, "{document}");
    assert!(warnings.contains("1 run is in no group"), "{warnings}");
    assert!(warnings.contains("has no value for \"e\""), "{warnings}");
}

#[test]
fn key_in_two_spellings_is_a_warning_if_the_values_differ() {
    let tmp = tempfile::tempdir().unwrap();
    write_run(
        tmp.path(),
        "a",
        2.0,
        &[("args.json", r#"{"optim.lr": 1e-5, "optim": {"lr": 1e-6}}"#)],
    );
    write_run(
        tmp.path(),
        "b",
        2.0,
        &[("args.json", r#"{"optim/lr": 1e-6, "optim": {"lr": 0.000001}}"#)],
    );
    let (_, warnings) = json(tmp.path(), &["a", "b", "--columns", "optim.lr"]);
    let warning =
        "\"optim.lr\" = 1e-5 and \"optim.lr\" = 1e-6, which is one key; the later value counts";
    assert!(warnings.contains(warning) && warnings.contains("a/args.json: its"), "{warnings}");
    assert!(!warnings.contains("b/args.json"), "equal values: {warnings}");
}

#[test]
fn inspect_says_that_a_run_has_no_configuration() {
    let tmp = tempfile::tempdir().unwrap();
    write_run(tmp.path(), "a", 2.0, &[]);
    let inspect = |more: &[&str]| stdout(&run(tmp.path(), &[&["inspect", "a"], more].concat()));
    assert!(inspect(&["--config"]).contains("config  none: neither the log nor the directory"));
    assert!(!inspect(&[]).contains("config"), "only where it is asked for");
    let document: Value = serde_json::from_str(&inspect(&["--config", "--json"])).unwrap();
    assert_eq!(document["logs"][0]["configs"][0]["keys"], 0);
}

#[test]
fn printed_configuration_that_cannot_be_read_is_a_warning() {
    let tmp = tempfile::tempdir().unwrap();
    let rows: String =
        (1..5).map(|step| format!("step:{step} - actor/entropy:1.{step}\n")).collect();
    let config = "{'trainer': {'seed': 1},\n 'algorithm', 'x' y}\n";
    fs::write(tmp.path().join("slurm-1.out"), [config, &rows].concat()).unwrap();
    let output = run(tmp.path(), &["inspect", "slurm-1.out", "--config"]);
    let words = "slurm-1.out: the configuration that it prints at line 1: it is neither";
    assert!(stdout(&output).contains(words), "{}", stdout(&output));
    let output = run(tmp.path(), &["stats", "slurm-1.out", "--columns", "seed"]);
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
    let output = run(tmp.path(), &["stats", "slurm-1.out"]);
    assert!(!stderr(&output).contains("configuration"), "it is not asked for");
}

#[test]
fn labels_are_made_from_keys() {
    let tmp = tempfile::tempdir().unwrap();
    four_runs(tmp.path());
    fs::remove_dir_all(tmp.path().join("d")).unwrap();
    let labels = |arguments: &[&str]| {
        let (document, _) = json(tmp.path(), arguments);
        let runs = document["runs"].as_array().unwrap();
        runs.iter().map(|run| run["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = ["lr=1e-06, seed=1", "lr=1e-05, seed=1", "lr=0.00001, seed=2"];
    assert_eq!(labels(&[".", "--label-from", "config.lr,config.seed"]), expected);
    // A label that is given is kept.
    let given = ["best=a", "b", "--label-from", "config.optim.lr"];
    assert_eq!(labels(&given), ["best", "lr=1e-05"]);

    let same = run(tmp.path(), &["stats", ".", "--label-from", "config.seed"]);
    let words = ["--label-from config.seed makes the label \"seed=1\" of both", "hint: add a key"];
    assert_rejected(&same, &words);
    four_runs(tmp.path());
    let without = run(tmp.path(), &["stats", ".", "--label-from", "config.lr,config.seed"]);
    assert_rejected(&without, &["--label-from config.lr,config.seed cannot name ", "LABEL=INPUT"]);
}

#[test]
fn unknown_and_ambiguous_keys_name_the_nearest() {
    let tmp = tempfile::tempdir().unwrap();
    let config = "learning_rate: 1e-06\nactor:\n  seed: 1\ncritic:\n  seed: 2\n";
    write_run(tmp.path(), "a", 2.0, &[("config.yaml", config)]);
    let stats = |flag: &str, key: &str| run(tmp.path(), &["stats", "a", "--no-plot", flag, key]);
    let words = ["no run has the configuration key \"lr\"", "hint: did you mean learning_rate?"];
    for flag in ["--columns", "--group-by", "--label-from"] {
        assert_rejected(&stats(flag, "config.lr"), &words);
    }
    let words = ["key \"seed\" may be actor.seed, critic.seed", "as in actor.seed"];
    assert_rejected(&stats("--columns", "seed"), &words);
    assert_rejected(&stats("--columns", "lr,,seed"), &["a key is empty"]);
    let both = run(tmp.path(), &["stats", "a", "--group", "a", "--group-by", "config.lr"]);
    assert_rejected(&both, &["cannot be used with"]);
    write_run(tmp.path(), "b", 2.0, &[]);
    let none = run(tmp.path(), &["stats", "b", "--no-plot", "--columns", "lr"]);
    assert_rejected(&none, &["no run has a configuration", "hint: a configuration is read from"]);
}

#[test]
fn logs_of_trackers_hold_their_configurations() {
    // The keys and values in the files, by W&B's protobuf classes, Python's sqlite3 and json, and for TensorBoard by hand.
    let logs = [
        ("wandb/rzero_0.31.0", "kl_coef", "0.01"),
        ("wandb/rzero_0.16.6", "worker.rollout.top_p", "0.99"),
        ("wandb/quirks_0.31.0/run-lk5rog2v.wandb", "nested.a", "\"[1, 2]\""),
        ("wandb/trl_qwen3-tiny_solver_resumed", "max_steps", "100"),
        ("tensorboard/rzero_tensorboard_log", "worker.actor.optim.lr", "0.0001"),
        ("tensorboard/qwen3-tiny_questioner_s1", "per_device_train_batch_size", "64"),
        ("trackio/0.43.0/entropy.db", "lr", "0.0001"),
        ("trackio/0.5.0/entropy.db", "lr", "0.0001"),
        ("cases/mlflow/store/mlflow.db", "learning_rate", "1e-6"),
        ("cases/mlflow/files", "learning_rate", "1e-6"),
        ("easyr1", "experiment_name", "\"qwen3-tiny_solver_s1\""),
        ("easyr1-console", "kl_coef", "0.01"),
        ("verl-console/verl_ray.out", "entropy_coeff", "0"),
        ("cases/one-run/wandb-online", "learning_rate", "1e-6"),
        ("run-config/swanlab-0.10.3", "optim.lr", "1e-6"),
        ("run-config/swanlab-0.10.3", "kl_coef", "0.001"),
    ];
    let tmp = tempfile::tempdir().unwrap();
    for (log, key, expected) in logs {
        let path = fixture(log);
        let (document, _) = json(tmp.path(), &[path.to_str().unwrap(), "--columns", key]);
        for run in document["runs"].as_array().unwrap() {
            assert_eq!(run["config"][key].to_string(), expected, "{log} {run}");
        }
    }
}

#[test]
fn copy_of_a_run_gives_what_the_used_log_lacks() {
    let tmp = tempfile::tempdir().unwrap();
    let row = |step: u32| format!("{{\"step\": {step}, \"entropy\": {}}}\n", 2.0 / f64::from(step));
    let rows = |steps: u32| (1..=steps).map(row).collect::<String>();
    fs::create_dir_all(tmp.path().join("run/copy")).unwrap();
    fs::write(tmp.path().join("run/metrics.jsonl"), rows(60)).unwrap();
    fs::write(tmp.path().join("run/copy/metrics.jsonl"), rows(40)).unwrap();
    fs::write(tmp.path().join("run/copy/config.yaml"), "seed: 7\n").unwrap();
    let (document, _) = json(tmp.path(), &["run", "--columns", "seed"]);
    assert_eq!(document["runs"].as_array().unwrap().len(), 1);
    assert_eq!(document["runs"][0]["points"], 60);
    assert_eq!(document["runs"][0]["config"]["seed"], 7);
}

#[test]
fn file_that_cannot_be_read_is_a_warning_with_its_place() {
    let tmp = tempfile::tempdir().unwrap();
    four_runs(tmp.path());
    fs::write(tmp.path().join("d/config.yaml"), "optim:\n\tlr: 1e-06\n").unwrap();
    let (document, warnings) = json(tmp.path(), &[".", "--columns", "lr"]);
    assert_eq!(document["runs"].as_array().unwrap().len(), 4);
    assert!(warnings.contains("cannot read the configuration in "), "{warnings}");
    assert!(warnings.contains("d/config.yaml: line 2, column 2: tabs"), "{warnings}");
}

#[test]
fn inspect_lists_keys_and_hides_passwords() {
    let tmp = tempfile::tempdir().unwrap();
    let config = "lr: 1e-06\nhub_token: hf_abc\npad_token: <pad>\nwandb: {api_key: '123'}\n";
    write_run(tmp.path(), "a", 2.0, &[("config.yaml", config)]);
    let text = stdout(&run(tmp.path(), &["inspect", "a"]));
    assert!(
        text.contains("  config  4 keys from ") && text.contains("--config lists them"),
        "{text}"
    );
    let text = stdout(&run(tmp.path(), &["inspect", "a", "--config"]));
    assert!(
        text.contains("\n    lr: 1e-06\n    hub_token: (hidden)\n    pad_token: <pad>\n"),
        "{text}"
    );
    assert!(!text.contains("hf_abc") && !text.contains("123"), "{text}");
    let trackio = fixture("trackio/0.43.0/entropy.db");
    let text = stdout(&run(tmp.path(), &["inspect", trackio.to_str().unwrap()]));
    assert!(text.contains("  config  of 5 runs; --config lists them\n"), "{text}");
    let text = stdout(&run(tmp.path(), &["inspect", "a", "--config", "--json"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    let listed = &document["logs"][0]["configs"][0];
    assert_eq!((&listed["keys"], &listed["values"]["lr"]), (&Value::from(4), &Value::from(1e-6)));
    assert_eq!(listed["values"]["wandb.api_key"], "(hidden)");
    // A key that is asked for by its name is shown.
    let (document, _) = json(tmp.path(), &["a", "--columns", "hub_token"]);
    assert_eq!(document["runs"][0]["config"]["hub_token"], "hf_abc");
}

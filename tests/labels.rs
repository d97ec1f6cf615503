//! The labels of runs, and the short names that tables, pictures and pages show.

use std::fs;
use std::path::Path;

use crate::common::{fixture, run, stderr, stdout};
use serde_json::Value;

/// Writes a log of ten steps.
fn log(directory: &Path, name: &str, entropy: f64) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows = (1..=10).map(|step| {
        let entropy = entropy + 0.1 * f64::from(step % 3);
        format!("{{\"step\": {step}, \"entropy\": {entropy}}}\n")
    });
    fs::write(path, rows.collect::<String>()).unwrap();
}

/// The labels that `stats` gives to these inputs.
fn labels(directory: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run(directory, &[&["stats", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let runs = document["runs"].as_array().unwrap();
    runs.iter().map(|run| run["label"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tables_leave_out_what_all_labels_share() {
    let tmp = tempfile::tempdir().unwrap();
    for (i, kl) in ["kl0.01", "kl0.02", "kl0"].into_iter().enumerate() {
        log(tmp.path(), &format!("lr1e-6_{kl}_seed1.jsonl"), 2.0 + i as f64);
    }
    let output = run(tmp.path(), &["stats", ".", "--no-plot"]);
    let table = stdout(&output);
    assert!(table.contains(" kl0.02 "), "{table}");
    assert!(table.contains("\nnames without “lr1e-6_…_seed1”\n"), "{table}");
    // The JSON document has whole labels.
    assert!(labels(tmp.path(), &["."]).contains(&"lr1e-6_kl0.02_seed1".to_owned()));
    // The baseline is found by either name.
    for name in ["kl0.02", "lr1e-6_kl0.02_seed1"] {
        let output = run(tmp.path(), &["stats", ".", "--no-plot", "--pairs", "--baseline", name]);
        assert!(stdout(&output).contains("kl0.01 − kl0.02"), "{}", stdout(&output));
    }
}

#[test]
fn one_odd_label_keeps_its_name_and_the_others_are_short() {
    let tmp = tempfile::tempdir().unwrap();
    log(tmp.path(), "qwen3-tiny_solver_s1.jsonl", 3.0);
    log(tmp.path(), "qwen3-tiny_questioner_s1.jsonl", 4.0);
    log(tmp.path(), "baseline.jsonl", 2.0);
    let table = stdout(&run(tmp.path(), &["stats", ".", "--no-plot"]));
    assert!(table.contains("names without “qwen3-tiny_…_s1” (except baseline)"), "{table}");
}

#[test]
fn pair_of_versions_keeps_the_word_before_them() {
    let tmp = tempfile::tempdir().unwrap();
    log(tmp.path(), "qwen3-tiny_solver_v1.jsonl", 2.0);
    log(tmp.path(), "qwen3-tiny_solver_v2.jsonl", 3.0);
    let text = stdout(&run(tmp.path(), &["stats", ".", "--no-plot"]));
    assert!(text.contains("\nsolver_v2 is 1.00 nats above solver_v1"), "{text}");
}

#[test]
fn equal_names_get_directories_that_people_named() {
    let swanlab = fixture("swanlab");
    let labels = labels(&swanlab, &["."]);
    assert!(labels.contains(&"0.7.11/solver".to_owned()), "{labels:?}");
    assert!(labels.contains(&"0.10.3/solver".to_owned()), "{labels:?}");
}

#[test]
fn labels_are_made_from_paths() {
    let tmp = tempfile::tempdir().unwrap();
    log(tmp.path(), "grpo/seed_1/metrics.jsonl", 2.0);
    log(tmp.path(), "grpo/seed_2/metrics.jsonl", 3.0);
    log(tmp.path(), "ppo/seed_1/metrics.jsonl", 4.0);
    let made = labels(tmp.path(), &[".", "--label-from", "/([^/]+)/seed_([0-9]+)"]);
    assert_eq!(made, ["grpo_1", "grpo_2", "ppo_1"]);
    // A label that was given stays.
    let input = ["first=grpo/seed_1/metrics.jsonl", "ppo/seed_1/metrics.jsonl"];
    let made = labels(tmp.path(), &[&input[..], &["--label-from", "ppo/seed_[0-9]"]].concat());
    assert_eq!(made, ["first", "ppo/seed_1"]);
}

#[test]
fn rejects_label_patterns_that_do_not_tell_runs_apart() {
    let tmp = tempfile::tempdir().unwrap();
    log(tmp.path(), "grpo/seed_1/metrics.jsonl", 2.0);
    log(tmp.path(), "grpo/seed_2/metrics.jsonl", 3.0);
    for (pattern, words, hint) in [
        ("seed_1", "grpo/seed_2/metrics.jsonl", "LABEL=INPUT"),
        ("grpo", "makes the label \"grpo\" of both", "capture group"),
        ("(", "unclosed group", "--label-from"),
    ] {
        let output = run(tmp.path(), &["stats", ".", "--no-plot", "--label-from", pattern]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains(words) && text.contains(hint), "{text}");
    }
    let both = ["--labels", "a", "b", "--label-from", "seed_."];
    let output = run(tmp.path(), &[&["stats", "grpo", "--no-plot"], &both[..]].concat());
    assert!(stderr(&output).contains("give only one of them"), "{}", stderr(&output));
}

/// Twelve or more runs: recipes with seeds.
fn recipes(directory: &Path, seeds: usize) {
    for (i, recipe) in ["kl0", "kl0.01", "kl0.1", "clip0.2"].into_iter().enumerate() {
        for seed in 1..=seeds {
            let entropy = 1.0 + i as f64 + 0.1 * seed as f64;
            log(directory, &format!("qwen3-tiny_{recipe}_seed{seed}.jsonl"), entropy);
        }
    }
}

fn draw(directory: &Path, flags: &[&str]) -> (String, String) {
    let output = run(directory, &[&["plot", ".", "-o", "x.svg"], flags].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (fs::read_to_string(directory.join("x.svg")).unwrap(), stderr(&output))
}

#[test]
fn picture_of_many_runs_names_a_few() {
    let tmp = tempfile::tempdir().unwrap();
    recipes(tmp.path(), 4);
    let (svg, stderr) = draw(tmp.path(), &[]);
    assert!(svg.contains("8 of 16 runs named; grey: the others"));
    for name in ["clip0.2_seed4", "clip0.2_seed1", "kl0_seed1", "kl0_seed4"] {
        assert!(svg.contains(name), "{name} is at an end");
    }
    assert!(!svg.contains("kl0.1_seed2"));
    assert!(stderr.contains("hint: --group '^(.+)_seed[0-9]+$' draws"), "{stderr}");
    // The hint can be followed.
    let (svg, stderr) = draw(tmp.path(), &["--group", "^(.+)_seed[0-9]+$"]);
    assert!(svg.contains("clip0.2, n = 4") && !stderr.contains("hint"), "{stderr}");
}

#[test]
fn highlighted_and_coloured_runs_stand_out() {
    let tmp = tempfile::tempdir().unwrap();
    recipes(tmp.path(), 4);
    let flags = ["--highlight", "*kl0.1*", "--color", "kl0.1_seed2=#123456"];
    let (svg, _) = draw(tmp.path(), &flags);
    assert!(svg.contains("4 of 16 runs named; grey: the others"));
    assert!(svg.contains("kl0.1_seed2") && !svg.contains("kl0_seed1"));
    assert!(svg.to_lowercase().contains("#123456"));
    // The bars have the same colours.
    let bars = [
        "stats",
        ".",
        "-o",
        "bars.svg",
        "--highlight",
        "*kl0.1*",
        "--color",
        "kl0.1_seed2=#123456",
    ];
    assert!(run(tmp.path(), &bars).status.success());
    let bars = fs::read_to_string(tmp.path().join("bars.svg")).unwrap();
    assert!(bars.to_lowercase().contains("#123456"));
}

#[test]
fn runs_are_selected_by_globs_and_counted() {
    let tmp = tempfile::tempdir().unwrap();
    recipes(tmp.path(), 4);
    let select = ["--select", "*kl0*", "--exclude", "*seed1", "kl0.1_seed2"];
    let made = labels(tmp.path(), &[&["."], &select[..]].concat());
    assert_eq!(made.len(), 12 - 3 - 1, "{made:?}");
    let (_, stderr) = draw(tmp.path(), &select);
    assert!(stderr.contains("8 of 16 runs left out by --select and --exclude"), "{stderr}");
    let output = run(tmp.path(), &[&["report", "."], &select[..]].concat());
    assert!(output.status.success());
    let page = fs::read_to_string(tmp.path().join("entropy_report.html")).unwrap();
    assert!(page.contains("kl0.1_seed3") && !page.contains("clip0.2_seed3"));
}

#[test]
fn rejects_globs_without_a_run() {
    let tmp = tempfile::tempdir().unwrap();
    recipes(tmp.path(), 2);
    for (flags, words) in [
        (&["--select", "kl0_seed9"][..], "did you mean"),
        (&["--exclude", "nothing*"], "there are clip0.2"),
        (&["--highlight", "kl7*"], "--highlight: no run is called \"kl7*\""),
        (&["--color", "kl7=#fff"], "--color: no run is called \"kl7\""),
        (&["--color", "kl0=red"], "baseline=#888888"),
        (&["--exclude", "*"], "leaves no run of 8 runs"),
        (&["--select", "["], "is not a glob pattern"),
        (&["--highlight", "kl0", "--group", "kl"], "cannot be used with"),
        (&["--highlight", "kl0_seed1", "--terminal"], "cannot draw text with --highlight"),
        (&["--facet", "nothing"], "--facet nothing matches none of the runs"),
    ] {
        let output = run(tmp.path(), &[&["plot", "."], flags].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(stderr(&output).contains(words), "{flags:?}: {}", stderr(&output));
    }
}

#[test]
fn panels_have_the_runs_of_their_group() {
    let tmp = tempfile::tempdir().unwrap();
    recipes(tmp.path(), 3);
    let (svg, stderr) = draw(tmp.path(), &["--facet", "kl[^_]+"]);
    for title in ["kl0", "kl0.01", "kl0.1"] {
        assert!(svg.lines().any(|line| line.trim() == title), "{title} has no panel");
    }
    // Within a panel the names say what differs there.
    assert!(svg.lines().any(|line| line.trim() == "seed3"));
    assert!(stderr.contains("3 runs are in no panel and not drawn"), "{stderr}");

    // Runs in no panel take no name from those in one: the 8 that are drawn are few.
    recipes(tmp.path(), 4);
    let (svg, _) = draw(tmp.path(), &["--facet", r"kl0\.\d+"]);
    assert!(!svg.contains("runs named; grey"), "all are named");
    assert_eq!(svg.lines().filter(|line| line.trim() == "seed2").count(), 2);
}

#[test]
fn quoted_glob_of_directories_means_the_logs_in_them() {
    let tmp = tempfile::tempdir().unwrap();
    let glob = format!("{}/qwen3-tiny_*", fixture("trainer_state").display());
    let output = run(tmp.path(), &["stats", &glob, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let labels = document["runs"].as_array().unwrap().iter().map(|run| run["label"].clone());
    let expected =
        ["questioner_log5", "questioner_s1", "solver_resumed"].map(|r| format!("qwen3-tiny_{r}"));
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    // Beside a file, directories count too; one without a log is skipped with a warning.
    let mixed = tmp.path().join("mixed");
    fs::create_dir_all(mixed.join("run_b")).unwrap();
    fs::create_dir(mixed.join("run_c")).unwrap();
    log(&mixed, "run_a.json", 2.0);
    log(&mixed, "run_b/history.json", 1.0);
    let output = run(tmp.path(), &["stats", "mixed/run_*", "--json", "--allow-partial"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 2);
    assert!(
        stderr(&output).contains("run_c: no file in it holds an entropy"),
        "{}",
        stderr(&output)
    );
    // A directory whose files hold no entropy is skipped with a warning too, matched or named.
    fs::write(mixed.join("run_c/notes.json"), "[{\"step\": 1, \"loss\": 2.0}]").unwrap();
    for inputs in [&["mixed/run_*"][..], &["mixed/run_a.json", "mixed/run_b", "mixed/run_c"]] {
        let output = run(tmp.path(), &[&["check", "--json"], inputs].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["passed"], false);
        assert!(
            stderr(&output).contains("run_c: no file in it holds an entropy"),
            "{}",
            stderr(&output)
        );
    }
    // Hidden files, and the directories themselves, are not matched by `*`.
    log(&mixed, ".hidden.json", 3.0);
    let output = run(tmp.path(), &["stats", "mixed/*", "--json", "--allow-partial"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 2);
    let output = run(tmp.path(), &["stats", "mixed/.*", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 1, "{}", stderr(&output));
    fs::remove_file(mixed.join(".hidden.json")).unwrap();
    // A name that is not UTF-8 is passed over.
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = mixed.join(std::ffi::OsStr::from_bytes(b"x\xff.json"));
        fs::write(&name, "[]").unwrap();
        let output = run(tmp.path(), &["stats", "mixed/run_[ab]*", "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        fs::remove_file(name).unwrap();
    }
    // All that is in a directory, at any depth.
    let output = run(tmp.path(), &["stats", "mixed/**", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 2, "{}", stderr(&output));
    let none = run(tmp.path(), &["stats", &format!("{glob}x"), "--json"]);
    assert!(stderr(&none).contains("nothing matches"), "{}", stderr(&none));
}

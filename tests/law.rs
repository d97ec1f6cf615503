//! Auxiliary series of a log: the reward, for `law`; the clock, for `plot --x time`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{files, fixture, run, stderr, stdout};
use entropy_history::formats::{self, Log, LogSeries, SeriesSelector, Source};
use serde_json::Value;
use tempfile::TempDir;

fn temp_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// The fits of `law --json`.
fn fits(tmp: &TempDir, arguments: &[&str]) -> Vec<Value> {
    let document = json(&run(tmp.path(), &[&["law", "--json"], arguments].concat()));
    assert_eq!((&document["schema"], &document["unit"]), (&1.into(), &"nats".into()));
    document["fits"].as_array().unwrap().clone()
}

/// The SVG that `plot` writes; asserts success.
fn drawing(tmp: &TempDir, arguments: &[&str]) -> String {
    let output = run(tmp.path(), &[&["plot", "-o", "x.svg"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(tmp.path().join("x.svg")).unwrap()
}

fn assert_rejected(tmp: &TempDir, arguments: &[&str], words: &[&str]) {
    let before = files(tmp.path());
    let output = run(tmp.path(), arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert_eq!(files(tmp.path()), before, "{arguments:?} left files behind");
}

/// Lines in prime-rl's form: an entropy that collapses halfway, a reward, and 90 seconds per step.
fn lines(steps: std::ops::RangeInclusive<u32>, time: impl Fn(u32) -> f64) -> String {
    let line = |step: u32| {
        let entropy = if step <= 60 { 2.0 - f64::from(step % 3) * 0.1 } else { 0.1 };
        let (time, reward) = (time(step), 0.9 - 0.05 * entropy.exp());
        format!(
            r#"{{"step": {step}, "time": {time:?}, "entropy/all/mean": {entropy:?}, "reward/all/mean": {reward:?}}}"#
        )
    };
    steps.map(|step| line(step) + "\n").collect()
}

fn unix_time(step: u32) -> f64 {
    1_795_399_000.0 + 90.0 * f64::from(step)
}

#[test]
fn fits_match_scipy_and_intervals_match_numpy() {
    let tmp = temp_dir();
    let text = fs::read(fixture("expected/law.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let cases = expected["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let arguments =
            [&path_of(text("file")), "--metric", text("entropy"), "--reward", text("reward")];
        let fits = fits(&tmp, &arguments);
        let fit = &fits[0];
        let close = |got: &Value, wanted: &Value, what: &str| {
            let (got, wanted) = (got.as_f64().unwrap(), wanted.as_f64().unwrap());
            let off = (got - wanted).abs();
            assert!(
                off <= 1e-9 * wanted.abs().max(1e-3),
                "{} {what}: {got}, {wanted}",
                text("file")
            );
        };
        for key in ["pairs", "first_step", "last_step", "r2", "rmse", "block_length"] {
            close(&fit[key], &case[key], key);
        }
        for key in ["a", "b", "rmse", "constant_rmse", "r2", "fitted_pairs", "last_fitted_step"] {
            close(&fit["hold_out"][key], &case["hold_out"][key], key);
        }
        for key in ["a", "b", "ceiling"] {
            close(&fit[key]["estimate"], &case[key], key);
            let wanted: Vec<f64> = case["intervals"][key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            let width = wanted[1] - wanted[0];
            for (end, wanted) in ["low", "high"].into_iter().zip(&wanted) {
                // The 2.5 % point of 1,000 resamples has a standard error of about 4 % of the width.
                let off = (fit[key][end].as_f64().unwrap() - wanted).abs();
                assert!(
                    off < 0.12 * width,
                    "{} {key} {end}: off by {off} of {width}",
                    text("file")
                );
            }
        }
    }
}

#[test]
fn reads_the_reward_of_every_format() {
    let cases = [
        ("verl/qwen3-tiny_solver_s1.jsonl", "critic/rewards/mean", 120),
        ("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl", "critic/rewards/mean", 120),
        ("trainer_state/compact/trainer_state.json", "reward", 40),
        ("wandb/rzero_0.31.0", "reward.overall", 120), // dots and slashes are equal
        ("wandb/trl_qwen3-tiny_solver_resumed", "train/rewar[d]", 100),
        ("jsonl/sb3/a2c/progress.json", "rollout/ep_rew_mean", 20),
        ("csv/sb3/ppo/progress.csv", "rollout/ep_rew_mean", 31),
        ("parquet/wandb_history.parquet", "val/reward_score", 30),
        ("trackio/0.43.0/entropy.db", "train/loss", 30),
        ("verl-console/verl_0_4.out", "critic/rewards/mean", 20),
        ("trainer-console/trl_stdout.out", "reward", 12),
        ("tensorboard/sb3", "rollout/ep_rew_mean", 20),
    ];
    let tmp = temp_dir();
    for (file, reward, pairs) in cases {
        let fits = fits(&tmp, &[&path_of(file), "--reward", reward]);
        assert_eq!(fits[0]["pairs"], pairs, "{file}");
        let stats = json(&run(tmp.path(), &["stats", "--json", &path_of(file)]));
        for key in ["label", "metric", "quantity"] {
            assert_eq!(fits[0][key], stats["runs"][0][key], "{file}: a reward changed the {key}");
        }
    }
}

#[test]
fn log_without_the_reward_lists_similar_keys() {
    let tmp = temp_dir();
    let (solver, questioner) = (
        path_of("verl/qwen3-tiny_solver_s1.jsonl"),
        path_of("verl/qwen3-tiny_questioner_s1.jsonl"),
    );
    assert_rejected(
        &tmp,
        &["law", &solver, "--reward", "rewards"],
        &[
            &solver,
            "no row has \"rewards\"; the log has \"critic/rewards/mean\"",
            "try --reward critic/rewards/mean",
        ],
    );
    let several = "\"actor/*\" may be \"actor/entropy\", \"actor/pg_loss\"";
    assert_rejected(&tmp, &["law", &solver, "--reward", "actor/*"], &[several, "name one of them"]);
    assert_rejected(&tmp, &["law", &solver, "--reward", "[a"], &["\"[a\" is not a glob"]);
    assert_rejected(&tmp, &["law", &solver], &["--reward <NAME|KEY>"]);
    assert_rejected(
        &tmp,
        &["law", &path_of("models"), "--reward", "reward"],
        &[
            "no row has \"reward\" or \"train/reward\" or one of 16 other keys; the log has",
            "the warnings above say why",
        ],
    );
    // Of several --reward keys, each log uses the first that it has, so logs of two trainers can be combined.
    let trl = path_of("trainer_state/compact/trainer_state.json");
    let both =
        fits(&tmp, &[&questioner, &trl, "--reward", "reward", "--reward", "critic/rewards/*"]);
    assert_eq!(
        (&both[0]["reward"], &both[1]["reward"]),
        (&"critic/rewards/mean".into(), &"reward".into())
    );
}

#[test]
fn matched_log_without_the_reward_is_skipped_with_a_warning() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("a.jsonl"), lines(1..=30, unix_time)).unwrap();
    fs::write(tmp.path().join("b.jsonl"), lines(1..=30, unix_time).replace("reward", "other"))
        .unwrap();
    let arguments = ["law", "*.jsonl", "--reward", "reward/all/mean", "--json"];
    let output = run(tmp.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot use b.jsonl"), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(document["fits"].as_array().unwrap().len(), 1);
    let output = run(tmp.path(), &[&arguments[..], &["--allow-partial"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn each_run_of_a_table_uses_its_own_reward() {
    let tmp = temp_dir();
    let mut text = "run,step,entropy,reward,note\n".to_owned();
    for step in 1..=12 {
        text.push_str(&format!("a,{step},{},{},x\n", step as f64 / 10.0, step));
        text.push_str(&format!("b,{step},{},{},y\n", step as f64 / 20.0, -step));
    }
    fs::write(tmp.path().join("t.csv"), &text).unwrap();
    let fits = fits(&tmp, &["t.csv", "--reward", "reward"]);
    assert!(fits[0]["a"]["estimate"].as_f64().unwrap() < 0.0);
    assert!(fits[1]["a"]["estimate"].as_f64().unwrap() > 0.0);
    assert_rejected(
        &tmp,
        &["law", "t.csv", "--reward", "note"],
        &["no value of \"note\" is finite"],
    );
    // In a log of several runs, a run without the reward is left out with a warning.
    let half = text.lines().map(|line| match line.split(',').collect::<Vec<_>>()[..] {
        ["b", step, entropy, _, note] => format!("b,{step},{entropy},,{note}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(tmp.path().join("t.csv"), half.collect::<String>()).unwrap();
    let output = run(tmp.path(), &["law", "--json", "t.csv", "--reward", "reward"]);
    assert_eq!(json(&output)["fits"].as_array().unwrap().len(), 1);
    assert!(stderr(&output).contains("left out: b: cannot use t.csv"), "{}", stderr(&output));
}

#[test]
fn law_prints_a_table_and_draws_by_default() {
    let tmp = temp_dir();
    let solver = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let law = ["law", &solver, "--reward", "critic/rewards/mean", "--dpi", "40"];
    let output = run(tmp.path(), &law);
    let text = stdout(&output);
    assert!(text.starts_with("entropy_law.png\nrun "), "{text}");
    assert!(text.contains("0.0265 [") && text.contains("0.1448 (0.1610)"), "{text}");
    assert!(text.contains("without entropy bonus and without KL control"), "{text}");
    fs::remove_file(tmp.path().join("entropy_law.png")).unwrap();
    for flag in ["--json", "--no-plot"] {
        assert!(run(tmp.path(), &[&law[..], &[flag]].concat()).status.success());
        assert!(files(tmp.path()).is_empty(), "{flag}");
    }
    let picture = run(tmp.path(), &[&law[..], &["-o", "-", "--output-format", "svg"]].concat());
    let svg = stdout(&picture);
    assert!(svg.starts_with("<svg ") && svg.contains(">\ncritic/rewards/mean\n<"), "{svg}");
    let early = fits(&tmp, &[&law[1..], &["--to-step", "40"]].concat());
    assert_eq!(early[0]["pairs"], 40);
    let legend = |place: &str| {
        let svg = ["-o", "-", "--output-format", "svg", "--legend", place];
        stdout(&run(tmp.path(), &[&law[..], &svg].concat()))
    };
    assert!(legend("ends").contains(" at H = 0") && !legend("inside").contains(" at H = 0"));
    assert_rejected(
        &tmp,
        &[&law[..], &["--smooth", "ema:0.9"]].concat(),
        &["unexpected argument '--smooth'"],
    );
    assert_rejected(&tmp, &[&law[..], &["--log-y"]].concat(), &["unexpected argument '--log-y'"]);
}

#[test]
fn reward_is_a_known_name_too() {
    let tmp = temp_dir();
    let solver = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let by_name = fits(&tmp, &[&solver, "--reward", "reward"]);
    assert_eq!(by_name, fits(&tmp, &[&solver, "--reward", "critic/rewards/mean"]));
    // A log may have a key with the name of a quantity that trainers log under others.
    let row = |i: usize| {
        format!("{{\"step\": {i}, \"entropy\": {}, \"clip\": {i}}}\n", 1.0 + 1.0 / i as f64)
    };
    fs::write(tmp.path().join("own.jsonl"), (1..=20).map(row).collect::<String>()).unwrap();
    assert_eq!(fits(&tmp, &["own.jsonl", "--reward", "clip"])[0]["reward"], "clip");
    assert_rejected(&tmp, &["law", &solver, "--reward", ""], &["a name is empty", "reward, kl"]);
}

#[test]
fn impossible_fit_is_null_with_a_reason() {
    let tmp = temp_dir();
    let constant = r#"{"step": 1, "entropy": 1.0, "reward": 0.5}"#.to_owned() + "\n";
    let rows: String = (1..=20).map(|i| constant.replace(": 1,", &format!(": {i},"))).collect();
    fs::write(tmp.path().join("flat.jsonl"), rows).unwrap();
    let fits = fits(&tmp, &["flat.jsonl", "--reward", "reward"]);
    assert_eq!((&fits[0]["a"], &fits[0]["hold_out"]), (&Value::Null, &Value::Null));
    assert_eq!(fits[0]["notes"][0], "no fit: the entropy does not vary");
    let apart =
        r#"[{"step": 1, "entropy": 1.0}, {"step": 2, "entropy": 1.5}, {"step": 3, "reward": 2}]"#;
    fs::write(tmp.path().join("apart.json"), apart).unwrap();
    let output = run(tmp.path(), &["law", "apart.json", "--reward", "reward"]);
    assert!(output.status.success() && stdout(&output).contains("0 steps have both"));
    assert!(stderr(&output).contains("no picture is drawn"), "{}", stderr(&output));
    assert!(!files(tmp.path()).contains(&"entropy_law.png".to_owned()));
}

#[test]
fn warnings_do_not_depend_on_auxiliary_series() {
    let tmp = temp_dir();
    let text = r#"{"step": 1, "entropy": 1.0, "reward": 1}
        {"step": 2, "reward": 2}
        {"reward": 3}
        {"step": 4, "entropy": 2.0, "reward": null, "time": "noon"}
        {"step": 5, "entropy": 3.0, "reward": 5, "time": 5}"#;
    fs::write(tmp.path().join("x.jsonl"), text).unwrap();
    let said = |arguments: &[&str]| {
        let output = run(tmp.path(), arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let alone = said(&["stats", "--json", "x.jsonl"]);
    assert!(alone.contains("row 2 has no \"entropy\"") && alone.contains("row 3 has no \"step\""));
    // Only the reward that is null is counted in addition.
    let reward =
        "entropy-viz: warning: x.jsonl: 1 value of \"reward\" is not finite and left out\n";
    assert_eq!(said(&["law", "--json", "x.jsonl", "--reward", "reward"]), alone.clone() + reward);
    let placed = said(&["plot", "x.jsonl", "--x", "time", "-o", "x.svg"]);
    assert_eq!(
        placed,
        alone
            + "entropy-viz: warning: x.jsonl: 2 points have no \"time\" and cannot be \
                                placed in time\n"
    );
}

/// Collects every file below a directory.
fn collect_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect_files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn entropy_series_do_not_depend_on_auxiliary_series() {
    let besides = SeriesSelector::default_keys()
        .with_quantities(&[vec!["*reward*".to_owned()]])
        .unwrap()
        .with_clock();
    let (mut logs, mut rewards, mut clocks) = (0, 0, 0);
    for format in formats::FORMATS {
        let mut paths = Vec::new();
        let directory = if format.name == "rzero" { "models" } else { format.name };
        collect_files(&fixture(directory), &mut paths);
        for path in paths {
            let read = |wanted: &SeriesSelector| {
                let mut file = fs::File::open(&path).unwrap();
                let source = Source { reader: &mut file, path: Some(&path) };
                formats::read(source, None, wanted).map(|(_, log)| log).map_err(|e| e.to_string())
            };
            let (alone, log) = match (read(&SeriesSelector::default_keys()), read(&besides)) {
                (Ok(alone), Ok(log)) => (alone, log),
                (alone, log) => {
                    assert_eq!(alone.err(), log.err(), "{}", path.display());
                    continue;
                }
            };
            logs += 1;
            rewards += usize::from(log.series.iter().any(|s| !s.quantities.is_empty()));
            clocks += usize::from(log.series.iter().any(|s| !s.clocks.is_empty()));
            let plain = |series: &LogSeries| {
                let (quantities, clocks) = (Vec::new(), Vec::new());
                format!("{:?}", LogSeries { quantities, clocks, ..series.clone() }) // NaN is NaN
            };
            let series = |log: &Log| log.series.iter().map(plain).collect::<Vec<_>>();
            assert_eq!(series(&alone), series(&log), "{}", path.display());
            let rest = |log: Log| (log.keys, log.step_key, log.purge_from_step, log.notes);
            assert_eq!(rest(alone), rest(log), "{}", path.display());
        }
    }
    assert!(logs > 150 && rewards > 40 && clocks > 40, "{logs}, {rewards}, {clocks}");
}

#[test]
fn time_axis_chooses_a_fitting_unit() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("x.jsonl"), lines(1..=120, unix_time)).unwrap();
    let svg = drawing(&tmp, &["x.jsonl", "--x", "time"]);
    assert!(svg.contains("minutes since the run’s first step"), "{svg}");
    // The collapse is confirmed at step 67: 66 steps of 90 s after the first.
    assert!(svg.contains("\ncollapsed 99.00 min\n"), "{}", &svg[svg.len() - 3000..]);
    let svg = drawing(&tmp, &["x.jsonl", "--x", "hours", "--smooth", "gaussian:0.1"]);
    assert!(svg.contains("hours since the run’s first step") && svg.contains("Gaussian of 0.1 h"));
    let svg = drawing(&tmp, &["x.jsonl", "--x", "relative"]);
    assert!(svg.contains("steps since the run’s first") && svg.contains("\ncollapsed 66\n"));
    let svg = drawing(&tmp, &["x.jsonl", "--x", "time", "--x-label", "mine"]);
    assert!(svg.contains("mine") && !svg.contains("minutes since"));
}

#[test]
fn step_limits_and_bars_use_x_axis_units() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("x.jsonl"), lines(1..=120, unix_time)).unwrap();
    let arguments = ["x.jsonl", "--x", "hours", "--to-step", "1", "--with-stats"];
    let svg = drawing(&tmp, &arguments);
    assert!(!svg.contains("collapsed"), "the first hour is 40 steps");
    let bars = fs::read_to_string(tmp.path().join("x_stats.svg")).unwrap();
    assert!(bars.contains("up to 1.00 h") && bars.contains("\nat time\n"), "{bars}");
    assert!(bars.contains("\n2.00\n") && bars.contains("\n0.0500 h\n"), "{bars}");
    let output = run(tmp.path(), &["plot", "x.jsonl", "--x", "hours", "--from-step", "50"]);
    assert!(stderr(&output).contains("no run has a point"), "{}", stderr(&output));
}

#[test]
fn auto_draws_by_time_but_keeps_statistics_by_step() {
    let tmp = temp_dir();
    fs::create_dir_all(tmp.path().join("models/a")).unwrap();
    let text = lines(1..=120, unix_time);
    fs::write(tmp.path().join("models/a/metrics.jsonl"), text).unwrap();
    let arguments = ["auto", "models", "--artifacts", "ci", "--dpi", "40", "--x", "time"];
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("ci/entropy_comparison.svg")).unwrap();
    assert!(svg.contains("minutes since"));
    let stats: Value =
        serde_json::from_slice(&fs::read(tmp.path().join("ci/stats.json")).unwrap()).unwrap();
    assert_eq!(stats["runs"][0]["state_step"], 67);
    let limited = [&arguments[..], &["--to-step", "10"]].concat();
    assert_rejected(&tmp, &limited, &["--artifacts writes numbers by step"]);
}

#[test]
fn reads_the_clock_of_every_format() {
    let tmp = temp_dir();
    let database = rusqlite::Connection::open(tmp.path().join("t.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER,
             metrics TEXT);
             INSERT INTO metrics VALUES
             (1, '2026-11-25T01:00:00.000000+00:00', 'r', 0, '{\"train/entropy\": 2.0}'),
             (2, '2026-11-25T02:30:00.000000+00:00', 'r', 1, '{\"train/entropy\": 1.0}'),
             (3, '2026-11-25T05:00:00.000000+00:00', 'r', 2, '{\"train/entropy\": 1.5}')",
        )
        .unwrap();
    drop(database);
    let write = |name: &str, text: &str| fs::write(tmp.path().join(name), text).unwrap();
    write(
        "iso.csv",
        "step,timestamp,entropy\n0,2026-11-25 01:00:00,2\n1,2026-11-25 02:30:00,1\n2,2026-11-25 05:00:00,1.5\n",
    );
    write(
        "ms.csv",
        "step,wall_time,entropy\n0,1795568400000,2\n1,1795573800000,1\n2,1795582800000,1.5\n",
    );
    write(
        "wide.csv",
        "step,_runtime,entropy_questioner,entropy_solver\n0,7,2,1\n1,5407,1,1\n2,14407,1.5,1\n",
    );
    write("tb.json", "[[1795568400.0, 0, 2.0], [1795573800.0, 1, 1.0], [1795582800.0, 2, 1.5]]");
    write(
        "sb3.jsonl",
        "{\"time/total_timesteps\": 0, \"time/time_elapsed\": 0, \"entropy\": 2.0}\n\
                        {\"time/total_timesteps\": 1, \"time/time_elapsed\": 5400, \"entropy\": 1.0}\n\
                        {\"time/total_timesteps\": 2, \"time/time_elapsed\": 14400, \"entropy\": 1.5}\n",
    );
    for name in ["t.db", "iso.csv", "ms.csv", "wide.csv", "tb.json", "sb3.jsonl"] {
        let svg = drawing(&tmp, &[name, "--x", "time", "--with-stats"]);
        assert!(svg.contains("hours since"), "{name}: {svg}");
        let bars = fs::read_to_string(tmp.path().join("x_stats.svg")).unwrap();
        assert!(bars.contains("\n1.00\n") && bars.contains("\n1.50 h\n"), "{name}: {bars}");
    }
    // Event files and W&B files as `convert` writes them: one second per point.
    write("ten.jsonl", &lines(1..=10, unix_time));
    for (format, name) in [("tensorboard", "tb"), ("wandb", "wb")] {
        let output = run(tmp.path(), &["convert", "ten.jsonl", "--to", format, "-o", name]);
        assert!(output.status.success(), "{}", stderr(&output));
        drawing(&tmp, &[name, "--x", "time", "--with-stats"]);
        let bars = fs::read_to_string(tmp.path().join("x_stats.svg")).unwrap();
        assert!(bars.contains("\n2.00\n") && bars.contains("\n2.00 s\n"), "{name}: {bars}");
    }
}

#[test]
fn log_without_a_clock_is_rejected_with_a_hint() {
    let tmp = temp_dir();
    let verl = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    fs::write(tmp.path().join("a.jsonl"), lines(1..=30, unix_time)).unwrap();
    let clocks = "SwanLab, MLflow, ClearML and trackio have a clock";
    let words = ["cannot place", &verl, "has no times", clocks];
    assert_rejected(&tmp, &["plot", "a.jsonl", &verl, "--x", "time"], &words);
    fs::write(tmp.path().join("b.jsonl"), lines(1..=30, |step| f64::from(step % 7))).unwrap();
    assert_rejected(
        &tmp,
        &["plot", "b.jsonl", "--x", "time"],
        &["\"time\" is not a clock: it decreases at 4 of 30"],
    );
    let output = run(tmp.path(), &["plot", "*.jsonl", "--x", "time", "-o", "x.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot place b.jsonl"), "{}", stderr(&output));
    assert!(tmp.path().join("x.svg").exists());
    // Without a time axis the clock does not matter.
    assert!(
        run(tmp.path(), &["plot", "*.jsonl", "--x", "relative", "-o", "x.svg"]).status.success()
    );
}

#[test]
fn resumed_run_continues_on_the_time_axis() {
    let tmp = temp_dir();
    // The second process restarts its elapsed time at zero, as Stable-Baselines3 and RLlib do.
    let elapsed = |from: u32| move |step: u32| 90.0 * f64::from(step - from);
    fs::write(tmp.path().join("a.jsonl"), lines(1..=40, elapsed(0))).unwrap();
    fs::write(tmp.path().join("b.jsonl"), lines(31..=120, elapsed(30))).unwrap();
    // 40 steps, ten of them repeated, then 37 to the collapse at step 67: (40 + 37 − 1)·90 s.
    let svg = drawing(&tmp, &["r=a.jsonl+b.jsonl", "--x", "minutes"]);
    assert!(svg.contains("\ncollapsed 114.0 min\n"), "{}", &svg[svg.len() - 3000..]);
    let both = fits(&tmp, &["r=a.jsonl+b.jsonl", "--reward", "reward/all/mean"]);
    assert_eq!(both[0]["pairs"], 120);
}

#[test]
fn chained_rounds_are_joined_on_the_time_axis() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("q_v1.jsonl"), lines(1..=20, unix_time)).unwrap();
    fs::write(tmp.path().join("q_v2.jsonl"), lines(1..=20, |step| unix_time(step) + 1e6)).unwrap();
    let chain = ["q_v1.jsonl", "q_v2.jsonl", "--chain", "(.*)_v([0-9]+)"];
    let svg = drawing(&tmp, &[&chain[..], &["--x", "time"]].concat());
    assert!(svg.contains("minutes since") && svg.contains("round 2"), "{svg}");
    let fits = fits(&tmp, &[&chain[..], &["--reward", "reward/all/mean"]].concat());
    assert_eq!((fits.len(), &fits[0]["pairs"], &fits[0]["last_step"]), (1, &40.into(), &40.into()));
}

#[test]
fn of_duplicate_logs_the_one_with_a_clock_is_drawn() {
    let tmp = temp_dir();
    let directory = tmp.path().join("runs/r");
    fs::create_dir_all(&directory).unwrap();
    let text = lines(1..=30, unix_time);
    let value = |line: &str| -> String {
        let row: Value = serde_json::from_str(line).unwrap();
        format!(r#"{{"step": {}, "entropy": {}}}"#, row["step"], row["entropy/all/mean"])
    };
    let rows: Vec<String> = text.lines().map(value).collect();
    fs::write(directory.join("entropy_history_r.json"), format!("[{}]", rows.join(","))).unwrap();
    fs::write(directory.join("metrics.jsonl"), &text).unwrap();
    let output = run(tmp.path(), &["plot", "runs", "--x", "time", "-o", "x.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains(
            "r: read from runs/r/metrics.jsonl; also recorded in runs/r/entropy_history_r.json"
        ),
        "{said}"
    );
}

#[test]
fn law_picture_is_deterministic() {
    let tmp = temp_dir();
    let solver = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let draw = |name: &str| {
        let arguments = ["law", &solver, "--reward", "critic/rewards/mean", "-o", name];
        assert!(run(tmp.path(), &arguments).status.success());
        fs::read(tmp.path().join(Path::new(name))).unwrap()
    };
    assert!(draw("a.svg") == draw("b.svg"));
}

#[test]
fn run_of_only_zeros_has_no_fit_and_is_not_drawn() {
    let tmp = temp_dir();
    let line = |step: u32, entropy: f64| {
        format!(
            r#"{{"step": {step}, "entropy/all/mean": {entropy:?}, "reward/all/mean": {:?}}}"#,
            0.1 + 0.01 * f64::from(step)
        )
    };
    let log = |entropy: fn(u32) -> f64| {
        (1..=60).map(|step| line(step, entropy(step))).collect::<Vec<_>>().join("\n")
    };
    fs::write(tmp.path().join("on.jsonl"), log(|step| 2.0 - 0.02 * f64::from(step))).unwrap();
    fs::write(tmp.path().join("off.jsonl"), log(|_| 0.0)).unwrap();
    let law = ["law", "on.jsonl", "off.jsonl", "--reward", "reward/all/mean"];
    let output = run(tmp.path(), &[&law[..], &["-o", "x.svg"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("off: no fit: every entropy is 0"), "{}", stdout(&output));
    assert!(stderr(&output).contains("off is not drawn"), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("x.svg")).unwrap();
    assert!(!svg.contains(">off") && !svg.contains("\noff\n"), "off has a name in the picture");
    let alone = run(tmp.path(), &["law", "off.jsonl", "--reward", "reward/all/mean"]);
    assert!(stderr(&alone).contains("no picture is drawn"), "{}", stderr(&alone));
}

//! What stands beside the entropy in a log: the reward, for `law`; the clock, for `plot --x time`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{files, fixture, run, stderr, stdout};
use entropy_history::formats::{self, Log, LogSeries, SeriesSelector, Source};
use serde_json::Value;
use tempfile::TempDir;

fn desk() -> TempDir {
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
fn fits(desk: &TempDir, arguments: &[&str]) -> Vec<Value> {
    let document = json(&run(desk.path(), &[&["law", "--json"], arguments].concat()));
    assert_eq!((&document["schema"], &document["unit"]), (&1.into(), &"nats".into()));
    document["fits"].as_array().unwrap().clone()
}

/// The drawing of `plot`, which must work.
fn drawing(desk: &TempDir, arguments: &[&str]) -> String {
    let output = run(desk.path(), &[&["plot", "-o", "x.svg"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(desk.path().join("x.svg")).unwrap()
}

fn refuses(desk: &TempDir, arguments: &[&str], words: &[&str]) {
    let before = files(desk.path());
    let output = run(desk.path(), arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert_eq!(files(desk.path()), before, "{arguments:?} left files behind");
}

/// Lines as prime-rl writes them: entropies that collapse halfway, a reward, and 90 seconds a step.
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

fn epoch(step: u32) -> f64 {
    1_795_399_000.0 + 90.0 * f64::from(step)
}

#[test]
fn fits_are_scipys_and_intervals_are_numpys() {
    let desk = desk();
    let text = fs::read(fixture("expected/law.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let cases = expected["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let arguments =
            [&path_of(text("file")), "--metric", text("entropy"), "--reward", text("reward")];
        let fits = fits(&desk, &arguments);
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
                // The 2.5 % point of 1,000 resamples is known to some 4 % of the width.
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
fn the_reward_of_each_format_is_read_beside_its_entropy() {
    let cases = [
        ("verl/qwen3-tiny_solver_s1.jsonl", "critic/rewards/mean", 120),
        ("easyr1/qwen3-tiny_solver_s1/experiment_log.jsonl", "critic/rewards/mean", 120),
        ("trainer_state/compact/trainer_state.json", "reward", 40),
        ("wandb/rzero_0.31.0", "reward.overall", 120), // a dot is as good as a slash
        ("wandb/trl_qwen3-tiny_solver_resumed", "train/rewar[d]", 46),
        ("jsonl/sb3/a2c/progress.json", "rollout/ep_rew_mean", 20),
        ("csv/sb3/ppo/progress.csv", "rollout/ep_rew_mean", 31),
        ("parquet/wandb_history.parquet", "val/reward_score", 30),
        ("trackio/0.43.0/entropy.db", "train/loss", 30),
        ("verl-console/verl_0_4.out", "critic/rewards/mean", 20),
        ("trainer-console/trl_stdout.out", "reward", 12),
        ("tensorboard/sb3", "rollout/ep_rew_mean", 20),
    ];
    let desk = desk();
    for (file, reward, pairs) in cases {
        let fits = fits(&desk, &[&path_of(file), "--reward", reward]);
        assert_eq!(fits[0]["pairs"], pairs, "{file}");
        let stats = json(&run(desk.path(), &["stats", "--json", &path_of(file)]));
        for key in ["label", "metric", "quantity"] {
            assert_eq!(fits[0][key], stats["runs"][0][key], "{file}: a reward changed the {key}");
        }
    }
}

#[test]
fn a_log_without_the_reward_says_which_it_has() {
    let desk = desk();
    let (solver, questioner) = (
        path_of("verl/qwen3-tiny_solver_s1.jsonl"),
        path_of("verl/qwen3-tiny_questioner_s1.jsonl"),
    );
    refuses(
        &desk,
        &["law", &solver, "--reward", "reward"],
        &[
            &solver,
            "no row has the reward \"reward\"; the log has \"critic/rewards/mean\"",
            "try --reward critic/rewards/mean",
        ],
    );
    let several = "the reward \"actor/*\" may be \"actor/entropy\", \"actor/pg_loss\"";
    refuses(&desk, &["law", &solver, "--reward", "actor/*"], &[several, "name one of them"]);
    refuses(&desk, &["law", &solver, "--reward", "[a"], &["--reward \"[a\" is not a glob"]);
    refuses(&desk, &["law", &solver], &["--reward <KEY>"]);
    refuses(
        &desk,
        &["law", &path_of("models"), "--reward", "reward"],
        &["no row has the reward", "the warnings above say why"],
    );
    // Of several keys the first that a log has counts: logs of two trainers go together.
    let trl = path_of("trainer_state/compact/trainer_state.json");
    let both =
        fits(&desk, &[&questioner, &trl, "--reward", "reward", "--reward", "critic/rewards/*"]);
    assert_eq!(
        (&both[0]["reward"], &both[1]["reward"]),
        (&"critic/rewards/mean".into(), &"reward".into())
    );
}

#[test]
fn a_log_found_without_the_reward_is_skipped_and_told() {
    let desk = desk();
    fs::write(desk.path().join("a.jsonl"), lines(1..=30, epoch)).unwrap();
    fs::write(desk.path().join("b.jsonl"), lines(1..=30, epoch).replace("reward", "other"))
        .unwrap();
    let arguments = ["law", "*.jsonl", "--reward", "reward/all/mean", "--json"];
    let output = run(desk.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot use b.jsonl"), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(document["fits"].as_array().unwrap().len(), 1);
    let output = run(desk.path(), &[&arguments[..], &["--allow-partial"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn each_run_of_a_table_has_its_own_reward() {
    let desk = desk();
    let mut text = "run,step,entropy,reward,note\n".to_owned();
    for step in 1..=12 {
        text.push_str(&format!("a,{step},{},{},x\n", step as f64 / 10.0, step));
        text.push_str(&format!("b,{step},{},{},y\n", step as f64 / 20.0, -step));
    }
    fs::write(desk.path().join("t.csv"), &text).unwrap();
    let fits = fits(&desk, &["t.csv", "--reward", "reward"]);
    assert!(fits[0]["a"]["estimate"].as_f64().unwrap() < 0.0);
    assert!(fits[1]["a"]["estimate"].as_f64().unwrap() > 0.0);
    refuses(&desk, &["law", "t.csv", "--reward", "note"], &["\"note\" is \"x\", not a number"]);
    // A run without it is left out of a log of several, and told.
    let half = text.lines().map(|line| match line.split(',').collect::<Vec<_>>()[..] {
        ["b", step, entropy, _, note] => format!("b,{step},{entropy},,{note}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(desk.path().join("t.csv"), half.collect::<String>()).unwrap();
    let output = run(desk.path(), &["law", "--json", "t.csv", "--reward", "reward"]);
    assert_eq!(json(&output)["fits"].as_array().unwrap().len(), 1);
    assert!(stderr(&output).contains("left out: b: cannot use t.csv"), "{}", stderr(&output));
}

#[test]
fn law_prints_a_table_with_its_limits_and_draws_unless_told() {
    let desk = desk();
    let solver = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let law = ["law", &solver, "--reward", "critic/rewards/mean", "--dpi", "40"];
    let output = run(desk.path(), &law);
    let text = stdout(&output);
    assert!(text.starts_with("entropy_law.png\nrun "), "{text}");
    assert!(text.contains("0.0265 [") && text.contains("0.1448 (0.1610)"), "{text}");
    assert!(text.contains("without entropy bonus and without KL control"), "{text}");
    fs::remove_file(desk.path().join("entropy_law.png")).unwrap();
    for flag in ["--json", "--no-plot"] {
        assert!(run(desk.path(), &[&law[..], &[flag]].concat()).status.success());
        assert!(files(desk.path()).is_empty(), "{flag}");
    }
    let picture = run(desk.path(), &[&law[..], &["-o", "-", "--output-format", "svg"]].concat());
    let svg = stdout(&picture);
    assert!(svg.starts_with("<svg ") && svg.contains("reward: critic/rewards/mean"), "{svg}");
    let early = fits(&desk, &[&law[1..], &["--to-step", "40"]].concat());
    assert_eq!(early[0]["pairs"], 40);
    refuses(&desk, &[&law[..], &["--smooth", "ema:0.9"]].concat(), &["without --smooth"]);
    refuses(&desk, &[&law[..], &["--log-y"]].concat(), &["no --log-y"]);
}

#[test]
fn a_law_that_cannot_be_fitted_is_null_and_says_why() {
    let desk = desk();
    let constant = r#"{"step": 1, "entropy": 1.0, "reward": 0.5}"#.to_owned() + "\n";
    let rows: String = (1..=20).map(|i| constant.replace(": 1,", &format!(": {i},"))).collect();
    fs::write(desk.path().join("flat.jsonl"), rows).unwrap();
    let fits = fits(&desk, &["flat.jsonl", "--reward", "reward"]);
    assert_eq!((&fits[0]["a"], &fits[0]["hold_out"]), (&Value::Null, &Value::Null));
    assert_eq!(fits[0]["notes"][0], "no fit: the entropy does not vary");
    let apart =
        r#"[{"step": 1, "entropy": 1.0}, {"step": 2, "entropy": 1.5}, {"step": 3, "reward": 2}]"#;
    fs::write(desk.path().join("apart.json"), apart).unwrap();
    let output = run(desk.path(), &["law", "apart.json", "--reward", "reward"]);
    assert!(output.status.success() && stdout(&output).contains("0 steps have both"));
    assert!(stderr(&output).contains("no picture is drawn"), "{}", stderr(&output));
    assert!(!files(desk.path()).contains(&"entropy_law.png".to_owned()));
}

#[test]
fn what_is_said_of_a_log_does_not_depend_on_what_stands_beside() {
    let desk = desk();
    let text = r#"{"step": 1, "entropy": 1.0, "reward": 1}
        {"step": 2, "reward": 2}
        {"reward": 3}
        {"step": 4, "entropy": 2.0, "reward": null, "time": "noon"}
        {"step": 5, "entropy": 3.0, "reward": 5, "time": 5}"#;
    fs::write(desk.path().join("x.jsonl"), text).unwrap();
    let said = |arguments: &[&str]| {
        let output = run(desk.path(), arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let alone = said(&["stats", "--json", "x.jsonl"]);
    assert!(alone.contains("row 2 has no \"entropy\"") && alone.contains("row 3 has no \"step\""));
    assert_eq!(said(&["law", "--json", "x.jsonl", "--reward", "reward"]), alone);
    let placed = said(&["plot", "x.jsonl", "--x", "time", "-o", "x.svg"]);
    assert_eq!(
        placed,
        alone
            + "entropy-viz: warning: x.jsonl: 2 points have no \"time\" and cannot be \
                                placed in time\n"
    );
}

/// Everything in a directory, at any depth.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

#[test]
fn what_is_taken_from_a_log_does_not_depend_on_what_stands_beside() {
    let besides =
        SeriesSelector::default_keys().with_rewards(&["*reward*".to_owned()]).unwrap().with_clock();
    let (mut logs, mut rewards, mut clocks) = (0, 0, 0);
    for format in formats::FORMATS {
        let mut paths = Vec::new();
        let directory = if format.name == "rzero" { "models" } else { format.name };
        walk(&fixture(directory), &mut paths);
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
            rewards += usize::from(log.series.iter().any(|s| !s.rewards.is_empty()));
            clocks += usize::from(log.series.iter().any(|s| !s.clocks.is_empty()));
            let plain = |series: &LogSeries| {
                let (rewards, clocks) = (Vec::new(), Vec::new());
                format!("{:?}", LogSeries { rewards, clocks, ..series.clone() }) // NaN is NaN
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
fn time_is_counted_in_the_unit_that_fits() {
    let desk = desk();
    fs::write(desk.path().join("x.jsonl"), lines(1..=120, epoch)).unwrap();
    let svg = drawing(&desk, &["x.jsonl", "--x", "time"]);
    assert!(svg.contains("minutes since the run’s first step"), "{svg}");
    // The smoothed curve is down at step 63, 62 steps of 90 s behind the first.
    assert!(svg.contains("collapsed at 93.00 min"), "{}", &svg[svg.len() - 3000..]);
    let svg = drawing(&desk, &["x.jsonl", "--x", "hours", "--smooth", "gaussian:0.1"]);
    assert!(svg.contains("hours since the run’s first step") && svg.contains("Gaussian of 0.1 h"));
    let svg = drawing(&desk, &["x.jsonl", "--x", "relative"]);
    assert!(
        svg.contains("steps since the run’s first") && svg.contains("collapsed at 62 steps in")
    );
    let svg = drawing(&desk, &["x.jsonl", "--x", "time", "--x-label", "mine"]);
    assert!(svg.contains("mine") && !svg.contains("minutes since"));
}

#[test]
fn limits_and_bars_count_what_the_axis_counts() {
    let desk = desk();
    fs::write(desk.path().join("x.jsonl"), lines(1..=120, epoch)).unwrap();
    let arguments = ["x.jsonl", "--x", "hours", "--to-step", "1", "--with-stats"];
    let svg = drawing(&desk, &arguments);
    assert!(!svg.contains("collapsed"), "the first hour is 40 steps");
    let bars = fs::read_to_string(desk.path().join("x_stats.svg")).unwrap();
    assert!(bars.contains("up to 1.00 h") && bars.contains("2.00  @ 0.0500 h"), "{bars}");
    let output = run(desk.path(), &["plot", "x.jsonl", "--x", "hours", "--from-step", "50"]);
    assert!(stderr(&output).contains("no run has a point"), "{}", stderr(&output));
}

#[test]
fn auto_draws_time_and_keeps_its_numbers_by_step() {
    let desk = desk();
    fs::create_dir_all(desk.path().join("models/a")).unwrap();
    let text = lines(1..=120, epoch);
    fs::write(desk.path().join("models/a/metrics.jsonl"), text).unwrap();
    let arguments = ["auto", "models", "--artifacts", "ci", "--dpi", "40", "--x", "time"];
    let output = run(desk.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(desk.path().join("ci/entropy_comparison.svg")).unwrap();
    assert!(svg.contains("minutes since"));
    let stats: Value =
        serde_json::from_slice(&fs::read(desk.path().join("ci/stats.json")).unwrap()).unwrap();
    assert_eq!(stats["runs"][0]["state_step"], 63);
    let limited = [&arguments[..], &["--to-step", "10"]].concat();
    refuses(&desk, &limited, &["the numbers of --artifacts are by step"]);
}

#[test]
fn the_clock_of_each_format_is_read() {
    let desk = desk();
    let database = rusqlite::Connection::open(desk.path().join("t.db")).unwrap();
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
    let write = |name: &str, text: &str| fs::write(desk.path().join(name), text).unwrap();
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
        let svg = drawing(&desk, &[name, "--x", "time", "--with-stats"]);
        assert!(svg.contains("hours since"), "{name}: {svg}");
        let bars = fs::read_to_string(desk.path().join("x_stats.svg")).unwrap();
        assert!(bars.contains("1.00  @ 1.50 h"), "{name}: {bars}");
    }
    // Event files and W&B's, as `convert` writes them: a second a point.
    write("ten.jsonl", &lines(1..=10, epoch));
    for (format, name) in [("tensorboard", "tb"), ("wandb", "wb")] {
        let output = run(desk.path(), &["convert", "ten.jsonl", "--to", format, "-o", name]);
        assert!(output.status.success(), "{}", stderr(&output));
        drawing(&desk, &[name, "--x", "time", "--with-stats"]);
        let bars = fs::read_to_string(desk.path().join("x_stats.svg")).unwrap();
        assert!(bars.contains("2.00  @ 2.00 s"), "{name}: {bars}");
    }
}

#[test]
fn a_log_without_a_clock_is_named_and_told_which_have_one() {
    let desk = desk();
    let verl = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    fs::write(desk.path().join("a.jsonl"), lines(1..=30, epoch)).unwrap();
    let words = [
        "cannot place",
        &verl,
        "does not say when",
        "TensorBoard, W&B and trackio logs have a clock",
    ];
    refuses(&desk, &["plot", "a.jsonl", &verl, "--x", "time"], &words);
    fs::write(desk.path().join("b.jsonl"), lines(1..=30, |step| f64::from(step % 7))).unwrap();
    refuses(
        &desk,
        &["plot", "b.jsonl", "--x", "time"],
        &["\"time\" is no clock: it goes back at 4 of 30"],
    );
    let output = run(desk.path(), &["plot", "*.jsonl", "--x", "time", "-o", "x.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("skipped: cannot place b.jsonl"), "{}", stderr(&output));
    assert!(desk.path().join("x.svg").exists());
    // None of this matters where nobody asks for the time.
    assert!(
        run(desk.path(), &["plot", "*.jsonl", "--x", "relative", "-o", "x.svg"]).status.success()
    );
}

#[test]
fn a_resumed_run_goes_on_in_time() {
    let desk = desk();
    // The second process counts its own seconds, as Stable-Baselines3 and RLlib do.
    let elapsed = |from: u32| move |step: u32| 90.0 * f64::from(step - from);
    fs::write(desk.path().join("a.jsonl"), lines(1..=40, elapsed(0))).unwrap();
    fs::write(desk.path().join("b.jsonl"), lines(31..=120, elapsed(30))).unwrap();
    // 40 steps, ten of them in vain, then 33 to the collapse at step 63: (40 + 33 − 1)·90 s.
    let svg = drawing(&desk, &["r=a.jsonl+b.jsonl", "--x", "minutes"]);
    assert!(svg.contains("collapsed at 108.0 min"), "{}", &svg[svg.len() - 3000..]);
    let both = fits(&desk, &["r=a.jsonl+b.jsonl", "--reward", "reward/all/mean"]);
    assert_eq!(both[0]["pairs"], 120);
}

#[test]
fn rounds_are_laid_end_to_end_in_time() {
    let desk = desk();
    fs::write(desk.path().join("q_v1.jsonl"), lines(1..=20, epoch)).unwrap();
    fs::write(desk.path().join("q_v2.jsonl"), lines(1..=20, |step| epoch(step) + 1e6)).unwrap();
    let chain = ["q_v1.jsonl", "q_v2.jsonl", "--chain", "(.*)_v([0-9]+)"];
    let svg = drawing(&desk, &[&chain[..], &["--x", "time"]].concat());
    assert!(svg.contains("minutes since") && svg.contains("round 2"), "{svg}");
    let fits = fits(&desk, &[&chain[..], &["--reward", "reward/all/mean"]].concat());
    assert_eq!((fits.len(), &fits[0]["pairs"], &fits[0]["last_step"]), (1, &40.into(), &40.into()));
}

#[test]
fn of_two_logs_of_one_run_the_one_with_a_clock_is_drawn() {
    let desk = desk();
    let directory = desk.path().join("runs/r");
    fs::create_dir_all(&directory).unwrap();
    let text = lines(1..=30, epoch);
    let value = |line: &str| -> String {
        let row: Value = serde_json::from_str(line).unwrap();
        format!(r#"{{"step": {}, "entropy": {}}}"#, row["step"], row["entropy/all/mean"])
    };
    let rows: Vec<String> = text.lines().map(value).collect();
    fs::write(directory.join("entropy_history_r.json"), format!("[{}]", rows.join(","))).unwrap();
    fs::write(directory.join("metrics.jsonl"), &text).unwrap();
    let output = run(desk.path(), &["plot", "runs", "--x", "time", "-o", "x.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("entropy_history_r.json holds the points of runs/r/metrics.jsonl again"),
        "{said}"
    );
}

#[test]
fn the_picture_of_a_law_is_the_same_bytes_each_time() {
    let desk = desk();
    let solver = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let draw = |name: &str| {
        let arguments = ["law", &solver, "--reward", "critic/rewards/mean", "-o", name];
        assert!(run(desk.path(), &arguments).status.success());
        fs::read(desk.path().join(Path::new(name))).unwrap()
    };
    assert!(draw("a.svg") == draw("b.svg"));
}

#[test]
fn a_run_whose_entropy_was_not_recorded_has_no_law_and_no_dots() {
    let desk = desk();
    let line = |step: u32, entropy: f64| {
        format!(
            r#"{{"step": {step}, "entropy/all/mean": {entropy:?}, "reward/all/mean": {:?}}}"#,
            0.1 + 0.01 * f64::from(step)
        )
    };
    let log = |entropy: fn(u32) -> f64| {
        (1..=60).map(|step| line(step, entropy(step))).collect::<Vec<_>>().join("\n")
    };
    fs::write(desk.path().join("on.jsonl"), log(|step| 2.0 - 0.02 * f64::from(step))).unwrap();
    fs::write(desk.path().join("off.jsonl"), log(|_| 0.0)).unwrap();
    let law = ["law", "on.jsonl", "off.jsonl", "--reward", "reward/all/mean"];
    let output = run(desk.path(), &[&law[..], &["-o", "x.svg"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("off: no fit: every entropy is 0"), "{}", stdout(&output));
    assert!(stderr(&output).contains("off is not drawn"), "{}", stderr(&output));
    let svg = fs::read_to_string(desk.path().join("x.svg")).unwrap();
    assert!(!svg.contains(">off") && !svg.contains("\noff\n"), "off has a name in the picture");
    let alone = run(desk.path(), &["law", "off.jsonl", "--reward", "reward/all/mean"]);
    assert!(stderr(&alone).contains("no picture is drawn"), "{}", stderr(&alone));
}

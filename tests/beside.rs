//! `--with`: other quantities in panels below the entropy.

use std::fs;

use crate::common::{fixture, run, stderr};
use tempfile::{TempDir, tempdir};

fn temp_dir() -> TempDir {
    tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// Checks that the arguments are an error that says `words`.
fn assert_rejected(tmp: &TempDir, arguments: &[&str], words: &[&str]) {
    let output = run(tmp.path(), arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
}

/// The texts of a picture of these logs in SVG, and what the program said.
fn drawn(args: &[&str]) -> (String, String) {
    let tmp = temp_dir();
    let output = run(tmp.path(), &[&["plot", "-o", "p.svg"], args].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (fs::read_to_string(tmp.path().join("p.svg")).unwrap(), stderr(&output))
}

#[test]
fn each_quantity_has_a_panel_named_after_its_key() {
    let (a, b) = (
        path_of("verl/qwen3-tiny_solver_s1.jsonl"),
        path_of("verl/qwen3-tiny_questioner_s1.jsonl"),
    );
    let (svg, said) = drawn(&[&a, &b, "--with", "reward,length", "--with", "actor/grad*"]);
    let panels =
        ["reward · critic/rewards/mean", "length · response_length/mean", "actor/grad_norm"];
    for panel in panels {
        assert!(svg.contains(panel), "{panel}");
    }
    assert!(!said.contains("warning"), "{said}");
    // Each run has one line per panel, in its colour of the entropy.
    let (alone, _) = drawn(&[&a, &b]);
    assert!(!alone.contains("reward"));
    for label in ["solver_s1", "questioner_s1"] {
        let lines =
            |svg: &str| svg.matches(&format!("<g aria-label=\"qwen3-tiny_{label}\">")).count();
        assert_eq!((lines(&alone), lines(&svg)), (1, 4), "{label}");
    }
    let (grouped, _) = drawn(&[&a, &b, "--group", "solver|questioner", "--with", "reward"]);
    assert!(grouped.contains("reward · critic/rewards/mean"));
}

#[test]
fn quantity_of_one_key_comes_before_one_of_several() {
    let tmp = temp_dir();
    let rows = (0..9).map(|t| {
        format!(
            "{{\"step\":{t},\"entropy\":2,\"critic/rewards/mean\":1,\"critic/score/mean\":{t}}}\n"
        )
    });
    fs::write(tmp.path().join("a.jsonl"), rows.collect::<String>()).unwrap();
    let log = tmp.path().join("a.jsonl");
    let (svg, _) = drawn(&[log.to_str().unwrap(), "--with", "reward,critic/score/mean"]);
    let panels = ["\"reward · critic/rewards/mean\"", "\"critic/score/mean\""];
    assert!(panels.iter().all(|panel| svg.contains(panel)), "{svg}");
}

#[test]
fn runs_without_a_quantity_are_named_and_a_quantity_of_no_run_is_an_error() {
    let tmp = temp_dir();
    fs::write(
        tmp.path().join("a.jsonl"),
        "{\"step\":1,\"entropy\":2,\"kl\":0.1}\n{\"step\":2,\"entropy\":1,\"kl\":0.2}\n",
    )
    .unwrap();
    fs::write(
        tmp.path().join("b.jsonl"),
        "{\"step\":1,\"entropy\":2}\n{\"step\":2,\"entropy\":1}\n",
    )
    .unwrap();
    let output = run(tmp.path(), &["plot", "a.jsonl", "b.jsonl", "--with", "kl", "-o", "p.svg"]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("1 run has no kl and no line in its panel: b"), "{said}");
    assert_rejected(
        &tmp,
        &["plot", "a.jsonl", "--with", "length"],
        &[
            "cannot draw \"length\": no log has a finite value of one of its keys response_length/mean",
            "inspect FILE",
        ],
    );
    assert_rejected(
        &tmp,
        &["plot", "a.jsonl", "--with", "nothing/here"],
        &["cannot draw \"nothing/here\": no log has a finite value of this key", "reward, kl"],
    );
    for (wrong, meant) in [("rewards", "reward"), ("critic/reward/mean", "critic/rewards/mean")] {
        let meant = format!("did you mean {meant:?}?");
        assert_rejected(&tmp, &["plot", "a.jsonl", "--with", wrong], &[&meant, "inspect FILE"]);
    }
    for empty in ["", "kl,", " "] {
        assert_rejected(&tmp, &["plot", "a.jsonl", "--with", empty], &["a name is empty"]);
    }
    for (command, flag) in [("plot", "--terminal"), ("watch", "--once")] {
        let arguments = [command, "a.jsonl", "--with", "nothing/here", flag];
        assert_rejected(
            &tmp,
            &arguments,
            &["cannot draw \"nothing/here\": no log has a finite value of this key"],
        );
    }
    // A glob of several keys is not one quantity.
    fs::write(tmp.path().join("c.jsonl"), "{\"step\":1,\"entropy\":2,\"r/a\":1,\"r/b\":2}\n")
        .unwrap();
    assert_rejected(
        &tmp,
        &["plot", "c.jsonl", "--with", "r/*"],
        &["\"r/*\" may be \"r/a\", \"r/b\"", "one key that it matches"],
    );
}

#[test]
fn quantities_keep_their_times_when_the_axis_is_time() {
    let tmp = temp_dir();
    let rows = (0..40).map(|t| {
        format!(
            "{{\"step\":{t},\"entropy\":{},\"kl\":{},\"_timestamp\":{}}}\n",
            2.0 - 0.01 * f64::from(t),
            0.1 * f64::from(t),
            1000 + 60 * t
        )
    });
    fs::write(tmp.path().join("a.jsonl"), rows.collect::<String>()).unwrap();
    let output =
        run(tmp.path(), &["plot", "a.jsonl", "--with", "kl", "--x", "time", "-o", "p.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("p.svg")).unwrap();
    assert!(
        svg.contains("minutes since the run’s first step")
            && svg.matches("<g aria-label=\"a\">").count() == 2,
        "{svg}"
    );
}

#[test]
fn picture_grows_if_its_panels_need_it_and_each_panel_has_its_upright_line() {
    let tmp = temp_dir();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let with = ["plot", &log, "--with", "reward,length,lr", "--vline", "60", "-o", "p.svg"];
    let output = run(tmp.path(), &[&with[..], &["--size", "3x2"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("in high: its panels need that"), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("p.svg")).unwrap();
    assert_eq!(svg.matches("<g aria-label=\"reference lines\">").count(), 4);
    let output = run(tmp.path(), &[&with[..], &["--size", "7x7"]].concat());
    assert!(!stderr(&output).contains("need that"), "{}", stderr(&output));
}

#[test]
fn quantity_given_twice_has_one_panel_and_a_key_has_one() {
    let tmp = temp_dir();
    let log = path_of("verl/qwen3-tiny_solver_s1.jsonl");
    let (svg, _) = drawn(&[&log, "--with", "reward, reward", "--with", "reward"]);
    assert_eq!(svg.matches("<g aria-label=\"reward · critic/rewards/mean\">").count(), 1);
    assert_rejected(
        &tmp,
        &["plot", &log, "--with", "reward,critic/rewards/mean"],
        &["cannot draw \"reward\" beside \"critic/rewards/mean\", which is one of its keys"],
    );
}

#[test]
fn keys_of_several_logs_are_all_named_and_a_run_outside_the_steps_too() {
    let tmp = temp_dir();
    let log = |name: &str, key: &str, first: i32| {
        let rows = (1..9).map(|t| {
            format!("{{\"step\":{t},\"entropy\":2}}\n{{\"step\":{},\"{key}\":{t}}}\n", t + first)
        });
        fs::write(tmp.path().join(name), rows.collect::<String>()).unwrap();
    };
    log("a.jsonl", "kl", 0);
    log("b.jsonl", "actor/kl_loss", 0);
    log("c.jsonl", "kl", 1000);
    let plot = ["plot", "a.jsonl", "b.jsonl", "c.jsonl", "--with", "kl", "-o", "p.svg"];
    let output = run(tmp.path(), &plot);
    let svg = fs::read_to_string(tmp.path().join("p.svg")).unwrap();
    assert!(svg.contains("kl · actor/kl_loss | kl"), "{svg}");
    assert!(
        stderr(&output).contains("no value within the steps shown of c"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn quantity_of_another_record_of_the_run_is_used() {
    // checkpoints_90_100 and qwen3-tiny_questioner_log5 are one run; only the second has lengths.
    let logs = path_of("trainer_state");
    let (svg, said) = drawn(&[&logs, "--with", "length"]);
    assert!(said.contains("checkpoints_90_100") && !said.contains("no length"), "{said}");
    assert_eq!(svg.matches("<g aria-label=\"checkpoints_90_100\">").count(), 2, "{said}");
}

#[test]
fn quantities_are_drawn_in_the_terminal() {
    let tmp = temp_dir();
    let (a, b) = (
        path_of("verl/qwen3-tiny_solver_s1.jsonl"),
        path_of("verl/qwen3-tiny_questioner_s1.jsonl"),
    );
    for command in [&["plot", "--terminal"][..], &["watch", "--once"]] {
        let output = run(tmp.path(), &[command, &[&a, &b, "--with", "reward,length"]].concat());
        let frame = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        for title in ["entropy · nats", "reward · critic/rewards/mean", "length · response_length"]
        {
            assert!(frame.contains(title), "{command:?} has no {title}:\n{frame}");
        }
    }
}

#[test]
fn text_among_the_values_of_a_quantity_is_counted_and_the_entropy_stays() {
    let tmp = tempfile::tempdir().unwrap();
    let row = |step: u32| {
        let reward = match step {
            3 => "\"bad\"".to_owned(),
            4 | 5 => "[100]".to_owned(),
            _ => format!("0.{step}"),
        };
        format!(
            "{{\"step\":{step},\"data\":{{\"actor/entropy\":1.{step},\"critic/rewards/mean\":{reward}}}}}\n"
        )
    };
    fs::write(tmp.path().join("run.jsonl"), (1..9).map(row).collect::<String>()).unwrap();
    let output = run(tmp.path(), &["plot", "run.jsonl", "--with", "reward", "-o", "a.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 values of"), "{}", stderr(&output));
}

/// What `plot --with reward` says about a log.
fn said_of(file: &str, text: &str) -> String {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join(file), text).unwrap();
    let output = run(tmp.path(), &["plot", file, "--with", "reward", "-o", "a.svg"]);
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn printed_values_of_a_quantity_that_are_not_numbers_are_counted() {
    let value = |step: u32| match step {
        3 => "nan".to_owned(),
        5 => "<object>".to_owned(),
        _ => format!("0.{step}"),
    };
    let verl = |step: u32| {
        format!("step:{step} - actor/entropy:1.{step} - critic/rewards/mean:{}\n", value(step))
    };
    let said = said_of("slurm-1.out", &(1..9).map(verl).collect::<String>());
    assert!(said.contains("2 values of \"critic/rewards/mean\" are not finite"), "{said}");
    let trl = |step: u32| {
        let epoch = f64::from(step) / 10.0;
        format!(
            "{{'loss': 0.1, 'entropy': 1.{step}, 'reward': '{}', 'epoch': {epoch}}}\n",
            value(step)
        )
    };
    let said = said_of("slurm-2.out", &(1..9).map(trl).collect::<String>());
    assert!(said.contains("2 values of \"reward\" are not finite"), "{said}");
}

#[test]
fn objects_among_the_values_of_a_quantity_are_counted() {
    let row = |step: u32| {
        let reward =
            if step.is_multiple_of(4) { "{\"mean\": 0.5}".to_owned() } else { format!("0.{step}") };
        format!("{{\"step\": {step}, \"train/entropy\": 1.{step}, \"reward\": {reward}}}\n")
    };
    let said = said_of("run.jsonl", &(1..10).map(row).collect::<String>());
    assert!(said.contains("2 values of \"reward\" are not finite"), "{said}");
    // A key that has nothing but objects holds no numbers itself: the numbers in the objects are found.
    let row = |step: u32| {
        format!(
            "{{\"step\": {step}, \"train/entropy\": 1.{step}, \"train\": {{\"reward\": 0.{step}}}}}\n"
        )
    };
    assert_eq!(
        said_of("run.jsonl", &(1..9).map(row).collect::<String>()).matches("not finite").count(),
        0
    );
}

/// Writes a run of eight steps; `reward` is the text of the value of each step.
fn write_run(tmp: &TempDir, name: &str, reward: Option<&str>) {
    let row = |step: u32| {
        let reward = reward.map_or(String::new(), |reward| format!(", \"reward\": {reward}"));
        let own = name.bytes().fold(0, |own, byte| (7 * own + u32::from(byte)) % 900); // equal runs are taken for one
        format!("{{\"step\": {step}, \"train/entropy\": 1.{step}{own:03}{reward}}}\n")
    };
    let path = tmp.path().join(format!("{name}.jsonl"));
    fs::write(path, (1..9).map(row).collect::<String>()).unwrap();
}

#[test]
fn panel_says_how_many_runs_of_a_group_have_the_quantity() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, reward) in [
        ("a_1", Some("0.5")),
        ("a_2", None),
        ("b_1", Some("0.1")),
        ("b_2", Some("0.3")),
        ("b_3", None),
        ("c_1", Some("0.2")),
        ("c_2", Some("0.2")),
    ] {
        write_run(&tmp, name, reward);
    }
    for command in [&["plot", "-o", "a.svg"], &["report", "-o", "a.html"]] {
        let flags = ["--with", "reward", "--group", "^(.)_", "."];
        let said = stderr(&run(tmp.path(), &[&command[..], &flags].concat()));
        let a = "group a: 1 of 2 runs has reward: its line there is that of this run, not a mean";
        let b = "group b: 2 of 3 runs have reward: its mean there is of these alone";
        assert!(said.contains(a) && said.contains(b), "{said}");
        assert!(!said.contains("group c: 2 of"), "{said}");
    }
}

#[test]
fn quantity_without_a_finite_value_names_its_file_once() {
    let tmp = tempfile::tempdir().unwrap();
    write_run(&tmp, "a", Some("0.5"));
    write_run(&tmp, "b", Some("NaN"));
    let output =
        run(tmp.path(), &["plot", "a.jsonl", "b.jsonl", "--with", "reward", "-o", "a.svg"]);
    let said = stderr(&output);
    let words = "b.jsonl: a quantity is left out: no value of \"reward\" is finite";
    assert!(said.contains(words), "{said}");
}

#[test]
fn key_without_a_number_does_not_hide_another_key_of_the_quantity() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, reward) in [("null", "null"), ("text", "\"see below\"")] {
        let row = |step: u32| {
            format!(
                "{{\"step\":{step},\"entropy\":1.{step},\"reward\":{reward},\"critic/score/mean\":0.{step}}}\n"
            )
        };
        let log = format!("{name}.jsonl");
        fs::write(tmp.path().join(&log), (1..9).map(row).collect::<String>()).unwrap();
        let output = run(tmp.path(), &["plot", &log, "--with", "reward", "-o", "a.svg"]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let output = run(tmp.path(), &["law", &log, "--reward", "reward", "-o", "b.svg"]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
}

//! What is given on the command line is honoured or refused, and what is missing is named.

use std::fs;
use std::path::Path;

use crate::common::{files, fixture, program, run, stderr, stdout};
use tempfile::TempDir;

const SOLVER: &str = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";

fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    fs::copy(fixture(SOLVER), desk.path().join("entropy_history_a.json")).unwrap();
    desk
}

const A: &str = "entropy_history_a.json";

/// Refused with exit code 2, in these words, and nothing written.
fn refused(desk: &Path, arguments: &[&str], words: &[&str]) {
    let before = files(desk);
    let output = run(desk, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert_eq!(files(desk), before, "{arguments:?} left files behind");
}

#[test]
fn stats_refuses_what_bars_cannot_show() {
    let desk = desk();
    let smooth = ["stats", A, "--smooth", "ema:0.9", "-o", "x.svg"];
    refused(desk.path(), &smooth, &["unexpected argument '--smooth'"]);
    refused(desk.path(), &["stats", A, "--log-y"], &["unexpected argument '--log-y'"]);
    for limit in ["--y-min", "--y-max"] {
        let arguments = ["stats", A, limit, "1", "--comparison-plot", "x.svg"];
        refused(desk.path(), &arguments, &[&format!("unexpected argument '{limit}'")]);
    }
    // Beside curves, these are for the curves.
    for flags in [&["--smooth", "ema:0.9"][..], &["--log-y"], &["--y-max", "9"]] {
        let plot = [&["plot", A, "--with-stats", "-o", "x.svg"], flags].concat();
        assert!(run(desk.path(), &plot).status.success(), "{flags:?}");
    }
}

#[test]
fn a_glob_that_matches_nothing_says_where_it_looked_and_why_there_may_be_nothing() {
    let desk = desk();
    let glob = "models/*/entropy_history_*.json";
    let causes = ["training did not finish", "before entropy was recorded", "compute"];
    refused(desk.path(), &["plot", glob], &causes);
    refused(desk.path(), &["plot", glob], &[glob, "$STORAGE_PATH is not set"]);
    let mut command = program(desk.path());
    let output = command.args(["stats", glob]).env("STORAGE_PATH", "/no/where").output().unwrap();
    assert!(stderr(&output).contains("$STORAGE_PATH is /no/where"), "{}", stderr(&output));
    let output =
        program(desk.path()).arg("auto").env("STORAGE_PATH", "/no/where").output().unwrap();
    for words in ["/no/where/models", "training did not finish"] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn a_directory_with_one_log_without_entropy_is_told_by_its_file() {
    let desk = desk();
    fs::create_dir(desk.path().join("noent")).unwrap();
    let rows = "{\"step\": 1, \"loss\": 2}\n{\"step\": 2, \"loss\": 1}\n";
    fs::write(desk.path().join("noent/metrics.jsonl"), rows).unwrap();
    let words =
        ["no entropy found: noent/metrics.jsonl is not recognised", "inspect noent/metrics"];
    refused(desk.path(), &["plot", "noent"], &words);
    fs::write(desk.path().join("noent/other.jsonl"), rows).unwrap();
    refused(desk.path(), &["plot", "noent"], &["none of the 2 files found is recognised"]);
}

#[test]
fn counts_are_in_good_english() {
    let desk = desk();
    let said = stderr(&run(desk.path(), &["plot", A, "-v", "-o", "x.svg"]));
    assert!(!said.contains("0 files") && said.contains("of 1 run in"), "{said}");
}

#[test]
fn a_label_that_cannot_be_seen_is_refused() {
    let desk = desk();
    for label in ["", " "] {
        refused(desk.path(), &["plot", A, "--labels", label], &["label 1 of --labels is empty"]);
    }
}

#[test]
fn stdin_is_one_log() {
    let desk = desk();
    for inputs in [["-", "-"], ["a=-", "b=-"]] {
        refused(desk.path(), &[&["plot"], &inputs[..]].concat(), &["stdin is given twice"]);
    }
}

#[cfg(unix)]
#[test]
fn what_goes_to_stdout_by_its_name_goes_there_alone() {
    let desk = desk();
    let svg = |output| {
        let arguments = ["plot", A, "-o", output, "--output-format", "svg"];
        stdout(&run(desk.path(), &arguments))
    };
    assert!(svg("/dev/stdout").ends_with("</svg>\n"));
    assert_eq!(svg("/dev/stdout"), svg("-"));
}

#[cfg(unix)]
#[test]
fn a_picture_over_a_link_keeps_the_link() {
    let desk = desk();
    std::os::unix::fs::symlink("target.svg", desk.path().join("link.svg")).unwrap();
    assert!(run(desk.path(), &["plot", A, "-o", "link.svg"]).status.success());
    let link = desk.path().join("link.svg");
    assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    assert!(fs::read_to_string(desk.path().join("target.svg")).unwrap().starts_with("<svg "));
}

#[test]
fn one_run_is_converted_to_the_file_that_is_named() {
    let desk = desk();
    let convert = |format, output| run(desk.path(), &["convert", A, "--to", format, "-o", output]);
    for (format, output) in [("json", "q.txt"), ("jsonl", "q.log"), ("json", "v1.5/q.json")] {
        assert_eq!(stdout(&convert(format, output)), format!("{output}\n"));
        assert!(desk.path().join(output).is_file(), "{output}");
    }
    // Without an extension, or as a directory, it is R-Zero's layout.
    assert_eq!(stdout(&convert("json", "models")), "models/a/entropy_history_a.json\n");
    assert_eq!(stdout(&convert("json", "v2.d/")), "v2.d/a/entropy_history_a.json\n");
    refused(
        desk.path(),
        &["convert", A, "--to", "json", "-o", "q.json.gz"],
        &["compressed output is not supported"],
    );
}

#[test]
fn a_value_beyond_32_bit_floats_is_counted_when_it_becomes_infinite() {
    let desk = desk();
    let rows = r#"[{"step": 1, "entropy": 1.7e308}, {"step": 2, "entropy": 2}, {"step": 3, "entropy": -1e39}]"#;
    fs::write(desk.path().join("big.json"), rows).unwrap();
    let said = |arguments: &[&str]| stderr(&run(desk.path(), arguments));
    let big = said(&["convert", "big.json", "--to", "tensorboard", "-o", "tb"]);
    assert!(big.contains("2 values are too large for 32-bit floats"), "{big}");
    let small = said(&["convert", A, "--to", "tensorboard", "-o", "tb"]);
    assert!(!small.contains("32-bit"), "{small}");
}

#[test]
fn a_recorder_without_a_step_writes_no_history() {
    let desk = desk();
    let record = |input: &str| {
        let mut command = program(desk.path());
        command.args(["record", "--run", "q", "--models", "models"]);
        command.write_stdin(input).output().unwrap()
    };
    let none = record("");
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("nothing was recorded"), "{}", stderr(&none));
    assert!(!desk.path().join("models/q").exists());
    assert!(record("1 2.5\n").status.success());
    // A run that comes back and logs nothing leaves what is there.
    assert!(record("").status.success());
    assert!(desk.path().join("models/q/entropy_history_q.json").is_file());
}

#[test]
fn the_help_names_no_flag_that_the_command_refuses() {
    let desk = desk();
    let help = |command: &str| stdout(&run(desk.path(), &[command, "--help"]));
    for flag in ["--smooth", "--log-y", "--y-min", "--y-max"] {
        assert!(!help("stats").contains(flag) && help("plot").contains(flag), "{flag}");
    }
    assert!(help("stats").contains("--from-step") && !help("stats").contains("entropy_files"));
    assert!(!help("law").contains("--smooth") && help("law").contains("--y-min"));
}

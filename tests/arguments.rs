//! Command-line arguments: each is used or rejected, and missing input is reported by name.

use std::fs;
use std::path::Path;

use crate::common::{files, fixture, program, run, stderr, stdout};
use tempfile::TempDir;

const SOLVER: &str = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";

fn temp_dir() -> TempDir {
    let tmp = tempfile::tempdir().unwrap();
    fs::copy(fixture(SOLVER), tmp.path().join("entropy_history_a.json")).unwrap();
    tmp
}

const A: &str = "entropy_history_a.json";

/// Asserts exit code 2, these words on stderr, and no file written.
fn assert_rejected(tmp: &Path, arguments: &[&str], words: &[&str]) {
    let before = files(tmp);
    let output = run(tmp, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert_eq!(files(tmp), before, "{arguments:?} left files behind");
}

#[test]
fn stats_rejects_flags_that_bar_charts_do_not_support() {
    let tmp = temp_dir();
    let smooth = ["stats", A, "--smooth", "ema:0.9", "-o", "x.svg"];
    assert_rejected(tmp.path(), &smooth, &["unexpected argument '--smooth'"]);
    assert_rejected(tmp.path(), &["stats", A, "--log-y"], &["unexpected argument '--log-y'"]);
    for limit in ["--y-min", "--y-max"] {
        let arguments = ["stats", A, limit, "1", "--comparison-plot", "x.svg"];
        assert_rejected(tmp.path(), &arguments, &[&format!("unexpected argument '{limit}'")]);
    }
    // With `plot --with-stats`, these flags apply to the curves.
    for flags in [&["--smooth", "ema:0.9"][..], &["--log-y"], &["--y-max", "9"]] {
        let plot = [&["plot", A, "--with-stats", "-o", "x.svg"], flags].concat();
        assert!(run(tmp.path(), &plot).status.success(), "{flags:?}");
    }
}

#[test]
fn unmatched_glob_reports_searched_paths_and_likely_causes() {
    let tmp = temp_dir();
    let glob = "models/*/entropy_history_*.json";
    let causes = ["training did not finish", "before entropy was recorded", "compute"];
    assert_rejected(tmp.path(), &["plot", glob], &causes);
    assert_rejected(tmp.path(), &["plot", glob], &[glob, "$STORAGE_PATH is not set"]);
    let mut command = program(tmp.path());
    let output = command.args(["stats", glob]).env("STORAGE_PATH", "/no/where").output().unwrap();
    assert!(stderr(&output).contains("$STORAGE_PATH is /no/where"), "{}", stderr(&output));
    let output = program(tmp.path()).arg("auto").env("STORAGE_PATH", "/no/where").output().unwrap();
    for words in ["/no/where/models", "training did not finish"] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn directory_with_one_log_without_entropy_names_that_file() {
    let tmp = temp_dir();
    fs::create_dir(tmp.path().join("noent")).unwrap();
    let rows = "{\"step\": 1, \"loss\": 2}\n{\"step\": 2, \"loss\": 1}\n";
    fs::write(tmp.path().join("noent/metrics.jsonl"), rows).unwrap();
    let words = [
        "no entropy found: the format of noent/metrics.jsonl is not recognised",
        "inspect noent/metrics",
    ];
    assert_rejected(tmp.path(), &["plot", "noent"], &words);
    fs::write(tmp.path().join("noent/other.jsonl"), rows).unwrap();
    assert_rejected(
        tmp.path(),
        &["plot", "noent"],
        &["the format of none of 2 files is recognised: noent/metrics.jsonl, "],
    );
}

#[test]
fn counts_use_singular_and_plural_correctly() {
    let tmp = temp_dir();
    let said = stderr(&run(tmp.path(), &["plot", A, "-v", "-o", "x.svg"]));
    assert!(!said.contains("0 files") && said.contains("of 1 run in"), "{said}");
}

#[test]
fn rejects_blank_label() {
    let tmp = temp_dir();
    for label in ["", " "] {
        assert_rejected(
            tmp.path(),
            &["plot", A, "--labels", label],
            &["label 1 of --labels is empty"],
        );
    }
}

#[test]
fn rejects_stdin_given_twice() {
    let tmp = temp_dir();
    for inputs in [["-", "-"], ["a=-", "b=-"]] {
        assert_rejected(tmp.path(), &[&["plot"], &inputs[..]].concat(), &["stdin is given twice"]);
    }
}

#[cfg(unix)]
#[test]
fn dev_stdout_gets_only_the_picture() {
    let tmp = temp_dir();
    let svg = |output| {
        let arguments = ["plot", A, "-o", output, "--output-format", "svg"];
        stdout(&run(tmp.path(), &arguments))
    };
    assert!(svg("/dev/stdout").ends_with("</svg>\n"));
    assert_eq!(svg("/dev/stdout"), svg("-"));
}

#[cfg(unix)]
#[test]
fn writing_over_a_symlink_keeps_the_symlink() {
    let tmp = temp_dir();
    std::os::unix::fs::symlink("target.svg", tmp.path().join("link.svg")).unwrap();
    assert!(run(tmp.path(), &["plot", A, "-o", "link.svg"]).status.success());
    let link = tmp.path().join("link.svg");
    assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    assert!(fs::read_to_string(tmp.path().join("target.svg")).unwrap().starts_with("<svg "));
}

#[test]
fn convert_of_one_run_writes_the_named_file() {
    let tmp = temp_dir();
    let convert = |format, output| run(tmp.path(), &["convert", A, "--to", format, "-o", output]);
    for (format, output) in [("json", "q.txt"), ("jsonl", "q.log"), ("json", "v1.5/q.json")] {
        assert_eq!(stdout(&convert(format, output)), format!("{output}\n"));
        assert!(tmp.path().join(output).is_file(), "{output}");
    }
    // An output without an extension, or a directory, gets R-Zero's layout.
    assert_eq!(stdout(&convert("json", "models")), "models/a/entropy_history_a.json\n");
    assert_eq!(stdout(&convert("json", "v2.d/")), "v2.d/a/entropy_history_a.json\n");
    assert_rejected(
        tmp.path(),
        &["convert", A, "--to", "json", "-o", "q.json.gz"],
        &["compressed output is not supported"],
    );
}

#[test]
fn convert_to_tensorboard_counts_values_that_overflow_f32() {
    let tmp = temp_dir();
    let rows = r#"[{"step": 1, "entropy": 1.7e308}, {"step": 2, "entropy": 2}, {"step": 3, "entropy": -1e39}]"#;
    fs::write(tmp.path().join("big.json"), rows).unwrap();
    let said = |arguments: &[&str]| stderr(&run(tmp.path(), arguments));
    let big = said(&["convert", "big.json", "--to", "tensorboard", "-o", "tb"]);
    assert!(big.contains("2 values are too large for 32-bit floats"), "{big}");
    let small = said(&["convert", A, "--to", "tensorboard", "-o", "tb"]);
    assert!(!small.contains("32-bit"), "{small}");
}

#[test]
fn record_without_steps_writes_no_history() {
    let tmp = temp_dir();
    let record = |input: &str| {
        let mut command = program(tmp.path());
        command.args(["record", "--run", "q", "--models", "models"]);
        command.write_stdin(input).output().unwrap()
    };
    let none = record("");
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("nothing was recorded"), "{}", stderr(&none));
    assert!(!tmp.path().join("models/q").exists());
    assert!(record("1 2.5\n").status.success());
    // A resumed run that logs nothing leaves the existing history unchanged.
    assert!(record("").status.success());
    assert!(tmp.path().join("models/q/entropy_history_q.json").is_file());
}

#[test]
fn help_lists_only_flags_that_the_command_accepts() {
    let tmp = temp_dir();
    let help = |command: &str| stdout(&run(tmp.path(), &[command, "--help"]));
    for flag in ["--smooth", "--log-y", "--y-min", "--y-max"] {
        assert!(!help("stats").contains(flag) && help("plot").contains(flag), "{flag}");
    }
    assert!(help("stats").contains("--from-step") && !help("stats").contains("entropy_files"));
    assert!(!help("law").contains("--smooth") && help("law").contains("--y-min"));
}

#[test]
fn unknown_flag_names_the_commands_that_have_it() {
    let tmp = tempfile::tempdir().unwrap();
    let output = run(tmp.path(), &["stats", "a.json", "--smooth", "ema:0.9"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("unexpected argument '--smooth' found"), "{text}");
    assert!(text.contains("hint: --smooth is a flag of: auto, plot, report, watch"), "{text}");
    assert_eq!(text.matches("hint:").count(), 1, "{text}");
}

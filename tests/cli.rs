//! The command line, as a person, a shell script and a CI job use it.

use std::fs;
use std::path::Path;

use crate::common::{files, fixture, program, run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

const SOLVER: &str = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";
const COLLAPSE: &str = "models/qwen3-tiny_questioner_collapse_s1/entropy_history_qwen3-tiny_questioner_collapse_s1.json";

fn temp_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path_of(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

fn history(values: &[f64]) -> String {
    let rows = values
        .iter()
        .enumerate()
        .map(|(i, v)| format!(r#"{{"step": {}, "entropy": {v:?}}}"#, i + 1));
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}

fn is_png(path: &Path, width: u32, height: u32) -> bool {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes.starts_with(b"\x89PNG") && (number(16), number(20)) == (width, height)
}

/// Asserts exit code 2, these words on stderr, and no file written.
fn assert_rejected(tmp: &TempDir, arguments: &[&str], words: &[&str]) {
    let before = files(tmp.path());
    let output = run(tmp.path(), arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.starts_with("entropy-viz: "), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("os error") && !said.contains("bug in"), "{said}");
    assert_eq!(files(tmp.path()), before, "{arguments:?} left files behind");
}

#[test]
fn plot_writes_one_picture_and_prints_its_path() {
    let tmp = temp_dir();
    let output = run(tmp.path(), &["plot", &path_of(SOLVER), "--dpi", "50"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "entropy_plot.png\n");
    assert!(is_png(&tmp.path().join("entropy_plot.png"), 550, 280));
    assert_eq!(files(tmp.path()), ["entropy_plot.png"]);
}

#[test]
fn output_extension_selects_the_picture_format() {
    let tmp = temp_dir();
    for (name, magic) in [("a.svg", "<svg "), ("b.PDF", "%PDF-")] {
        let output = run(tmp.path(), &["plot", &path_of(SOLVER), "-o", name]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(fs::read(tmp.path().join(name)).unwrap().starts_with(magic.as_bytes()));
    }
    let output = run(tmp.path(), &["plot", &path_of(SOLVER), "-o", "-", "--output-format", "svg"]);
    assert!(stdout(&output).starts_with("<svg ") && stdout(&output).ends_with("</svg>\n"));
}

#[test]
fn svg_keeps_text_and_pdf_embeds_fonts() {
    let tmp = temp_dir();
    run(tmp.path(), &["plot", &path_of(SOLVER), "--title", "A title", "-o", "a.svg"]);
    let svg = fs::read_to_string(tmp.path().join("a.svg")).unwrap();
    assert!(svg.contains("A title") && svg.contains("training step"));
    run(tmp.path(), &["plot", &path_of(SOLVER), "-o", "a.pdf"]);
    let pdf = fs::read(tmp.path().join("a.pdf")).unwrap();
    assert!(String::from_utf8_lossy(&pdf).contains("Inter"));
}

#[test]
fn paper_gives_a_figure_for_one_column() {
    let tmp = temp_dir();
    let plot = |flags: &[&str]| {
        let solver = path_of(SOLVER);
        let output = run(tmp.path(), &[&["plot", &solver, "--paper"], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    plot(&["-o", "a.png"]);
    assert!(is_png(&tmp.path().join("a.png"), 975, 660), "3.25 x 2.2 in at 300 dpi");
    plot(&["--size", "6.75x2.5", "--dpi", "100", "-o", "b.png"]);
    assert!(is_png(&tmp.path().join("b.png"), 675, 250), "the flags have the last word");
    plot(&["-o", "a.svg"]);
    let svg = fs::read_to_string(tmp.path().join("a.svg")).unwrap();
    assert!(svg.contains("\npolicy entropy (nats)\n"), "a title of the y axis: {svg}");
    assert!(!svg.contains("\nPolicy entropy of "), "no title");
    plot(&["--title", "Mine", "-o", "b.svg"]);
    assert!(fs::read_to_string(tmp.path().join("b.svg")).unwrap().contains("\nMine\n"));
}

#[test]
fn style_is_read_from_a_file_and_written_to_one() {
    let tmp = temp_dir();
    let solver = path_of(SOLVER);
    let plot = |flags: &[&str]| {
        let output = run(tmp.path(), &[&["plot", &solver], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    let read = |name: &str| fs::read(tmp.path().join(name)).unwrap();
    let style = "theme = \"dark\"\nsize = \"4x3\"\ndpi = 50\npalette = [\"#ff8800\"]\n";
    fs::write(tmp.path().join("mine.toml"), style).unwrap();
    plot(&["--style", "mine.toml", "-o", "a.svg", "--save-style", "saved.toml"]);
    let svg = String::from_utf8(read("a.svg")).unwrap();
    assert!(svg.contains("#12151A") && svg.contains("#FF8800"), "{svg}");
    fs::write(tmp.path().join("dim.toml"), "palette = [\"#eeeeee\"]").unwrap();
    let output = run(tmp.path(), &["plot", &solver, "--style", "dim.toml", "-o", "g.svg"]);
    assert!(stderr(&output).contains("#eeeeee is hard to see"));
    let models = path_of("models");
    let crowded = ["plot", &models, "--style", "talk", "--size", "2x2", "-o", "g.svg"];
    assert!(stderr(&run(tmp.path(), &crowded)).contains("the picture is too small"));
    plot(&["--style", "saved.toml", "-o", "b.svg"]);
    assert!(read("a.svg") == read("b.svg"), "what was saved draws the same");
    plot(&["--style", "paper", "--style", "mine.toml", "--size", "5x3", "-o", "c.png"]);
    assert!(is_png(&tmp.path().join("c.png"), 250, 150), "the flag and the later style win");
    plot(&["--style", "paper", "-o", "d.svg"]);
    plot(&["--paper", "-o", "e.svg"]);
    assert!(read("d.svg") == read("e.svg"));

    fs::write(tmp.path().join("bad.toml"), "dpi = 100\nline_scales = 1\n").unwrap();
    let words = ["bad.toml: line 2: unknown key \"line_scales\"", "did you mean \"line_scale\"?"];
    assert_rejected(&tmp, &["plot", &solver, "--style", "bad.toml", "-o", "f.svg"], &words);
    let words = ["did you mean \"paper\"?"];
    assert_rejected(&tmp, &["plot", &solver, "--style", "papr", "-o", "f.svg"], &words);
}

#[test]
fn statistics_are_ranges_and_bars_with_the_flag_of_the_script() {
    let tmp = temp_dir();
    let solver = path_of(SOLVER);
    let stats = |flags: &[&str]| {
        let output = run(tmp.path(), &[&["plot", &solver, "-o", "a.svg"], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(tmp.path().join("a_stats.svg")).unwrap()
    };
    let ranges = stats(&["--with-stats"]);
    assert!(ranges.contains("\nat step\n") && ranges.contains("line: min to max, dot: mean"));
    let bars = stats(&["--with_stats"]);
    assert!(bars.contains("mean, max, min") && !bars.contains("dot: mean"));
    assert_eq!(bars, stats(&["--with-stats", "--style", "bars"]));
}

#[test]
fn lines_of_the_user_are_drawn_or_named() {
    let tmp = temp_dir();
    let solver = path_of(SOLVER);
    let lines = ["--hline", "0.5=floor", "--hline", "-1", "--vline", "20=new data"];
    let output = run(tmp.path(), &[&["plot", &solver, "-o", "a.svg"], &lines[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let svg = fs::read_to_string(tmp.path().join("a.svg")).unwrap();
    assert!(svg.contains("\nfloor\n") && svg.contains("\nnew data\n"));
    let output = run(tmp.path(), &["plot", &solver, "-o", "a.svg", "--vline", "99999=late"]);
    assert!(stderr(&output).contains("the line at step 99999 (“late”) is outside the axis"));
    assert_rejected(&tmp, &["plot", &solver, "--hline", "x=1", "-o", "b.svg"], &["\"x\" is not a"]);
    let outlines = ["plot", &solver, "--outline-text", "-o", "b.png"];
    assert_rejected(&tmp, &outlines, &["--outline-text is for SVG"]);
}

#[test]
fn flags_of_the_python_script_still_work() {
    let tmp = temp_dir();
    let (a, b) = (path_of(SOLVER), path_of(COLLAPSE));
    let arguments = ["plot", "--entropy_files", &a, &b, "--labels", "Solver", "Questioner"];
    let rest = ["--output", "plots/new/out.png", "--with_stats", "--title", "T", "--dpi", "40"];
    let output = run(tmp.path(), &[&arguments[..], &rest[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "plots/new/out.png\nplots/new/out_stats.png\n");
    let output = run(tmp.path(), &["plot", "--entropy_file", &a, "--output", "one.png"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn auto_finds_the_histories_of_storage_path() {
    let tmp = temp_dir();
    let output = program(tmp.path()).arg("auto").env("STORAGE_PATH", fixture("")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "entropy_comparison.png\nentropy_comparison_stats.png\n");
    assert!(stderr(&output).ends_with("7 runs compared: 2 collapsed, 5 healthy\n"));
}

#[test]
fn auto_accepts_the_positional_arguments_of_the_shell_script() {
    let tmp = temp_dir();
    let output = run(tmp.path(), &["auto", &path_of("models"), "out.png", "--dpi", "40"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files(tmp.path()), ["out.png", "out_stats.png"]);
}

#[test]
fn auto_artifacts_writes_the_complete_set_for_ci() {
    let tmp = temp_dir();
    let summary = tmp.path().join("step_summary");
    fs::write(&summary, "before\n").unwrap();
    let mut command = program(tmp.path());
    command.args(["auto", &path_of("models"), "--artifacts", "ci", "--dpi", "40"]);
    let output = command.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let wanted = [
        "entropy_comparison.png",
        "entropy_comparison.svg",
        "entropy_comparison_stats.png",
        "entropy_comparison_stats.svg",
        "junit.xml",
        "report.html",
        "stats.csv",
        "stats.json",
        "summary.md",
    ];
    assert_eq!(files(&tmp.path().join("ci")), wanted);
    let markdown = fs::read_to_string(tmp.path().join("ci/summary.md")).unwrap();
    assert_eq!(fs::read_to_string(&summary).unwrap(), format!("before\n{markdown}"));
    assert!(markdown.contains("collapsed at step 68"), "{markdown}");
    let document: Value =
        serde_json::from_slice(&fs::read(tmp.path().join("ci/stats.json")).unwrap()).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 7);
    let page = fs::read_to_string(tmp.path().join("ci/report.html")).unwrap();
    assert!(page.contains("qwen3-tiny_solver_s1") && page.contains("--artifacts ci --dpi 40"));
}

#[test]
fn auto_skips_broken_files_and_exits_with_2() {
    let tmp = temp_dir();
    for (name, text) in
        [("a", history(&[1.0, 2.0])), ("b", "[{".to_owned()), ("c", history(&[3.0]))]
    {
        let directory = tmp.path().join("models").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("entropy_history_{name}.json")), text).unwrap();
    }
    let output = run(tmp.path(), &["auto", "models", "--dpi", "40"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("warning: skipped: cannot read models/b/entropy_history_b.json")
    );
    assert!(stdout(&output).contains("entropy_comparison.png"));
    let output = run(tmp.path(), &["auto", "models", "--dpi", "40", "--allow-partial"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn auto_without_histories_reports_searched_paths_and_likely_causes() {
    let tmp = temp_dir();
    assert_rejected(
        &tmp,
        &["auto"],
        &["$STORAGE_PATH is not set", "hint: name a directory: entropy-viz auto MODELS_DIR"],
    );
    fs::create_dir_all(tmp.path().join("s/models/x")).unwrap();
    fs::write(tmp.path().join("s/models/x/config.json"), "{\"hidden_size\": 64}").unwrap();
    let mut command = program(tmp.path());
    let output = command.arg("auto").env("STORAGE_PATH", tmp.path().join("s")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for word in [
        "*/entropy_history_*.json",
        "$STORAGE_PATH is",
        "did not finish",
        "before entropy was recorded",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn auto_accepts_a_directory_name_with_glob_characters() {
    let tmp = temp_dir();
    let directory = tmp.path().join("m[1]*/run");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("entropy_history_run.json"), history(&[1.0, 2.0])).unwrap();
    let output = run(tmp.path(), &["auto", "m[1]*", "--dpi", "40"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn auto_says_what_to_do_with_a_pattern() {
    let tmp = temp_dir();
    fs::create_dir_all(tmp.path().join("runs/a")).unwrap();
    assert_rejected(
        &tmp,
        &["auto", "runs/*"],
        &["auto takes a directory, and 'runs/*' is a pattern", "--pattern", "plot 'runs/*'"],
    );
}

#[test]
fn label_count_mismatch_lists_the_files() {
    let tmp = temp_dir();
    let (a, b) = (path_of(SOLVER), path_of(COLLAPSE));
    let arguments = ["plot", &a, &b, "--labels", "one"];
    assert_rejected(
        &tmp,
        &arguments,
        &["1 label for 2 files", "\n  1. ", "\n  2. ", "hint: give one label per file"],
    );
    assert_rejected(&tmp, &["plot", "--labels", "one", &a], &["put the files first"]);
    assert_rejected(&tmp, &["plot", &a, "--labels", "one", &b], &["put the files first"]);
    assert_rejected(
        &tmp,
        &["plot", &a, &b, "--labels", "x", "x"],
        &["two runs are called \"x\"", &a, &b],
    );
    assert_rejected(&tmp, &["plot", &a, &a], &["is given twice"]);
}

#[test]
fn label_prefix_names_an_input() {
    let tmp = temp_dir();
    let argument = format!("a=b={}", path_of(SOLVER));
    assert_rejected(&tmp, &["stats", "--json", &argument], &["there is no such file"]);
    fs::write(tmp.path().join("x=1.json"), history(&[1.0])).unwrap();
    let labels = |arguments: &[&str]| -> Vec<String> {
        let output = run(tmp.path(), &[&["stats", "--json"], arguments].concat());
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let runs = document["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&["x=1.json"]), ["x=1"]);
    assert_eq!(labels(&["问=x=1.json"]), ["问"]);
}

#[test]
fn usage_errors_are_reported_before_any_work() {
    let tmp = temp_dir();
    let file = path_of(SOLVER);
    assert_rejected(&tmp, &["plot", &file, "-o", "x.jpg"], &["x.jpg", "\"jpg\"", "hint: "]);
    assert_rejected(&tmp, &["plot", &file, "-o", "-"], &["--output-format"]);
    assert_rejected(&tmp, &["plot", "nowhere.json"], &["nowhere.json: there is no such file"]);
    assert_rejected(&tmp, &["plot", "runs/*.json"], &["nothing matches runs/*.json"]);
    assert_rejected(&tmp, &["plot"], &["no input is given"]);
    assert_rejected(&tmp, &["plot", &file, "--smooth", "magic:3"], &["ema:WEIGHT"]);
    assert_rejected(&tmp, &["plot", &file, "--size", "1x1"], &["14x7"]);
    assert_rejected(
        &tmp,
        &["plot", &file, "--format", "xml"],
        &["known formats are rzero, verl, easyr1"],
    );
    assert_rejected(
        &tmp,
        &["plot", &file, "--metric", "loss"],
        &["no row has \"loss\"", "try --metric entropy"],
    );
    assert_rejected(
        &tmp,
        &["plot", &file, "--from-step", "9", "--to-step", "3"],
        &["is not before"],
    );
    assert_rejected(
        &tmp,
        &["plot", &file, "--from-step", "900"],
        &["no run has a point in the range of steps"],
    );
    assert_rejected(&tmp, &["plot", &file, "--font", "/dev/null"], &["cannot use the font"]);
    assert_rejected(&tmp, &["plto"], &["plot"]);
}

#[test]
fn failed_picture_write_leaves_no_files() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("file"), "").unwrap();
    fs::create_dir(tmp.path().join("taken.png")).unwrap();
    let file = path_of(SOLVER);
    assert_rejected(
        &tmp,
        &["plot", &file, "-o", "file/x.png"],
        &["cannot write file/x.png", "hint: "],
    );
    assert_rejected(&tmp, &["plot", &file, "-o", "taken.png"], &["cannot write taken.png"]);
    assert_rejected(&tmp, &["plot", &file, "-o", "/proc/x.png"], &["cannot write /proc/x.png"]);
}

#[cfg(target_os = "linux")]
#[test]
fn output_cannot_replace_an_input_under_any_name() {
    let tmp = temp_dir();
    let input = tmp.path().join("a.csv");
    let table = "step,entropy\n1,2.5\n2,2.25\n";
    fs::write(&input, table).unwrap();
    std::os::unix::fs::symlink("a.csv", tmp.path().join("soft.csv")).unwrap();
    fs::hard_link(&input, tmp.path().join("hard.csv")).unwrap();
    for output in ["a.csv", "./a.csv", "soft.csv", "hard.csv"] {
        let arguments = ["convert", "a.csv", "--to", "csv", "-o", output];
        assert_rejected(&tmp, &arguments, &["cannot write", "it is an input of this command"]);
        assert_eq!(fs::read_to_string(&input).unwrap(), table);
    }
}

#[test]
fn reports_full_disk() {
    let output = run(
        temp_dir().path(),
        &["plot", &path_of(SOLVER), "-o", "/dev/full", "--output-format", "png"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("cannot write /dev/full: no space left on device"),
        "{}",
        stderr(&output)
    );
}

#[cfg(unix)]
#[test]
fn written_files_respect_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let tmp = temp_dir();
    run(tmp.path(), &["plot", &path_of(SOLVER), "-o", "a.svg"]);
    fs::write(tmp.path().join("b"), "").unwrap();
    let mode = |name: &str| fs::metadata(tmp.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("a.svg"), mode("b"));
}

#[test]
fn stats_json_has_the_documented_keys() {
    let output = run(temp_dir().path(), &["stats", "--json", &path_of(COLLAPSE)]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&document["schema"], &document["unit"]), (&1.into(), &"nats".into()));
    let run = document["runs"][0].as_object().unwrap();
    let keys = [
        "label",
        "source",
        "format",
        "metric",
        "quantity",
        "points",
        "first_step",
        "last_step",
        "first",
        "last",
        "mean",
        "median",
        "std",
        "max",
        "max_step",
        "min",
        "min_step",
        "auc",
        "half_life_step",
        "state",
        "state_step",
        "start",
        "level",
        "slope",
        "baseline",
        "final_ratio",
        "late_slope",
        "repairs",
        "warnings",
    ];
    for key in keys {
        assert!(run.contains_key(key), "{key} is missing");
    }
    assert_eq!((&run["state"], &run["state_step"]), (&"collapsed".into(), &68.into()));
    assert_eq!(document["comparisons"], Value::Array(vec![]));
    assert_eq!(document["groups"], Value::Array(vec![]));
}

#[test]
fn stats_json_has_null_for_undefined_numbers() {
    let output = run(temp_dir().path(), &["stats", "--json", &path_of("awkward/one_point.json")]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let run = &document["runs"][0];
    assert_eq!(
        (&run["std"], &run["auc"], &run["baseline"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[test]
fn stats_prints_a_table_and_draws_bars_by_default() {
    let tmp = temp_dir();
    let output = run(tmp.path(), &["stats", &path_of(SOLVER), &path_of(COLLAPSE)]);
    let table = stdout(&output);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "entropy_stats.png");
    assert!(lines[1].starts_with("state ") && lines[1].contains("  mean  "), "{table}");
    assert!(lines[2].contains(" 0.3240 ") && lines[3].starts_with("collapsed @ 68  "), "{table}");
    assert!(lines[..4].iter().all(|line| line.chars().count() <= 80), "{table}");
    assert_eq!(lines[4], "names without “qwen3-tiny_…_s1”");
    assert!(
        lines[5].contains("questioner_collapse is 0.543 nats below solver [0.0792, 1.01]"),
        "{table}"
    );
    fs::remove_file(tmp.path().join("entropy_stats.png")).unwrap();
    for flag in ["--json", "--csv", "--no-plot"] {
        run(tmp.path(), &["stats", flag, &path_of(SOLVER)]);
        assert!(files(tmp.path()).is_empty(), "{flag}");
    }
}

#[test]
fn csv_output_escapes_spreadsheet_formulas() {
    let output =
        run(temp_dir().path(), &["stats", "--csv", &format!("=SUM(A1),\"x={}", path_of(SOLVER))]);
    assert!(!output.status.success(), "the first = ends an empty label");
    let input = format!("@SUM(A1),\"x={}", path_of(SOLVER));
    let output = run(temp_dir().path(), &["stats", "--csv", &input]);
    let text = stdout(&output);
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("\"'@SUM(A1),\"\"x\","), "{row}");
    let arguments = ["convert", &input, "--to", "csv", "-o", "-"];
    let text = stdout(&run(temp_dir().path(), &arguments));
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("\"'@SUM(A1),\"\"x\","), "{row}");
}

#[test]
fn control_characters_are_escaped_in_output() {
    let tmp = temp_dir();
    let directory = fixture("awkward/ansi");
    let argument = directory.to_str().unwrap();
    for arguments in
        [&["stats", argument][..], &["stats", "--csv", argument], &["-v", "plot", argument]]
    {
        let output = run(tmp.path(), arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn reads_a_history_from_stdin() {
    let tmp = temp_dir();
    let mut command = program(tmp.path());
    command.args(["stats", "--json", "piped=-"]).write_stdin(history(&[1.0, 2.0, 3.0]));
    let output = command.output().unwrap();
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&document["runs"][0]["label"], &document["runs"][0]["mean"]),
        (&"piped".into(), &2.0.into())
    );
}

#[cfg(unix)]
#[test]
fn closed_stdout_pipe_is_not_an_error() {
    let binary = assert_cmd::cargo::cargo_bin("entropy-viz");
    let script = format!("{} man | true; echo ${{PIPESTATUS[0]}}", binary.display());
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("0\n", ""));
}

#[test]
fn quiet_prints_only_errors_and_verbose_adds_details() {
    let tmp = temp_dir();
    let resumed = path_of("models/qwen3-tiny_solver_resumed");
    let said = |flag| stderr(&run(tmp.path(), &[flag, "stats", "--no-plot", &resumed]));
    assert_eq!(said("-q"), "");
    assert!(said("-v").contains("entropy read as rzero, 100 points"));
}

#[test]
fn writes_completions_and_manual_pages() {
    let tmp = temp_dir();
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(tmp.path(), &["completions", shell])).contains("entropy-viz"));
    }
    assert!(stdout(&run(tmp.path(), &["man"])).starts_with(".ie"));
    run(tmp.path(), &["man", "--dir", "man"]);
    assert!(files(&tmp.path().join("man")).contains(&"entropy-viz-plot.1".to_owned()));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["auto", "plot", "stats", "report"] {
        let help = stdout(&run(temp_dir().path(), &[command, "--help"]));
        assert!(help.contains("Examples:\n  entropy-viz "), "{help}");
    }
}

#[test]
fn warns_about_label_characters_missing_from_all_fonts() {
    let tmp = temp_dir();
    let input = format!("\u{10fffd}={}", path_of(SOLVER));
    let output = run(tmp.path(), &["plot", &input, "-o", "a.svg"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("no installed font has \u{10fffd}"), "{}", stderr(&output));
    assert!(fs::read_to_string(tmp.path().join("a.svg")).unwrap().contains('\u{10fffd}'));
}

/// Compares drawings of real runs with tests/golden. After looking at a change, accept it with `UPDATE_GOLDEN=1`.
#[test]
fn drawings_of_real_runs_match_golden_files() {
    let tmp = temp_dir();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let models = path_of("models");
    let compare = |arguments: &[&str], files: &[String]| {
        let output = run(tmp.path(), arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        for file in files {
            let drawn = fs::read_to_string(tmp.path().join(file)).unwrap();
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(golden.join(file), &drawn).unwrap();
            }
            let kept = fs::read_to_string(golden.join(file)).unwrap();
            assert!(drawn == kept, "{file} changed: look at it, then UPDATE_GOLDEN=1 cargo test");
        }
    };
    let cases = [
        ("light", &["--smooth", "ema:0.8"][..]),
        ("dark_log", &["--theme", "dark", "--log-y", "--title", "On a logarithmic scale"][..]),
        ("groups", &["--group", "questioner|solver", "--smooth", "ema:0.8"][..]),
    ];
    for (name, flags) in cases {
        let (file, stats) = (format!("{name}.svg"), format!("{name}_stats.svg"));
        let fixed = ["plot", &models, "--with-stats", "--size", "9x4", "-o", &file];
        compare(&[&fixed[..], flags].concat(), &[file.clone(), stats]);
    }
    let forest = "forest.svg".to_owned();
    compare(
        &["stats", &models, "--no-plot", "--comparison-plot", &forest],
        std::slice::from_ref(&forest),
    );
}

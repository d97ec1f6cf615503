//! `entropy-viz explain` as a user runs it, where nothing must be computed. The numbers are tested in
//! crates/entropy-tokens, computing in crates/entropy-viz-compute.

use std::fs;
use std::path::Path;

use crate::common::{files, fixture, program, run, stderr, stdout};
use serde_json::Value;

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// Runs `explain` on the run of the fixtures with its dump of tokens; returns the exit code, stdout and stderr.
fn explain(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let (run_path, tokens) = (path("grpo/run"), path("grpo/tokens.jsonl.gz"));
    let given = ["explain", &run_path, "--tokens", &tokens, "--reward", "early_vowels"];
    let output = run(directory, &[&given[..], arguments].concat());
    (output.status.code(), stdout(&output), stderr(&output))
}

fn sentences(document: &Value) -> Vec<(String, String)> {
    let texts = document["sentences"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    texts.map(|sentence| (text(&sentence["topic"]), text(&sentence["text"]))).collect()
}

#[test]
fn every_sentence_has_the_numbers_of_numpy() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, text, said) = explain(tmp.path(), &["--json"]);
    assert_eq!(code, Some(0), "{said}");
    let document: Value = serde_json::from_str(&text).unwrap();
    let expected = fs::read_to_string(fixture("expected/change.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let said = sentences(&document);
    let said = |topic: &str| {
        let found = said.iter().find(|(of, _)| of == topic);
        found.unwrap_or_else(|| panic!("nothing on {topic}")).1.clone()
    };
    // As the program writes them: a typographic minus, and none before a zero.
    let minus = |text: String| if text == "-0" { "0".to_owned() } else { text.replace('-', "−") };
    let two = |value: &Value| minus(format!("{:.2}", value.as_f64().unwrap()));
    let percent = |value: &Value| minus(format!("{:.0}", 100.0 * value.as_f64().unwrap()));
    let interval = |of: &Value| {
        format!("{} % [{}, {}]", percent(&of["value"]), percent(&of["low"]), percent(&of["high"]))
    };
    let step = |of: &str| expected[of].to_string();
    let mean = |of: &str| two(&expected["steps"][&step(of)]);

    let change = &expected["change"];
    assert_eq!(
        said("change"),
        format!(
            "Entropy fell from {} to {} nats per token between steps {} and {} ({} [{}, {}]).",
            mean("from"),
            mean("to"),
            step("from"),
            step("to"),
            two(&change["value"]),
            two(&change["low"]),
            two(&change["high"]),
        )
    );
    let outcome = &expected["splits"]["outcome"];
    // Of 8 prompts; expected/… has the tokens.
    let percent_of = |at: usize, step: usize| {
        let [right, wrong] =
            [0, 1].map(|row| outcome["rows"][row]["tokens"][step].as_f64().unwrap());
        format!("{:.0} %", 100.0 * [right, wrong][at] / (right + wrong))
    };
    assert_eq!(
        said("outcome"),
        format!(
            "How the fall splits by outcome is not clear: at step 0, right answers are {} of the tokens and of 2 prompts only, \
             and at step 50, wrong answers are {} of the tokens and of 4 prompts only (right: reward > 0).",
            percent_of(0, 0),
            percent_of(1, 1),
        )
    );
    let top = &expected["splits"]["top_tokens"]["rows"][0];
    let at_start = top["mean"][0].as_f64().unwrap() * top["tokens"][0].as_f64().unwrap();
    let all = expected["steps"]["0"].as_f64().unwrap() * 837.0;
    assert_eq!(
        said("top tokens"),
        format!(
            "The 20 % of tokens with the highest entropy carry {} of the fall; they held {:.0} % of the entropy at step 0.",
            interval(&top["within_share"]),
            100.0 * at_start / all,
        )
    );
    let kinds = &expected["splits"]["forking_kinds"]["rows"][0];
    let forking = said("forking tokens");
    assert!(
        forking.starts_with("The 10 kinds of tokens with the highest mean entropy (“n” “f”"),
        "{forking}"
    );
    let other = &expected["splits"]["forking_kinds"]["rows"][1];
    let [from, to] = [0, 1].map(|of| {
        let [forking, other] = [kinds, other].map(|row| row["tokens"][of].as_f64().unwrap());
        format!("{:.0}", 100.0 * forking / (forking + other))
    });
    let mix = interval(&expected["splits"]["forking_kinds"]["mix_share"]);
    assert!(
        forking.ends_with(&format!(
            "went from {from} to {to} % of the tokens, and this change of the mix is {mix} of the fall; the part of their own \
             entropy is not clear."
        )),
        "{forking}"
    );
    assert!(kinds["within"]["high"].as_f64().unwrap() > 0.0);
    let agreement = &expected["agreement"];
    let covariance = said("covariance");
    assert!(
        covariance.contains(&format!("in {} of {} intervals", agreement["same"], agreement["of"])),
        "{covariance}"
    );
    assert!(covariance.contains("All changes have one sign"), "{covariance}");
    let length = &expected["length"];
    assert!(said("length").contains(&format!(
        "rose from {} to {} tokens",
        two(&length["from"]),
        two(&length["to"])
    )));
    assert!(said("reward").contains(&format!(
        "rose from {:.3} to {}",
        expected["reward"]["from"].as_f64().unwrap(),
        two(&expected["reward"]["to"])
    )));
    assert!(
        said("position").starts_with("By position, no group has clearly more"),
        "{}",
        said("position")
    );
}

#[test]
fn page_and_figures_are_written_and_the_run_is_not_touched() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, text, said) = explain(tmp.path(), &["--figures", "f.svg", "-o", "why.html"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(text.starts_with("• Entropy fell from 2.33 to 0.92"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let names = files(tmp.path());
    for name in ["f_changes.svg", "f_outcome.svg", "f_heat-map.svg", "f_steps.svg", "why.html"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    // The parts of the figure are those of the page: by position they add up to the change of −1.413.
    let figure = fs::read_to_string(tmp.path().join("f_changes.svg")).unwrap();
    for words in ["By position", "tokens 0–3", "−0.408", "29 %", "changed mix"] {
        assert!(figure.contains(words), "{words}");
    }
    let page = fs::read_to_string(tmp.path().join("why.html")).unwrap();
    for part in [
        "Entropy fell from 2.33 to 0.92",
        "explanation-data",
        "tokens-data",
        "checkpoint-51/trainer_state.json",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!names.iter().any(|name| name.ends_with("_data")), "nothing was computed: {names:?}");
}

#[test]
fn same_input_gives_the_same_bytes() {
    let tmp = tempfile::tempdir().unwrap();
    let page = || {
        let (code, text, _) = explain(tmp.path(), &["-o", "a.html", "--json"]);
        assert_eq!(code, Some(0));
        (text, fs::read(tmp.path().join("a.html")).unwrap())
    };
    assert!(page() == page());
}

#[test]
fn dump_of_tokens_in_the_run_is_used() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir(tmp.path().join("solver")).unwrap();
    fs::copy(fixture("tokens/run.jsonl"), tmp.path().join("solver/tokens.jsonl")).unwrap();
    let output = run(tmp.path(), &["explain", "solver", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["scoring"], "given");
    // Checkpoints that score the same responses: no rewards, one response per prompt.
    assert_eq!(document["main"]["same_responses"], true);
    let missing: Vec<&str> = document["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["part"].as_str().unwrap())
        .collect();
    for part in ["by outcome", "covariance", "diversity", "the trainer's own entropy"] {
        assert!(missing.contains(&part), "{part}: {missing:?}");
    }
    let said = sentences(&document);
    assert!(
        said.iter().any(|(topic, text)| topic == "scoring"
            && text.starts_with("Both steps have the same responses")),
        "{said:?}"
    );
    assert!(!said.iter().any(|(topic, _)| topic == "outcome" || topic == "covariance"), "{said:?}");
    assert!(tmp.path().join("explain_solver.html").is_file());
    fs::copy(fixture("tokens/run.parquet"), tmp.path().join("solver/tokens.parquet")).unwrap();
    let output = run(tmp.path(), &["explain", "solver"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("has several dumps of tokens"), "{}", stderr(&output));
}

#[test]
fn one_step_and_dumps_without_entropies_say_what_is_missing() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir(tmp.path().join("r")).unwrap();
    let text = fs::read_to_string(fixture("tokens/run.jsonl")).unwrap();
    let one: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"step\":40,")).collect();
    fs::write(tmp.path().join("one.jsonl"), one.join("\n") + "\n").unwrap();
    let output = run(tmp.path(), &["explain", "r", "--tokens", "one.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.starts_with("? Entropies are known at one step only, step 40"), "{said}");
    let (a, b) =
        (format!("a={}", path("tokens/run.jsonl")), format!("b={}", path("tokens/run.parquet")));
    let output = run(tmp.path(), &["explain", "r", "--tokens", &a, "--tokens", &b]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("they are different dumps"), "{}", stderr(&output));
    let output = run(tmp.path(), &["explain", "r", "--tokens", &path("token_groups/nemo")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no response of the dump has entropies"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn errors_say_what_is_missing_and_what_to_type() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("empty/checkpoint-1")).unwrap();
    fs::create_dir_all(tmp.path().join("with/rollouts")).unwrap();
    fs::write(tmp.path().join("with/rollouts/1.jsonl"), "{}\n").unwrap();
    fs::write(tmp.path().join("file"), "").unwrap();
    for (arguments, expected, hint) in [
        (vec!["none"], "cannot explain none: no such directory", "give the directory of a run"),
        (vec!["file"], "cannot explain file: not a directory", "entropy-viz tokens"),
        (vec!["empty"], "no rollouts found", "--rollouts"),
        (vec!["empty", "--rollouts", "x"], "cannot read x: no such file", "--rollouts names"),
        (vec!["with", "-o", "x.pdf"], "is not a type of page", ".html"),
        (vec!["with", "-o", "-"], "the page is written to a file", "--json"),
        (vec!["with", "--figures", "-"], "--figures writes several files", "figures.pdf"),
    ] {
        let output = run(tmp.path(), &[&["explain"], &arguments[..]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && said.contains(hint), "{arguments:?}: {said}");
        assert_eq!(stdout(&output), "");
    }
    // Without the helper nothing can be computed.
    let mut command = program(tmp.path());
    let output = command
        .args(["explain", "with"])
        .env("PATH", "")
        .env("ENTROPY_VIZ_COMPUTE", tmp.path().join("none"))
        .env("LIBTORCH", tmp.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot compute"), "{}", stderr(&output));
    assert!(!tmp.path().join("explain_with_data").exists());
}

#[test]
fn explain_page_works_in_a_browser() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, _, said) = explain(tmp.path(), &["-o", "why.html"]);
    assert_eq!(code, Some(0), "{said}");
    let script = crate::common::root().join("tests/browser/explain_check.py");
    let mut python = std::process::Command::new(crate::report::browser_python());
    let output = python.arg(script).arg(tmp.path().join("why.html")).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

/// A helper that plans `seconds` of work for two checkpoints, and "computes" by copying a dump to --tokens-out.
#[cfg(unix)]
fn fake_helper(directory: &Path, seconds: u32) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let libtorch = directory.join("libtorch");
    fs::create_dir_all(libtorch.join("lib")).unwrap();
    fs::write(libtorch.join("build-version"), "2.11.0\n").unwrap();
    let extension = std::env::consts::DLL_SUFFIX;
    let library = format!("lib/{}torch_cpu{extension}", std::env::consts::DLL_PREFIX);
    fs::write(libtorch.join(library), "not a library").unwrap();
    let checkpoint = |step: u64| {
        format!(
            "{{\"step\":{step},\"state\":\"missing\",\"responses\":9,\"sampled\":0,\"tokens\":99}}"
        )
    };
    let plan = format!(
        "{{\"schema\":1,\"device\":\"cpu\",\"seconds\":{seconds},\"checkpoints\":[{},{}]}}",
        checkpoint(40),
        checkpoint(80),
    );
    let body = format!(
        "#!/bin/sh\ncase \"$*\" in *--plan*) echo '{plan}'; exit;; esac\n\
         while [ \"$1\" != --tokens-out ]; do shift; done\ncp '{}' \"$2\"\n",
        path("token_groups/run.jsonl")
    );
    let helper = directory.join("helper");
    fs::write(&helper, body).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    helper
}

#[cfg(unix)]
#[test]
fn long_work_is_asked_about_unless_yes_is_given() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("run/rollouts")).unwrap();
    for step in [2, 3] {
        fs::write(tmp.path().join(format!("run/rollouts/{step}.jsonl")), "{}\n").unwrap();
    }
    let explain = |seconds: u32, arguments: &[&str]| {
        let helper = fake_helper(tmp.path(), seconds);
        let mut command = program(tmp.path());
        command.args(["explain", "run"]).args(arguments);
        command.env("ENTROPY_VIZ_COMPUTE", helper).env("LIBTORCH", tmp.path().join("libtorch"));
        command.output().unwrap()
    };
    // Tests have no terminal to be asked on.
    let output = explain(7300, &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("this would take about 2.0 h, and nobody can be asked"), "{said}");
    assert!(said.contains("hint: give --yes"), "{said}");
    assert!(
        !tmp.path().join("explain_run.html").exists()
            && !tmp.path().join("explain_run_data").exists()
    );
    let output = explain(7300, &["--yes", "--", "--temperature", "0.7"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("about 2.0 h on the cpu") && said.contains("--temperature 0.7"),
        "{said}"
    );
    assert!(tmp.path().join("explain_run.html").is_file());
    // Short work is not asked about.
    let output = explain(200, &["-o", "short.html"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

//! `entropy-viz tokens` as a user runs it. The numbers are tested in crates/entropy-tokens.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{files, fixture, run, stderr, stdout};
use serde_json::Value;

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// Runs `tokens` in a temporary directory; returns the exit code, stdout and stderr.
fn tokens(arguments: &[&str]) -> (Option<i32>, String, String) {
    let tmp = tempfile::tempdir().unwrap();
    let output = run(tmp.path(), &[&["tokens"], arguments].concat());
    (output.status.code(), stdout(&output), stderr(&output))
}

fn document(arguments: &[&str]) -> Value {
    let (code, text, said) = tokens(&[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn tables_fit_eighty_columns_and_have_every_section() {
    let run = path("token_groups/run.jsonl");
    let (code, text, said) = tokens(&[&run, "--by", "env"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    for heading in [
        "Entropy of tokens in nats",
        "By position",
        "By outcome (right: reward > 0)",
        "By difficulty",
        "By env",
        "Forking tokens of step 120",
        "Covariance of log-prob and advantage",
        "advantages: A = (r − mean) / (sd + 1e-6)",
        "Mismatch: d = scored − sampled log-prob",
        "Diversity of the responses",
    ] {
        assert!(text.contains(heading), "{heading}: {text}");
    }
    assert!(
        text.contains("missing: by turn (no column \"turn\"); by role (no column \"role\")"),
        "{text}"
    );
    // The first line has the name of the file, which cannot be broken.
    for line in text.lines().skip(1) {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    // Columns that do not fit are in a table below.
    for column in ["ESS resp.", "2-grams", "top 20 %", "tokens"] {
        assert!(text.contains(column), "{column}");
    }
}

/// A dump of three checkpoints that scored the same responses: those of step 40 of a fixture.
fn scored_thrice(directory: &Path) -> String {
    let text = fs::read_to_string(path("token_groups/run.jsonl")).unwrap();
    let first = text.lines().filter(|line| line.contains("\"step\":40,"));
    let first: Vec<&str> = first.collect();
    let of_step = |step: u64| {
        let row =
            move |line: &&str| line.replace("\"step\":40,", &format!("\"step\":{step},")) + "\n";
        first.iter().map(row).collect::<String>()
    };
    let file = directory.join("scored.jsonl");
    fs::write(&file, [40, 80, 120].map(of_step).concat()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn steps_with_the_same_responses_are_named_and_their_diversity_is_shown_once() {
    let tmp = tempfile::tempdir().unwrap();
    let scored = scored_thrice(tmp.path());
    let (code, text, said) = tokens(&[&scored]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let note = "all steps have the same responses: at most one of these steps sampled them";
    assert!(text.contains(note), "{text}");
    let diversity = text.split("Diversity").nth(1).unwrap();
    let rows = |start: &str| diversity.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(rows("  40"), 3, "pass@k and n-grams once: {diversity}");
    assert_eq!(rows("  80"), 1, "the correlation with entropies of each step: {diversity}");
    let document = document(&[&scored]);
    assert_eq!(document["steps"][2]["same_responses_as"], 0);
    let figures = tmp.path().join("x.svg");
    let (code, _, said) =
        tokens(&[&scored, "-o", figures.to_str().unwrap(), "--figure", "diversity"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("all steps have the same responses"), "{said}");
    let (code, _, said) =
        tokens(&[&scored, "-o", figures.to_str().unwrap(), "--figure", "mismatch"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(fs::read_to_string(figures).unwrap().contains("same responses"));
}

#[test]
fn copy_of_a_dump_in_another_format_is_a_warning() {
    let [lines, table] = ["token_groups/run.jsonl", "token_groups/run.parquet"].map(path);
    let (code, _, said) = tokens(&[&lines, &table]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("run.parquet has the same"), "{said}");
    assert!(said.contains("step for step and token for token: they count twice"), "{said}");
    // Dumps that are compared may be equal.
    let (_, _, said) = tokens(&[&format!("a={lines}"), &format!("b={table}")]);
    assert!(!said.contains("count twice"), "{said}");
}

#[test]
fn step_without_log_probs_is_counted_in_the_tables() {
    let tmp = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(path("token_groups/run.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        match row["step"].as_u64() {
            Some(80) => drop(row.as_object_mut().unwrap().remove("log_probs")),
            Some(120) => drop(row.as_object_mut().unwrap().remove("entropies")),
            _ => row["log_probs"][0] = Value::Null,
        }
        row
    });
    let rows: Vec<Value> = rows.collect();
    let count = |step: u64| rows.iter().filter(|row| row["step"] == step).count();
    let file = tmp.path().join("run.jsonl");
    fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let (code, text, said) = tokens(&[file.to_str().unwrap()]);
    let first = count(40);
    assert_eq!(code, Some(0));
    let warning =
        format!("{first} tokens have a scored log-prob of null, and not in numbers of log-probs");
    assert!(said.contains(&warning) && said.contains("run.jsonl: line 1, step 40:"), "{said}");
    let section = |name: &str| text.split("\n\n").find(|part| part.contains(name)).unwrap();
    let entropy = format!("left out: {} responses without entropies", count(120));
    assert!(section("Entropy of tokens").contains(&entropy), "{text}");
    let responses = format!("left out: {} responses without log-probs", count(80));
    let missing = format!("left out: {first} tokens without a scored log-prob");
    let covariance = section("Covariance of log-prob");
    assert!(covariance.contains(&responses) && covariance.contains(&missing), "{text}");
    assert!(
        section("Mismatch:").contains(&missing) && !text.contains("probability of 0"),
        "{text}"
    );
}

#[test]
fn covariance_has_an_interval_and_an_unclear_prediction() {
    let run = path("token_groups/run.jsonl");
    let (_, text, _) = tokens(&[&run]);
    let covariance = text.split("Covariance").nth(1).unwrap();
    assert!(covariance.contains("unclear") && !covariance.contains("falls"), "{covariance}");
    assert!(text.contains("95 % interval over prompts"), "{text}");
    let found = &document(&[&run])["steps"][0]["covariance"];
    assert_eq!((&found["prediction"], &found["predicted_sign"]), (&"unclear".into(), &(-1).into()));
    assert!(found["low"].as_f64().unwrap() < 0.0 && found["high"].as_f64().unwrap() > 0.0);
}

#[test]
fn dump_without_rewards_names_the_missing_sections() {
    let (code, text, _) = tokens(&[&path("tokens/run.jsonl")]);
    assert_eq!(code, Some(0));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains(
            "covariance (neither advantages nor rewards; name the rewards with --reward)"
        ),
        "{text}"
    );
    assert!(
        text.contains("mismatch (no log-probs of the sampler, such as generation_logprobs)"),
        "{text}"
    );
    assert!(text.contains("diversity (no prompt has two responses)"), "{text}");
}

#[test]
fn json_has_a_schema_and_the_columns_that_were_used() {
    let document =
        document(&[&path("token_groups/run.parquet"), "--step", "40,80", "--threshold", "0.5"]);
    assert_eq!((document["schema"].as_u64(), document["unit"].as_str()), (Some(1), Some("nats")));
    assert_eq!(document["columns"]["sampler"][0], "generation_logprobs");
    assert_eq!(document["steps"].as_array().unwrap().len(), 2);
    assert_eq!(document["steps"][0]["entropy"]["thresholds"][0]["threshold"], 0.5);
    assert_eq!(document["outcome"]["reward_above"], 0.0);
    assert_eq!(document["rounded"], false);
}

#[test]
fn directory_with_one_dump_per_step_is_one_dump_and_labels_make_several() {
    let nemo = document(&[&path("token_groups/nemo")]);
    let steps: Vec<u64> = nemo["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [40, 80, 120]);
    assert_eq!(nemo["sources"].as_array().unwrap().len(), 1);
    let glob = path("token_groups/prime/*/rank_*.jsonl");
    let (a, b) = (format!("a={glob}"), format!("b={}", path("token_groups/slime.jsonl")));
    let (code, _, said) = tokens(&[&a, &b]);
    // A label names one log for other commands; here the files of a glob are one dump.
    assert_eq!(code, Some(0), "{said}");
    let both = document(&[&a, &b]);
    assert_eq!(both["sources"], serde_json::json!(["a", "b"]));
    assert_eq!(both["steps"].as_array().unwrap().len(), 6);
    let pairs = both["overlaps"].as_array().unwrap();
    let source = |at: &Value| both["steps"][at.as_u64().unwrap() as usize]["source"].clone();
    assert!(pairs.iter().all(|pair| source(&pair["a"]) == source(&pair["b"])), "{pairs:?}");
}

#[test]
fn unusable_rows_are_warnings_with_their_reason_and_place() {
    let tmp = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(fixture("token_groups/run.jsonl")).unwrap();
    let broken = text.replacen("\"entropies\":[", "\"entropies\":[0.5,", 2) + "not JSON\n{}\n";
    fs::write(tmp.path().join("broken.jsonl"), broken).unwrap();
    let output = run(tmp.path(), &["tokens", "broken.jsonl"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("2 responses are left out, lists of different lengths: first broken.jsonl: line 1: it has"), "{said}");
    assert!(
        said.contains(
            "1 response is left out, the row cannot be read: first broken.jsonl: line 49"
        ),
        "{said}"
    );
    assert!(
        said.contains("1 response is left out, no token ids: first broken.jsonl: line 50"),
        "{said}"
    );
    assert!(stdout(&output).contains("of 46 responses"), "{}", stdout(&output));
}

#[test]
fn named_file_that_is_no_dump_is_an_error_and_a_found_one_is_skipped() {
    let (code, _, said) = tokens(&[&path("compute/rollouts.jsonl")]);
    assert_eq!(code, Some(2));
    assert!(said.contains("as tokens: none of its"), "{said}");
    assert!(said.contains("hint: `tokens` reads dumps with token ids"), "{said}");
    let tmp = tempfile::tempdir().unwrap();
    fs::copy(fixture("token_groups/run.jsonl"), tmp.path().join("a.jsonl")).unwrap();
    fs::write(tmp.path().join("metrics.jsonl"), "{\"step\":1,\"loss\":2}\n").unwrap();
    for (arguments, code) in [(vec!["tokens", "."], 2), (vec!["tokens", ".", "--allow-partial"], 0)]
    {
        let output = run(tmp.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("skipped: cannot read ./metrics.jsonl as tokens"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn unknown_columns_and_steps_are_errors_that_say_what_is_there() {
    let run = path("token_groups/run.jsonl");
    for (arguments, expected) in [
        (["--reward", "rewrd"], "no response has a number in \"rewrd\", which --reward names"),
        (["--answer", "x"], "no response has an answer in \"x\""),
        (["--by", "envs"], "no response has a value in \"envs\", which --by names"),
        (["--by", "env>1"], "no response has a number in \"env\""),
        (["--prompt-id", "x"], "no response has a value in \"x\""),
        (["--answer-regex", "zzz"], "--answer-regex matches no response"),
        (["--step", "7"], "the dump has no response of the chosen steps"),
    ] {
        let (code, text, said) = tokens(&[&[run.as_str()], &arguments[..]].concat());
        assert_eq!((code, text.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(expected) && said.contains("hint:"), "{arguments:?}: {said}");
    }
    let (_, _, said) = tokens(&[&run, "--step", "7"]);
    assert!(said.contains("its steps are 40, 80, 120"), "{said}");
    let (code, _, said) = tokens(&[&run, &run]);
    assert_eq!(code, Some(2));
    assert!(said.contains("is given twice"), "{said}");
}

#[test]
fn figures_are_written_beside_each_other_or_one_to_its_file() {
    let tmp = tempfile::tempdir().unwrap();
    let dump = path("token_groups/run.jsonl");
    let output = run(tmp.path(), &["tokens", &dump, "--by", "env", "-o", "t.svg"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let names = files(tmp.path());
    let expected = [
        "covariance",
        "diversity",
        "groups",
        "heat-map-tenths",
        "heat-map",
        "histogram",
        "mismatch",
        "outcome",
        "profile",
        "steps",
    ];
    assert_eq!(names, expected.map(|name| format!("t_{name}.svg")));
    for name in &names {
        let svg = fs::read_to_string(tmp.path().join(name)).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("</svg>"), "{name}");
    }
    let output = run(tmp.path(), &["tokens", &dump, "-o", "one.pdf", "--figure", "heat-map"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fs::read(tmp.path().join("one.pdf")).unwrap().starts_with(b"%PDF"));
    let arguments = ["tokens", &dump, "-o", "x.png", "--figure", "heat-map", "--step", "40"];
    let output = run(tmp.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("one step with entropies; lines need two"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn same_input_gives_the_same_bytes() {
    let arguments = [&path("token_groups/run.jsonl")[..], "--by", "reward>0", "--json"];
    assert_eq!(tokens(&arguments).1, tokens(&arguments).1);
}

#[test]
fn stdin_is_read() {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz"))
        .args(["tokens", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = fs::read(fixture("token_groups/run.parquet")).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["responses"], 48);
}

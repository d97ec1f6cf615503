//! `report --tokens` as a user runs it, and what other commands say about a dump. The document is tested in
//! src/report/tokens/tests.rs.

use std::fs;

use crate::common::{fixture, run, stderr};
use serde_json::{Value, json};

const HISTORY: &str = "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json";

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

/// Runs `report` of a run; returns the exit code, the document of the tokens (null without), and stderr.
fn report(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let tmp = tempfile::tempdir().unwrap();
    let history = path(HISTORY);
    let output = run(tmp.path(), &[&["report", &history, "-o", "page.html"], arguments].concat());
    let page = fs::read_to_string(tmp.path().join("page.html")).unwrap_or_default();
    let data =
        page.split("id=\"tokens-data\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let document = data.map_or(Value::Null, |data| serde_json::from_str(data).unwrap());
    (output.status.code(), document, stderr(&output))
}

fn document(arguments: &[&str]) -> Value {
    let (code, document, said) = report(arguments);
    assert_eq!(code, Some(0), "{said}");
    document
}

#[test]
fn files_of_one_argument_form_one_dump_and_several_are_compared() {
    assert_eq!(document(&[]), Value::Null);
    let both = format!("run={}+{}", path("tokens/run.jsonl"), path("tokens/run.parquet"));
    let both = document(&["--tokens", &both]);
    assert_eq!(both["sources"], json!(["run"]));
    assert_eq!(both["steps"][0]["responses"], 24, "of the lines and of the table");
    let (run, prime) = (path("tokens/run.jsonl"), format!("prime={}", path("tokens/prime.jsonl")));
    let apart = document(&["--tokens", &run, "--tokens", &prime]);
    assert_eq!(apart["steps"].as_array().unwrap().len(), 4);
    assert_eq!(apart["sources"][1], "prime");
    // A directory, as `tokens` takes it.
    let directory = document(&["--tokens", &path("token_groups/prime")]);
    assert_eq!(directory["steps"].as_array().unwrap().len(), 3);
}

#[test]
fn flags_of_tokens_choose_columns_and_steps_of_the_page() {
    let dump = path("token_groups/run.jsonl");
    let chosen =
        document(&["--tokens", &dump, "--by", "env", "--step", "40,120", "--threshold", "0.5"]);
    let steps: Vec<&Value> =
        chosen["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, [&json!(40), &json!(120)]);
    assert_eq!(chosen["settings"]["thresholds"], json!([0.5]));
    let grouping = |key: &str| {
        chosen["groupings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|grouping| grouping["key"] == key)
            .unwrap()
    };
    assert_eq!(grouping("column")["title"], "env");
    assert_eq!(grouping("column")["groups"], json!(["sums", "words"]));
    assert_eq!(grouping("outcome")["groups"], json!(["right", "wrong"]));
    let (code, _, said) = report(&["--by", "env"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--tokens"), "{said}");
    let (code, _, said) = report(&["--tokens", &dump, "--reward", "nothing"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("no response has a number in \"nothing\", which --reward names"),
        "{said}"
    );
}

#[test]
fn page_says_what_was_left_out_as_tokens_does() {
    let tmp = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(fixture("tokens/run.jsonl")).unwrap();
    let name = tmp.path().join("odd.jsonl");
    fs::write(&name, format!("{good}{{\"step\":1}}\n{good}{{\"step\":")).unwrap();
    let dump = name.to_str().unwrap();
    let document = document(&["--tokens", dump]);
    let printed = run(tmp.path(), &["tokens", dump, "--json"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(document["odd"], printed["warnings"]);
    assert_eq!(document["odd"].as_array().unwrap().len(), 2, "a row without ids and a cut line");
    assert_eq!(document["totals"]["responses"], printed["responses"]);
}

#[test]
fn glob_skips_files_that_are_not_dumps_with_a_warning() {
    let tmp = tempfile::tempdir().unwrap();
    let dump = fs::read(fixture("tokens/run.jsonl")).unwrap();
    for (name, bytes) in [("a.jsonl", &dump[..]), ("b.jsonl", b"{\"step\":1}\n")] {
        fs::write(tmp.path().join(name), bytes).unwrap();
    }
    let glob = format!("{}/*.jsonl", tmp.path().display());
    let (code, document, _) = report(&["--tokens", &glob]);
    assert_eq!((code, &document["steps"][0]["responses"]), (Some(2), &json!(12)));
    let odd = document["odd"][0].as_str().unwrap();
    assert!(odd.contains("b.jsonl as tokens: none of its 1 row is a response"), "{odd}");
    assert_eq!(report(&["--tokens", &glob, "--allow-partial"]).0, Some(0));
}

#[test]
fn rejects_files_that_are_not_dumps() {
    for (file, what) in [
        (HISTORY, "as tokens: it is not a dump of tokens: it begins with"),
        ("parquet/none.parquet", "no such file"),
        ("readme", "no such file"),
    ] {
        let (code, document, said) = report(&["--tokens", &path(file)]);
        assert_eq!((code, document), (Some(2), Value::Null), "{file}");
        assert!(said.contains(what) && said.contains("hint: "), "{file}: {said}");
    }
}

#[test]
fn plot_of_a_token_dump_suggests_report_tokens() {
    let tmp = tempfile::tempdir().unwrap();
    let output = run(tmp.path(), &["plot", fixture("tokens/run.jsonl").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("report RUN --tokens FILE"), "{}", stderr(&output));
}

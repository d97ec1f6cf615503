//! Tests of the token document: its numbers are those of the analysis, and its limits hold.

use std::fmt::Write;

use entropy_history::dump::GroupBy;
use entropy_history::formats::Source;
use entropy_tokens::{AnalysisOptions, Columns, TokenTable, analyse, read};
use serde_json::{Value, json};

use super::selection::{MAX_RESPONSES, MAX_STEPS, MAX_TOKENS, MIN_RESPONSES};
use super::{TokenPage, tokens};

/// Reads lines of a dump.
pub(super) fn table_of(sources: &[(&str, &str)], columns: &Columns) -> TokenTable {
    let mut table = TokenTable::default();
    for (name, text) in sources {
        table.begin(*name);
        let source = Source { reader: &mut text.as_bytes(), path: None };
        read(source, name, columns, &mut table).unwrap();
    }
    table
}

/// The document of a table, with default options.
pub(super) fn document_of(table: &TokenTable, by: Option<&str>, warnings: &[String]) -> Value {
    let options = AnalysisOptions::default();
    let analysis = analyse(table, &options);
    tokens(table, &analysis, &TokenPage { options: &options, by, warnings }).unwrap()
}

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A dump of responses with a step, a length and an entropy of all tokens; `r0`, `r1`, ….
fn dump(responses: impl IntoIterator<Item = (u64, usize, f64)>) -> Value {
    let mut text = String::new();
    for (at, (step, length, entropy)) in responses.into_iter().enumerate() {
        let ids: Vec<usize> = (0..length).collect();
        let row = json!({
            "step": step, "id": format!("r{at}"), "response_token_ids": ids, "entropies": vec![entropy; length],
        });
        writeln!(text, "{row}").unwrap();
    }
    document_of(&table_of(&[("dump.jsonl", &text)], &Columns::default()), None, &[])
}

fn names(document: &Value) -> Vec<&str> {
    let responses = document["responses"].as_array().unwrap();
    responses.iter().map(|response| response["name"].as_str().unwrap()).collect()
}

/// Asserts that two numbers agree to seven digits, or both are null.
fn assert_near(ours: &Value, theirs: &Value, what: &str) {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => {
            assert!((ours - theirs).abs() <= 6e-7 * theirs.abs(), "{what}: {ours} is not {theirs}");
        }
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

#[test]
fn numbers_are_those_of_tokens_json() {
    let columns = Columns { by: Some(GroupBy::parse("env").unwrap()), ..Columns::default() };
    let table = table_of(&[("run.jsonl", &fixture("token_groups/run.jsonl"))], &columns);
    let document = document_of(&table, Some("env"), &[]);
    // `tokens --json` writes the analysis as it is.
    let analysis = json!(analyse(&table, &AnalysisOptions::default()));
    let pairs =
        document["steps"].as_array().unwrap().iter().zip(analysis["steps"].as_array().unwrap());
    assert_eq!(pairs.len(), 3);
    for (ours, theirs) in pairs {
        for key in ["step", "responses", "tokens", "mean_length", "mean_reward", "mean_log_prob"] {
            assert_near(&ours[key], &theirs[key], key);
        }
        let (entropy, stats) = (&ours["all"]["entropy"], &theirs["entropy"]);
        for (at, key) in ["mean", "low", "high"].into_iter().enumerate() {
            assert_near(&entropy["mean"][at], &stats[key], key);
        }
        assert_near(&entropy["response_mean"], &stats["response_mean"], "response_mean");
        assert_near(&entropy["top_share"], &stats["top_share"], "top_share");
        assert_eq!(entropy["histogram"], stats["histogram"]);
        for (at, percentile) in stats["percentiles"].as_array().unwrap().iter().enumerate() {
            assert_eq!(document["settings"]["percents"][at], percentile["percent"]);
            assert_near(&entropy["percentiles"][at], &percentile["value"], "percentile");
        }
        for (at, threshold) in stats["thresholds"].as_array().unwrap().iter().enumerate() {
            assert_near(&entropy["below"][at], &threshold["below"], "below");
            assert_near(&entropy["above"][at], &threshold["above"], "above");
        }
        for bins in ["tenths", "positions"] {
            let theirs = theirs[bins].as_array().unwrap();
            assert_eq!(ours["all"][bins].as_array().unwrap().len(), theirs.len());
            for (ours, theirs) in ours["all"][bins].as_array().unwrap().iter().zip(theirs) {
                assert_eq!((&ours[0], &ours[1]), (&theirs["tokens"], &theirs["responses"]));
                assert_near(&ours[2], &theirs["entropy"]["mean"], bins);
                assert_near(&ours[4], &theirs["entropy"]["high"], bins);
            }
        }
        for (ours, theirs) in ours["all"]["forking"]
            .as_array()
            .unwrap()
            .iter()
            .zip(theirs["forking"].as_array().unwrap())
        {
            let kind = &document["kinds"][ours[0].as_u64().unwrap() as usize];
            assert_eq!((&kind[0], &ours[1]), (&theirs["id"], &theirs["count"]));
            assert_near(&ours[2], &theirs["mean"], "forking");
        }
        for (section, key) in [
            ("covariance", "mean"),
            ("mismatch", "k1"),
            ("mismatch", "ess_responses"),
            ("diversity", "pass_entropy_pearson"),
        ] {
            assert_near(&ours[section][key], &theirs[section][key], key);
        }
        for (key, name) in
            [("outcome", "by_outcome"), ("difficulty", "by_difficulty"), ("column", "by_column")]
        {
            let groups = theirs[name].as_array().unwrap();
            assert_eq!(ours["by"][key]["rows"].as_array().unwrap().len(), groups.len());
            for (row, group) in ours["by"][key]["rows"].as_array().unwrap().iter().zip(groups) {
                assert_eq!((&row[0], &row[1]), (&group["name"], &group["responses"]));
                assert_near(&row[3], &group["entropy"]["mean"], name);
            }
        }
    }
    for (ours, theirs) in [("overlaps", "overlaps"), ("missing", "missing")] {
        let lengths =
            [&document[ours], &analysis[theirs]].map(|list| list.as_array().unwrap().len());
        assert_eq!(lengths[0], lengths[1], "{ours}");
    }
}

#[test]
fn numbers_of_a_group_are_those_of_a_dump_of_that_group() {
    let columns = Columns { by: Some(GroupBy::parse("env").unwrap()), ..Columns::default() };
    let text = fixture("token_groups/run.jsonl");
    let document = document_of(&table_of(&[("run", &text)], &columns), Some("env"), &[]);
    let groups: Vec<&str> = document["groupings"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|grouping| {
            grouping["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap())
        })
        .collect();
    let place = groups.iter().position(|name| *name == "words").unwrap();
    let words: String = text
        .lines()
        .filter(|line| line.contains("\"env\":\"words\""))
        .map(|line| format!("{line}\n"))
        .collect();
    let alone = document_of(&table_of(&[("run", &words)], &columns), Some("env"), &[]);
    for (whole, alone) in
        document["steps"].as_array().unwrap().iter().zip(alone["steps"].as_array().unwrap())
    {
        let group = &whole["groups"][place];
        assert_eq!(group["responses"], alone["responses"]);
        for key in ["mean", "response_mean", "percentiles", "below", "above", "top_share", "tokens"]
        {
            assert_eq!(group["entropy"][key], alone["all"]["entropy"][key], "{key}");
        }
        assert_eq!(group["tenths"], alone["all"]["tenths"]);
        assert_eq!(group["positions"], alone["all"]["positions"]);
    }
    // Each response says which groups it is in.
    for response in document["responses"].as_array().unwrap() {
        let of_words = response["groups"].as_array().unwrap().contains(&json!(place));
        assert_eq!(of_words, response["name"] == "3", "{response}");
    }
}

#[test]
fn small_dump_is_embedded_completely() {
    let document = dump([(1, 3, 0.5), (1, 2, 0.25), (2, 3, 0.125)]);
    assert_eq!(names(&document), ["r0", "r1", "r2"]);
    assert_eq!(document["steps"].as_array().unwrap().len(), 2);
    assert_eq!(
        document["left_out"],
        json!({"steps": 0, "responses": 0, "tokens": 0, "shortened": 0})
    );
    assert_eq!(document["excerpts"], json!([]));
}

#[test]
fn extreme_responses_are_kept_and_omitted_ones_counted() {
    let document = dump((0..1000).map(|i| (7, 10, f64::from(i * 37 % 1000) / 500.0)));
    let names = names(&document);
    assert_eq!(names.len(), MAX_RESPONSES);
    for extreme in ["r0", "r27"] {
        assert!(names.contains(&extreme), "{extreme}: 0 and 999 are the extreme means");
    }
    assert_eq!(
        (&document["left_out"]["responses"], &document["left_out"]["tokens"]),
        (&json!(800), &json!(8000))
    );
    assert_eq!(document["steps"][0]["all"]["entropy"]["tokens"], 10_000, "numbers are of all");
}

#[test]
fn long_responses_are_truncated_and_excerpts_reach_their_ends() {
    let document = dump((0..9).map(|i| (7, 60_000, f64::from(i))));
    let responses = document["responses"].as_array().unwrap();
    assert_eq!(responses.len(), MIN_RESPONSES);
    for response in responses {
        assert_eq!(response["entropies"].as_array().unwrap().len(), MAX_TOKENS / MIN_RESPONSES);
        assert_eq!(response["length"], 60_000);
    }
    assert_eq!(document["left_out"]["shortened"], 4);
    assert_eq!(document["left_out"]["tokens"], 9 * 60_000 - MAX_TOKENS);
    // 30 bins of 2000 tokens; the responses reach 25,000 tokens, so the last 17 bins have two excerpts each.
    let excerpts = document["excerpts"].as_array().unwrap();
    let bins: Vec<u64> = excerpts.iter().map(|excerpt| excerpt["bin"].as_u64().unwrap()).collect();
    assert_eq!(document["settings"]["position_width"], 2000);
    assert_eq!(bins, (13..30).flat_map(|bin| [bin, bin]).collect::<Vec<u64>>());
    for pair in excerpts.chunks(2) {
        assert_eq!(
            (&pair[0]["name"], &pair[1]["name"]),
            (&json!("r8"), &json!("r7")),
            "highest means first"
        );
        let from = pair[0]["from"].as_u64().unwrap();
        assert_eq!(from / 2000, pair[0]["bin"].as_u64().unwrap());
        assert_eq!(pair[0]["kinds"].as_array().unwrap().len(), 12);
    }
}

#[test]
fn excerpt_is_around_the_highest_entropy_of_its_range() {
    let mut rows: Vec<Vec<f64>> = vec![vec![0.1; 100]; 300];
    rows[150][45] = 9.0;
    let text: String = rows
        .iter()
        .enumerate()
        .map(|(id, entropies)| {
            let ids: Vec<usize> = (0..100).collect();
            format!(
                "{}\n",
                json!({"step": 1, "id": id, "response_token_ids": ids, "entropies": entropies})
            )
        })
        .collect();
    let document = document_of(&table_of(&[("dump", &text)], &Columns::default()), None, &[]);
    // All ranges are reached by selected responses, so nothing is added.
    assert_eq!(document["excerpts"], json!([]));
    let short: String = (0..300).map(|id| {
        let length = if id == 150 { 100 } else { 20 };
        let ids: Vec<usize> = (0..length).collect();
        format!("{}\n", json!({"step": 1, "id": id, "response_token_ids": ids, "entropies": &rows[id][..length]}))
    }).collect();
    let document = document_of(&table_of(&[("dump", &short)], &Columns::default()), None, &[]);
    let selected = names(&document).contains(&"150");
    let excerpts = document["excerpts"].as_array().unwrap();
    let with_peak = excerpts
        .iter()
        .any(|excerpt| excerpt["entropies"].as_array().unwrap().contains(&json!(9.0)));
    assert_eq!(with_peak, !selected, "the only response behind these cells is on the page once");
}

#[test]
fn limits_hold_for_many_steps_and_groups() {
    let row = |step: u64, turn: u64| {
        let ids: Vec<u64> = (0..70).collect();
        json!({"step": step, "id": 0, "turn": turn, "reward": turn % 2, "response_token_ids": ids, "entropies": vec![0.5; 70]})
    };
    let text: String = (0..120)
        .flat_map(|step| (0..12).map(move |turn| (step, turn)))
        .map(|(step, turn)| format!("{}\n", row(step, turn)))
        .collect();
    let document = document_of(&table_of(&[("dump", &text)], &Columns::default()), None, &[]);
    let steps = document["steps"].as_array().unwrap();
    assert_eq!(steps.len(), MAX_STEPS);
    assert_eq!((&steps[0]["step"], &steps[MAX_STEPS - 1]["step"]), (&json!(0), &json!(119)));
    assert_eq!(document["left_out"]["steps"], 70);
    let turns = document["groupings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|grouping| grouping["key"] == "turn")
        .unwrap();
    assert_eq!((turns["groups"].as_array().unwrap().len(), &turns["left_out"]), (8, &json!(4)));
    assert_eq!(steps[0]["by"]["turn"]["rows"].as_array().unwrap().len(), 12);
}

#[test]
fn selects_the_same_responses_at_each_step() {
    let mut text = String::new();
    for step in [1, 2] {
        for id in 0..300 {
            // The second step has the order of the means reversed.
            let entropy = if step == 1 { id } else { 300 - id };
            let row =
                json!({"step": step, "id": id, "response_token_ids": [1], "entropies": [entropy]});
            writeln!(text, "{row}").unwrap();
        }
    }
    let document = document_of(&table_of(&[("dump", &text)], &Columns::default()), None, &[]);
    let names = names(&document);
    assert_eq!(names[..100], names[100..]);
}

#[test]
fn responses_without_an_id_are_named_by_their_prompt_and_numbered() {
    let text: String = [("a", 5), ("a", 5), ("b", 6)]
        .map(|(uid, prompt)| format!("{}\n", json!({"uid": uid, "prompt_token_ids": [prompt], "response_token_ids": [1], "entropies": [1]})))
        .concat();
    let document = document_of(&table_of(&[("dump", &text)], &Columns::default()), None, &[]);
    assert_eq!(names(&document), ["prompt a", "prompt a", "prompt b"]);
    let numbers: Vec<&Value> =
        document["responses"].as_array().unwrap().iter().map(|response| &response["nth"]).collect();
    assert_eq!(numbers, [&json!(0), &json!(1), &Value::Null]);
    let document = document_of(
        &table_of(&[("dump", &text.replace("uid", "x"))], &Columns::default()),
        None,
        &[],
    );
    assert_eq!(names(&document), ["prompt 1", "prompt 1", "prompt 2"]);
}

#[test]
fn dump_without_entropies_has_its_other_sections() {
    let text = fixture("token_groups/nemo/train_data_step40.jsonl");
    let document = document_of(&table_of(&[("nemo", &text)], &Columns::default()), None, &[]);
    let step = &document["steps"][0];
    assert_eq!(
        (&step["all"]["entropy"], &document["responses"][0]["entropies"]),
        (&Value::Null, &Value::Null)
    );
    assert!(step["mismatch"]["k1"].is_f64() && step["covariance"]["mean"].is_f64());
    assert!(
        document["missing"]
            .as_array()
            .unwrap()
            .iter()
            .any(|missing| missing["section"] == "entropies")
    );
}

#[test]
fn colour_scale_ends_at_a_round_number() {
    for (high, max) in [(0.0, 1.0), (0.03, 0.03), (0.031, 0.04), (1.1, 1.2), (5.5, 6.0)] {
        assert_eq!(dump([(1, 5, high)])["scale"]["max"], max, "{high}");
    }
}

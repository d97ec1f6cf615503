//! Every number against NumPy and SciPy (tests/stats/make_token_group_values.py).

use entropy_history::dump::GroupBy;
use entropy_tokens::stats::covariance::covariance;
use entropy_tokens::{AnalysisOptions, Columns, analyse, shared_tokens, slices};
use serde_json::Value;

use crate::{fixture, read_fixtures};

/// The largest difference, relative above 1 and absolute below.
const TOLERANCE: f64 = 1e-9;

/// Asserts that `ours` has everything in `theirs`.
pub(crate) fn assert_agrees(ours: &Value, theirs: &Value, place: &str) {
    match theirs {
        Value::Object(keys) => {
            let pairs =
                keys.iter().map(|(key, value)| (&ours[key], value, format!("{place}.{key}")));
            pairs.for_each(|(ours, theirs, place)| assert_agrees(ours, theirs, &place));
        }
        Value::Array(values) => {
            let found = ours.as_array().unwrap_or_else(|| panic!("{place} is {ours}"));
            assert!(found.len() >= values.len(), "{place}: {} of {}", found.len(), values.len());
            for (i, (ours, theirs)) in found.iter().zip(values).enumerate() {
                assert_agrees(ours, theirs, &format!("{place}[{i}]"));
            }
        }
        Value::Number(number) => {
            let theirs = number.as_f64().unwrap();
            let ours = ours.as_f64().unwrap_or_else(|| panic!("{place} is {ours}, not {theirs}"));
            let near = (ours - theirs).abs() <= TOLERANCE * theirs.abs().max(1.0);
            assert!(near, "{place}: {ours} is not {theirs}");
        }
        other => assert_eq!(ours, other, "{place}"),
    }
}

fn document(paths: &[&str], by: &str) -> Value {
    let columns = Columns { by: Some(GroupBy::parse(by).unwrap()), ..Columns::default() };
    let table = read_fixtures(paths, &columns);
    serde_json::to_value(analyse(&table, &AnalysisOptions::default())).unwrap()
}

/// Tokens of clusters whose log-probs and advantages are correlated, from the generator of the script.
fn made_up_tokens(clusters: usize, tokens: usize) -> Vec<(u32, f64, f64)> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / 2f64.powi(31)
    };
    let shifts: Vec<f64> = (0..clusters).map(|_| next()).collect();
    let mut pairs = Vec::new();
    for (cluster, shift) in (0..).zip(&shifts) {
        for _ in 0..tokens {
            let log_prob = -3.0 * next().powi(4) - shift;
            pairs.push((cluster, log_prob, 2.0 * next() - 1.0 + (shift - 0.4) * log_prob));
        }
    }
    pairs
}

#[test]
fn every_number_matches_numpy_and_scipy() {
    let text = std::fs::read_to_string(fixture("expected/token_groups.json")).unwrap();
    let mut expected: Value = serde_json::from_str(&text).unwrap();
    let with = expected.as_object_mut().unwrap().remove("made_with").unwrap();
    assert!(with["numpy"].is_string() && with["scipy"].is_string());
    let made_up = expected.as_object_mut().unwrap().remove("made_up").unwrap();
    for (theirs, (clusters, tokens)) in
        made_up.as_array().unwrap().iter().zip([(12, 1000), (40, 60)])
    {
        let ours = covariance(&made_up_tokens(clusters, tokens)[..], clusters).unwrap();
        assert_agrees(&serde_json::to_value(ours).unwrap(), theirs, "made_up");
    }
    for file in ["run.jsonl", "run.parquet", "struct.parquet"] {
        let file = &*format!("token_groups/{file}");
        let ours = document(&[file], "env");
        assert_eq!(ours["steps"].as_array().unwrap().len(), 3);
        assert_eq!(
            ours["overlaps"].as_array().unwrap().len(),
            expected["overlaps"].as_array().unwrap().len()
        );
        assert_agrees(&ours, &expected, file);
    }
}

#[test]
fn formats_of_trainers_give_the_same_numbers() {
    let ours = document(&["token_groups/run.jsonl"], "reward>0");
    let prime =
        ["40", "80", "120"].map(|step| format!("token_groups/prime/step_{step}/rank_0.jsonl"));
    let nemo =
        ["40", "80", "120"].map(|step| format!("token_groups/nemo/train_data_step{step}.jsonl"));
    for (files, has_entropies) in [
        (prime.iter().map(String::as_str).collect::<Vec<_>>(), true),
        (vec!["token_groups/slime.jsonl"], true),
        (nemo.iter().map(String::as_str).collect(), false),
    ] {
        let theirs = document(&files, "reward>0");
        for (ours, theirs) in
            ours["steps"].as_array().unwrap().iter().zip(theirs["steps"].as_array().unwrap())
        {
            let without_texts = |value: &Value| {
                let mut value = value.clone();
                for list in ["top_tokens", "top_kinds", "worst_tokens"] {
                    if let Some(tokens) = value[list].as_array_mut() {
                        tokens
                            .iter_mut()
                            .for_each(|token| drop(token.as_object_mut().unwrap().remove("text")));
                    }
                }
                value
            };
            for section in ["covariance", "mismatch"] {
                assert_eq!(
                    without_texts(&ours[section]),
                    without_texts(&theirs[section]),
                    "{files:?} {section}"
                );
            }
            assert_eq!(ours["step"], theirs["step"], "{files:?}");
            // Groups are in the order of their hashes, which changes the last digit of a mean.
            let (ours_grams, theirs_grams) =
                (&ours["diversity"]["distinct_ngrams"], &theirs["diversity"]["distinct_ngrams"]);
            assert_agrees(ours_grams, theirs_grams, "distinct_ngrams");
            if has_entropies {
                for section in ["entropy", "tenths", "positions", "by_outcome", "by_column"] {
                    assert_agrees(&ours[section], &theirs[section], section);
                }
            } else {
                assert_eq!(theirs["entropy"], Value::Null);
            }
        }
    }
}

/// The values of tests/stats/make_token_values.py, by NumPy and SciPy.
#[test]
fn distribution_of_a_dump_of_compute_matches_numpy_and_scipy() {
    let table = read_fixtures(&["tokens/run.jsonl"], &Columns::default());
    let options = AnalysisOptions::default();
    let analysis = analyse(&table, &options);
    let text = std::fs::read_to_string(fixture("expected/tokens.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let parts = slices(&table, &analysis, &options, &[0, 1, 2], &[]);
    let document = serde_json::to_value(&analysis).unwrap();
    let scorings = expected["scorings"].as_array().unwrap();
    assert_eq!(scorings.len(), 3);
    for ((ours, part), theirs) in
        document["steps"].as_array().unwrap().iter().zip(&parts).zip(scorings)
    {
        let entropy = &ours["entropy"];
        for (ours, key) in [
            (&ours["step"], "step"),
            (&ours["responses"], "responses"),
            (&entropy["tokens"], "tokens"),
            (&entropy["mean"], "mean"),
            (&entropy["response_mean"], "response_mean"),
            (&entropy["thresholds"][0]["below"], "certain_share"),
            (&entropy["thresholds"][1]["above"], "over_reference_share"),
            (&entropy["top_share"], "top_share"),
        ] {
            assert_agrees(ours, &theirs[key], key);
        }
        let quantiles: Value = entropy["percentiles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|percentile| percentile["value"].clone())
            .collect();
        assert_agrees(&quantiles, &theirs["quantiles"], "quantiles");
        assert_agrees(&serde_json::json!(part.percentiles), &theirs["percentiles"], "percentiles");
        assert_agrees(&ours["forking"], &theirs["words"], "words");
        for (tenth, part) in
            ours["tenths"].as_array().unwrap().iter().zip(theirs["parts"].as_array().unwrap())
        {
            assert_eq!(tenth["tokens"], part["tokens"]);
            assert_agrees(&tenth["entropy"]["mean"], &part["mean"], "tenth");
        }
    }
    // The mean that transformers gives for the same tokens, from golden.json.
    let mean = analysis.steps[0].entropy.as_ref().unwrap().mean.mean;
    assert!((mean - 3.076_163_327_826_719_3).abs() < 1e-9);
    let shared = serde_json::to_value(shared_tokens(&table, &options, &[0, 1, 2])).unwrap();
    assert_eq!(shared.as_array().unwrap().len(), 3);
    assert_agrees(&shared, &expected["overlaps"], "overlaps");
}

#[test]
fn formats_of_one_dump_have_the_same_responses() {
    let lines = read_fixtures(&["tokens/run.jsonl"], &Columns::default());
    let rows = read_fixtures(&["tokens/run.parquet"], &Columns::default());
    let prime = read_fixtures(&["tokens/prime.jsonl"], &Columns::default());
    assert_eq!(lines.responses().len(), rows.responses().len());
    for (a, b) in lines.responses().iter().zip(rows.responses()) {
        assert_eq!((a.id(), a.sample(), a.finish()), (b.id(), b.sample(), b.finish()));
        assert_eq!((a.step(), a.group(), a.tokens()), (b.step(), b.group(), b.tokens()));
        assert_eq!(a.mean_entropy(), b.mean_entropy());
    }
    assert_eq!(lines.responses()[0].finish(), Some("length"));
    // The first of three steps, as prime-rl exports it: a sequence without an id is named by rank and number.
    assert_eq!(prime.responses().len(), 12);
    for (sequence, response) in prime.responses().iter().zip(lines.responses()) {
        assert_eq!(sequence.mean_entropy(), response.mean_entropy());
        assert_eq!((sequence.step(), sequence.group()), (40, response.group()));
    }
    assert_eq!(prime.responses()[11].id(), Some("0/11"));
}

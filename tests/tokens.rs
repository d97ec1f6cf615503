//! Token dumps: statistics against NumPy, and errors of broken files.

use std::fs;
use std::io::Write;

use crate::common::{fixture, run, stderr};
use entropy_history::dump::TokenDump;
use entropy_history::dump::{DumpError, is_token_dump, read};
use entropy_history::formats::{LogNote, Source};
use entropy_history::stats::tokens::{analyse, scorings};
use serde_json::{Value, json};

fn fixture_bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

fn try_read(mut bytes: &[u8]) -> Result<(TokenDump, Vec<LogNote>), DumpError> {
    let mut dump = TokenDump::default();
    dump.begin("dump");
    let notes = read(Source { reader: &mut bytes, path: None }, &mut dump)?;
    Ok((dump, notes))
}

fn read_complete(bytes: &[u8]) -> TokenDump {
    let (dump, notes) = try_read(bytes).unwrap();
    assert_eq!(notes, []);
    dump
}

fn rejection_message(text: &str) -> String {
    try_read(text.as_bytes()).unwrap_err().to_string()
}

/// A line of a dump with some keys replaced; null removes a key.
fn line(changes: &Value) -> String {
    let mut row = json!({
        "step": 1, "id": 0, "prompt_token_ids": [1], "response_token_ids": [22, 30],
        "tokens": ["7", "?"], "entropies": [2.5, 0.5], "log_probs": [-2.5, -0.5],
        "finish_reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(row.as_object_mut().unwrap().remove(key)),
            value => row[key] = value.clone(),
        }
    }
    format!("{row}\n")
}

/// Asserts that `ours` has everything in `theirs`, numbers within a relative 1e-12.
fn assert_agrees(ours: &Value, theirs: &Value, place: &str) {
    match theirs {
        Value::Object(keys) => {
            keys.iter().for_each(|(key, value)| {
                assert_agrees(&ours[key], value, &format!("{place}.{key}"))
            });
        }
        Value::Array(values) => {
            assert_eq!(ours.as_array().unwrap().len(), values.len(), "{place}");
            let pairs = ours.as_array().unwrap().iter().zip(values).enumerate();
            pairs.for_each(|(i, (ours, value))| {
                assert_agrees(ours, value, &format!("{place}[{i}]"))
            });
        }
        _ => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            let near = (ours - theirs).abs() <= 1e-12 * theirs.abs().max(1.0);
            assert!(near, "{place}: {ours} is not {theirs}");
        }
    }
}

#[test]
fn token_statistics_match_numpy_and_scipy() {
    let dump = read_complete(&fixture_bytes("tokens/run.jsonl"));
    let ours = analyse(&dump, &scorings(&dump));
    let mut expected: Value =
        serde_json::from_slice(&fixture_bytes("expected/tokens.json")).unwrap();
    let with = expected.as_object_mut().unwrap().remove("made_with").unwrap();
    assert!(with["numpy"].is_string() && with["scipy"].is_string());
    let mut document = serde_json::to_value(&ours).unwrap();
    for scoring in document["scorings"].as_array_mut().unwrap() {
        let values = scoring["quantiles"].as_array().unwrap().iter().map(|q| q["value"].clone());
        scoring["quantiles"] = values.collect();
        for word in scoring["words"].as_array_mut().unwrap() {
            let kind = usize::try_from(word["kind"].as_u64().unwrap()).unwrap();
            word["id"] = dump.kinds()[kind].id.into();
        }
    }
    assert_eq!(expected["overlaps"].as_array().unwrap().len(), 3);
    assert_agrees(&document, &expected, "");
    // The mean that transformers gives for the same tokens, from golden.json.
    assert!((ours.scorings[0].mean - 3.076_163_327_826_719_3).abs() < 1e-9);
}

#[test]
fn parquet_dump_equals_jsonl_dump() {
    let (lines, table) = (
        read_complete(&fixture_bytes("tokens/run.jsonl")),
        read_complete(&fixture_bytes("tokens/run.parquet")),
    );
    assert_eq!(lines.responses(), table.responses());
    assert_eq!(lines.kinds(), table.kinds());
}

#[test]
fn prime_rl_dump_keeps_only_sampled_tokens() {
    let (prime, run) = (
        read_complete(&fixture_bytes("tokens/prime.jsonl")),
        read_complete(&fixture_bytes("tokens/run.jsonl")),
    );
    let first = &run.responses()[..12];
    assert_eq!(prime.responses().len(), 12);
    for (sequence, response) in prime.responses().iter().zip(first) {
        assert_eq!(sequence.entropies(), response.entropies());
        assert_eq!(sequence.log_probs(), response.log_probs());
        assert_eq!((sequence.step(), sequence.prompt()), (40, response.prompt()));
    }
    assert_eq!(prime.responses()[11].id(), "0/11");
}

#[test]
fn prime_rl_token_without_an_entropy_is_left_out_and_counted() {
    let text = String::from_utf8(fixture_bytes("tokens/prime.jsonl")).unwrap();
    let whole = read_complete(text.as_bytes());
    // The second sampled token of the first sequence, and all log-probs of the second sequence.
    let changed = text.replacen("0.642470806", "null", 1);
    let (first, rest) = changed.split_once('\n').unwrap();
    let (second, rest) = rest.split_once('\n').unwrap();
    let at = second.find("\"trainer_logprobs\":[").unwrap();
    let end = at + second[at..].find(']').unwrap() + 1;
    let second = format!("{}\"trainer_logprobs\":null{}", &second[..at], &second[end..]);
    let (dump, notes) = try_read(format!("{first}\n{second}\n{rest}").as_bytes()).unwrap();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].to_string(), "1 sampled token has no finite entropy; left out");
    let (response, complete) = (&dump.responses()[0], &whole.responses()[0]);
    assert_eq!(response.entropies()[1..], complete.entropies()[2..]);
    assert_eq!(response.log_probs()[1..], complete.log_probs()[2..]);
    assert_eq!(dump.responses()[1].entropies(), whole.responses()[1].entropies());
    assert!(dump.responses()[1].log_probs().is_empty());
}

#[test]
fn accepts_any_key_order_compression_and_bom() {
    let text = fixture_bytes("tokens/run.jsonl");
    let rows = text.split(|b| *b == b'\n').filter(|row| !row.is_empty());
    // Rows with sorted keys: `entropies` comes first.
    let sorted: Vec<u8> = rows
        .flat_map(|row| {
            let row: std::collections::BTreeMap<String, Value> =
                serde_json::from_slice(row).unwrap();
            serde_json::to_vec(&row).unwrap().into_iter().chain(*b"\r\n")
        })
        .collect();
    assert!(sorted.starts_with(b"{\"entropies\""));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&text).unwrap();
    let marked = [b"\xef\xbb\xbf", &text[..]].concat();
    let expected = read_complete(&text);
    for file in [sorted, packed.finish().unwrap(), marked] {
        assert_eq!(read_complete(&file).responses(), expected.responses());
    }
}

#[test]
fn truncated_jsonl_dump_keeps_complete_lines_with_a_note() {
    let text = [line(&json!({})), line(&json!({"id": "π"}))].concat();
    let first = text.find('\n').unwrap() + 1;
    for end in 1..first - 1 {
        let said = try_read(&text.as_bytes()[..end]).unwrap_err().to_string();
        assert_eq!(said, "the file ends inside its first line", "cut at {end}");
    }
    for end in first + 1..text.len() - 1 {
        let (dump, notes) = try_read(&text.as_bytes()[..end]).unwrap();
        assert_eq!(dump.responses().len(), 1, "cut at {end}");
        assert_eq!(
            notes.iter().map(LogNote::to_string).collect::<Vec<_>>(),
            ["the file ends inside a line (line 2); 1 complete line was read"],
            "cut at {end}"
        );
    }
    assert_eq!(read_complete(text.trim_end().as_bytes()).responses().len(), 2);
}

#[test]
fn truncated_parquet_dump_is_an_error_not_a_panic() {
    let table = fixture_bytes("tokens/run.parquet");
    for end in (4..table.len()).step_by(97) {
        assert!(try_read(&table[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn null_log_prob_is_minus_infinity() {
    let dump = read_complete(line(&json!({"log_probs": [null, -0.5]})).as_bytes());
    assert_eq!(dump.responses()[0].log_probs(), [f32::NEG_INFINITY, -0.5]);
    let dump = read_complete(line(&json!({"tokens": [], "log_probs": null})).as_bytes());
    assert_eq!((dump.responses()[0].log_probs(), &dump.kinds()[0].text), (&[][..], &None));
}

#[test]
fn rejects_malformed_line_with_its_number_and_reason() {
    let cases = [
        (json!({"entropies": [1.0]}), "line 2: it has 2 tokens and 1 entropies"),
        (json!({"tokens": ["a"]}), "line 2: it has 2 tokens and 1 texts"),
        (json!({"log_probs": [0.0]}), "line 2: it has 2 tokens and 1 log-probs"),
        (json!({"entropies": null}), "line 2: it has no \"entropies\""),
        (json!({"response_token_ids": null}), "line 2: it has no \"response_token_ids\""),
        (json!({"step": null}), "line 2: it has no \"step\""),
        (json!({"step": -1}), "invalid value: integer `-1`, expected a whole number from 0"),
        (json!({"step": 1.5}), "invalid value: floating point `1.5`, expected a whole number"),
        (json!({"entropies": [1.0, "x"]}), "invalid type: string \"x\", expected a number"),
        (json!({"response_token_ids": [1, -1]}), "expected the id of a token"),
        (json!({"response_token_ids": [1, 4294967296u64]}), "expected the id of a token"),
        (json!({"tokens": "7?"}), "invalid type: string \"7?\", expected a sequence"),
    ];
    for (change, expected) in cases {
        let said = rejection_message(&[line(&json!({})), line(&change), line(&json!({}))].concat());
        assert!(said.starts_with("line 2") && said.contains(expected), "{change}: {said}");
        assert!(!said.contains("at line 1"), "{said}");
    }
    let null = line(&json!({})).replace("2.5,0.5", "2.5,null");
    assert!(rejection_message(&null).contains("the entropy of token 2 is null"));
    let said = rejection_message(&(line(&json!({})) + "{\"step\": 1,\n" + &line(&json!({}))));
    assert_eq!(said, "line 2, column 11: it ends inside the object");
    assert!(
        rejection_message("[1, 2]\n").starts_with("it is not a dump of tokens: it begins with")
    );
    assert_eq!(rejection_message(""), "the file is empty");
    assert_eq!(rejection_message(" \n\n"), "the file holds nothing but white space");
}

#[test]
fn token_dump_is_distinguished_from_history_and_rollouts() {
    assert!(is_token_dump(&fixture_bytes("tokens/run.jsonl")));
    assert!(is_token_dump(&fixture_bytes("tokens/prime.jsonl")[..1 << 14]));
    // A prompt longer than the part that format detection reads.
    let prompt = ["1"; 9_000].join(",");
    assert!(is_token_dump(
        format!("{{\"step\":1,\"id\":0,\"prompt_token_ids\":[{prompt}").as_bytes()
    ));
    for other in [
        "compute/rollouts.jsonl",
        "models/qwen3-tiny_solver_s1/entropy_history_qwen3-tiny_solver_s1.json",
        "verl/qwen3-tiny_solver_s1.jsonl",
        "jsonl/trainer/metrics.jsonl",
        "tokens/run.parquet",
    ] {
        let head = fixture_bytes(other);
        assert!(!is_token_dump(&head), "{other}");
        assert!(!is_token_dump(&head[..300]), "the start of {other}");
    }
}

#[test]
fn plot_of_a_token_dump_suggests_report_tokens() {
    let tmp = tempfile::tempdir().unwrap();
    let output = run(tmp.path(), &["plot", fixture("tokens/run.jsonl").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("report RUN --tokens FILE"), "{}", stderr(&output));
}

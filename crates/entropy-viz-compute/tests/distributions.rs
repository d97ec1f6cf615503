//! Ranks, p_max, Rényi-2, entropies of top-p sets and of several temperatures: against NumPy on the logits of
//! transformers (tests/compute/make_distributions.py).

use std::fs;
use std::path::Path;

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, compute_ok, lines, max_difference, model, numbers, read, rollouts, temp_dir,
    text,
};
use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

fn golden() -> Value {
    read(&fixture("distributions/golden.json"))
}

/// The columns of `--tokens-out` and their keys in the golden values; what their differences may be.
const COLUMNS: [(&str, &str, f64); 10] = [
    ("entropies", "entropy", 2e-5),
    ("log_probs", "log_prob", 2e-5),
    ("ranks", "rank", 0.0),
    ("p_max", "p_max", 1e-5),
    ("renyi2", "renyi2", 2e-5),
    ("entropy_top_p", "entropy_top_p", 2e-5),
    ("entropies@0.7", "entropy@0.7", 2e-5),
    ("log_probs@0.7", "log_prob@0.7", 2e-5),
    ("entropies@1.5", "entropy@1.5", 2e-5),
    ("log_probs@1.5", "log_prob@1.5", 2e-5),
];

const FLAGS: [&str; 4] = ["--temperature", "1.0,0.7,1.5", "--nucleus", "0.9"];

fn score(directory: &Path, flags: &[&str]) {
    let (model, given) = (model("qwen2"), rollouts());
    let arguments = ["--model", text(&model), "--prompts", text(&given), "--step", "1"];
    compute_ok(directory, &[&arguments[..], &["-o", "h.json"], flags].concat());
}

#[test]
fn numbers_of_every_token_are_those_of_numpy() {
    let (tmp, golden) = (temp_dir(), golden());
    score(tmp.path(), &[&FLAGS[..], &["--tokens-out", "t.jsonl"]].concat());
    let rows = lines(&tmp.path().join("t.jsonl"));
    let expected = golden["qwen2"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    let history = &read(&tmp.path().join("h.json"))[0];
    for (column, key, tolerance) in COLUMNS {
        let mut all = Vec::new();
        for (row, expected) in rows.iter().zip(expected) {
            let expected = numbers(&expected[key]);
            let off = max_difference(&numbers(&row[column]), &expected);
            assert!(off <= tolerance, "response {}: {column} is off by {off:e}", row["id"]);
            all.extend(expected);
        }
        // The means of the history.
        let (name, terms): (String, Vec<f64>) = match key {
            "rank" => {
                let shares = all.iter().map(|rank| f64::from(u8::from(*rank == 0.0)));
                ("rank_0_share".to_owned(), shares.collect())
            }
            key if key.starts_with("log_prob") => (key.replace("log_prob", "log_prob_mean"), all),
            key => (key.to_owned(), all),
        };
        let mean = terms.iter().sum::<f64>() / terms.len() as f64;
        let off = (history[&name].as_f64().unwrap() - mean).abs();
        assert!(off < 2e-6, "{name} is off by {off:e}");
    }
    assert!(rows[0]["ranks"][0].is_u64());
}

#[test]
fn parquet_has_the_columns_of_json_lines() {
    let tmp = temp_dir();
    score(tmp.path(), &[&FLAGS[..], &["--tokens-out", "t.jsonl"]].concat());
    score(tmp.path(), &[&FLAGS[..], &["--tokens-out", "t.parquet", "--overwrite"]].concat());
    let file = fs::File::open(tmp.path().join("t.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    let rows = lines(&tmp.path().join("t.jsonl"));
    for (column, ..) in COLUMNS {
        let expected: Vec<f64> = rows.iter().flat_map(|row| numbers(&row[column])).collect();
        let found: Vec<f64> = batches.iter().flat_map(|batch| values(batch, column)).collect();
        assert_eq!(found, expected, "{column}");
    }
    // Without the flags it lacks columns: other settings.
    let (model, given) = (model("qwen2"), rollouts());
    assert_rejected(
        tmp.path(),
        &[
            "--model",
            text(&model),
            "--prompts",
            text(&given),
            "--step",
            "2",
            "-o",
            "i.json",
            "--tokens-out",
            "t.parquet",
        ],
        &["t.parquet", "with these flags"],
    );
    score(tmp.path(), &["--tokens-out", "t.parquet", "--overwrite"]);
}

/// All numbers of a column of lists.
fn values(batch: &RecordBatch, column: &str) -> Vec<f64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    let lists = batch.column_by_name(column).unwrap().as_list::<i32>();
    match lists.values().as_primitive_opt::<Int64Type>() {
        Some(counts) => counts.iter().map(|count| count.unwrap() as f64).collect(),
        None => lists.values().as_primitive::<Float64Type>().iter().map(Option::unwrap).collect(),
    }
}

#[test]
fn tokens_of_others_are_null() {
    let tmp = temp_dir();
    let row = json!({"prompt_token_ids": [5, 6], "response_token_ids": [7, 8, 9], "response_mask": [1, 0, 1]});
    fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
    let model = model("qwen2");
    let arguments =
        ["--model", text(&model), "--prompts", "p.jsonl", "--step", "1", "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &FLAGS, &["--tokens-out", "t.jsonl"]].concat());
    let row = &lines(&tmp.path().join("t.jsonl"))[0];
    for (column, ..) in COLUMNS {
        let values = row[column].as_array().unwrap();
        let nulls: Vec<bool> = values.iter().map(Value::is_null).collect();
        assert_eq!(nulls, [false, true, false], "{column}");
    }
}

#[test]
fn sampled_responses_have_the_numbers_of_scored_ones() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt": "What is 3 + 4?"}).to_string()).unwrap();
    let model = model("qwen2");
    let arguments =
        ["--model", text(&model), "--step", "1", "--nucleus", "0.9", "--temperature", "0.7"];
    let sample =
        ["--prompts", "p.jsonl", "--samples", "3", "--max-new-tokens", "20", "-o", "s.json"];
    let outputs = ["--tokens-out", "s.jsonl", "--save-rollouts", "r.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &sample, &outputs].concat());
    let score = ["--prompts", "r.jsonl", "-o", "h.json", "--tokens-out", "t.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &score].concat());
    let (sampled, scored) =
        (lines(&tmp.path().join("s.jsonl")), lines(&tmp.path().join("t.jsonl")));
    assert_eq!((sampled.len(), scored.len()), (3, 3));
    for (column, _, tolerance) in &COLUMNS[..6] {
        for (a, b) in sampled.iter().zip(&scored) {
            let off = max_difference(&numbers(&a[*column]), &numbers(&b[*column]));
            assert!(off <= *tolerance, "{column} is off by {off:e}");
        }
    }
    // The tokens that were drawn at --top-p are in the set whose entropy is computed.
    let top =
        ["--prompts", "p.jsonl", "--top-p", "1e-9", "-o", "g.json", "--tokens-out", "g.jsonl"];
    let flags = ["--model", text(&model), "--step", "1", "--nucleus", "1e-9"];
    compute_ok(tmp.path(), &[&flags[..], &top].concat());
    let greedy = &lines(&tmp.path().join("g.jsonl"))[0];
    assert!(numbers(&greedy["ranks"]).iter().all(|rank| *rank == 0.0));
    assert!(numbers(&greedy["entropy_top_p"]).iter().all(|entropy| *entropy == 0.0));
}

#[test]
fn several_temperatures_are_for_given_responses() {
    let tmp = temp_dir();
    let rows = [json!({"prompt": "a", "response": "b"}), json!({"prompt": "a"})];
    fs::write(tmp.path().join("p.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    let model = model("qwen2");
    let arguments =
        ["--model", text(&model), "--prompts", "p.jsonl", "--step", "1", "-o", "h.json"];
    assert_rejected(
        tmp.path(),
        &[&arguments[..], &["--temperature", "1,0.7"]].concat(),
        &["p.jsonl", "line 2", "--save-rollouts"],
    );
}

#[test]
fn other_flags_are_other_settings() {
    let tmp = temp_dir();
    let (model, given) = (model("qwen2"), rollouts());
    let arguments =
        ["--model", text(&model), "--prompts", text(&given), "--step", "1", "-o", "h.json"];
    let with = |flags: &[&str]| compute_ok(tmp.path(), &[&arguments[..], flags].concat());
    with(&FLAGS);
    assert!(stderr(&with(&FLAGS)).contains("already in h.json"));
    for flags in [
        &[][..],
        &["--temperature", "1.0,0.7", "--nucleus", "0.9"],
        &["--temperature", "1.0,1.5,0.7", "--nucleus", "0.9"],
        &["--temperature", "1.0,0.7,1.5", "--nucleus", "0.95"],
        &["--temperature", "1.0,0.7,1.5"],
    ] {
        let words = ["h.json", "other prompts or flags", "--overwrite"];
        assert_rejected(tmp.path(), &[&arguments[..], flags].concat(), &words);
    }
    with(&["--overwrite"]);
    assert_eq!(read(&tmp.path().join("h.json"))[0].get("entropy@0.7"), None);
}

#[test]
fn shards_of_rows_merge_to_the_means_of_the_whole() {
    let tmp = temp_dir();
    score(tmp.path(), &FLAGS);
    let (model, given) = (model("qwen2"), rollouts());
    let arguments = ["--model", text(&model), "--prompts", text(&given), "--step", "1"];
    let shared = [&arguments[..], &FLAGS, &["-o", "s.json", "--shard-by", "rows"]].concat();
    for shard in ["1/3", "2/3", "3/3"] {
        compute_ok(tmp.path(), &[&shared[..], &["--shard", shard]].concat());
    }
    compute_ok(tmp.path(), &shared);
    let (whole, merged) = (read(&tmp.path().join("h.json")), read(&tmp.path().join("s.json")));
    let (whole, merged) = (whole[0].as_object().unwrap(), merged[0].as_object().unwrap());
    assert!(whole.keys().eq(merged.keys()), "{whole:?}\n{merged:?}");
    for (key, value) in whole.iter().filter(|(key, _)| *key != "settings") {
        let off = (value.as_f64().unwrap() - merged[key].as_f64().unwrap()).abs();
        assert!(off < 1e-5, "{key} is off by {off:e}");
    }
}

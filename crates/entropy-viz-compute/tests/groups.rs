//! `--by`: the numbers of groups of responses, against those of transformers for the same responses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, compute_ok, lines, model, numbers, read, rollouts, temp_dir, text,
};
use serde_json::{Map, Value, json};

/// The golden numbers of the responses of `qwen2` whose ids are in the group.
struct Expected {
    entropy: f64,
    log_prob: f64,
    tokens: usize,
    sequences: usize,
}

fn expected(is_member: impl Fn(u64) -> bool) -> Expected {
    let golden = &read(&model("qwen2").join("golden.json"))["temperatures"]["1.0"];
    let all = golden["per_rollout"].as_array().unwrap();
    let members: Vec<&Value> =
        all.iter().filter(|row| is_member(row["id"].as_u64().unwrap())).collect();
    let mean = |key: &str| {
        let all: Vec<f64> = members.iter().flat_map(|row| numbers(&row[key])).collect();
        (all.iter().sum::<f64>() / all.len() as f64, all.len())
    };
    let (entropy, tokens) = mean("entropy");
    Expected { entropy, log_prob: mean("logprob").0, tokens, sequences: members.len() }
}

fn assert_group(row: &Map<String, Value>, name: &str, is_member: impl Fn(u64) -> bool) {
    let expected = expected(is_member);
    let value = |key: &str| {
        let key = format!("{key}{{{name}}}");
        row.get(&key).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {key} in {row:?}"))
    };
    let length = expected.tokens as f64 / expected.sequences as f64;
    for (key, expected) in [
        ("entropy", expected.entropy),
        ("log_prob_mean", expected.log_prob),
        ("tokens", expected.tokens as f64),
        ("sequences", expected.sequences as f64),
        ("length_mean", length),
    ] {
        let off = (value(key) - expected).abs();
        assert!(off < 2e-5, "{key}{{{name}}} is off by {off:e}");
    }
    assert!(value("p_max") > 0.0 && value("p_max") < 1.0);
}

fn history(directory: &Path, name: &str) -> Map<String, Value> {
    read(&directory.join(name))[0].as_object().unwrap().clone()
}

/// Scores a file with `qwen2`; returns the row of the history and what was said.
fn score(directory: &Path, prompts: &Path, flags: &[&str]) -> (Map<String, Value>, String) {
    let model = model("qwen2");
    let arguments = ["--model", text(&model), "--prompts", text(prompts), "--step", "1"];
    let arguments = [&arguments[..], &["-o", "h.json", "--overwrite"], flags].concat();
    let output = compute_ok(directory, &arguments);
    (history(directory, "h.json"), stderr(&output))
}

/// The shared responses with further keys.
fn rollouts_with(directory: &Path, more: impl Fn(u64) -> Value) -> PathBuf {
    let mut rows = lines(&rollouts());
    for row in &mut rows {
        let more = more(row["id"].as_u64().unwrap());
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    let path = directory.join("p.jsonl");
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(&path, rows.join("\n")).unwrap();
    path
}

#[test]
fn groups_have_the_numbers_of_transformers() {
    let tmp = temp_dir();
    let prompts = rollouts_with(
        tmp.path(),
        |id| json!({"outcome": id as f64 / 4.0 - 1.0, "kind": if id < 3 { "a b" } else { "c" }, "ok": id == 5}),
    );
    let flags = ["--by", "outcome > 0", "--by", "kind", "--by", "ok==true", "--by", "kind!=c"];
    let (row, said) = score(tmp.path(), &prompts, &flags);
    assert_group(&row, "outcome>0", |id| id > 4);
    assert_group(&row, "outcome<=0", |id| id <= 4);
    assert_group(&row, "kind=a b", |id| id < 3);
    assert_group(&row, "kind=c", |id| id >= 3);
    assert_group(&row, "ok==true", |id| id == 5);
    assert_group(&row, "ok!=true", |id| id != 5);
    assert_group(&row, "kind!=c", |id| id < 3);
    assert!(!said.contains("belong"), "{said}");
    // All responses are one group too.
    assert!((row["entropy"].as_f64().unwrap() - expected(|_| true).entropy).abs() < 2e-5);
    // A group without responses.
    let (row, _) = score(tmp.path(), &prompts, &["--by", "outcome>9"]);
    assert_eq!((&row["tokens{outcome>9}"], &row["sequences{outcome>9}"]), (&json!(0), &json!(0)));
    assert_eq!(row.get("entropy{outcome>9}"), None);
    assert_eq!(row["entropy"], row["entropy{outcome<=9}"]);
}

#[test]
fn every_format_of_prompts_has_groups() {
    let tmp = temp_dir();
    for name in ["folder", "stream.arrow", "file.arrow", "zstd.feather"] {
        let (row, _) =
            score(tmp.path(), &fixture("dumps").join(name), &["--by", "reward>5", "--by", "env"]);
        assert_group(&row, "reward>5", |id| id > 5);
        assert_group(&row, "reward<=5", |id| id <= 5);
        assert_group(&row, "env=math", |_| true);
    }
    let torch = fixture("dumps/slime/rollout_12.pt");
    let (row, _) = score(tmp.path(), &torch, &["--by", "reward==1"]);
    assert_group(&row, "reward==1", |id| id % 2 == 1);
    // Cells of CSV are texts.
    let mut csv = "id,prompt_token_ids,response_token_ids,prompt,reward\n".to_owned();
    for row in lines(&rollouts()) {
        let (id, ids) = (&row["id"], [&row["prompt_token_ids"], &row["response_token_ids"]]);
        csv += &format!("{id},\"{}\",\"{}\",x,{}.5\n", ids[0], ids[1], id);
    }
    fs::write(tmp.path().join("p.csv"), csv).unwrap();
    let (row, _) = score(tmp.path(), &tmp.path().join("p.csv"), &["--by", "reward<4"]);
    assert_group(&row, "reward<4", |id| id < 4);
    // The repeated columns of an earlier file of tokens, in both of its forms.
    let prompts = rollouts_with(tmp.path(), |id| json!({"reward": id}));
    for name in ["t.jsonl", "t.parquet"] {
        score(tmp.path(), &prompts, &["--tokens-out", name]);
        let (row, _) = score(tmp.path(), &tmp.path().join(name), &["--by", "reward>=7"]);
        assert_group(&row, "reward>=7", |id| id >= 7);
    }
}

#[test]
fn columns_of_groups_are_repeated_in_the_tokens() {
    let tmp = temp_dir();
    let prompts = rollouts_with(tmp.path(), |id| json!({"who": format!("w{}", id % 2)}));
    score(tmp.path(), &prompts, &["--by", "who", "--tokens-out", "t.jsonl"]);
    assert_eq!(lines(&tmp.path().join("t.jsonl"))[3]["dump"]["who"], "w1");
}

#[test]
fn turns_of_conversations_are_groups() {
    let tmp = temp_dir();
    let messages = fixture("masked/messages.jsonl");
    let (row, said) = score(tmp.path(), &messages, &["--by", "turn", "--tokens-out", "t.jsonl"]);
    let rows = lines(&tmp.path().join("t.jsonl"));
    for turn in 0..3 {
        let of_turn: Vec<f64> = rows
            .iter()
            .filter(|row| row["turn"] == turn)
            .flat_map(|row| numbers(&row["entropies"]))
            .collect();
        let mean = of_turn.iter().sum::<f64>() / of_turn.len() as f64;
        let found = row[&format!("entropy{{turn={turn}}}")].as_f64().unwrap();
        assert!((found - mean).abs() < 1e-9, "turn {turn}");
        assert_eq!(row[&format!("tokens{{turn={turn}}}")], of_turn.len());
    }
    assert!(!said.contains("belong"), "{said}");
    // The turn in a file of tokens is a column.
    let (again, _) = score(tmp.path(), &tmp.path().join("t.jsonl"), &["--by", "turn>0"]);
    let tokens = |turn: u64| row[&format!("tokens{{turn={turn}}}")].as_u64().unwrap();
    assert_eq!(again["tokens{turn>0}"], tokens(1) + tokens(2));
}

#[test]
fn rows_without_a_value_are_counted_and_named() {
    let tmp = temp_dir();
    let prompts = rollouts_with(tmp.path(), |id| match id {
        2 => json!({"reward": null}),
        3 => json!({"reward": "high"}),
        4 => json!({}),
        id => json!({"reward": id}),
    });
    let (row, said) = score(tmp.path(), &prompts, &["--by", "reward>5"]);
    assert_group(&row, "reward<=5", |id| [0, 1, 5].contains(&id));
    for words in [
        "3 responses belong to no group of --by 'reward>5'",
        "2 without \"reward\" (the first is line 3)",
        "1 whose \"reward\" is not a number (the first is line 4)",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn mistakes_are_errors_before_anything_is_computed() {
    let tmp = temp_dir();
    let prompts = rollouts_with(tmp.path(), |id| json!({"reward": id}));
    let model = model("qwen2");
    let arguments = ["--model", text(&model), "--prompts", text(&prompts), "--step", "1"];
    let arguments = [&arguments[..], &["-o", "h.json"]].concat();
    let rejected = |by: &str, words: &[&str]| {
        assert_rejected(tmp.path(), &[&arguments[..], &["--by", by]].concat(), words);
    };
    rejected("rewards>0", &["\"rewards\"", "no row of", "p.jsonl"]);
    rejected("turn", &["\"turn\"", "conversations"]);
    rejected("reward=1", &["=="]);
    let rows: Vec<String> = (0..51)
        .map(|i| json!({"prompt": "a", "response": "b", "reward": f64::from(i) / 7.0}).to_string())
        .collect();
    fs::write(&prompts, rows.join("\n")).unwrap();
    rejected("reward", &["51 values", "at most 50", "p.jsonl", "--by 'reward>0'"]);
}

#[test]
fn groups_are_part_of_the_settings() {
    let tmp = temp_dir();
    let prompts = rollouts_with(tmp.path(), |id| json!({"reward": id}));
    score(tmp.path(), &prompts, &["--by", "reward>5"]);
    let model = model("qwen2");
    let arguments = ["--model", text(&model), "--prompts", text(&prompts), "--step", "1"];
    let arguments = [&arguments[..], &["-o", "h.json"]].concat();
    let again = compute_ok(tmp.path(), &[&arguments[..], &["--by", "reward > 5"]].concat());
    assert!(stderr(&again).contains("already in h.json"));
    for by in [&["--by", "reward>6"][..], &[], &["--by", "reward>5", "--by", "reward"]] {
        let words = ["h.json", "other prompts or flags"];
        assert_rejected(tmp.path(), &[&arguments[..], by].concat(), &words);
    }
}

#[test]
fn shards_of_rows_merge_to_the_groups_of_the_whole() {
    let tmp = temp_dir();
    let prompts = rollouts_with(tmp.path(), |id| json!({"reward": id}));
    // The first shard of three has no response above 9.
    let flags = ["--by", "reward>9", "--by", "reward"];
    let (whole, _) = score(tmp.path(), &prompts, &flags);
    let model = model("qwen2");
    let arguments = ["--model", text(&model), "--prompts", text(&prompts), "--step", "1"];
    let shared = [&arguments[..], &flags, &["-o", "s.json", "--shard-by", "rows"]].concat();
    for shard in ["1/3", "2/3", "3/3"] {
        compute_ok(tmp.path(), &[&shared[..], &["--shard", shard]].concat());
    }
    compute_ok(tmp.path(), &shared);
    let merged = history(tmp.path(), "s.json");
    assert!(whole.keys().eq(merged.keys()), "{whole:?}\n{merged:?}");
    for (key, value) in whole.iter().filter(|(key, _)| *key != "settings") {
        let off = (value.as_f64().unwrap() - merged[key].as_f64().unwrap()).abs();
        assert!(off < 1e-5, "{key} is off by {off:e}");
    }
}

#[test]
fn column_may_be_a_key_inside_an_object() {
    let tmp = temp_dir();
    let lines = fs::read_to_string(rollouts()).unwrap();
    let rows = lines.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row["extra_info"] = json!({"env": {"name": if row["id"] == 0 { "math" } else { "code" }}});
        format!("{row}\n")
    });
    let prompts = tmp.path().join("nested.jsonl");
    fs::write(&prompts, rows.collect::<String>()).unwrap();
    let (row, said) = score(tmp.path(), &prompts, &["--by", "extra_info.env.name"]);
    assert_group(&row, "extra_info.env.name=math", |id| id == 0);
    assert_group(&row, "extra_info.env.name=code", |id| id != 0);
    assert!(!said.contains("no group"), "{said}");
}

#[test]
fn plan_checks_the_column() {
    let tmp = temp_dir();
    let (model, prompts) = (model("qwen2"), rollouts());
    let arguments = ["--model", text(&model), "--prompts", text(&prompts), "--step", "1", "--plan"];
    for (by, words) in [("nothing", "no row of"), ("nothing>0", "no row of")] {
        let arguments = [&arguments[..], &["--by", by]].concat();
        assert_rejected(tmp.path(), &arguments, &["cannot group the responses by", words]);
    }
}

//! `--shard-by rows`: merged shards are the unsharded run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use crate::common::stderr;
use crate::compute::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory with prompts: some with responses, some to be sampled, some that cannot be used.
struct Case {
    tmp: TempDir,
}

impl Case {
    fn new() -> Case {
        let tmp = temp_dir();
        run_directory(&tmp);
        let mut rows = vec![json!({"prompt": "2+2?"}), json!({"prompt": "a", "response": ""})];
        rows.extend(lines(&rollouts()).into_iter().map(|mut row| {
            row.as_object_mut().unwrap().remove("id");
            row
        }));
        rows.push(json!({"prompt": "Name a prime."}));
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(tmp.path().join("p.jsonl"), text).unwrap();
        Case { tmp }
    }

    fn run(&self, flags: &[&str]) -> Output {
        let given = ["--model", "models/tiny_v1", "--prompts", "p.jsonl"];
        let sampling = ["--samples", "2", "--max-new-tokens", "6"];
        compute(self.tmp.path(), &[&given[..], &sampling, flags].concat())
    }

    fn run_ok(&self, flags: &[&str]) -> String {
        let output = self.run(flags);
        assert!(output.status.success(), "{flags:?}: {}", stderr(&output));
        stderr(&output)
    }

    fn shards(&self, n: usize, flags: &[&str]) {
        for i in 1..=n {
            self.run_ok(&[flags, &["--shard", &format!("{i}/{n}"), "--shard-by", "rows"]].concat());
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }
}

fn assert_same_rows(merged: &Value, whole: &Value) {
    let (merged, whole) = (merged.as_array().unwrap(), whole.as_array().unwrap());
    assert_eq!(merged.len(), whole.len());
    for (a, b) in merged.iter().zip(whole) {
        assert_eq!(a.as_object().unwrap().len(), b.as_object().unwrap().len());
        for key in ["step", "tokens", "sequences", "settings"] {
            assert_eq!(a[key], b[key], "{key}");
        }
        for key in ["entropy", "entropy_seq_mean", "entropy_std", "log_prob_mean"] {
            let off = (a[key].as_f64().unwrap() - b[key].as_f64().unwrap()).abs();
            assert!(off < 1e-6, "{key} is off by {off:e}");
        }
    }
}

#[test]
fn merged_shards_are_the_unsharded_run() {
    let case = Case::new();
    let said = case.run_ok(&["-o", "whole.json", "--tokens-out", "whole.jsonl"]);
    let left_out = "p.jsonl: left out 1 row with an empty response";
    assert!(said.contains(left_out), "{said}");
    for i in 1..=3 {
        let (shard, tokens) = (format!("{i}/3"), format!("t{i}.jsonl"));
        let flags = ["-o", "h.json", "--shard-by", "rows", "--shard", &shard];
        let said = case.run_ok(&[&flags[..], &["--tokens-out", &tokens]].concat());
        assert!(said.contains(&format!("step 80, shard {i} of 3: entropy")), "{said}");
        // The row without a token is the second one.
        assert_eq!(said.contains(left_out), i == 2, "{said}");
    }
    assert!(!case.at("h.json").exists());
    let said = case.run_ok(&["-o", "h.json", "-v"]);
    assert_eq!(said.matches(", merged from 3 shards: entropy").count(), 3, "{said}");
    assert!(said.contains(left_out) && !said.contains("loaded"), "{said}");
    assert_same_rows(&read(&case.at("h.json")), &read(&case.at("whole.json")));
    // The responses are the same too, sampled ones included.
    let responses = |names: &[&str]| -> BTreeMap<String, Value> {
        let rows = names.iter().flat_map(|name| lines(&case.at(name)));
        rows.map(|row| {
            let key = format!("{} {} {}", row["step"], row["id"], row["sample"]);
            (key, row["response_token_ids"].clone())
        })
        .collect()
    };
    let whole = responses(&["whole.jsonl"]);
    assert_eq!(whole.len(), 3 * (12 + 2 * 2));
    assert_eq!(responses(&["t1.jsonl", "t2.jsonl", "t3.jsonl"]), whole);
    // Their joined file is one of tokens.
    let joined =
        ["t1.jsonl", "t2.jsonl", "t3.jsonl"].map(|name| fs::read(case.at(name)).unwrap()).concat();
    fs::write(case.at("joined.jsonl"), joined).unwrap();
    assert_eq!(tokens_of(&case.at("joined.jsonl")).responses().len(), whole.len());
    // A second merge has nothing to do, and a second shard neither.
    assert_eq!(case.run_ok(&["-o", "h.json"]).matches("already in h.json").count(), 3);
    let again = ["-o", "h.json", "--shard-by", "rows", "--shard", "2/3"];
    let said = case.run_ok(&[&again[..], &["--tokens-out", "t2.jsonl"]].concat());
    assert_eq!(said.matches("already in").count(), 3, "{said}");
}

#[test]
fn single_checkpoint_is_divided_by_rows() {
    let tmp = temp_dir();
    let (path, given) = (model("qwen3"), rollouts());
    let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "h.json"];
    let by_checkpoints = [&arguments[..], &["--shard", "1/2"]].concat();
    assert_rejected(tmp.path(), &by_checkpoints, &["single checkpoint", "--shard-by rows"]);
    let arguments = [&arguments[..], &["--step", "7"]].concat();
    for shard in ["1/2", "2/2"] {
        let rows = ["--shard", shard, "--shard-by", "rows"];
        compute_ok(tmp.path(), &[&arguments[..], &rows].concat());
    }
    // The flag that a script gives to shards and merge alike has no effect without --shard.
    let output = compute_ok(tmp.path(), &[&arguments[..], &["--shard-by", "rows"]].concat());
    assert!(stderr(&output).contains("step 7, merged from 2 shards"), "{}", stderr(&output));
    let row = &read(&tmp.path().join("h.json"))[0];
    let golden = read(&path.join("golden.json"));
    let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
    assert!((row["entropy"].as_f64().unwrap() - expected).abs() < 2e-5);
    assert_eq!(row["step"], 7);
}

#[test]
fn unfinished_shards_are_named_and_nothing_is_computed_instead() {
    let case = Case::new();
    let rows = ["--shard-by", "rows", "-o", "h.json"];
    case.run_ok(&[&rows[..], &["--shard", "1/3"]].concat());
    case.run_ok(&[&rows[..], &["--shard", "3/3", "--steps", ":80"]].concat());
    case.run_ok(&[&rows[..], &["--shard", "2/3", "--steps", "40:40"]].concat());
    let output = case.run(&["-o", "h.json"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for words in [
        "step 40, merged from 3 shards",
        "step 80: shard 2 of 3 is missing",
        "step 120: shards 2, 3 of 3 are missing",
        "2 steps are not merged: run the missing shards, or remove",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(read(&case.at("h.json")).as_array().unwrap().len(), 1);
    // Steps that no shard has are not computed either: a shard may be about to.
    fs::remove_file(case.at("h.json")).unwrap();
    let of_1 = case.at("shards/rows-1-of-3.h.json");
    let mut shard = read(&of_1);
    shard.as_array_mut().unwrap().retain(|row| row["step"] != 120);
    fs::write(&of_1, shard.to_string()).unwrap();
    let output = case.run(&["-o", "h.json", "--steps", "80:"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("step 120: no shard has it") && !case.at("h.json").exists(), "{said}");
    assert!(said.contains("hint: run the missing shards"), "{said}");
    // Without the files of the shards, they are.
    fs::remove_dir_all(case.at("shards")).unwrap();
    case.run_ok(&["-o", "h.json", "--steps", "80:"]);
    assert_eq!(read(&case.at("h.json")).as_array().unwrap().len(), 2);
}

#[test]
fn shard_without_rows_succeeds() {
    let case = Case::new();
    let rows = fs::read_to_string(case.at("p.jsonl")).unwrap();
    let rows: Vec<&str> = rows.lines().take(3).collect();
    fs::write(case.at("p.jsonl"), rows.join("\n")).unwrap();
    let steps = ["-o", "h.json", "--steps", "40:40"];
    case.run_ok(&["-o", "whole.json", "--steps", "40:40"]);
    case.shards(5, &steps);
    let said = case.run_ok(&steps);
    assert!(said.contains("merged from 5 shards"), "{said}");
    assert_same_rows(&read(&case.at("h.json")), &read(&case.at("whole.json")));
    // The only row of shard 2 is left out; shard 4 has none.
    for (shard, words) in [("2/5", "left out 1 row"), ("4/5", "no row that can be computed")] {
        let shard = ["--shard", shard, "--shard-by", "rows", "--overwrite"];
        let said = case.run_ok(&[&steps[..], &shard, &["--tokens-out", "t.jsonl"]].concat());
        assert!(said.contains(words) && said.contains("no row that can be computed"), "{said}");
        assert!(said.contains("t.jsonl is not written") && !case.at("t.jsonl").exists(), "{said}");
    }
    // If no shard has any row, the merge says what a whole run says.
    fs::write(case.at("p.jsonl"), "{\"prompt\": \"a\", \"response\": \"\"}\n").unwrap();
    let steps = ["-o", "empty.json", "--steps", "40:40"];
    case.shards(2, &steps);
    let output = case.run(&steps);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("none of its rows can be computed (1 row with an empty response)"),
        "{said}"
    );
    assert!(!case.at("empty.json").exists());
}

#[test]
fn shards_of_another_number_or_other_settings_are_not_mixed() {
    let case = Case::new();
    let steps = ["-o", "h.json", "--steps", "40:40"];
    case.run_ok(&["-o", "whole.json", "--steps", "40:40"]);
    // Of an earlier N and incomplete, and of other flags.
    let rows = ["--shard-by", "rows", "--shard"];
    case.run_ok(&[&steps[..], &rows, &["1/3"]].concat());
    case.run_ok(&[&steps[..], &rows, &["4/4", "--temperature", "0.5"]].concat());
    case.shards(2, &steps);
    let said = case.run_ok(&steps);
    assert!(said.contains("merged from 2 shards"), "{said}");
    let other =
        "ignored 1 file in shards/, computed with other prompts or flags: rows-4-of-4.h.json";
    assert!(said.contains(other), "{said}");
    let other = "ignored 1 file in shards/, of another number of shards: rows-1-of-3.h.json";
    assert!(said.contains(other), "{said}");
    assert_same_rows(&read(&case.at("h.json")), &read(&case.at("whole.json")));
    // A renamed or foreign file is no other shard.
    fs::remove_file(case.at("h.json")).unwrap();
    fs::copy(case.at("shards/rows-1-of-2.h.json"), case.at("shards/rows-2-of-2.h.json")).unwrap();
    fs::write(case.at("shards/rows-1-of-3.h.json"), "[]x").unwrap();
    let output = case.run(&steps);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shard 2 of 2 is missing"), "{said}");
    assert!(said.contains("renamed from another shard: rows-2-of-2.h.json"), "{said}");
    assert!(said.contains("not written by compute --shard-by rows: rows-1-of-3.h.json"), "{said}");
    // The merge must use the model of the shards.
    case.shards(2, &[&steps[..], &["--dtype", "bfloat16", "--overwrite"]].concat());
    let output = case.run(&steps);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("step 40 was computed with other model files, another --dtype"),
        "{said}"
    );
    case.run_ok(&[&steps[..], &["--dtype", "bfloat16"]].concat());
    // With --overwrite, shards replace rows of the history.
    case.shards(2, &[&steps[..], &["--overwrite"]].concat());
    let said = case.run_ok(&[&steps[..], &["--overwrite"]].concat());
    assert!(said.contains("merged from 2 shards"), "{said}");
    assert_same_rows(&read(&case.at("h.json")), &read(&case.at("whole.json")));
}

#[test]
fn rows_of_shards_are_joined_by_the_user() {
    let case = Case::new();
    let steps = ["-o", "h.json", "--steps", "40:40", "--tokens-out", "t.jsonl"];
    let rows = ["--shard-by", "rows", "--shard"];
    case.run_ok(&[&steps[..], &rows, &["1/2"]].concat());
    // Two shards do not share a file.
    let output = case.run(&[&steps[..], &rows, &["2/2"]].concat());
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot add to t.jsonl") && said.contains("as another shard"), "{said}");
    let steps = ["-o", "h.json", "--steps", "40:40", "--tokens-out", "t2.jsonl"];
    case.run_ok(&[&steps[..], &rows, &["2/2"]].concat());
    // The merge cannot write their rows.
    let output = case.run(&["-o", "h.json", "--steps", "40:40", "--tokens-out", "all.jsonl"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shards computed the rows of step 40") && said.contains("cat"), "{said}");
}

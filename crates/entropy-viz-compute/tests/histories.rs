//! Histories and token files that `entropy-viz compute` writes: resumed, in shards, with broken checkpoints.

use std::fs;

use crate::common::{run, stderr, stdout};
use crate::compute::*;
use serde_json::json;

#[test]
fn computes_every_checkpoint_of_a_run_and_auto_finds_it() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    let output = compute_ok(tmp.path(), &arguments);
    let history = run_dir.join("entropy_history_tiny_v1.json");
    assert_eq!(stdout(&output), format!("{}\n", history.display()));
    let rows = read(&history);
    let steps: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| row["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [40, 80, 120]);
    for (row, name) in rows.as_array().unwrap().iter().zip(["qwen3", "qwen2", "mistral"]) {
        let golden = read(&model(name).join("golden.json"));
        let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
        assert!((row["entropy"].as_f64().unwrap() - expected).abs() < 2e-5);
        for key in
            ["entropy_seq_mean", "entropy_std", "log_prob_mean", "tokens", "sequences", "settings"]
        {
            assert!(!row[key].is_null(), "{key} is missing");
        }
    }
    let before = fs::read(&history).unwrap();
    let again = compute_ok(tmp.path(), &arguments);
    assert!(stderr(&again).contains("already in"), "{}", stderr(&again));
    assert_eq!(fs::read(&history).unwrap(), before);

    let drawn = run(tmp.path(), &["auto", "models", "--dpi", "50"]);
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    assert!(tmp.path().join("entropy_comparison.png").is_file());
}

#[test]
fn rows_of_the_trainer_are_not_overwritten() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let history = run_dir.join("entropy_history_tiny_v1.json");
    fs::write(&history, r#"[{"step": 1, "entropy": 4.5}]"#).unwrap();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["the trainer's own", "--overwrite", "-o"]);
    assert_eq!(read(&history), json!([{"step": 1, "entropy": 4.5}]));
    compute_ok(tmp.path(), &[&arguments[..], &["--overwrite", "--steps", "40:80"]].concat());
    assert_eq!(read(&history).as_array().unwrap().len(), 2);
    // Other flags would give other numbers.
    assert_rejected(
        tmp.path(),
        &[&arguments[..], &["--temperature", "0.5"]].concat(),
        &["other prompts or flags"],
    );
}

#[test]
fn shards_merge_into_one_history() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments = ["--model", text(&run_dir), "--prompts", text(&given)];
    for shard in ["1/2", "2/2"] {
        compute_ok(tmp.path(), &[&arguments[..], &["--shard", shard]].concat());
    }
    assert!(!run_dir.join("entropy_history_tiny_v1.json").exists());
    let output = compute_ok(tmp.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 3, "{}", stderr(&output));
    assert_eq!(read(&run_dir.join("entropy_history_tiny_v1.json")).as_array().unwrap().len(), 3);
}

#[test]
fn earlier_rows_and_tokens_are_kept_when_more_are_computed() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let given = rollouts();
    let arguments =
        ["--model", text(&run_dir), "--prompts", text(&given), "--tokens-out", "t.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &["--steps", "40:80"]].concat());
    let steps = || {
        lines(&tmp.path().join("t.jsonl"))
            .iter()
            .map(|row| row["step"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps().len(), 24);
    let output = compute_ok(tmp.path(), &arguments);
    assert_eq!(stderr(&output).matches("already in").count(), 2, "{}", stderr(&output));
    assert_eq!((steps().len(), steps()[0], steps()[35]), (36, 40, 120));
    compute_ok(tmp.path(), &arguments);
    assert_eq!(steps().len(), 36);
    // Recomputed checkpoints replace their own lines in place.
    compute_ok(tmp.path(), &[&arguments[..], &["--steps", "80:80", "--overwrite"]].concat());
    assert_eq!((steps().len(), steps()[12], steps()[35]), (36, 80, 120));
    // Other flags are another experiment, whose lines are not mixed with these.
    let other = ["--temperature", "0.5", "-o", "other.json", "--steps", "40:40"];
    let other = [&arguments[..], &other].concat();
    assert_rejected(
        tmp.path(),
        &other,
        &["cannot add to t.jsonl", "other prompts or flags", "--overwrite"],
    );
    assert_eq!(steps().len(), 36);
    let output = compute_ok(tmp.path(), &[&other[..], &["--overwrite"]].concat());
    assert!(stderr(&output).contains("t.jsonl: replacing all of its rows"), "{}", stderr(&output));
    assert_eq!(steps(), [40; 12]);
}

#[test]
fn broken_checkpoint_does_not_stop_the_others() {
    let tmp = temp_dir();
    let run_dir = run_directory(&tmp);
    let weights = run_dir.join("global_step_80/actor/huggingface/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let incomplete = run_dir.join("global_step_100/actor");
    fs::create_dir_all(&incomplete).unwrap();
    fs::write(incomplete.join("model_world_size_2_rank_0.pt"), b"x").unwrap();
    let given = rollouts();
    let output = compute(tmp.path(), &["--model", text(&run_dir), "--prompts", text(&given)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("skipped step 80") && said.contains("cut off"), "{said}");
    assert!(said.contains("skipped step 100") && said.contains("rank_1.pt is missing"), "{said}");
    let rows = read(&run_dir.join("entropy_history_tiny_v1.json"));
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn tokens_out_writes_jsonl_and_parquet() {
    let tmp = temp_dir();
    let (path, given) = (model("qwen3"), rollouts());
    for name in ["t.jsonl", "t.parquet"] {
        let arguments =
            ["--model", text(&path), "--prompts", text(&given), "-o", "h.json", "--step", "3"];
        compute_ok(tmp.path(), &[&arguments[..], &["--overwrite", "--tokens-out", name]].concat());
    }
    let rows = lines(&tmp.path().join("t.jsonl"));
    for row in &rows {
        let n = row["response_token_ids"].as_array().unwrap().len();
        for key in ["tokens", "entropies", "log_probs"] {
            assert_eq!(row[key].as_array().unwrap().len(), n, "{key}");
        }
        assert_eq!(row["step"], 3);
    }
    let parquet = fs::read(tmp.path().join("t.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let (of_lines, of_table) =
        (tokens_of(&tmp.path().join("t.jsonl")), tokens_of(&tmp.path().join("t.parquet")));
    assert_eq!(of_lines.kinds(), of_table.kinds());
    for (a, b) in of_lines.responses().iter().zip(of_table.responses()) {
        let (kinds, others) = (of_lines.kinds_of(a), of_table.kinds_of(b));
        assert_eq!((a.id(), a.step(), kinds, a.group()), (b.id(), 3, others, b.group()));
        assert!((a.mean_entropy().unwrap() - b.mean_entropy().unwrap()).abs() < 1e-12);
    }
    assert_eq!(of_lines.responses().len(), rows.len());
    // The Parquet file has the token ids, so its responses can be scored again.
    compute_ok(
        tmp.path(),
        &["--model", text(&path), "--prompts", "t.parquet", "-o", "again.json", "--step", "3"],
    );
    let (a, b) = (read(&tmp.path().join("h.json")), read(&tmp.path().join("again.json")));
    assert_eq!((&a[0]["entropy"], &a[0]["tokens"]), (&b[0]["entropy"], &b[0]["tokens"]));
}

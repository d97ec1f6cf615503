//! Rotary settings of config.json that are easily read wrong, against transformers (tests/compute/make_rope.py).

use std::fs;
use std::path::Path;

use crate::common::fixture;
use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, lines, max_difference, model, numbers,
    read, rollouts, temp_dir, text,
};
use serde_json::{Value, json};

/// A golden checkpoint with the config.json of a case.
fn checkpoint(case: &Path, to: &Path) {
    let golden = read(&case.join("golden.json"));
    copy(&model(golden["base"].as_str().unwrap()), to);
    fs::copy(case.join("config.json"), to.join("config.json")).unwrap();
}

#[test]
fn rotary_settings_are_read_as_transformers_reads_them() {
    let mut count = 0;
    for entry in fs::read_dir(fixture("rope")).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() || case.join("rollouts.jsonl").exists() {
            continue;
        }
        let tmp = temp_dir();
        let path = tmp.path().join(case.file_name().unwrap());
        checkpoint(&case, &path);
        assert_scores_of(&path, &read(&case.join("golden.json")), &[]);
        count += 1;
    }
    assert!(count >= 10, "{count} cases");
}

/// The case has sequences of 31 to 34 tokens; from 33 on, the other frequencies apply.
#[test]
fn longrope_goes_by_the_length_of_the_whole_sequence() {
    let (tmp, case) = (temp_dir(), fixture("rope/longrope-length"));
    checkpoint(&case, &tmp.path().join("m"));
    let given = case.join("rollouts.jsonl");
    let arguments = ["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"];
    compute_ok(tmp.path(), &[&arguments[..], &["--tokens-out", "t.jsonl"]].concat());
    let golden = read(&case.join("golden.json"));
    let expected = golden["temperatures"]["1.0"]["per_rollout"].as_array().unwrap();
    let ours = lines(&tmp.path().join("t.jsonl"));
    assert_eq!(ours.len(), expected.len());
    for (ours, expected) in ours.iter().zip(expected) {
        for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
            let off = max_difference(&numbers(&ours[key]), &numbers(&expected[their_key]));
            assert!(off < 1e-4, "response {}: {key} off by {off:e}", ours["id"]);
        }
    }
}

#[test]
fn rejects_rotary_settings_that_transformers_cannot_run() {
    let (tmp, given) = (temp_dir(), rollouts());
    let arguments = ["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"];
    let rejected = |base: &str, key: &str, value: Value, words: &[&str]| {
        copy(&model(base), &tmp.path().join("m"));
        let path = tmp.path().join("m/config.json");
        let mut config = read(&path);
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        assert_rejected(tmp.path(), &arguments, words);
    };
    let linear = json!({"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5});
    rejected("qwen3", "rope_parameters", linear.clone(), &["partial_rotary_factor 0.5", "linear"]);
    rejected("phi3", "rope_parameters", linear, &["linear", "phi3"]);
    let by_type = json!({"full_attention": {"rope_type": "default", "rope_theta": 50.0}});
    rejected("qwen2", "rope_parameters", by_type, &["by layer type", "full_attention"]);
    let su = json!({"type": "su", "short_factor": [1.0], "long_factor": [1.0]});
    rejected("qwen2", "rope_scaling", su, &["\"su\"", "not supported"]);
}

//! Decoders with recurrent layers: sequences longer than a chunk, batches, sampling, and the forms of their checkpoints.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::common::fixture;
use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, lines, max_difference, model, numbers,
    read, rollouts, temp_dir, text,
};

/// Checkpoints with sequences longer than a chunk (tests/compute/make_hybrid.py).
fn bases() -> Vec<String> {
    let names = fs::read_dir(fixture("hybrid")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() >= 2);
    names
}

fn long_golden(base: &str) -> Value {
    read(&fixture("hybrid").join(format!("{base}.json")))
}

fn write_rows(path: &Path, rows: &[Value]) {
    fs::write(path, rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
}

/// Changes keys of config.json; `null` removes one.
fn set(checkpoint: &Path, keys: &[(&str, Value)]) {
    let path = checkpoint.join("config.json");
    let mut config = read(&path);
    for (key, value) in keys {
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(*key)),
            value => config[key] = value.clone(),
        }
    }
    fs::write(path, config.to_string()).unwrap();
}

/// Adds tensors of these names to a checkpoint.
fn add_tensors(checkpoint: &Path, names: &[&str]) {
    let path = checkpoint.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = [0; 16];
    let mut all: Vec<(String, TensorView)> =
        tensors.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    for name in names {
        let view = TensorView::new(safetensors::Dtype::F32, vec![2, 2], &zeros).unwrap();
        all.push(((*name).to_owned(), view));
    }
    fs::write(path, safetensors::serialize(all, None).unwrap()).unwrap();
}

#[test]
fn sequences_longer_than_a_chunk_match_transformers() {
    for base in bases() {
        let (tmp, golden, path) = (temp_dir(), long_golden(&base), model(&base));
        write_rows(&tmp.path().join("p.jsonl"), golden["rows"].as_array().unwrap());
        for temperature in ["1.0", "0.7"] {
            let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "h.json"];
            let rest = ["--tokens-out", "t.jsonl", "--step", "1", "--overwrite", "--temperature"];
            compute_ok(tmp.path(), &[&arguments[..], &rest, &[temperature]].concat());
            let expected = &golden["temperatures"][temperature];
            let row = &read(&tmp.path().join("h.json"))[0];
            let off = row["entropy"].as_f64().unwrap() - expected["token_mean"].as_f64().unwrap();
            assert!(off.abs() < 2e-5, "{base} at {temperature}: off by {off:e}");
            let tokens = lines(&tmp.path().join("t.jsonl"));
            let per_rollout = expected["per_rollout"].as_array().unwrap();
            assert_eq!(tokens.len(), per_rollout.len());
            for (ours, theirs) in tokens.iter().zip(per_rollout) {
                for (key, their_key) in [("entropies", "entropy"), ("log_probs", "logprob")] {
                    let off = max_difference(&numbers(&ours[key]), &numbers(&theirs[their_key]));
                    let row = &ours["id"];
                    assert!(off < 1e-4, "{base} at {temperature}, row {row}: {key} off by {off:e}");
                }
            }
        }
    }
}

#[test]
fn continuations_of_long_prompts_match_transformers() {
    for base in bases() {
        let (tmp, golden, path) = (temp_dir(), long_golden(&base), model(&base));
        let ids = |row: &Value| -> Vec<Value> {
            let ids = |key: &str| row[key].as_array().unwrap().clone();
            [ids("prompt_token_ids"), ids("response_token_ids")].concat()
        };
        // The others end earlier, so that the cache shrinks.
        let prompts = golden["rows"].as_array().unwrap().iter().map(ids);
        let rows: Vec<Value> = prompts.map(|ids| json!({"prompt_token_ids": ids})).collect();
        write_rows(&tmp.path().join("p.jsonl"), &rows);
        let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "h.json"];
        let rest = ["--greedy", "--max-new-tokens", "12", "--save-rollouts", "r.jsonl", "--step"];
        compute_ok(tmp.path(), &[&arguments[..], &rest, &["1"]].concat());
        let ours = &lines(&tmp.path().join("r.jsonl"))[0]["response_token_ids"];
        let expected = golden["greedy"]["token_ids"].as_array().unwrap();
        // transformers went on after an end token.
        let count = ours.as_array().unwrap().len();
        assert!(count > 3 && ours.as_array().unwrap()[..] == expected[..count], "{base}: {ours}");
    }
}

#[test]
fn batches_do_not_change_scores() {
    for base in bases() {
        let (tmp, golden, path) = (temp_dir(), long_golden(&base), model(&base));
        let rows = golden["rows"].as_array().unwrap();
        let entropies = |rows: &[Value], batch: &str| {
            write_rows(&tmp.path().join("p.jsonl"), rows);
            let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "h.json"];
            let rest = ["--batch-tokens", batch, "--tokens-out", "t.jsonl", "--step", "1"];
            compute_ok(tmp.path(), &[&arguments[..], &rest, &["--overwrite"]].concat());
            let mut rows = lines(&tmp.path().join("t.jsonl"));
            rows.sort_by_key(|row| row["id"].as_u64());
            rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
        };
        let together = entropies(rows, "100000");
        let mut reversed = rows.clone();
        reversed.reverse();
        for (rows, batch) in [(rows, "1"), (&reversed, "140")] {
            let off = max_difference(&together, &entropies(rows, batch));
            assert!(off < 2e-5, "{base}, batches of {batch} tokens: off by {off:e}");
        }
    }
}

/// Sequences are prefilled into slots that others have left, over several chunks, and the cache shrinks.
#[test]
fn sampled_responses_do_not_depend_on_batches_and_score_the_same() {
    for base in bases() {
        let (tmp, path) = (temp_dir(), model(&base));
        let prompt = |i: u64| {
            let ids: Vec<u64> = (0..1 + 23 * i).map(|j| (j * j + 7 * i) % 256).collect();
            json!({"prompt_token_ids": ids})
        };
        write_rows(&tmp.path().join("p.jsonl"), &(0..6).map(prompt).collect::<Vec<_>>());
        let sample = |batch: &str| {
            let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "-o", "s.json"];
            let rest = ["--samples", "2", "--max-new-tokens", "80", "--seed", "5", "--step", "7"];
            let out = ["--batch-tokens", batch, "--save-rollouts", "r.jsonl", "--overwrite"];
            compute_ok(tmp.path(), &[&arguments[..], &rest, &out].concat());
            lines(&tmp.path().join("r.jsonl"))
        };
        let rows = sample("3000");
        assert_eq!(rows.len(), 12);
        assert_eq!(rows, sample("500"), "{base}: the batch changed what was sampled");
        let arguments = ["--model", text(&path), "--prompts", "r.jsonl", "-o", "r.json"];
        compute_ok(tmp.path(), &[&arguments[..], &["--step", "7"]].concat());
        let (sampled, scored) =
            (read(&tmp.path().join("s.json")), read(&tmp.path().join("r.json")));
        for key in ["entropy", "entropy_seq_mean", "log_prob_mean"] {
            let (a, b) = (sampled[0][key].as_f64().unwrap(), scored[0][key].as_f64().unwrap());
            assert!((a - b).abs() < 1e-5, "{base}, {key}: {a} and {b}");
        }
        assert_eq!(sampled[0]["tokens"], scored[0]["tokens"]);
    }
}

/// transformers' `AutoModelForCausalLM` takes the language model out of Qwen3.5, and saves it under its names there.
#[test]
fn language_model_under_the_names_of_the_whole_model() {
    for name in ["qwen3_5", "qwen3_5_moe"] {
        let tmp = temp_dir();
        let path = tmp.path().join(name);
        copy(&model(name), &path);
        let config = read(&path.join("config.json"))["text_config"].clone();
        fs::write(path.join("config.json"), config.to_string()).unwrap();
        assert_scores_of(&path, &read(&model(name).join("golden.json")), &[]);
    }
}

#[test]
fn heads_for_further_tokens_are_left_out_and_other_tensors_are_named() {
    let mtp = ["mtp.fc.weight", "mtp.layers.0.self_attn.q_proj.weight"];
    for name in ["nemotron_h", "qwen3_next", "qwen3_5"] {
        let (tmp, given) = (temp_dir(), rollouts());
        let path = tmp.path().join("m");
        copy(&model(name), &path);
        add_tensors(&path, &mtp);
        assert_scores_of(&path, &read(&model(name).join("golden.json")), &[]);
        add_tensors(&path, &["model.layers.9.linear_attn.A_log"]);
        assert_rejected(
            tmp.path(),
            &["--model", "m", "--prompts", text(&given), "-o", "h.json"],
            &["no tensor model.layers.9.linear_attn.A_log"],
        );
    }
}

/// Nemotron-H as it is released: a pattern of letters, and a number of layers beside it.
#[test]
fn layers_by_a_pattern_of_letters() {
    let tmp = temp_dir();
    let path = tmp.path().join("nemotron_h");
    copy(&model("nemotron_h"), &path);
    let keys = [("layers_block_type", Value::Null), ("hybrid_override_pattern", json!("ME*M-"))];
    set(&path, &keys);
    set(&path, &[("num_hidden_layers", json!(5)), ("n_groups", Value::Null)]);
    set(&path, &[("mamba_n_groups", json!(2))]);
    assert_scores_of(&path, &read(&model("nemotron_h").join("golden.json")), &[]);
}

/// transformers 4 wrote a bare `Infinity`, which is not JSON.
#[test]
fn infinite_step_limit_of_python() {
    let tmp = temp_dir();
    let path = tmp.path().join("falcon_h1");
    copy(&model("falcon_h1"), &path);
    set(&path, &[("time_step_limit", json!([0.0, "INFINITY"]))]);
    let config = fs::read_to_string(path.join("config.json")).unwrap();
    fs::write(path.join("config.json"), config.replace("\"INFINITY\"", "Infinity")).unwrap();
    let golden = read(&model("falcon_h1").join("golden.json"));
    assert_scores_of(&path, &golden, &[]);
    // The step is limited.
    copy(&model("falcon_h1"), &path);
    set(&path, &[("time_step_limit", json!([0.0, 0.5]))]);
    let (tmp, given) = (temp_dir(), rollouts());
    let arguments = ["--model", text(&path), "--prompts", text(&given), "-o", "h.json"];
    compute_ok(tmp.path(), &[&arguments[..], &["--step", "1"]].concat());
    let limited = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
    let expected = golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap();
    assert!((limited - expected).abs() > 1e-3, "{limited}");
}

#[test]
fn settings_that_cannot_be_computed_are_refused_by_name() {
    let given = rollouts();
    let linear = "linear_attention";
    for (name, keys, words) in [
        ("qwen3_next", vec![("layer_types", json!([linear, linear]))], "2 entries"),
        (
            "qwen3_next",
            vec![("layer_types", json!([linear, "sliding_attention", linear]))],
            "\"sliding_attention\" is not supported; full_attention and linear_attention are",
        ),
        ("qwen3_next", vec![("attn_output_gate", json!(false))], "attn_output_gate = false"),
        ("qwen3_next", vec![("linear_num_value_heads", json!(3))], "linear_num_value_heads, 3"),
        ("qwen3_next", vec![("linear_key_head_dim", json!(1 << 20))], "linear_key_head_dim is"),
        ("qwen3_next", vec![("linear_num_key_heads", json!(0))], "linear_num_key_heads is 0"),
        (
            "lfm2",
            vec![("layer_types", json!(["conv", linear, "conv"]))],
            "\"linear_attention\" is not supported; full_attention and conv are",
        ),
        (
            "nemotron_h",
            vec![("layers_block_type", json!(["conv"]))],
            "\"conv\" is not supported; linear_attention, full_attention, mlp and moe are",
        ),
        (
            "nemotron_h",
            vec![("layers_block_type", Value::Null), ("hybrid_override_pattern", json!("MEX"))],
            "hybrid_override_pattern has 'X'",
        ),
        ("nemotron_h", vec![("topk_group", json!(5))], "from 5 (topk_group) of 4 groups"),
        (
            "nemotron_h",
            vec![("num_experts_per_tok", json!(5))],
            "cannot choose 5 experts (num_experts_per_tok)",
        ),
        ("nemotron_h", vec![("n_groups", json!(3))], "mamba_num_heads, 4"),
        ("nemotron_h", vec![("mamba_hidden_act", json!("tanh"))], "mamba_hidden_act \"tanh\""),
        ("nemotron_h", vec![("n_routed_experts", json!(1 << 20))], "mixer."),
        ("falcon_h1", vec![("mamba_n_heads", json!(5))], "do not make up mamba_d_ssm, 24"),
        ("falcon_h1", vec![("mlp_multipliers", json!([1.0]))], "has 1 numbers, expected 2"),
        ("falcon_h1", vec![("time_step_limit", json!([0.0]))], "time_step_limit is [0.0]"),
        // The name in the file.
        ("lfm2", vec![("layer_types", Value::Null)], "self_attn.q_layernorm.weight is missing"),
        // Weights of another kind.
        ("qwen3_next", vec![("model_type", json!("qwen3_5_moe_text"))], "in_proj_qkv.weight"),
        ("qwen3_5_text", vec![("model_type", json!("qwen3"))], "\"linear_attention\""),
        (
            "qwen3_5_text",
            vec![("layer_types", json!(["full_attention", linear]))],
            "layers.0.self_attn.q_norm.weight is missing",
        ),
        ("qwen3_5_text", vec![("linear_conv_kernel_dim", json!(3))], "conv1d.weight has the shape"),
    ] {
        let tmp = temp_dir();
        copy(&model(name), &tmp.path().join("m"));
        set(&tmp.path().join("m"), &keys);
        let arguments = ["--model", "m", "--prompts", text(&given), "-o", "h.json"];
        assert_rejected(tmp.path(), &arguments, &["m", words]);
    }
}

//! Settings and tensor names of single families, beyond what their golden checkpoints have.

use std::fs;
use std::path::Path;

use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, lines, lines_without_settings,
    max_difference, model, numbers, read, rollouts, temp_dir, text,
};
use serde_json::{Value, json};

fn change_config(checkpoint: &Path, change: &dyn Fn(&mut Value)) {
    let path = checkpoint.join("config.json");
    let mut config = read(&path);
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

/// Renames the tensors of a safetensors file; those without a new name are dropped from its header.
fn rename_tensors(file: &Path, rename: &dyn Fn(&str) -> Option<String>) {
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let renamed: serde_json::Map<String, Value> = header
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, entry)| Some((rename(name)?, entry.clone())))
        .collect();
    let mut header = Value::Object(renamed).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let size = (header.len() as u64).to_le_bytes();
    fs::write(file, [&size[..], &header, &bytes[8 + length..]].concat()).unwrap();
}

/// Trainers' shards have the names that transformers 5 uses in memory.
#[test]
fn names_in_memory_give_the_same_numbers_as_names_in_files() {
    let renamed = |base: &str, rename: &dyn Fn(&str) -> String| {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join(base);
        copy(&model(base), &checkpoint);
        let file = checkpoint.join("model.safetensors");
        rename_tensors(&file, &|name| Some(rename(name)));
        assert_ne!(
            fs::read(&file).unwrap(),
            fs::read(model(base).join("model.safetensors")).unwrap()
        );
        assert_scores_of(&checkpoint, &read(&model(base).join("golden.json")), &[]);
    };
    renamed("granitemoe", &|name| {
        name.replace("input_linear.weight", "experts.gate_up_proj")
            .replace("output_linear.weight", "experts.down_proj")
            .replace("router.layer.", "router.")
    });
    renamed(
        "mistral3-ministral3",
        &|name| match (name.strip_prefix("language_model.model."), name) {
            (Some(rest), _) => format!("model.language_model.{rest}"),
            (None, "__metadata__") => name.to_owned(),
            (None, _) => format!("model.{name}"),
        },
    );
}

#[test]
fn configs_of_transformers_4_give_the_same_numbers() {
    for name in [
        "gemma3n_text",
        "gemma4",
        "gemma4_text",
        "gemma4_text-moe",
        "granitemoe",
        "hunyuan_v1_dense",
        "internlm3-dynamic",
        "lfm2_moe",
        "ministral3",
        "mistral3-ministral3",
        "nemotron",
        "phi",
    ] {
        let tmp = temp_dir();
        let checkpoint = tmp.path().join(name);
        copy(&model(name), &checkpoint);
        let older = checkpoint.join("config.transformers4.json");
        fs::rename(older, checkpoint.join("config.json")).unwrap();
        assert_scores_of(&checkpoint, &read(&model(name).join("golden.json")), &[]);
    }
}

/// transformers' Mistral3Config ties the head unless told otherwise, whatever the text model's default is.
#[test]
fn mistral3_is_tied_by_default() {
    let tmp = temp_dir();
    let checkpoint = tmp.path().join("m");
    copy(&model("mistral3-ministral3"), &checkpoint);
    change_config(&checkpoint, &|config| {
        let config = config.as_object_mut().unwrap();
        assert_eq!(config.remove("tie_word_embeddings"), Some(json!(true)));
    });
    let golden = read(&model("mistral3-ministral3/golden.json"));
    assert_scores_of(&checkpoint, &golden, &[]);
}

#[test]
fn rejects_settings_that_transformers_cannot_run() {
    let (tmp, given) = (temp_dir(), rollouts());
    let arguments = ["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"];
    let rejected = |base: &str, change: &dyn Fn(&mut Value), words: &[&str]| {
        copy(&model(base), &tmp.path().join("m"));
        change_config(&tmp.path().join("m"), change);
        assert_rejected(tmp.path(), &arguments, words);
    };
    rejected(
        "ministral3",
        &|config| config["rope_parameters"]["llama_4_scaling_beta"] = Value::Null,
        &["llama_4_scaling_beta"],
    );
    rejected("cohere2", &|config| config["sliding_window"] = Value::Null, &["sliding_window"]);
    rejected(
        "granitemoe",
        &|config| config["num_experts_per_tok"] = json!(9),
        &["num_experts_per_tok is 9"],
    );
    rejected("phi", &|config| config["hidden_act"] = json!("mish"), &["mish", "gelu_new"]);
    let dynamic = json!({"rope_type": "dynamic", "factor": 2.0});
    rejected("phi3", &|config| config["rope_parameters"] = dynamic.clone(), &["dynamic", "phi3"]);
    rejected(
        "llama",
        &|config| {
            config["rope_parameters"] = dynamic.clone();
            config["head_dim"] = json!(2);
        },
        &["dynamic", "rotary dimension of 2"],
    );
}

#[test]
fn config_of_another_family_is_refused_with_the_name_of_a_tensor() {
    let (tmp, given) = (temp_dir(), rollouts());
    let arguments = ["--model", "m", "--prompts", text(&given), "-o", "h.json", "--step", "1"];
    for (weights, model_type, tensor) in [
        ("starcoder2", "nemotron", "mlp.up_proj.weight"),
        ("nemotron", "llama", "mlp.gate_proj.weight"),
        ("cohere2", "llama", "post_attention_layernorm.weight"),
        ("phi", "starcoder2", "model.layers.0."),
        ("hunyuan_v1_dense", "llama", "self_attn.key_layernorm.weight"),
        ("granitemoe", "granite", "mlp.gate_proj.weight"),
        ("qwen2", "starcoder2", "self_attn.o_proj.bias"),
    ] {
        copy(&model(weights), &tmp.path().join("m"));
        change_config(&tmp.path().join("m"), &|config| {
            config["model_type"] = json!(model_type);
            config["attention_bias"] = json!(weights != "starcoder2");
        });
        assert_rejected(tmp.path(), &arguments, &[tensor]);
    }
}

/// A row's angles depend on its own length: alone, and in a batch with longer and shorter rows, they are the same.
#[test]
fn dynamic_rows_do_not_depend_on_their_batch() {
    let (tmp, given) = (temp_dir(), rollouts());
    let checkpoint = model("internlm3-dynamic");
    let entropies = |batch: &str| {
        let arguments = ["--model", text(&checkpoint), "--prompts", text(&given)];
        let rest = ["-o", "h.json", "--step", "1", "--tokens-out", "t.jsonl", "--overwrite"];
        compute_ok(tmp.path(), &[&arguments[..], &rest, &["--batch-tokens", batch]].concat());
        let rows = lines(&tmp.path().join("t.jsonl"));
        rows.iter().flat_map(|row| numbers(&row["entropies"])).collect::<Vec<f64>>()
    };
    assert!(max_difference(&entropies("100000"), &entropies("1")) < 1e-5);
}

/// From `max_position_embeddings` on, each new token rotates all others by other angles.
#[test]
fn dynamic_samples_across_the_original_context() {
    let tmp = temp_dir();
    let checkpoint = model("internlm3-dynamic");
    let original = read(&checkpoint.join("config.json"))["max_position_embeddings"].clone();
    assert_eq!(original, 20);
    let prompts: Vec<String> = (1..30)
        .step_by(4)
        .map(|length| json!({"prompt_token_ids": (1..=length).collect::<Vec<i64>>()}).to_string())
        .collect();
    fs::write(tmp.path().join("p.jsonl"), prompts.join("\n")).unwrap();
    let sample = |batch: &str| {
        let arguments = ["--model", text(&checkpoint), "--prompts", "p.jsonl", "--greedy"];
        let rest = ["--max-new-tokens", "16", "-o", "h.json", "--step", "1", "--overwrite"];
        let files = ["--save-rollouts", "r.jsonl", "--batch-tokens", batch];
        compute_ok(tmp.path(), &[&arguments[..], &rest, &files].concat());
        lines_without_settings(&tmp.path().join("r.jsonl"))
    };
    let rows = sample("100000");
    assert_eq!(rows, sample("1"));
    // The first token after each prefix is that of the prefix as a prompt.
    let row = &rows[4];
    let (prompt, response) = (&row["prompt_token_ids"], &row["response_token_ids"]);
    let ids: Vec<Value> =
        [prompt, response].iter().flat_map(|x| x.as_array().unwrap().clone()).collect();
    let first = prompt.as_array().unwrap().len();
    assert!(first < 20 && ids.len() > 22, "{first} and {}", ids.len());
    let prefixes: Vec<String> = (first..ids.len())
        .map(|length| json!({"prompt_token_ids": ids[..length]}).to_string())
        .collect();
    fs::write(tmp.path().join("q.jsonl"), prefixes.join("\n")).unwrap();
    let arguments =
        ["--model", text(&checkpoint), "--prompts", "q.jsonl", "--greedy", "-o", "q.json"];
    let rest = ["--max-new-tokens", "1", "--step", "1", "--save-rollouts", "q1.jsonl"];
    compute_ok(tmp.path(), &[&arguments[..], &rest].concat());
    let next: Vec<Value> = lines(&tmp.path().join("q1.jsonl"))
        .iter()
        .map(|row| row["response_token_ids"][0].clone())
        .collect();
    assert_eq!(next, ids[first..]);
}

/// Its context is `factor` times `max_position_embeddings`.
#[test]
fn dynamic_rows_beyond_the_stretched_context_are_left_out() {
    let tmp = temp_dir();
    let checkpoint = model("internlm3-dynamic");
    let row = |length: usize| {
        json!({"prompt_token_ids": vec![5; length - 3], "response_token_ids": [1, 2, 3]})
            .to_string()
    };
    fs::write(tmp.path().join("p.jsonl"), [row(20), row(120), row(121)].join("\n")).unwrap();
    compute_ok(
        tmp.path(),
        &["--model", text(&checkpoint), "--prompts", "p.jsonl", "-o", "h.json", "--step", "1"],
    );
    assert_eq!(read(&tmp.path().join("h.json"))[0]["sequences"], 2);
}

/// Scores of one block of queries have at most 2²⁵ numbers: with 4 heads, 2900 tokens take two blocks. Sampled tokens, which
/// attend to the cache, have the same entropies as in a row that is scored at once.
#[test]
fn sinks_in_several_blocks_agree_with_those_of_single_tokens() {
    let tmp = temp_dir();
    let checkpoint = tmp.path().join("m");
    copy(&model("gpt_oss"), &checkpoint);
    change_config(&checkpoint, &|config| config["max_position_embeddings"] = json!(4096));
    let ids: Vec<i64> = (0..2900_i64).map(|i| i * i * 31 % 299).collect();
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt_token_ids": ids}).to_string()).unwrap();
    let entropies = |prompts: &str, rest: &[&str]| {
        let arguments = ["--model", "m", "--prompts", prompts, "--step", "1", "-o", "h.json"];
        let files = ["--tokens-out", "t.jsonl", "--overwrite"];
        compute_ok(tmp.path(), &[&arguments[..], &files, rest].concat());
        numbers(&lines(&tmp.path().join("t.jsonl"))[0]["entropies"])
    };
    let sampling = ["--greedy", "--max-new-tokens", "8", "--save-rollouts", "r.jsonl"];
    let sampled = entropies("p.jsonl", &sampling);
    assert_eq!(sampled.len(), 8);
    assert!(max_difference(&sampled, &entropies("r.jsonl", &[])) < 1e-4);
}

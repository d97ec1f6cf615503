//! `--reference`: exact KL divergences of two models, against NumPy on the logits of transformers
//! (tests/compute/make_distributions.py).

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, compute_ok, copy, lines, max_difference, model, numbers, read, rollouts,
    temp_dir, text,
};
use serde_json::{Value, json};

/// The columns of `--tokens-out`, their keys in the golden values, and those of their means.
const COLUMNS: [(&str, &str, &str); 3] = [
    ("log_probs_reference", "log_prob_reference", "log_prob_reference_mean"),
    ("kl", "kl", "kl_reference"),
    ("kl_reverse", "kl_reverse", "kl_reverse_reference"),
];

fn golden() -> Value {
    read(&fixture("distributions/golden.json"))
}

/// The arguments to score the shared responses with a policy and a reference.
fn arguments(policy: &str, reference: &Path) -> Vec<String> {
    let base = model("qwen2");
    let mut arguments: Vec<String> = Vec::new();
    for (flag, value) in [
        ("--model", text(&model(policy))),
        ("--reference", text(reference)),
        ("--base-model", text(&base)),
        ("--prompts", text(&rollouts())),
        ("--step", "1"),
        ("-o", "h.json"),
        ("--tokens-out", "t.jsonl"),
    ] {
        arguments.extend([flag.to_owned(), value.to_owned()]);
    }
    arguments
}

fn run(directory: &Path, arguments: &[String], more: &[&str]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.to_vec()).collect();
    stderr(&compute_ok(directory, &arguments))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn divergences_are_those_of_transformers() {
    let golden = golden();
    let pairs = golden["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 3);
    for pair in pairs {
        let tmp = temp_dir();
        let [policy, reference] = ["policy", "reference"].map(|key| pair[key].as_str().unwrap());
        let temperature = format!("{},1.0", pair["temperature"]);
        let flags = ["--temperature", &temperature];
        run(tmp.path(), &arguments(policy, &model(reference)), &flags);
        let rows = lines(&tmp.path().join("t.jsonl"));
        let expected = pair["per_rollout"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len());
        let history = &read(&tmp.path().join("h.json"))[0];
        for (column, key, key_of_mean) in COLUMNS {
            let mut all = Vec::new();
            for (row, expected) in rows.iter().zip(expected) {
                let expected = numbers(&expected[key]);
                let off = max_difference(&numbers(&row[column]), &expected);
                assert!(off < 1e-4, "{policy}, {reference}, {column} is off by {off:e}");
                all.extend(expected);
            }
            let off = (history[key_of_mean].as_f64().unwrap() - mean(&all)).abs();
            assert!(off < 2e-5, "{policy}, {reference}, {key_of_mean} is off by {off:e}");
        }
        assert!(history["kl_reference"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_model_does_not_differ_from_itself() {
    let tmp = temp_dir();
    run(tmp.path(), &arguments("qwen2", &model("qwen2")), &[]);
    for row in lines(&tmp.path().join("t.jsonl")) {
        assert_eq!(row["log_probs"], row["log_probs_reference"]);
        assert!(
            numbers(&row["kl"]).iter().chain(&numbers(&row["kl_reverse"])).all(|kl| *kl == 0.0)
        );
    }
    let history = &read(&tmp.path().join("h.json"))[0];
    assert_eq!(
        (&history["kl_reference"], &history["kl_reverse_reference"]),
        (&json!(0.0), &json!(0.0))
    );
}

/// The numbers of two models that have tensors in common are those of each alone.
#[test]
fn an_adapter_and_its_base_are_loaded_once() {
    let tmp = temp_dir();
    let rows_of = |arguments: &[String], more: &[&str]| {
        let said = run(tmp.path(), arguments, &[&["--overwrite", "-v"], more].concat());
        (lines(&tmp.path().join("t.jsonl")), said)
    };
    let alone = |policy: &str| {
        let arguments = arguments(policy, Path::new(""));
        let (rows, said) = rows_of(&[&arguments[..2], &arguments[4..]].concat(), &[]);
        assert!(!said.contains("in common"), "{said}");
        rows
    };
    // Other paths of the same files.
    let link = tmp.path().join("link");
    std::os::unix::fs::symlink(model("qwen2"), &link).unwrap();
    for (policy, reference) in [
        ("lora", &model("qwen2")),
        ("lora", &link),
        ("qwen2", &model("lora")),
        ("lora-rslora", &model("lora")),
        ("qwen2", &model("qwen2")),
    ] {
        let (rows, said) = rows_of(&arguments(policy, reference), &[]);
        // All but biases and norms: 33,280 of 33,696 parameters.
        assert!(said.contains("99 % of them in common with the reference"), "{policy}: {said}");
        let name = reference.file_name().unwrap().to_str().unwrap().replace("link", "qwen2");
        for (row, (own, other)) in rows.iter().zip(alone(policy).iter().zip(&alone(&name))) {
            for (column, alone) in [
                ("entropies", &own["entropies"]),
                ("log_probs", &own["log_probs"]),
                ("log_probs_reference", &other["log_probs"]),
            ] {
                let off = max_difference(&numbers(&row[column]), &numbers(alone));
                assert!(off < 1e-4, "{policy} and {name}: {column} is off by {off:e}");
            }
        }
    }
    // Copies of the files are other files.
    let copied = tmp.path().join("copied");
    copy(&model("qwen2"), &copied);
    let (_, said) = rows_of(&arguments("lora", &copied), &[]);
    assert!(!said.contains("in common"), "{said}");
}

#[test]
fn a_plan_counts_common_files_once() {
    let tmp = temp_dir();
    let planned = |policy: &str, reference: &Path| {
        let arguments = arguments(policy, reference);
        let arguments = arguments.iter().map(String::as_str).chain(["--plan"]);
        let output = compute_ok(tmp.path(), &arguments.collect::<Vec<&str>>());
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        plan["checkpoints"][0]["read_bytes"].as_u64().unwrap()
    };
    let size = |directory: &Path, names: &[&str]| -> u64 {
        let files = names.iter().map(|name| directory.join(name)).filter(|file| file.is_file());
        files.map(|file| fs::metadata(file).unwrap().len()).sum()
    };
    let whole = |directory: &Path| {
        size(directory, &["model.safetensors", "config.json", "generation_config.json"])
    };
    let of_adapter = ["adapter_model.safetensors", "adapter_config.json"];
    let (base, adapter) = (whole(&model("qwen2")), size(&model("lora"), &of_adapter));
    assert_eq!(planned("lora", &model("qwen2")), base + adapter);
    assert_eq!(planned("lora", &model("mistral")), base + adapter + whole(&model("mistral")));
    assert_eq!(planned("qwen2", &model("qwen2")), base);
}

#[test]
fn other_numbers_do_not_depend_on_the_reference() {
    let tmp = temp_dir();
    let with = arguments("qwen2", &model("mistral"));
    let flags = ["--nucleus", "0.9", "--by", "id<3"];
    run(tmp.path(), &with, &flags);
    let with_rows = lines(&tmp.path().join("t.jsonl"));
    let history = read(&tmp.path().join("h.json"));
    assert!(history[0]["kl_reference{id<3}"].as_f64().unwrap() > 0.0);
    let alone = [&with[..2], &with[4..]].concat();
    run(tmp.path(), &alone, &[&flags[..], &["--overwrite"]].concat());
    for (a, b) in with_rows.iter().zip(lines(&tmp.path().join("t.jsonl"))) {
        for column in ["entropies", "log_probs", "ranks", "p_max", "renyi2", "entropy_top_p"] {
            assert_eq!(a[column], b[column], "{column}");
        }
        assert_eq!(b.get("kl"), None);
    }
}

#[test]
fn sampled_responses_are_compared_too() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt": "What is 3 + 4?"}).to_string()).unwrap();
    let (policy, reference) = (model("qwen2"), model("mistral"));
    let shared = ["--model", text(&policy), "--reference", text(&reference), "--step", "1"];
    let sample = ["--prompts", "p.jsonl", "--samples", "3", "--max-new-tokens", "20"];
    let outputs = ["-o", "s.json", "--tokens-out", "s.jsonl", "--save-rollouts", "r.jsonl"];
    compute_ok(tmp.path(), &[&shared[..], &sample, &outputs].concat());
    let score = ["--prompts", "r.jsonl", "-o", "h.json", "--tokens-out", "t.jsonl"];
    compute_ok(tmp.path(), &[&shared[..], &score].concat());
    let (sampled, scored) =
        (lines(&tmp.path().join("s.jsonl")), lines(&tmp.path().join("t.jsonl")));
    assert_eq!(sampled.len(), 3);
    for (a, b) in sampled.iter().zip(&scored) {
        for column in ["entropies", "log_probs", "kl", "kl_reverse", "log_probs_reference"] {
            let off = max_difference(&numbers(&a[column]), &numbers(&b[column]));
            assert!(off < 1e-4, "{column} is off by {off:e}");
        }
    }
    assert!(numbers(&sampled[0]["kl"]).iter().all(|kl| *kl > 0.0));
}

#[test]
fn a_token_without_probability_makes_it_infinite() {
    let tmp = temp_dir();
    let ids = [3, 5, 0, 11, 2];
    let row = json!({"prompt_token_ids": [4], "response_token_ids": ids});
    fs::write(tmp.path().join("p.jsonl"), row.to_string()).unwrap();
    let script = |name: &str| fixture("distributions").join(name);
    let score = |policy: &str, reference: &str| {
        let (policy, reference) = (script(policy), script(reference));
        let shared = ["--model", text(&policy), "--reference", text(&reference), "--step", "1"];
        let files = ["--prompts", "p.jsonl", "-o", "h.json", "--tokens-out", "t.jsonl"];
        let said = compute_ok(tmp.path(), &[&shared[..], &files, &["--overwrite"]].concat());
        let history = read(&tmp.path().join("h.json"))[0].clone();
        (lines(&tmp.path().join("t.jsonl"))[0].clone(), history, stderr(&said))
    };
    let of_masked = numbers(&golden()["masked_to_table"]);
    let expected: Vec<f64> = [4, 3, 5, 0, 11].iter().map(|token| of_masked[*token]).collect();
    for (policy, reference, infinite, finite) in [
        ("table.pt", "masked.pt", ("kl", "kl_reference"), ("kl_reverse", "kl_reverse_reference")),
        ("masked.pt", "table.pt", ("kl_reverse", "kl_reverse_reference"), ("kl", "kl_reference")),
    ] {
        let (row, history, said) = score(policy, reference);
        assert_eq!(row[infinite.0], json!([null, null, null, null, null]));
        assert_eq!(history[infinite.1], Value::Null);
        assert!(said.contains("is infinite at 5 tokens") && said.contains(infinite.1), "{said}");
        assert_eq!(said.matches("infinite").count(), 1, "{said}");
        assert!(max_difference(&numbers(&row[finite.0]), &expected) < 1e-6);
        assert!((history[finite.1].as_f64().unwrap() - mean(&expected)).abs() < 1e-6);
    }
}

#[test]
fn references_that_do_not_fit_are_errors() {
    let tmp = temp_dir();
    let rejected = |reference: &Path, words: &[&str]| {
        let arguments = arguments("qwen2", reference);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_rejected(tmp.path(), &arguments, words);
    };
    rejected(Path::new("nowhere"), &["--reference", "no nowhere"]);
    let runs: PathBuf = tmp.path().join("run");
    for step in [1, 2] {
        copy(&model("qwen2"), &runs.join(format!("global_step_{step}/actor/huggingface")));
    }
    rejected(&runs, &["--reference", "several checkpoints", "global_step_1/actor/huggingface"]);
    // Another number of tokens.
    let other = tmp.path().join("other");
    copy(&model("qwen2"), &other);
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = read(&model("qwen2").join(name));
        change(&mut value);
        fs::write(other.join(name), value.to_string()).unwrap();
    };
    edit("config.json", &|config| config["vocab_size"] = json!(333));
    rejected(&other, &["qwen2", "other", "vocabularies of 320 and 333"]);
    edit("config.json", &|config| config["max_position_embeddings"] = json!(20));
    rejected(&other, &["other", "context is 20 tokens"]);
    edit("config.json", &|_| {});
    // Other tokens: both files are named.
    edit("tokenizer.json", &|tokenizer| {
        let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let keys: Vec<String> = vocabulary.keys().take(2).cloned().collect();
        let (a, b) = (vocabulary[&keys[0]].clone(), vocabulary[&keys[1]].clone());
        vocabulary.insert(keys[0].clone(), b);
        vocabulary.insert(keys[1].clone(), a);
    });
    rejected(&other, &["qwen2/tokenizer.json", "other/tokenizer.json", "differ"]);
    // The same tokens, saved with other settings.
    edit("tokenizer.json", &|tokenizer| tokenizer["padding"] = Value::Null);
    run(tmp.path(), &arguments("qwen2", &other), &[]);
}

#[test]
fn the_reference_is_part_of_the_settings() {
    let tmp = temp_dir();
    let first = arguments("qwen2", &model("mistral"));
    run(tmp.path(), &first, &[]);
    assert!(run(tmp.path(), &first, &[]).contains("already in h.json"));
    let other = arguments("qwen2", &model("lora"));
    for arguments in [&other, &[&first[..2], &first[4..]].concat()] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_rejected(tmp.path(), &arguments, &["h.json", "other prompts or flags"]);
    }
}

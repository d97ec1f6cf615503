//! Directories of trainers, from their checkpoints and dumps to a picture: `compute --model RUN --prompts DUMPS`, then
//! `auto`, without other flags.
//!
//! The checkpoints are golden ones in the forms that each trainer saves, in the directories where it puts them; the
//! dumps hold the golden responses under the trainer's keys. Where they have token ids, the entropies are the golden ones.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::common::{fixture, stderr};
use crate::compute::*;
use crate::shards::{copy_config, copy_shards};

/// How a trainer's dump of one step names prompt and response.
type DumpRow = fn(&Value) -> Value;

/// The golden responses as a trainer writes them, one line each.
fn dump(path: &Path, row: DumpRow) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows: Vec<String> = lines(&rollouts()).iter().map(|given| row(given).to_string()).collect();
    fs::write(path, rows.join("\n")).unwrap();
}

fn joined_ids(row: &Value) -> (Vec<Value>, usize, usize) {
    let ids = |key: &str| row[key].as_array().unwrap().clone();
    let (prompt, response) = (ids("prompt_token_ids"), ids("response_token_ids"));
    let lengths = (prompt.len(), response.len());
    ([prompt, response].concat(), lengths.0, lengths.1)
}

/// The ids of prompt and response in one list, with a mask of the response.
fn ids_and_mask(row: &Value) -> (Vec<Value>, Vec<u8>) {
    let (ids, prompt, response) = joined_ids(row);
    (ids, [vec![0; prompt], vec![1; response]].concat())
}

/// The entropy that transformers gives for the golden responses, at temperature 1.
fn golden_entropy(name: &str) -> f64 {
    let golden = read(&model(name).join("golden.json"));
    golden["temperatures"]["1.0"]["token_mean"].as_f64().unwrap()
}

/// Runs `compute` on a run and its dumps, checks the rows, and draws them with `auto`.
///
/// `expected` has the steps, each with its golden checkpoint; the entropies are compared if the dumps have token ids.
fn from_checkpoints_to_picture(
    root: &Path,
    run: &str,
    dumps: &str,
    expected: &[(u64, &str)],
    history: &str,
) {
    let output = compute(root, &["--model", run, "--prompts", dumps]);
    assert!(output.status.success(), "{run}: {}", stderr(&output));
    let rows = read(&root.join(history));
    let rows = rows.as_array().unwrap();
    let steps: Vec<u64> = rows.iter().map(|row| row["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, expected.iter().map(|(step, _)| *step).collect::<Vec<_>>(), "{run}");
    for (row, (step, golden)) in rows.iter().zip(expected) {
        let off = (row["entropy"].as_f64().unwrap() - golden_entropy(golden)).abs();
        assert!(off < 2e-5, "{run}, step {step}: off by {off:e}");
    }
    let again = compute_ok(root, &["--model", run, "--prompts", dumps]);
    let said = stderr(&again);
    assert_eq!(said.matches("already in").count(), expected.len(), "{run}: {said}");

    let mut auto = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz"));
    let output = auto.current_dir(root).args(["auto", "."]).output().unwrap();
    assert!(output.status.success(), "auto of {run}: {}", stderr(&output));
    assert!(root.join("entropy_comparison.png").is_file());
}

/// A directory that trainers leave in a run, which is no checkpoint.
fn add_file(path: PathBuf) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "{}").unwrap();
}

/// A distributed checkpoint of phi3-partial, without config.
fn copy_dcp(to: &Path) {
    copy(&fixture("shards/dcp-2"), to);
}

#[test]
fn verl_and_easyr1() {
    // FSDP shards in actor/, config and tokenizer in actor/huggingface; the critic is not the policy.
    for (case, golden) in [("fsdp2-3", "llama"), ("fsdp1-2", "mistral")] {
        let tmp = temp_dir();
        for step in [10, 20] {
            let directory = tmp.path().join(format!("runs/exp/global_step_{step}"));
            copy_shards(case, golden, &directory.join("actor"));
            copy_config(golden, &directory.join("critic/huggingface"));
            add_file(directory.join("data.pt"));
            dump(&tmp.path().join(format!("rollouts/{step}.jsonl")), |row| {
                json!({"input": row["prompt"], "output": row["response"], "gts": "7", "score": 1.0, "step": 10,
                    "prompt_token_ids": row["prompt_token_ids"], "response_token_ids": row["response_token_ids"]})
            });
        }
        add_file(tmp.path().join("runs/exp/latest_checkpointed_iteration.txt"));
        from_checkpoints_to_picture(
            tmp.path(),
            "runs/exp",
            "rollouts",
            &[(10, golden), (20, golden)],
            "runs/exp/entropy_history_exp.json",
        );
    }
}

#[test]
fn skyrl_exports_and_checkpoints() {
    let tmp = temp_dir();
    let run = tmp.path().join("runs/sky");
    copy_shards("fsdp2-4", "qwen3", &run.join("global_step_10/policy"));
    copy_shards("fsdp2-4", "qwen3", &run.join("global_step_20/policy"));
    copy(&model("qwen3"), &run.join("exports/global_step_20/policy"));
    for step in [10, 20] {
        dump(&tmp.path().join(format!("dumps/global_step_{step}.jsonl")), |row| {
            json!({"prompt_token_ids": row["prompt_token_ids"], "response_ids": row["response_token_ids"],
                "rewards": [0.0], "stop_reason": row["finish_reason"]})
        });
    }
    from_checkpoints_to_picture(
        tmp.path(),
        "runs/sky",
        "dumps",
        &[(10, "qwen3"), (20, "qwen3")],
        "runs/sky/entropy_history_sky.json",
    );
}

#[test]
fn trl_with_its_final_model() {
    let tmp = temp_dir();
    let run = tmp.path().join("runs/grpo");
    for (step, golden) in [(10, "qwen2"), (20, "qwen3")] {
        copy(&model(golden), &run.join(format!("checkpoint-{step}")));
    }
    copy(&model("qwen3"), &run);
    for step in [10, 20] {
        dump(&run.join(format!("completions/completions_{step:05}.jsonl")), |row| {
            json!({"step": 10, "prompt_ids": row["prompt_token_ids"], "completion_ids": row["response_token_ids"],
                "accuracy_reward": 0.5, "advantage": -0.25})
        });
    }
    from_checkpoints_to_picture(
        tmp.path(),
        "runs/grpo",
        "runs/grpo/completions",
        &[(10, "qwen2"), (20, "qwen3")],
        "runs/grpo/entropy_history_grpo.json",
    );
}

#[test]
fn ms_swift_has_the_run_in_a_directory_with_its_date() {
    let tmp = temp_dir();
    let run = tmp.path().join("output/v0-20260101-120000");
    for step in [10, 20] {
        copy(&model("qwen2"), &run.join(format!("checkpoint-{step}")));
    }
    add_file(run.join("args.json"));
    dump(
        &tmp.path().join("given.jsonl"),
        |row| json!({"prompt_token_ids": row["prompt_token_ids"], "response_token_ids": row["response_token_ids"]}),
    );
    from_checkpoints_to_picture(
        tmp.path(),
        "output",
        "given.jsonl",
        &[(10, "qwen2"), (20, "qwen2")],
        "output/v0-20260101-120000/entropy_history_v0-20260101-120000.json",
    );
    // With a second run, which of them is meant must be said.
    copy(&model("qwen2"), &tmp.path().join("output/v1-20260102-120000/checkpoint-10"));
    let arguments = ["--model", "output", "--prompts", "given.jsonl"];
    let both = "it contains 2 runs: v0-20260101-120000, v1-20260102-120000";
    assert_rejected(tmp.path(), &arguments, &[both, "give one of them as --model"]);
}

#[test]
fn openrlhf_has_two_forms_of_a_step() {
    let tmp = temp_dir();
    let ckpt = tmp.path().join("ckpt");
    let run = ckpt.join("checkpoints_ppo_ray");
    // Whole weights of step 20 only; the config of step 10 is that of step 20.
    for step in [10, 20] {
        copy(&fixture("shards/zero3-3"), &run.join(format!("_actor/global_step{step}")));
        copy(&fixture("shards/zero3-3"), &run.join(format!("_critic/global_step{step}")));
    }
    let golden = "qwen3";
    copy(&model(golden), &run.join("global_step20_hf"));
    dump(
        &tmp.path().join("given.jsonl"),
        |row| json!({"prompt_token_ids": row["prompt_token_ids"], "response_token_ids": row["response_token_ids"]}),
    );
    for model in ["ckpt", "ckpt/checkpoints_ppo_ray"] {
        let tmp = tmp.path();
        let history = format!("{model}/entropy_history_ckpt.json");
        let name = fs::canonicalize(tmp).unwrap();
        let name = name.file_name().unwrap().to_str().unwrap();
        let history = history.replace("entropy_history_ckpt", &format!("entropy_history_{name}"));
        let steps = [(10, golden), (20, golden)];
        from_checkpoints_to_picture(tmp, model, "given.jsonl", &steps, &history);
    }
    let said = stderr(&compute_ok(
        tmp.path(),
        &["--model", "ckpt", "--prompts", "given.jsonl", "-v", "-o", "h.json"],
    ));
    assert!(
        said.contains("_actor/global_step20: its step is also there in a preferred form"),
        "{said}"
    );
}

#[test]
fn prime_rl_broadcasts_and_checkpoints() {
    let tmp = temp_dir();
    let run = tmp.path().join("outputs");
    copy_dcp(&run.join("checkpoints/step_10/trainer"));
    copy_dcp(&run.join("checkpoints/step_20/trainer"));
    copy(&model("phi3-partial"), &run.join("broadcasts/step_20"));
    for step in [10, 20] {
        dump(&run.join(format!("rollouts/step_{step}/train/all/traces.jsonl")), |row| {
            let (ids, mask) = ids_and_mask(row);
            json!({"token_ids": ids, "loss_mask": mask, "reward": 1.0})
        });
    }
    from_checkpoints_to_picture(
        tmp.path(),
        "outputs",
        "outputs/rollouts",
        &[(10, "phi3-partial"), (20, "phi3-partial")],
        "outputs/entropy_history_outputs.json",
    );
}

/// Puts a golden checkpoint into the cache of huggingface_hub.
fn add_to_hub_cache(cache: &Path, name: &str, golden: &str) {
    let model_directory = cache.join(format!("models--{}", name.replace('/', "--")));
    fs::create_dir_all(model_directory.join("refs")).unwrap();
    fs::write(model_directory.join("refs/main"), "0123abcd").unwrap();
    copy(&model(golden), &model_directory.join("snapshots/0123abcd"));
}

#[test]
fn nemo_rl_names_the_model_in_its_config() {
    let tmp = temp_dir();
    let run = tmp.path().join("results/grpo");
    for step in [10, 20] {
        let directory = run.join(format!("step_{step}"));
        copy_dcp(&directory.join("policy/weights"));
        fs::write(
            directory.join("config.yaml"),
            "grpo:\n  num_prompts_per_step: 32\npolicy:\n  model_name: org/phi-tiny\n  tokenizer:\n    name: org/other\n",
        )
        .unwrap();
        add_file(directory.join("training_info.json"));
        dump(&tmp.path().join(format!("logs/exp_001/train_data_step{step}.jsonl")), |row| {
            let (mut ids, mask) = ids_and_mask(row);
            let length = ids.len();
            ids.resize(128, json!(0));
            let mask = [mask, vec![0; 128 - length]].concat();
            json!({"token_ids": [ids], "input_lengths": [length], "token_loss_mask": [mask], "rewards": [1.0]})
        });
    }
    let arguments = ["--model", "results/grpo", "--prompts", "logs/exp_001"];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["\"org/phi-tiny\", which results/grpo/step_10/config.yaml names", "--base-model"],
    );
    let hub = tmp.path().join("hub");
    add_to_hub_cache(&hub, "org/phi-tiny", "phi3-partial");
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.current_dir(tmp.path()).env("HF_HUB_CACHE", &hub).args(["--device", "cpu"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = read(&run.join("entropy_history_grpo.json"));
    for row in rows.as_array().unwrap() {
        let off = (row["entropy"].as_f64().unwrap() - golden_entropy("phi3-partial")).abs();
        assert!(off < 2e-5, "off by {off:e}");
    }
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn slime_names_the_model_in_its_arguments() {
    let tmp = temp_dir();
    let iteration = tmp.path().join("runs/slime/iter_0000012");
    copy(&fixture("megatron/qwen3-tp2/iter_0000012"), &iteration);
    fs::copy(fixture("megatron/slime-common.pt"), iteration.join("common.pt")).unwrap();
    fs::write(tmp.path().join("runs/slime/latest_checkpointed_iteration.txt"), "12").unwrap();
    copy(&fixture("dumps/slime"), &tmp.path().join("debug"));
    let arguments = ["--model", "runs/slime", "--prompts", "debug"];
    let words =
        ["\"org/qwen3-tiny\", which runs/slime/iter_0000012/common.pt names", "--base-model"];
    assert_rejected(tmp.path(), &arguments, &words);
    let hub = tmp.path().join("hub");
    add_to_hub_cache(&hub, "org/qwen3-tiny", "qwen3");
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command.current_dir(tmp.path()).env("HF_HUB_CACHE", &hub).args(["--device", "cpu"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = read(&tmp.path().join("runs/slime/entropy_history_slime.json"));
    assert_eq!(rows[0]["step"], 12);
    let off = (rows[0]["entropy"].as_f64().unwrap() - golden_entropy("qwen3")).abs();
    assert!(off < 2e-5, "off by {off:e}");
}

#[test]
fn areal_has_the_run_below_names_of_user_experiment_and_trial() {
    let tmp = temp_dir();
    let trial = "checkpoints/me/gsm8k/trial0";
    for step in [10, 20] {
        let name = format!("epoch0epochstep{}globalstep{step}", step - 1);
        copy(&model("qwen2"), &tmp.path().join(trial).join("default").join(name));
        dump(&tmp.path().join(format!("generated/{step}/0.jsonl")), |row| {
            let (ids, mask) = ids_and_mask(row);
            json!({"input_ids": ids, "loss_mask": mask, "rewards": 1.0})
        });
    }
    from_checkpoints_to_picture(
        tmp.path(),
        "checkpoints",
        "generated",
        &[(10, "qwen2"), (20, "qwen2")],
        &format!("{trial}/entropy_history_trial0.json"),
    );
}

#[test]
fn roll_and_open_instruct_and_slime_with_whole_weights() {
    for places in [
        // ROLL: one directory per worker; the first has the weights.
        ["actor_train-0/checkpoint-10/actor_train", "actor_train-0/checkpoint-20/actor_train"],
        ["step_10", "step_20"],                 // open-instruct
        ["10", "20"],                           // slime --save-hf RUN/{rollout_id}
        ["weights/step_10", "weights/step_20"], // prime-rl before 2026
        ["hf/iter_0000010", "hf/iter_0000020"], // slime --save-hf
    ] {
        let tmp = temp_dir();
        let run = tmp.path().join("runs/one");
        for place in places {
            copy(&model("qwen3"), &run.join(place));
        }
        add_file(run.join("actor_train-1/checkpoint-10/actor_train/rng_state_1.pth"));
        add_file(run.join("pipeline/checkpoint-10/pipeline/pipeline.json"));
        for step in [10, 20] {
            dump(&tmp.path().join(format!("dumps/{step}.jsonl")), |row| {
                let (ids, _, response) = joined_ids(row);
                json!({"tokens": ids, "response_length": response, "loss_mask": vec![1; response],
                    "status": "completed", "reward": 1.0})
            });
        }
        from_checkpoints_to_picture(
            tmp.path(),
            "runs/one",
            "dumps",
            &[(10, "qwen3"), (20, "qwen3")],
            "runs/one/entropy_history_one.json",
        );
    }
}

#[test]
fn runs_named_by_their_seeds_are_not_steps() {
    let tmp = temp_dir();
    for seed in [1, 2] {
        let run = tmp.path().join(format!("runs/{seed}"));
        copy(&model("qwen2"), &run.join("checkpoint-10"));
        copy(&model("qwen2"), &run); // the final model
    }
    let given = rollouts();
    let arguments = ["--model", "runs", "--prompts", text(&given)];
    assert_rejected(tmp.path(), &arguments, &["it contains 2 runs: 1, 2"]);
}

#[test]
fn base_model_of_an_adapter_is_found_by_its_name() {
    let tmp = temp_dir();
    let adapter = tmp.path().join("runs/lora/checkpoint-10");
    copy(&model("lora"), &adapter);
    let mut config = read(&adapter.join("adapter_config.json"));
    config["base_model_name_or_path"] = json!("org/qwen2-tiny");
    fs::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
    let given = rollouts();
    let arguments = ["--model", "runs/lora", "--prompts", text(&given), "-o", "h.json"];
    assert_rejected(
        tmp.path(),
        &arguments,
        &["a LoRA adapter of org/qwen2-tiny, which is not on this machine", "--base-model DIR"],
    );
    add_to_hub_cache(&tmp.path().join("home/hub"), "org/qwen2-tiny", "qwen2");
    let mut command = Command::cargo_bin("entropy-viz-compute").unwrap();
    command
        .current_dir(tmp.path())
        .env_remove("HF_HUB_CACHE")
        .env("HF_HOME", tmp.path().join("home"));
    let output = command.args(["--device", "cpu"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let entropy = read(&tmp.path().join("h.json"))[0]["entropy"].as_f64().unwrap();
    assert!((entropy - golden_entropy("lora")).abs() < 2e-5);
}

#[test]
fn base_model_that_is_named_but_broken_is_not_called_missing() {
    let tmp = temp_dir();
    copy(&model("lora"), &tmp.path().join("adapter"));
    copy_config("qwen2", &tmp.path().join("base"));
    let mut config = read(&tmp.path().join("adapter/adapter_config.json"));
    config["base_model_name_or_path"] = json!("base");
    fs::write(tmp.path().join("adapter/adapter_config.json"), config.to_string()).unwrap();
    let given = rollouts();
    let arguments =
        ["--model", "adapter", "--prompts", text(&given), "-o", "h.json", "--step", "1"];
    let words = ["cannot use the base model of adapter", "base", "no weights"];
    assert_rejected(tmp.path(), &arguments, &words);
    // An adapter is no base model either.
    copy(&model("lora"), &tmp.path().join("base"));
    assert_rejected(tmp.path(), &arguments, &["base is not a full model"]);
}

#[test]
fn same_step_twice_in_one_form_is_an_error() {
    let tmp = temp_dir();
    copy(&model("qwen2"), &tmp.path().join("run/checkpoint-10"));
    copy(&model("qwen2"), &tmp.path().join("run/global_step_10"));
    let given = rollouts();
    let arguments = ["--model", "run", "--prompts", text(&given)];
    let words = ["two directories have step 10", "run/checkpoint-10", "run/global_step_10"];
    assert_rejected(tmp.path(), &arguments, &words);
    // A link to the same directory is not a second checkpoint.
    fs::remove_dir_all(tmp.path().join("run/global_step_10")).unwrap();
    std::os::unix::fs::symlink("checkpoint-10", tmp.path().join("run/global_step_10")).unwrap();
    compute_ok(tmp.path(), &arguments);
    assert_eq!(read(&tmp.path().join("run/entropy_history_run.json")).as_array().unwrap().len(), 1);
}

#[test]
fn incomplete_checkpoints_and_links_in_a_circle_are_named_or_skipped() {
    let tmp = temp_dir();
    let run = tmp.path().join("runs/one");
    copy(&model("qwen2"), &run.join("step_10"));
    fs::create_dir_all(run.join("step_20")).unwrap();
    std::os::unix::fs::symlink("..", tmp.path().join("runs/loop")).unwrap();
    std::os::unix::fs::symlink(".", run.join("checkpoints")).unwrap();
    let given = rollouts();
    let output = compute(tmp.path(), &["--model", "runs", "--prompts", text(&given)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("using the run runs/one"), "{said}");
    assert!(said.contains("skipped step 20: cannot use runs/one/step_20"), "{said}");
}

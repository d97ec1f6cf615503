//! The names under which trainers dump the columns of a response.
//!
//! | program | ids | scored log-probs | sampler's log-probs | mask |
//! | --- | --- | --- | --- | --- |
//! | `compute --tokens-out` | `response_token_ids` | `log_probs` | in `dump`, as the prompt file named them | `response_mask` |
//! | prime-rl, token export | `token_ids` of prompt and response | `trainer_logprobs` | `inference_logprobs` | `loss_mask` |
//! | NeMo-RL from 0.6, `train_data_step*.jsonl` | `token_ids`, padded to `input_lengths` | `prev_logprobs` | `generation_logprobs` | `token_loss_mask` |
//! | verl | `response_ids`, `responses`, `input_ids` | `old_log_probs` | `rollout_log_probs` | `response_mask`, `loss_mask` |
//! | slime | `tokens` of prompt and response | `log_probs` | `rollout_log_probs` | `loss_mask`, of the response |
//!
//! NeMo-RL's `idx` is the number of the row (`Logger.log_batched_dict_as_jsonl`, 0.3 to 0.7), not that of the prompt. Up to
//! 0.5 its rows have no token ids.

use entropy_history::dump::column_names;
pub(crate) use entropy_history::dump::column_names::{
    ANSWERS, MASKS, SEQUENCE_IDS, looks_like_mask,
};

/// Names of token ids of the response.
pub(crate) fn response_ids() -> impl Iterator<Item = &'static str> {
    column_names::RESPONSE_IDS.into_iter().chain(["responses"])
}

/// Names of token ids of the prompt.
pub(crate) fn prompt_ids() -> impl Iterator<Item = &'static str> {
    column_names::PROMPT_IDS.into_iter().chain(["prompts"])
}

/// Texts of the tokens of the response.
pub(crate) const TEXTS: [&str; 3] = ["tokens", "token_texts", "response_token_texts"];

/// Entropies, in nats.
pub(crate) const ENTROPIES: [&str; 5] =
    ["entropies", "entropy", "entropys", "token_entropies", "token_entropy"];

/// Log-probs that the trainer or `compute` scored.
pub(crate) const SCORED: [&str; 7] = [
    "log_probs",
    "trainer_logprobs",
    "prev_logprobs",
    "old_log_probs",
    "old_logprobs",
    "old_per_token_logps",
    "train_log_probs",
];

/// Log-probs of the engine that sampled the response.
pub(crate) const SAMPLER: [&str; 9] = [
    "generation_logprobs",
    "inference_logprobs",
    "rollout_log_probs",
    "rollout_logprobs",
    "sampling_logprobs",
    "sampling_per_token_logps",
    "sampler_logprobs",
    "response_logprobs",
    "logprobs",
];

/// Other numbers of tokens that `compute --tokens-out` writes; their means are reported.
pub(crate) const TOKEN_COLUMNS: [&str; 6] =
    ["kl", "kl_reverse", "p_max", "renyi2", "entropy_top_p", "ranks"];

/// Advantages: a number, or one per token.
pub(crate) const ADVANTAGES: [&str; 2] = ["advantages", "advantage"];

/// Rewards of a response.
pub const REWARDS: [&str; 11] = [
    "reward",
    "rewards",
    "score",
    "scores",
    "total_reward",
    "raw_reward",
    "overall",
    "acc",
    "accuracy",
    "correct",
    "is_correct",
];

/// What names the prompt of a response, so that all of its responses form a group.
pub(crate) const GROUPS: [&str; 8] = [
    "group_index",
    "group_id",
    "prompt_id",
    "prompt_uid",
    "uid",
    "problem_id",
    "example_id",
    "prompt_idx",
];

/// The training step.
pub(crate) const STEPS: [&str; 5] =
    ["export_step", "step", "global_step", "train_step", ROLLOUT_ID];

/// In slime's samples, from 0.3.1 on, the id of the execution that a sample comes from, or null (`Sample.rollout_id`).
pub(crate) const ROLLOUT_ID: &str = "rollout_id";
/// A key that these samples have.
pub(crate) const OF_SLIME_SAMPLE: &str = "weight_versions";

/// The text of a response.
pub(crate) const RESPONSE_TEXTS: [&str; 5] =
    ["response", "output", "completion", "output_response", "response_text"];

/// The text of a prompt.
pub(crate) const PROMPT_TEXTS: [&str; 3] = ["prompt", "input", "input_prompt"];

/// The number of tokens of the response, of a padded sequence, and of the prompt.
pub(crate) const RESPONSE_LENGTHS: [&str; 3] =
    ["response_length", "response_len", "response_lengths"];
pub(crate) const SEQUENCE_LENGTHS: [&str; 3] = ["input_lengths", "input_length", "seqlen"];
pub(crate) const PROMPT_LENGTHS: [&str; 3] = ["prompt_length", "prompt_len", "prompt_lengths"];

/// The object in which `compute --tokens-out` repeats the columns of the prompt file.
pub(crate) const REPEATED: &str = "dump";

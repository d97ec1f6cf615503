//! The names under which trainers dump prompts and responses, and names that only look like those of a response.
//!
//! | trainer | prompt | response |
//! | --- | --- | --- |
//! | verl | `input` | `output` |
//! | TRL, ms-swift, AReaL, verifiers, prime-rl | `prompt` | `completion` |
//! | SkyRL | `input_prompt` | `output_response` |
//! | open-instruct | `prompt_tokens` | `response_tokens` |
//! | NeMo-RL, AReaL's and prime-rl's tensors, slime | `token_ids`, `input_ids`, `tokens`, of both together | |

use serde_json::{Map, Value as Json};

use super::raw::has;

/// The keys of masks.
pub(super) const MASK_KEYS: [&str; 16] = [
    "response_mask",
    "response_masks",
    "loss_mask",
    "loss_masks",
    "token_loss_mask",
    "completion_mask",
    "tool_mask",
    "assistant_mask",
    "assistant_masks",
    "assistant_tokens_mask",
    "assistant_token_mask",
    "assistant_loss_mask",
    "response_loss_mask",
    "completion_masks",
    "action_mask",
    "action_masks",
];

/// Token ids of the prompt.
pub(super) const PROMPT_IDS: [&str; 3] = ["prompt_token_ids", "prompt_ids", "prompt_tokens"];

/// Token ids of the response.
pub(super) const RESPONSE_IDS: [&str; 7] = [
    "response_token_ids",
    "response_ids",
    "completion_token_ids",
    "completion_ids",
    "response_tokens",
    "output_token_ids",
    "output_ids",
];

/// Token ids of prompt and response together.
pub(super) const SEQUENCE_IDS: [&str; 3] = ["token_ids", "input_ids", "tokens"];

/// Text or messages of the prompt, in order of precedence; and `input`, if there is an `output`.
pub(super) const PROMPTS: [&str; 3] = ["prompt", "messages", "input_prompt"];

/// Text or messages of the response, in order of precedence; and `output`, if the prompt is `input`.
pub(super) const RESPONSES: [&str; 5] =
    ["response", "completion", "responses", "completions", "output_response"];

/// Other keys that are read.
const OTHERS: [&str; 21] = [
    "id",
    "choices",
    "input",
    "output",
    "finish_reason",
    "stop_reason",
    "status",
    "tools",
    "segments",
    "custom_id",
    "body",
    "error",
    "attention_mask",
    "prompt_mask",
    "input_lengths",
    "input_length",
    "seqlen",
    "prompt_len",
    "prompt_length",
    "response_len",
    "response_length",
];

/// Words in the name of a response.
const RESPONSE_WORDS: [&str; 27] = [
    "response",
    "responses",
    "completion",
    "completions",
    "generation",
    "generations",
    "generated",
    "output",
    "outputs",
    "rollout",
    "rollouts",
    "prediction",
    "predictions",
    "reply",
    "replies",
    "continuation",
    "continuations",
    "sampled",
    "trajectory",
    "assistant",
    "pred",
    "preds",
    "predicted",
    "decoded",
    "gen",
    "hypothesis",
    "hypotheses",
];

/// Words of names that are not responses, such as `expected_output` and `response_length`.
const OTHER_WORDS: [&str; 29] = [
    "reference",
    "ref",
    "gold",
    "golden",
    "expected",
    "ground",
    "truth",
    "target",
    "label",
    "format",
    "schema",
    "type",
    "id",
    "length",
    "lengths",
    "len",
    "reason",
    "template",
    "time",
    "role",
    "mask",
    "masks",
    "reward",
    "rewards",
    "score",
    "scores",
    "logprobs",
    "probs",
    "language",
];

/// Whether a column is read.
pub(super) fn is_read(name: &str) -> bool {
    is_token_list(name)
        || [&PROMPTS[..], &RESPONSES, &OTHERS].iter().any(|names| names.contains(&name))
        || looks_like_response(name)
        || looks_like_mask(name)
}

/// Whether a name looks like that of a token mask, but is not a known one.
pub(super) fn looks_like_mask(name: &str) -> bool {
    has_word(name, &["mask", "masks"]) && !is_token_list(name) && !has_word(name, &["sample"])
}

/// Whether the values are lists of numbers, one per token.
pub(super) fn is_token_list(name: &str) -> bool {
    let lists = [&PROMPT_IDS[..], &RESPONSE_IDS, &SEQUENCE_IDS, &MASK_KEYS];
    lists.iter().any(|names| names.contains(&name))
        || ["attention_mask", "prompt_mask"].contains(&name)
}

/// The first of the keys that is there and not null.
pub(super) fn first_of<'a>(keys: &Map<String, Json>, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| has(keys, name))
}

/// A key with text, ids or an object under a name that looks like that of a response.
pub(super) fn unknown_response<'a>(
    keys: &'a Map<String, Json>,
    prompt_key: Option<&str>,
) -> Option<&'a str> {
    let holds_something = |value: &Json| match value {
        Json::String(text) => !text.trim().is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(items) => !items.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    };
    keys.iter()
        .filter(|(name, value)| {
            // The choices of a question are texts, those of a sampler objects.
            let is_choices = *name == "choices"
                && value.as_array().is_some_and(|items| items.iter().any(Json::is_object));
            let is_like_one = looks_like_response(name) || is_choices;
            Some(name.as_str()) != prompt_key && is_like_one && holds_something(value)
        })
        .map(|(name, _)| name.as_str())
        .next()
}

fn looks_like_response(name: &str) -> bool {
    has_word(name, &RESPONSE_WORDS) && !has_word(name, &OTHER_WORDS)
}

/// Whether one of the words of a name is in the list.
pub(super) fn has_word(name: &str, list: &[&str]) -> bool {
    words(name).iter().any(|word| list.contains(&word.as_str()))
}

/// The words of `snake_case`, `kebab-case` and `camelCase`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_responses_are_recognised_by_their_words() {
        for name in ["model_response", "generated_text", "modelOutput", "output", "Completions.0"] {
            assert!(looks_like_response(name), "{name}");
        }
        for name in [
            "answer",
            "solution",
            "ground_truth",
            "expected_output",
            "response_length",
            "output_format",
            "chosen",
            "reward_model",
            "extra_info",
            "irresponsible",
        ] {
            assert!(!looks_like_response(name), "{name}");
        }
    }
}

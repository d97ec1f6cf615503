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

pub(super) use entropy_history::dump::column_names::{
    ANSWERS, MASKS, PROMPT_IDS, RESPONSE_IDS, SEQUENCE_IDS, has_word, is_token_list,
    looks_like_mask,
};

use super::raw::has;

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

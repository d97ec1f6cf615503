//! The columns of a dump that `--tokens-out` repeats, so that entropies can be grouped by them: numbers such as rewards,
//! texts such as roles, environments and short answers, and a number per token, such as the log-prob of the rollout engine.

use serde_json::{Map, Value as Json};

use super::SelectedKeys;
use super::names::{self, has_word};

/// Words in the names of texts that are repeated.
const TEXT_WORDS: [&str; 15] = [
    "role",
    "env",
    "environment",
    "task",
    "source",
    "dataset",
    "domain",
    "ability",
    "category",
    "subset",
    "split",
    "subject",
    "difficulty",
    "level",
    "type",
];

/// Words in the names of lists and objects that are repeated.
const NUMBER_WORDS: [&str; 12] = [
    "reward",
    "rewards",
    "score",
    "scores",
    "advantage",
    "advantages",
    "logprob",
    "logprobs",
    "logp",
    "logps",
    "prob",
    "probs",
];

/// The longest answer that is repeated, in characters. A longer text is rather a whole solution.
pub(crate) const MAX_ANSWER: usize = 256;

/// The key of repeated columns in files of `--tokens-out`, which may be scored again.
const OWN_KEY: &str = "dump";

/// The columns that an earlier file of `--tokens-out` repeated.
fn own(keys: &Map<String, Json>) -> Map<String, Json> {
    match keys.get(OWN_KEY) {
        Some(Json::Object(own)) => own.clone(),
        // Parquet has it as JSON text.
        Some(Json::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

/// The value of a column; `a.b` is key `b` of the object `a`, unless a column has this name.
fn at_path<'a>(keys: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    if let Some(value) = keys.get(path) {
        return Some(value);
    }
    let (key, rest) = path.split_once('.')?;
    at_path(keys.get(key)?.as_object()?, rest)
}

/// The columns with these names that a row has.
pub(super) fn named(keys: &Map<String, Json>, names: &[&str]) -> Map<String, Json> {
    if names.is_empty() {
        return Map::new();
    }
    let own = own(keys);
    let value = |name: &&str| {
        let value = at_path(keys, name).filter(|value| !value.is_null());
        Some(((*name).to_owned(), value.or_else(|| at_path(&own, name))?.clone()))
    };
    names.iter().filter_map(value).collect()
}

/// The names of columns that `--by` may take: those with numbers, booleans, and texts that are not prompts or responses.
pub(super) fn scalar_names(keys: &Map<String, Json>) -> Vec<String> {
    let own = own(keys);
    let is_scalar = |(name, value): &(&String, &Json)| match value {
        Json::Number(_) | Json::Bool(_) => true,
        Json::String(text) => {
            (!names::is_read(name) || is_answer(name)) && *name != OWN_KEY && !is_too_long(text)
        }
        _ => false,
    };
    let mut names: Vec<String> =
        keys.iter().chain(&own).filter(is_scalar).map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The columns of a row that are repeated.
pub(super) fn repeated(keys: &Map<String, Json>) -> Map<String, Json> {
    let own = own(keys);
    let others = keys.iter().filter(|(name, value)| match value {
        Json::Number(_) | Json::Bool(_) => *name != "id",
        Json::String(text) => is_text(name) || is_answer(name) && !is_too_long(text),
        Json::Array(items) => {
            is_numbers(name) && items.iter().all(|item| item.is_number() || item.is_null())
        }
        Json::Object(_) => is_numbers(name),
        Json::Null => false,
    });
    let others = others.map(|(name, value)| (name.clone(), value.clone()));
    own.into_iter().chain(others).collect()
}

/// Number of answers in a row that are too long to be copied. A column that the user named as prompt or response is not
/// counted as an answer.
pub(super) fn long_answers(keys: &Map<String, Json>, selected: SelectedKeys<'_>) -> usize {
    let is_long = |(name, value): &(&String, &Json)| {
        is_answer(name) && !selected.has(name) && value.as_str().is_some_and(is_too_long)
    };
    keys.iter().filter(is_long).count()
}

/// The values of a column of Parquet or Arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// Numbers or booleans.
    Number,
    /// Anything else, also lists of numbers.
    Other,
}

/// Whether a column of Parquet or Arrow is in use.
pub(super) fn is_column(name: &str, kind: ColumnKind, keys: SelectedKeys<'_>) -> bool {
    let is_repeated = || {
        kind == ColumnKind::Number
            || name == OWN_KEY
            || is_text(name)
            || is_answer(name)
            || is_numbers(name)
    };
    let is_own = || name == OWN_KEY && !keys.groups.is_empty();
    names::is_read(name) || keys.has(name) || is_own() || (keys.others && is_repeated())
}

fn is_text(name: &str) -> bool {
    has_word(name, &TEXT_WORDS) && !names::is_read(name)
}

/// Whether a column may be the final answer of a response. Some of these names are read as a response too, if a row has no
/// other one or the user says so.
fn is_answer(name: &str) -> bool {
    names::ANSWERS.contains(&name)
}

fn is_too_long(answer: &str) -> bool {
    answer.chars().nth(MAX_ANSWER).is_some()
}

fn is_numbers(name: &str) -> bool {
    has_word(name, &NUMBER_WORDS) && !names::is_token_list(name)
}

/// The texts among repeated columns that are no answers: all that holds for a response that is sampled anew, which has no
/// reward and another answer.
pub(crate) fn texts(columns: &Map<String, Json>) -> Map<String, Json> {
    let texts = columns.iter().filter(|(name, value)| value.is_string() && !is_answer(name));
    texts.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The repeated columns of a response. If its prompt and it had the `given` numbers of tokens, lists with a number per
/// token are those of its first `tokens` tokens.
pub(crate) fn of_response(
    columns: &Map<String, Json>,
    given: Option<(usize, usize)>,
    tokens: usize,
) -> Map<String, Json> {
    let Some((prompt, response)) = given else { return columns.clone() };
    let of_tokens = |items: &Vec<Json>| -> Option<Vec<Json>> {
        let start = match items.len() {
            found if found == response => 0,
            found if found == prompt + response => prompt,
            _ => return None,
        };
        Some(items[start..].iter().take(tokens).cloned().collect())
    };
    let value = |value: &Json| match value.as_array().and_then(of_tokens) {
        Some(items) => Json::Array(items),
        None => value.clone(),
    };
    columns.iter().map(|(name, column)| (name.clone(), value(column))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn rewards_roles_environments_and_log_probs_are_repeated() {
        let row = map(json!({
            "id": 7, "prompt": "a", "completion": "b", "step": 3, "accuracy_reward": 1.0, "is_truncated": false,
            "env_name": "math", "data_source": "gsm8k", "role": "solver", "solution": "7", "images": [1, 2],
            "generation_logprobs": [0.0, -0.5, null], "rewards": {"format": 1}, "loss_mask": [1], "token_ids": [1],
        }));
        let names: Vec<String> = repeated(&row).keys().cloned().collect();
        assert_eq!(
            names,
            [
                "step",
                "accuracy_reward",
                "is_truncated",
                "env_name",
                "data_source",
                "role",
                "generation_logprobs",
                "rewards"
            ]
        );
        // A file of `--tokens-out` that is scored again.
        assert_eq!(repeated(&map(json!({"dump": {"score": 1}}))), map(json!({"score": 1})));
    }

    #[test]
    fn short_answers_are_repeated_and_long_ones_counted() {
        let long = "x".repeat(MAX_ANSWER + 1);
        let row = map(
            json!({"pred": "7", "answer": "ü".repeat(MAX_ANSWER), "final_answer": long, "solution": long}),
        );
        let found = repeated(&row);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["pred", "answer"]);
        assert_eq!(long_answers(&row, SelectedKeys::default()), 1);
        let selected = SelectedKeys { response: Some("final_answer"), ..SelectedKeys::default() };
        assert_eq!(long_answers(&row, selected), 0);
        assert!(texts(&found).is_empty(), "a response that is sampled anew has another answer");
    }

    #[test]
    fn lists_per_token_are_those_of_the_response() {
        let columns = map(
            json!({"all_logprobs": [1, 2, 3, 4, 5], "logprobs": [3, 4, 5], "turn_rewards": [7, 8], "env": "x"}),
        );
        assert_eq!(
            of_response(&columns, Some((2, 3)), 2),
            map(
                json!({"all_logprobs": [3, 4], "logprobs": [3, 4], "turn_rewards": [7, 8], "env": "x"})
            )
        );
        assert_eq!(of_response(&columns, None, 9), columns);
        assert_eq!(texts(&columns), map(json!({"env": "x"})));
    }
}

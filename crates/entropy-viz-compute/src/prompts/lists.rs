//! Rows that hold several responses: a prompt with several samples (verl's `responses`), a step as one object of lists
//! (ms-swift), and values in lists of one (NeMo-RL).
//!
//! ```json
//! {"step": 7, "prompt": ["2+2?", "3+3?"], "completion": ["4", "6"], "advantages": [1.0, -1.0]}
//! {"token_ids": [[5, 6, 7]], "token_loss_mask": [[0, 1, 1]], "rewards": [1.0], "input_lengths": [3]}
//! ```

use serde_json::{Map, Value as Json};

use super::names::{PROMPTS, RESPONSES, is_token_list};
use super::raw::{PromptError, RawContent, RawRow};

/// Splits a row into one row per response; most rows have one.
pub(super) fn split(raw: RawRow, response_key: Option<&str>) -> Result<Vec<RawRow>, PromptError> {
    let RawContent::Keys(keys) = raw.content else { return Ok(vec![raw]) };
    let place = raw.place;
    let is_named = |name: &str| {
        is_token_list(name)
            || PROMPTS.contains(&name)
            || RESPONSES.contains(&name)
            || response_key == Some(name)
    };
    let mut listed = keys.iter().filter(|(name, value)| is_named(name) && is_list(name, value));
    let Some((first, count)) = listed.next().map(|(name, value)| (name.clone(), length(value)))
    else {
        return Ok(vec![RawRow { place, content: RawContent::Keys(keys) }]);
    };
    if let Some((name, value)) = listed.find(|(_, value)| length(value) != count) {
        let found = length(value);
        let reason = format!("it has {count} values in {first:?} and {found} in {name:?}");
        return Err(PromptError::at(place, reason));
    }
    let item = |name: &str, value: &Json, index: usize| match value {
        // The functions of all responses, unless each has a list of its own.
        Json::Array(items) if name == "tools" && !items.iter().all(Json::is_array) => value.clone(),
        Json::Array(items) if items.len() == count && (!is_named(name) || is_list(name, value)) => {
            items[index].clone()
        }
        other => other.clone(),
    };
    let row = |index: usize| {
        let keys: Map<String, Json> =
            keys.iter().map(|(name, value)| (name.clone(), item(name, value, index))).collect();
        let place = if count == 1 { place.clone() } else { format!("{place}, item {}", index + 1) };
        RawRow { place, content: RawContent::Keys(keys) }
    };
    Ok((0..count).map(row).collect())
}

/// Whether a value that is usually a text, messages or token ids is a list of such values.
fn is_list(name: &str, value: &Json) -> bool {
    let Json::Array(items) = value else { return false };
    let has_texts = !is_token_list(name) && name != "messages";
    let is_value = |item: &Json| item.is_array() || (has_texts && item.is_string());
    !items.is_empty() && items.iter().all(is_value)
}

fn length(value: &Json) -> usize {
    value.as_array().map_or(0, Vec::len)
}

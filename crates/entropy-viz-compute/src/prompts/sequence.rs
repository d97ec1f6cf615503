//! Token ids of prompt and response in one list, as NeMo-RL, AReaL, prime-rl and slime dump them, perhaps with padding.
//!
//! The response begins where a length says so, else at the policy's first token in a mask:
//!
//! ```json
//! {"tokens": [5, 6, 7, 8], "response_length": 2, "loss_mask": [1, 1]}
//! {"token_ids": [5, 6, 7, 8, 0, 0], "input_lengths": 4, "token_loss_mask": [0, 0, 1, 1, 0, 0]}
//! ```

use serde_json::{Map, Value as Json};

use super::invalid_row::{InvalidRow, token_ids};
use super::mask::{TokenMask, mask};
use super::names::{SEQUENCE_IDS, first_of};

/// The token ids of a prompt and of its response, as far as they are known.
pub(super) struct SplitIds {
    pub(super) prompt: Option<Vec<i64>>,
    pub(super) response: Option<Vec<i64>>,
}

/// The token ids of prompt and response; the response is `None` if nothing says where it begins. Padding is removed,
/// also from the `masks` and from lists in `columns`.
pub(super) fn split(
    keys: &Map<String, Json>,
    prompt: Option<Vec<i64>>,
    response: Option<Vec<i64>>,
    masks: &mut [TokenMask],
    columns: &mut Map<String, Json>,
) -> Result<SplitIds, InvalidRow> {
    let prompt = match (prompt, mask(keys, "prompt_mask")?) {
        (Some(prompt), Some(mask)) => {
            require_length("prompt_mask", &mask, prompt.len())?;
            Some(kept(&prompt, &mask.values))
        }
        (prompt, _) => prompt,
    };
    let attention = mask(keys, "attention_mask")?;
    let is_ids = |name: &&str| {
        let items = keys.get(*name).and_then(Json::as_array);
        items.is_some_and(|items| items.iter().all(Json::is_number))
    };
    let names: Vec<&str> = SEQUENCE_IDS.into_iter().filter(is_ids).collect();
    let Some(name) = first_of(keys, &names) else {
        return without_padding(SplitIds { prompt, response }, attention, masks, columns);
    };
    let mut ids = token_ids(keys, name)?.unwrap_or_default();
    if let (None, Some(response)) = (&prompt, &response) {
        // SGLang's `input_ids` are only the prompt.
        let prompt = ids.strip_suffix(&response[..]).unwrap_or(&ids).to_vec();
        return Ok(SplitIds { prompt: Some(prompt), response: Some(response.clone()) });
    }
    if response.is_some() {
        return without_padding(SplitIds { prompt, response }, attention, masks, columns);
    }
    let all = ids.len();
    let length = number(keys, &["input_lengths", "input_length", "seqlen"], all)?.unwrap_or(all);
    let mut is_token: Vec<bool> = (0..all).map(|at| at < length).collect();
    if let Some(attention) = attention {
        require_length("attention_mask", &attention, all)?;
        is_token = is_token.iter().zip(attention.values).map(|(a, b)| *a && b).collect();
    }
    ids = kept(&ids, &is_token);
    cut(&[&is_token], masks, columns);
    let all = ids.len();
    let known = prompt.as_ref().filter(|prompt| ids.starts_with(prompt)).map(Vec::len);
    let first = |mask: &TokenMask| {
        let whole = mask.values.len() == all;
        whole.then(|| mask.values.iter().position(|own| *own).unwrap_or(all))
    };
    let start = match number(keys, &["response_length", "response_len"], all)? {
        Some(length) => Some(all - length),
        None => number(keys, &["prompt_len", "prompt_length"], all)?,
    };
    let start = start.or(known).or_else(|| masks.iter().filter_map(first).max());
    let Some(start) = start else { return Ok(SplitIds { prompt, response: None }) };
    let response = ids.split_off(start);
    Ok(SplitIds { prompt: Some(ids), response: Some(response) })
}

/// Removes padding by an attention mask of prompt and response, or of the prompt alone.
fn without_padding(
    ids: SplitIds,
    attention: Option<TokenMask>,
    masks: &mut [TokenMask],
    columns: &mut Map<String, Json>,
) -> Result<SplitIds, InvalidRow> {
    let SplitIds { prompt: Some(prompt), response } = ids else { return Ok(ids) };
    let Some(attention) = attention else {
        return Ok(SplitIds { prompt: Some(prompt), response });
    };
    if attention.values.len() == prompt.len() {
        let prompt = Some(kept(&prompt, &attention.values));
        return Ok(SplitIds { prompt, response });
    }
    let response = response.unwrap_or_default();
    require_length("attention_mask", &attention, prompt.len() + response.len())?;
    let (of_prompt, of_response) = attention.values.split_at(prompt.len());
    cut(&[&attention.values, of_response], masks, columns);
    Ok(SplitIds {
        prompt: Some(kept(&prompt, of_prompt)),
        response: Some(kept(&response, of_response)),
    })
}

/// Removes padding from masks and lists with one value per token: from each by the first of `are_tokens` with its
/// length.
fn cut(are_tokens: &[&[bool]], masks: &mut [TokenMask], columns: &mut Map<String, Json>) {
    let of_length = |length: usize| are_tokens.iter().find(|tokens| tokens.len() == length);
    for mask in masks {
        if let Some(is_token) = of_length(mask.values.len()) {
            mask.values = kept(&mask.values, is_token);
        }
    }
    for items in columns.values_mut().filter_map(Json::as_array_mut) {
        if let Some(is_token) = of_length(items.len()) {
            let mut keep = is_token.iter();
            items.retain(|_| keep.next() == Some(&true));
        }
    }
}

fn require_length(key: &str, mask: &TokenMask, tokens: usize) -> Result<(), InvalidRow> {
    let values = mask.values.len();
    match values == tokens {
        true => Ok(()),
        false => Err(format!("{key:?} has {values} values, but it has {tokens} token ids").into()),
    }
}

fn kept<T: Copy>(values: &[T], keep: &[bool]) -> Vec<T> {
    values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| *value).collect()
}

/// A number of tokens, at most `most`.
fn number(
    keys: &Map<String, Json>,
    names: &[&str],
    most: usize,
) -> Result<Option<usize>, InvalidRow> {
    let Some(name) = first_of(keys, names) else { return Ok(None) };
    let value = &keys[name];
    let whole = value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n <= most as f64);
    match whole {
        Some(number) => Ok(Some(number as usize)),
        None => Err(format!("{name:?} is {value}, but it has {most} token ids").into()),
    }
}

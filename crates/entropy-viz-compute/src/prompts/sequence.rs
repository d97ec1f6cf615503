//! Token ids of prompt and response in one list, as NeMo-RL, AReaL, prime-rl and slime dump them, perhaps with padding.
//!
//! The response begins where a length says so, else at the policy's first token in a mask:
//!
//! ```json
//! {"tokens": [5, 6, 7, 8], "response_length": 2, "loss_mask": [1, 1]}
//! {"token_ids": [5, 6, 7, 8, 0, 0], "input_lengths": 4, "token_loss_mask": [0, 0, 1, 1, 0, 0]}
//! ```

use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::invalid_row::{InvalidRow, token_ids};
use super::mask::{TokenMask, mask, own_tokens};
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
    let mut attention = mask(keys, "attention_mask")?;
    let prompt = match (prompt, mask(keys, "prompt_mask")?) {
        (Some(prompt), Some(mask)) => {
            require_length("prompt_mask", &mask, prompt.len())?;
            // Lists of prompt and response together lose the padding of the prompt.
            let response = vec![true; response.as_ref().map_or(0, Vec::len)];
            let whole = [&mask.values[..], &response].concat();
            if !response.is_empty() {
                cut(&[&whole], masks, columns);
            }
            if let Some(attention) = &mut attention {
                cut(&[&whole, &mask.values], std::slice::from_mut(attention), &mut Map::new());
            }
            Some(kept(&prompt, &mask.values))
        }
        (prompt, _) => prompt,
    };
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
    let is_padded = attention.is_some();
    if let Some(attention) = attention {
        require_length("attention_mask", &attention, all)?;
        is_token = is_token.iter().zip(attention.values).map(|(a, b)| *a && b).collect();
    }
    let slices = slices(keys, &is_token, is_padded)?;
    let by_mask = start_of_masks(masks, &is_token)?.map(|(_, start)| start);
    ids = kept(&ids, &is_token);
    let known = prompt.as_ref().filter(|prompt| ids.starts_with(prompt)).map(Vec::len);
    let all = ids.len();
    let start = known.or(by_mask);
    let chosen = match &slices[..] {
        [] => None,
        [slice] => Some(slice),
        // Only a mask can tell whether a length counts padding.
        several => match several.iter().find(|slice| start == Some(slice.tokens.start)) {
            Some(slice) => Some(slice),
            None => return Err(two_slices()),
        },
    };
    match chosen.and_then(|slice| slice.padded.clone()) {
        // A mask of the response alone may count the padding after it.
        Some(padded) => cut(&[&is_token, &is_token[padded]], masks, columns),
        None => cut(&[&is_token], masks, columns),
    }
    let range = chosen.map(|slice| slice.tokens.clone()).or(start.map(|start| start..all));
    let Some(range) = range else { return Ok(SplitIds { prompt, response: None }) };
    if range.end < all {
        // What follows prompt and response is padding.
        let is_token: Vec<bool> = (0..all).map(|at| at < range.end).collect();
        let of_response = &is_token[range.start..];
        cut(&[&is_token, of_response], masks, columns);
        ids.truncate(range.end);
    }
    let response = ids.split_off(range.start);
    Ok(SplitIds { prompt: Some(ids), response: Some(response) })
}

fn two_slices() -> InvalidRow {
    InvalidRow {
        reason: "a length of the row and its \"attention_mask\" allow two responses: the length may count padding"
            .to_owned(),
        hint: Some(
            "dump prompt and response as \"prompt_token_ids\" and \"response_token_ids\", or add a \"response_mask\" over all token ids"
                .to_owned(),
        ),
    }
}

/// Where the response may be.
struct Slice {
    /// Among the token ids without padding.
    tokens: Range<usize>,
    /// Among all token ids, if the lengths of the row count padding.
    padded: Option<Range<usize>>,
}

/// The places of the response by the lengths of the row: none without lengths, two if it is not known whether a length
/// counts padding, as verl's does. Only an attention mask has padding inside of lengths.
fn slices(
    keys: &Map<String, Json>,
    is_token: &[bool],
    is_padded: bool,
) -> Result<Vec<Slice>, InvalidRow> {
    let all = is_token.len();
    let before = |at: usize| is_token[..at].iter().filter(|is_token| **is_token).count();
    let real = before(all);
    let most = if is_padded { all } else { real };
    let response = number(keys, &["response_length", "response_len"], most)?;
    let prompt = number(keys, &["prompt_len", "prompt_length"], most)?;
    let range = |all: usize| -> Option<Range<usize>> {
        match (prompt, response) {
            (None, None) => None,
            (Some(prompt), None) => (prompt <= all).then_some(prompt..all),
            (None, Some(response)) => Some(all.checked_sub(response)?..all),
            (Some(prompt), Some(response)) => {
                let end = prompt.checked_add(response)?;
                (end <= all).then_some(prompt..end)
            }
        }
    };
    if prompt.is_none() && response.is_none() {
        return Ok(Vec::new());
    }
    let mut slices: Vec<Slice> = Vec::new();
    // Lengths that count padding, if there is any.
    if let Some(padded) = range(all).filter(|_| is_padded) {
        let tokens = before(padded.start)..before(padded.end);
        slices.push(Slice { tokens, padded: Some(padded) });
    }
    if let Some(tokens) = range(real)
        && slices.iter().all(|slice| slice.tokens != tokens)
    {
        slices.push(Slice { tokens, padded: None });
    }
    if slices.is_empty() {
        let (prompt, response) = (prompt.unwrap_or(0), response.unwrap_or(0));
        let reason = format!(
            "its lengths of {prompt} and {response} tokens are more than its {real} token ids"
        );
        return Err(reason.into());
    }
    Ok(slices)
}

/// Where the response begins by the masks of all token ids, counted without padding: at the first 1 of a mask of the
/// response, else of the assistant, else of the loss, which may leave out a part. Gives the name of the mask too.
///
/// # Errors
/// If a mask begins before that, or one of the same kind elsewhere.
fn start_of_masks<'a>(
    masks: &'a [TokenMask],
    is_token: &[bool],
) -> Result<Option<(&'a str, usize)>, InvalidRow> {
    let rank = |column: &str| match column {
        "response_mask" | "response_masks" | "completion_mask" => Some(0),
        "assistant_mask" | "assistant_masks" => Some(1),
        "loss_mask" | "loss_masks" | "token_loss_mask" => Some(2),
        // 1 for all but a tool's output, also in a prompt.
        _ => None,
    };
    let whole = masks.iter().filter(|mask| mask.values.len() == is_token.len());
    let starts = whole.filter_map(|mask| {
        let values = kept(&mask.values, is_token);
        let start = values.iter().position(|own| *own).unwrap_or(values.len());
        Some((rank(&mask.column)?, mask.column.as_str(), start))
    });
    let mut starts: Vec<(usize, &str, usize)> = starts.collect();
    starts.sort_by_key(|(rank, ..)| *rank);
    let Some((first_rank, first, start)) = starts.first().copied() else { return Ok(None) };
    let other = starts
        .iter()
        .find(|(rank, _, other)| *other < start || (*rank == first_rank && *other != start));
    match other {
        None => Ok(Some((first, start))),
        Some((_, other, at)) => Err(InvalidRow {
            reason: format!(
                "the response begins at token {} by {first:?}, and at token {} by {other:?}",
                start + 1,
                at + 1
            ),
            hint: Some("say where it begins with \"prompt_len\" or \"response_length\"".to_owned()),
        }),
    }
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

/// Cuts masks and lists of prompt and response to those of the response.
///
/// # Errors
/// If a mask marks a token of the prompt.
pub(super) fn keep_response(
    prompt: usize,
    response: usize,
    masks: &mut [TokenMask],
    columns: &mut Map<String, Json>,
) -> Result<(), InvalidRow> {
    own_tokens(masks, prompt, response).map_err(|error| InvalidRow::from(error.to_string()))?;
    if prompt > 0 {
        let is_response = [vec![false; prompt], vec![true; response]].concat();
        cut(&[&is_response], masks, columns);
    }
    Ok(())
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

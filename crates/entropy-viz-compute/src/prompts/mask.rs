//! Masks of the policy's own tokens.
//!
//! A response of an agent holds text of its tools and of users, which the policy did not write. Trainers dump a list of
//! 0 and 1 beside the token ids: 1 for a token that the policy sampled. It is as long as the response, or as prompt and
//! response together. Several masks of a row all apply, as in TRL (`completion_mask * tool_mask`).

use serde_json::{Map, Value as Json};

use super::invalid_row::InvalidRow;
use super::names::MASKS;
use super::raw::json_type;

/// A mask of a row. Its length is checked when the numbers of tokens are known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenMask {
    /// The key or column, for messages.
    pub(crate) column: String,
    /// Whether the policy wrote the token.
    pub(crate) values: Vec<bool>,
}

/// Why a mask does not fit its tokens.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum MaskError {
    #[error(
        "{column:?} has {found} values, but the response has {response} tokens, and {} with its prompt",
        prompt + response
    )]
    Length { column: String, found: usize, prompt: usize, response: usize },
    #[error(
        "{column:?} marks token {at} of the {prompt} tokens of the prompt as written by the policy"
    )]
    InPrompt { column: String, at: usize, prompt: usize },
}

/// The masks of a row.
pub(super) fn masks(keys: &Map<String, Json>) -> Result<Vec<TokenMask>, InvalidRow> {
    MASKS.iter().filter_map(|column| mask(keys, column).transpose()).collect()
}

/// The mask under a key; `None` if the key is absent or null.
pub(super) fn mask(
    keys: &Map<String, Json>,
    column: &str,
) -> Result<Option<TokenMask>, InvalidRow> {
    let items = match keys.get(column) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(other) => {
            let found = json_type(other);
            return Err(format!("{column:?} is {found}, not a list of 0 and 1").into());
        }
    };
    let value = |(index, item): (usize, &Json)| match item {
        Json::Bool(own) => Ok(*own),
        item if item.as_f64() == Some(0.0) => Ok(false),
        item if item.as_f64() == Some(1.0) => Ok(true),
        other => Err(format!("{column:?}, item {}: {other} is neither 0 nor 1", index + 1)),
    };
    let values = items.iter().enumerate().map(value).collect::<Result<_, _>>()?;
    Ok(Some(TokenMask { column: column.to_owned(), values }))
}

/// Which tokens of a response the policy wrote, by all masks; `None` without masks. The response and its prompt have
/// this many tokens.
pub(crate) fn own_tokens(
    masks: &[TokenMask],
    prompt: usize,
    response: usize,
) -> Result<Option<Vec<bool>>, MaskError> {
    let mut own: Option<Vec<bool>> = None;
    for mask in masks {
        let (column, values) = (mask.column.clone(), &mask.values[..]);
        let values = match values.len() {
            found if found == response => values,
            found if found == prompt + response => {
                let (before, values) = values.split_at(prompt);
                if let Some(at) = before.iter().position(|own| *own) {
                    return Err(MaskError::InPrompt { column, at: at + 1, prompt });
                }
                values
            }
            found => return Err(MaskError::Length { column, found, prompt, response }),
        };
        own = Some(match own {
            Some(own) => own.iter().zip(values).map(|(a, b)| *a && *b).collect(),
            None => values.to_vec(),
        });
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mask(column: &str, values: &[u8]) -> TokenMask {
        TokenMask { column: column.to_owned(), values: values.iter().map(|v| *v == 1).collect() }
    }

    #[test]
    fn mask_has_length_of_response_or_of_prompt_and_response() {
        let own = Some(vec![true, false, true]);
        assert_eq!(own_tokens(&[mask("loss_mask", &[1, 0, 1])], 2, 3), Ok(own.clone()));
        assert_eq!(own_tokens(&[mask("loss_mask", &[0, 0, 1, 0, 1])], 2, 3), Ok(own));
        assert_eq!(own_tokens(&[], 2, 3), Ok(None));
        let error = own_tokens(&[mask("loss_mask", &[0, 1, 0, 1])], 2, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"loss_mask\" has 4 values, but the response has 3 tokens, and 5 with its prompt"
        );
        let error = own_tokens(&[mask("loss_mask", &[0, 1, 1, 0, 1])], 2, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"loss_mask\" marks token 2 of the 2 tokens of the prompt as written by the policy"
        );
    }

    #[test]
    fn a_token_counts_if_all_masks_have_it() {
        let masks = [mask("completion_mask", &[1, 1, 0]), mask("tool_mask", &[0, 1, 1])];
        assert_eq!(own_tokens(&masks, 5, 3), Ok(Some(vec![false, true, false])));
    }

    #[test]
    fn mask_values_are_zero_and_one_in_any_type() {
        let row = json!({"loss_mask": [0, 1.0, true, false], "response_mask": null});
        let read = masks(row.as_object().unwrap()).ok().unwrap();
        assert_eq!(read, [mask("loss_mask", &[0, 1, 1, 0])]);
        for (value, reason) in [
            (json!([1, 0.5]), "\"loss_mask\", item 2: 0.5 is neither 0 nor 1"),
            (json!("11"), "\"loss_mask\" is a string, not a list of 0 and 1"),
        ] {
            let row = json!({"loss_mask": value});
            assert_eq!(masks(row.as_object().unwrap()).err().unwrap().reason, reason);
        }
    }
}

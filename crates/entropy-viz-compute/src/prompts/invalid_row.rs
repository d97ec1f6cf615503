//! Why a row of prompts is not valid; token ids, which every kind of row has.

use serde_json::{Map, Value as Json};

use super::raw::json_type;

/// Why a row is not valid, and what the user can do.
pub(super) struct InvalidRow {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

impl From<String> for InvalidRow {
    fn from(reason: String) -> InvalidRow {
        InvalidRow { reason, hint: None }
    }
}

/// The token ids under a key; `None` if there are none.
pub(super) fn token_ids(
    keys: &Map<String, Json>,
    key: &str,
) -> Result<Option<Vec<i64>>, InvalidRow> {
    let items = match keys.get(key) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(other) => {
            return Err(format!("{key:?} is {}, not a list of token ids", json_type(other)).into());
        }
    };
    let id = |(index, item): (usize, &Json)| {
        let id = item.as_i64().filter(|id| *id >= 0);
        id.ok_or_else(|| format!("{key:?}, item {}: {item} is not a token id", index + 1).into())
    };
    items.iter().enumerate().map(id).collect::<Result<_, _>>().map(Some)
}

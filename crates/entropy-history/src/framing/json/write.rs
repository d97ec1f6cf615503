//! Numbers as Python's `json` module writes them, except those that JSON does not have.

/// The number in full precision; as an integer if `integer` is given. One that is not finite is null, as JSON has no other word for it.
pub(crate) fn number_text(integer: Option<i64>, value: f64) -> String {
    match (integer, value) {
        (Some(integer), _) => integer.to_string(),
        (None, value) => serde_json::Value::from(value).to_string(),
    }
}

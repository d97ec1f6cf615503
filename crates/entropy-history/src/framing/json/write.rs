//! Numbers as Python's `json` module writes them.

/// The number in full precision; as an integer if `integer` is given.
pub(crate) fn number_text(integer: Option<i64>, value: f64) -> String {
    match (integer, value) {
        (Some(integer), _) => integer.to_string(),
        (None, value) if value.is_finite() => serde_json::Value::from(value).to_string(),
        (None, value) if value.is_nan() => "NaN".to_owned(),
        (None, value) if value > 0.0 => "Infinity".to_owned(),
        _ => "-Infinity".to_owned(),
    }
}

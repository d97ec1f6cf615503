//! JSON as Python's `json.dump` writes it: numbers that are not finite stand as `NaN`, `Infinity` and `-Infinity`, which is
//! not valid JSON. They are read as null.

use serde_json::{Error, Value};

/// Parses JSON, or Python's JSON.
///
/// # Errors
/// That of JSON proper, if it is neither.
pub(crate) fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .or_else(|error| serde_json::from_str(&finite_only(text)).map_err(|_| error))
}

/// Replaces `NaN`, `Infinity` and `-Infinity` by null, except in strings.
fn finite_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"].into_iter().find(|n| rest.starts_with(n));
        let length = match (quoted, c, number) {
            (false, _, Some(number)) => {
                out.push_str("null");
                rest = &rest[number.len()..];
                continue;
            }
            (true, '\\', _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (_, c, _) => c.len_utf8(),
        };
        quoted ^= c == '"';
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

//! Splits a line of JSON into the values of its keys, without building them.
//!
//! A line of a dump has a few keys and lists of thousands of numbers. The lists are found by their brackets only, and
//! parsed later, straight into vectors. What is skipped is not checked beyond its brackets and quotes.

use std::borrow::Cow;

/// The deepest nesting of skipped values.
const MAX_DEPTH: usize = 256;

/// Why a line cannot be split: the byte at which it happened, from 0, and the reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// The keys of an object with the text of their values, in the order of the line.
pub(crate) struct Entries<'a> {
    entries: Vec<(Cow<'a, str>, &'a [u8])>,
}

impl<'a> Entries<'a> {
    /// Splits an object.
    pub(crate) fn new(text: &'a [u8]) -> Result<Entries<'a>, ScanError> {
        let mut entries = Vec::with_capacity(16);
        let mut at = expect(text, skip_space(text, 0), b'{', "it is not an object")?;
        at = skip_space(text, at);
        if text.get(at) == Some(&b'}') {
            return end(text, at + 1).map(|()| Entries { entries });
        }
        loop {
            let start = skip_space(text, at);
            let after = skip_string(text, start)?;
            let key = string(&text[start..after])
                .ok_or(ScanError { at: start, what: "a key is not valid text" })?;
            at = expect(text, skip_space(text, after), b':', "a key has no value")?;
            let start = skip_space(text, at);
            at = skip_value(text, start, 0)?;
            entries.push((key, &text[start..at]));
            at = skip_space(text, at);
            match text.get(at) {
                Some(b',') => at += 1,
                Some(b'}') => return end(text, at + 1).map(|()| Entries { entries }),
                Some(_) => return Err(ScanError { at, what: "a comma is missing" }),
                None => return Err(ScanError { at, what: "it ends inside the object" }),
            }
        }
    }

    /// The text of a value; `None` if the key is missing or its value is null. Of equal keys the last one counts.
    pub(crate) fn get(&self, key: &str) -> Option<&'a [u8]> {
        let value = self.entries.iter().rev().find(|(name, _)| name == key)?.1;
        (value != b"null").then_some(value)
    }

    /// Whether there is a key, be its value null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The keys with the text of their values, null included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

fn end(text: &[u8], at: usize) -> Result<(), ScanError> {
    match skip_space(text, at) {
        at if at < text.len() => Err(ScanError { at, what: "something follows the object" }),
        _ => Ok(()),
    }
}

fn expect(text: &[u8], at: usize, byte: u8, what: &'static str) -> Result<usize, ScanError> {
    match text.get(at) {
        Some(found) if *found == byte => Ok(at + 1),
        Some(_) => Err(ScanError { at, what }),
        None => Err(ScanError { at, what: "it ends inside the object" }),
    }
}

#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The position after a string that begins at `at`.
#[inline]
pub(crate) fn skip_string(text: &[u8], at: usize) -> Result<usize, ScanError> {
    let start = expect(text, at, b'"', "it is not a string")?;
    let mut at = start;
    // Most strings are single tokens: a loop over bytes is faster than a search that starts up first.
    for _ in 0..32 {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err(ScanError { at: start, what: "it ends inside a string" }),
        }
    }
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(found) if rest[found] == b'"' => return Ok(at + found + 1),
            Some(found) => at += found + 2,
            None => return Err(ScanError { at: start, what: "it ends inside a string" }),
        }
    }
}

/// The position after a value that begins at `at`.
fn skip_value(text: &[u8], at: usize, depth: usize) -> Result<usize, ScanError> {
    match text.get(at) {
        None => Err(ScanError { at, what: "it ends inside the object" }),
        Some(b'"') => skip_string(text, at),
        Some(b'[' | b'{') => skip_nested(text, at, depth),
        Some(_) => {
            let is_end = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
            let length = text[at..].iter().position(is_end).unwrap_or(text.len() - at);
            match length {
                0 => Err(ScanError { at, what: "a value is missing" }),
                _ => Ok(at + length),
            }
        }
    }
}

/// The position after a list or an object.
fn skip_nested(text: &[u8], at: usize, depth: usize) -> Result<usize, ScanError> {
    if depth == MAX_DEPTH {
        return Err(ScanError { at, what: "its values are nested too deeply" });
    }
    // A list of numbers ends at the next bracket.
    if text[at] == b'['
        && let Some(found) = memchr::memchr3(b'[', b'"', b']', &text[at + 1..])
        && text[at + 1 + found] == b']'
        && memchr::memchr(b'{', &text[at + 1..at + 1 + found.min(64)]).is_none()
    {
        return Ok(at + found + 2);
    }
    let (mut open, mut here) = (vec![text[at]], at + 1);
    while let Some(innermost) = open.last() {
        match text.get(here) {
            None => return Err(ScanError { at, what: "it ends inside a list or an object" }),
            Some(b'"') => here = skip_string(text, here)?,
            Some(bracket @ (b'[' | b'{')) => {
                if depth + open.len() >= MAX_DEPTH {
                    return Err(ScanError { at: here, what: "its values are nested too deeply" });
                }
                open.push(*bracket);
                here += 1;
            }
            Some(bracket @ (b']' | b'}')) => {
                let matching = if *bracket == b']' { b'[' } else { b'{' };
                if *innermost != matching {
                    return Err(ScanError { at: here, what: "its brackets do not match" });
                }
                open.pop();
                here += 1;
            }
            Some(_) => here += 1,
        }
    }
    Ok(here)
}

/// The text of a string with its quotes; `None` if it is not valid.
pub(crate) fn string(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<Vec<(String, String)>, ScanError> {
        let entries = Entries::new(text.as_bytes())?;
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        Ok(entries.iter().map(|(key, value)| (key.to_owned(), text(value))).collect())
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn values_are_found_with_their_text() {
        let text =
            r#" {"a":1, "b" : [1,[2,"]"],{"c":"}"}] ,"\u0063":"x\"y","d":[0.5,null],"e":{}} "#;
        let expected = [
            pair("a", "1"),
            pair("b", r#"[1,[2,"]"],{"c":"}"}]"#),
            pair("c", r#""x\"y""#),
            pair("d", "[0.5,null]"),
            pair("e", "{}"),
        ];
        assert_eq!(keys(text).unwrap(), expected);
        assert_eq!(keys("{}").unwrap(), []);
        let long = "y".repeat(100);
        let text = format!(r#"{{"a":"{long}\\","b":[{{"x":[1]}}]}}"#);
        assert_eq!(keys(&text).unwrap()[1], pair("b", r#"[{"x":[1]}]"#));
    }

    #[test]
    fn null_is_like_a_missing_key_and_the_last_of_equal_keys_counts() {
        let text = br#"{"a":null,"b":1,"b":2}"#;
        let entries = Entries::new(text).unwrap();
        assert_eq!((entries.get("a"), entries.get("c")), (None, None));
        assert_eq!(entries.get("b"), Some(&b"2"[..]));
    }

    #[test]
    fn every_prefix_of_a_line_is_an_error() {
        let text = r#"{"a":[1,2],"b":{"c":"d\\"},"e":"f","g":1.5e3}"#;
        for end in 0..text.len() {
            assert!(keys(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }

    #[test]
    fn rejects_what_is_not_an_object() {
        for text in
            ["[1]", "1", "{]", "{\"a\":1}}", "{\"a\" 1}", "{\"a\":[1}", "{\"a\":,}", "{a:1}"]
        {
            assert!(keys(text).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(keys(&deep).unwrap_err().what, "its values are nested too deeply");
    }
}

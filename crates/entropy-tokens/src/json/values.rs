//! Values of a line of JSON: lists of numbers into vectors, and small values.

use std::borrow::Cow;

use super::scan::{skip_space, skip_string, string};

/// A number of a list; NaN and the infinities stand bare, as Python writes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Value(f64),
    Null,
}

/// Calls `take` with the start of each item of a list; it returns the position after the item.
fn items<'a>(text: &'a [u8], mut take: impl FnMut(&'a [u8], usize) -> Option<usize>) -> Option<()> {
    if text.first() != Some(&b'[') {
        return None;
    }
    let mut at = skip_space(text, 1);
    if text.get(at) == Some(&b']') {
        return (at + 1 == text.len()).then_some(());
    }
    loop {
        at = skip_space(text, take(text, skip_space(text, at))?);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b']') => return (at + 1 == text.len()).then_some(()),
            _ => return None,
        }
    }
}

/// The numbers of a list; `null` becomes `missing`. `None` if it is not a list of numbers.
pub(crate) fn floats(text: &[u8], missing: f64) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(text.len() / 4 + 1);
    items(text, |text, at| {
        let (number, after) = number(text, at)?;
        values.push(match number {
            Number::Value(value) => value,
            Number::Null => missing,
        });
        Some(after)
    })?;
    Some(values)
}

/// The numbers of a mask; true is 1 and false is 0. `None` if it is a list of something else.
pub(crate) fn mask(text: &[u8]) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(text.len() / 2 + 1);
    items(text, |text, at| {
        let rest = text.get(at..)?;
        let (value, after) = match rest.first()? {
            b't' if rest.starts_with(b"true") => (1.0, at + 4),
            b'f' if rest.starts_with(b"false") => (0.0, at + 5),
            _ => match number(text, at)? {
                (Number::Value(value), after) => (value, after),
                (Number::Null, _) => return None,
            },
        };
        values.push(value);
        Some(after)
    })?;
    Some(values)
}

fn number(text: &[u8], at: usize) -> Option<(Number, usize)> {
    let rest = text.get(at..)?;
    match rest.first()? {
        b'0'..=b'9' | b'-' => match fast_float2::parse_partial::<f64, _>(rest) {
            Ok((value, length)) if length > 0 => Some((Number::Value(value), at + length)),
            _ => None,
        },
        b'n' => rest.starts_with(b"null").then_some((Number::Null, at + 4)),
        b'N' => rest.starts_with(b"NaN").then_some((Number::Value(f64::NAN), at + 3)),
        b'I' => rest.starts_with(b"Infinity").then_some((Number::Value(f64::INFINITY), at + 8)),
        _ => None,
    }
}

/// The token ids of a list; `None` if an item is not a whole number from 0 to 2^32 − 1.
pub(crate) fn ids(text: &[u8]) -> Option<Vec<u32>> {
    let mut values = Vec::with_capacity(text.len() / 5 + 1);
    items(text, |text, at| {
        let (mut id, mut after) = (0u64, at);
        while let Some(digit @ b'0'..=b'9') = text.get(after) {
            id = id * 10 + u64::from(digit - b'0');
            after += 1;
            if id > u64::from(u32::MAX) {
                return None;
            }
        }
        values.push(id as u32);
        (after > at).then_some(after)
    })?;
    Some(values)
}

/// The texts of a list with their quotes, as positions in it; `None` if it is not a list of texts.
pub(crate) fn quoted_texts(text: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut places = Vec::with_capacity(text.len() / 8 + 1);
    items(text, |text, at| {
        let after = skip_string(text, at).ok()?;
        places.push((u32::try_from(at).ok()?, u32::try_from(after).ok()?));
        Some(after)
    })?;
    Some(places)
}

/// The only item of a list of one, as NeMo-RL writes the values of a row; else the value itself.
pub(crate) fn unwrap_list_of_one(text: &[u8]) -> &[u8] {
    let Some(inner) = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")) else {
        return text;
    };
    let inner = inner.trim_ascii();
    let is_one = match inner.first() {
        None => false,
        Some(b'[') => memchr::memchr_iter(b']', inner).next() == Some(inner.len() - 1),
        Some(b'"') => skip_string(inner, 0) == Ok(inner.len()),
        Some(b'{') => false,
        Some(_) => !inner.contains(&b','),
    };
    if is_one { inner } else { text }
}

/// A small value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Number(f64),
    /// A whole number, exactly: ids may be larger than those that f64 tells apart.
    Whole(i64),
    Flag(bool),
    Text(Cow<'a, str>),
    /// A list or an object.
    Nested,
}

/// Reads a small value; `None` for null, or if it is not valid.
pub(crate) fn scalar(text: &[u8]) -> Option<Scalar<'_>> {
    match text.first()? {
        b'"' => string(text).map(Scalar::Text),
        b'[' | b'{' => Some(Scalar::Nested),
        b't' if text == b"true" => Some(Scalar::Flag(true)),
        b'f' if text == b"false" => Some(Scalar::Flag(false)),
        _ => match (exact(text), number(text, 0)?) {
            (Some(value), _) => Some(Scalar::Whole(value)),
            (None, (Number::Value(value), after)) if after == text.len() => {
                Some(Scalar::Number(value))
            }
            _ => None,
        },
    }
}

fn exact(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Scalar<'_> {
    /// The value as a number; `None` for others, and for numbers as text.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(value) => Some(*value),
            Scalar::Whole(value) => Some(*value as f64),
            Scalar::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Scalar::Text(_) | Scalar::Nested => None,
        }
    }

    /// A whole number from 0, also if it is written as text or with a point.
    pub(crate) fn whole(&self) -> Option<u64> {
        match self {
            Scalar::Number(value) => {
                let is_whole = *value >= 0.0 && value.fract() == 0.0 && *value < 9e15;
                is_whole.then_some(*value as u64)
            }
            Scalar::Whole(value) => u64::try_from(*value).ok(),
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Flag(_) | Scalar::Nested => None,
        }
    }

    /// The value as a name of a group.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Scalar::Number(value) => Some(value.to_string()),
            Scalar::Whole(value) => Some(value.to_string()),
            Scalar::Flag(flag) => Some(flag.to_string()),
            Scalar::Text(text) => Some(text.to_string()),
            Scalar::Nested => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_python_writes_them() {
        let text = b"[1, -2.5,null ,NaN,Infinity, 3e-4,-0.0,0.75]";
        let values = floats(text, f64::NEG_INFINITY).unwrap();
        assert_eq!(values[..3], [1.0, -2.5, f64::NEG_INFINITY]);
        assert!(values[3].is_nan() && values[4] == f64::INFINITY);
        assert_eq!(values[5..], [3e-4, 0.0, 0.75]);
        assert!(values[6].is_sign_negative());
        assert_eq!(floats(b"[]", 0.0), Some(vec![]));
        for digits in [
            "0.1234567890123456789",
            "0.123456789012345",
            "9007199254740993",
            "999999999999999.9",
            "-12345.678901234",
            "0.000000000000001",
            "5.",
            "7E2",
        ] {
            let found = floats(format!("[{digits}]").as_bytes(), 0.0).unwrap();
            assert_eq!(found, [digits.parse::<f64>().unwrap()], "{digits}");
        }
        for text in
            ["[1,]", "[1 2]", "[\"1\"]", "[[1]]", "1", "[1]x", "[,1]", "{\"a\":1}", "[true]", "[-]"]
        {
            assert_eq!(floats(text.as_bytes(), 0.0), None, "{text}");
        }
    }

    #[test]
    fn masks_are_of_numbers_or_flags() {
        assert_eq!(mask(b"[1, 0,true ,false]"), Some(vec![1.0, 0.0, 1.0, 0.0]));
        for text in ["[null]", "[\"1\"]", "[truth,]", "true"] {
            assert_eq!(mask(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn token_ids_are_whole_numbers() {
        assert_eq!(ids(b"[0, 12 ,4294967295]"), Some(vec![0, 12, u32::MAX]));
        for text in ["[-1]", "[1.5]", "[4294967296]", "[null]", "[\"a\"]", "[1,]"] {
            assert_eq!(ids(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn texts_keep_their_quotes_and_escapes() {
        let text = br#"["a", "\"]","\u00e9"]"#;
        let places = quoted_texts(text).unwrap();
        let texts =
            places.iter().map(|&(from, to)| string(&text[from as usize..to as usize]).unwrap());
        assert_eq!(texts.collect::<Vec<_>>(), ["a", "\"]", "é"]);
    }

    #[test]
    fn lists_of_one_are_unwrapped() {
        for (text, inner) in [
            ("[1.5]", "1.5"),
            ("[[1,2]]", "[1,2]"),
            ("[\"a,b\"]", "\"a,b\""),
            ("[1,2]", "[1,2]"),
            ("[[1],[2]]", "[[1],[2]]"),
            ("[]", "[]"),
            ("7", "7"),
        ] {
            assert_eq!(unwrap_list_of_one(text.as_bytes()), inner.as_bytes());
        }
    }
}

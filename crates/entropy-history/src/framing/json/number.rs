//! Values that the scanner returns, and parsing of numbers.

use crate::python_number::python_number;

/// A scalar value, or the kind of a skipped one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number, including NaN and the infinities.
    Number(f64),
    /// An integer that a 64-bit float cannot hold, and the nearest float.
    InexactInteger(i128, f64),
    /// `null`.
    Null,
    /// The kind of another value, which was skipped, e.g. `an object`.
    Other(&'static str),
}

/// Parses a number; `None` if it is not one.
#[inline]
pub(super) fn parse_number(token: &[u8]) -> Option<Value> {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    if digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit) {
        let magnitude = digits.iter().fold(0u64, |n, d| 10 * n + u64::from(d - b'0')) as f64;
        return Some(Value::Number(if digits.len() < token.len() {
            -magnitude
        } else {
            magnitude
        }));
    }
    let text = std::str::from_utf8(token).ok()?;
    let float: f64 = text.parse().ok()?;
    match text.parse::<i128>() {
        // 2^100 is exact as a float and far beyond any step, so the cast below cannot saturate.
        Ok(integer) if float.abs() < 2f64.powi(100) && float as i128 != integer => {
            Some(Value::InexactInteger(integer, float))
        }
        _ => Some(Value::Number(float)),
    }
}

/// Parses a number inside a string, in JSON's form or as Python prints it; `None` for other text.
pub(super) fn parse_number_text(text: &[u8]) -> Option<f64> {
    python_number(std::str::from_utf8(text).ok()?)
}

/// The value and length of a number at the start of `text`, if it is an exact integer or has a decimal
/// point, and a byte follows that is not part of it.
#[inline]
pub(super) fn parse_plain_number(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text[sign..].iter().take(16).take_while(|b| b.is_ascii_digit()).count();
    match text.get(sign + digits)? {
        b'.' if digits > 0 => {
            let (value, length) = fast_float2::parse_partial::<f64, _>(text).ok()?;
            (length < text.len()).then_some((value, length))
        }
        b'0'..=b'9' | b'e' | b'E' => None,
        _ if (1..=15).contains(&digits) => {
            let (digits, length) = (&text[sign..sign + digits], sign + digits);
            let integer = digits.iter().fold(0, |n, d| 10 * n + u64::from(d - b'0')) as f64;
            Some((if sign == 1 { -integer } else { integer }, length))
        }
        _ => None,
    }
}

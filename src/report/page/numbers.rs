//! Lossless compact JSON encodings of long lists of numbers.
//!
//! A list uses the shortest of these forms; bytes are little-endian, in base64:
//!
//! ```text
//! {"stretches":[[1,1,100],[105,5,20]]}    first value, stride and count of each arithmetic progression: steps
//! {"decimals":4,"deltas":"…"}             integers that give the values when divided by 10^4: zigzag LEB128 of
//!                                         the differences between neighbours, the first against 0
//! {"f32":"…"}                             values that a 32-bit float represents exactly
//! {"f64":"…"}                             any values
//! ```
//!
//! Dividing the integer gives exactly the logged value, because the division and the parser of the log both round to
//! the nearest double. Every value is checked nevertheless.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;

/// An encoded list of finite numbers.
#[derive(Debug, Serialize, PartialEq)]
#[serde(untagged)]
pub(super) enum Numbers {
    Stretches { stretches: Vec<[i64; 3]> },
    Decimals { decimals: usize, deltas: String },
    Single { f32: String },
    Double { f64: String },
}

/// Up to this magnitude, zigzag-encoded differences are exact in JavaScript.
const MAX_INTEGER: f64 = (1u64 << 51) as f64;
/// The largest number of decimals: with more, the deltas are not shorter than raw doubles.
const MAX_DECIMALS: usize = 12;

impl Numbers {
    /// The shortest form of the values.
    pub(super) fn of(values: &[f64]) -> Numbers {
        // A stretch takes about 12 characters, a value encoded as a delta at least 4/3.
        if let Some(stretches) = stretches(values, values.len() / 9 + 1) {
            return Numbers::Stretches { stretches };
        }
        let single = values.iter().all(|&v| f64::from(v as f32) == v);
        let raw = if single { 4 } else { 8 } * values.len();
        if let Some((decimals, bytes)) = deltas(values)
            && bytes.len() < raw
        {
            return Numbers::Decimals { decimals, deltas: BASE64_STANDARD.encode(bytes) };
        }
        if single {
            let bytes: Vec<u8> = values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
            return Numbers::Single { f32: BASE64_STANDARD.encode(bytes) };
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Numbers::Double { f64: BASE64_STANDARD.encode(bytes) }
    }

    /// The approximate length of its JSON in characters.
    pub(super) fn size(&self) -> usize {
        match self {
            Numbers::Stretches { stretches } => 14 * stretches.len() + 16,
            Numbers::Decimals { deltas: text, .. }
            | Numbers::Single { f32: text }
            | Numbers::Double { f64: text } => text.len() + 30,
        }
    }
}

/// Integers as at most `limit` progressions, each with a first value, a stride and a count; `None` if they are not
/// integers or need more.
fn stretches(values: &[f64], limit: usize) -> Option<Vec<[i64; 3]>> {
    let whole = |v: f64| (v.fract() == 0.0 && v.abs() < MAX_INTEGER).then_some(v as i64);
    let mut stretches: Vec<[i64; 3]> = Vec::new();
    for &value in values {
        let value = whole(value)?;
        let length = stretches.len();
        match stretches.last_mut() {
            Some([first, stride, count]) if *count == 1 => (*stride, *count) = (value - *first, 2),
            Some([first, stride, count]) if *first + *stride * *count == value => *count += 1,
            _ if length == limit => return None,
            _ => stretches.push([value, 1, 1]),
        }
    }
    Some(stretches)
}

/// The number of decimals and the encoded deltas; `None` if the values need too many decimals.
fn deltas(values: &[f64]) -> Option<(usize, Vec<u8>)> {
    let mut decimals = 0;
    while !values.iter().all(|&v| scaled(v, decimals).is_some()) {
        decimals += 1;
        if decimals > MAX_DECIMALS {
            return None;
        }
    }
    let mut bytes = Vec::with_capacity(2 * values.len());
    let mut before = 0i64;
    for &value in values {
        let whole = scaled(value, decimals)?;
        let delta = whole - before;
        before = whole;
        let mut rest = ((delta << 1) ^ (delta >> 63)) as u64; // zigzag: the sign is the lowest bit
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    Some((decimals, bytes))
}

fn scaled(value: f64, decimals: usize) -> Option<i64> {
    const POWERS: [f64; MAX_DECIMALS + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
    let whole = (value * POWERS[decimals]).round();
    (whole.abs() < MAX_INTEGER && whole / POWERS[decimals] == value).then_some(whole as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_steps_are_encoded_as_stretches() {
        let steps: Vec<f64> = (1..=100).chain((105..=200).step_by(5)).map(f64::from).collect();
        let stretches = vec![[1, 1, 100], [105, 5, 20]];
        assert_eq!(Numbers::of(&steps), Numbers::Stretches { stretches });
        assert_eq!(Numbers::of(&[7.0]), Numbers::Stretches { stretches: vec![[7, 1, 1]] });
    }

    #[test]
    fn decimals_are_encoded_as_integer_deltas() {
        // 0.5 is 5000 × 1e-4, zigzag 10000 = 0b1001110_0010000; then −1 and +2 of 1e-4.
        let packed = BASE64_STANDARD.encode([0x90, 0x4e, 0x01, 0x04]);
        let numbers = Numbers::of(&[0.5, 0.4999, 0.5001]);
        assert_eq!(numbers, Numbers::Decimals { decimals: 4, deltas: packed });
    }

    #[test]
    fn floats_are_encoded_as_f32_where_exact_else_as_f64() {
        let third = f64::from(1.0f32 / 3.0);
        let single = BASE64_STANDARD.encode((1.0f32 / 3.0).to_le_bytes());
        assert_eq!(Numbers::of(&[third]), Numbers::Single { f32: single });
        let double = BASE64_STANDARD.encode((1.0f64 / 3.0).to_le_bytes());
        assert_eq!(Numbers::of(&[1.0 / 3.0]), Numbers::Double { f64: double });
        for odd in [1e300, -1e-300, f64::MAX, 2f64.powi(60)] {
            let numbers = Numbers::of(&[odd, 1.0 / 3.0]);
            assert!(matches!(numbers, Numbers::Double { .. }), "{odd}");
        }
    }
}

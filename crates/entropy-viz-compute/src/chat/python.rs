//! What Python prints, and Jinja's filters and tests, where the engine has them otherwise.

use minijinja::formatting::{FormatStyle, format as formatted};
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, filters};

use super::methods::stripped;

/// Python's own limit is near a thousand calls.
pub(super) const DEEPEST: usize = 400;

pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, why.into()))
}

/// As `str()`: what `{{ value }}` prints.
pub(super) fn text(state: &State, value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Ok(String::new()),
        None => {
            let mut out = String::new();
            represent(&mut out, state, value, 0)?;
            Ok(out)
        }
    }
}

/// As `repr()`. It pays for every value, since one list can hold another many times over.
fn represent(out: &mut String, state: &State, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return refuse("a value is nested too deep to be written");
    }
    state.consume_fuel(1 + value.as_str().map_or(0, str::len) as u64 / 64)?;
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::String => represent_text(out, value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&float(f64::try_from(value.clone())?));
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                represent(out, state, &key, depth + 1)?;
                out.push_str(": ");
                represent(out, state, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.is_tuple();
            out.push(if tuple { '(' } else { '[' });
            for (i, item) in value.try_iter()?.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                represent(out, state, &item, depth + 1)?;
            }
            out.push_str(match (tuple, value.len()) {
                (true, Some(1)) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            });
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn represent_text(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if printable(c) => out.push(c),
            _ if code <= 0xff => out.push_str(&format!("\\x{code:02x}")),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(quote);
}

/// Nearly `str.isprintable`: code points of no character at all pass, which needs no table.
fn printable(c: char) -> bool {
    let format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..);
    !c.is_control() && !c.is_whitespace() && !format
}

pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{value:?}"); // the shortest that reads back, as in Python
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

pub(super) fn trim(state: &State, value: &Value, chars: Option<&str>) -> Result<String, Error> {
    Ok(stripped(&text(state, value)?, "strip", chars).to_owned())
}

/// As `markupsafe.escape`.
pub(super) fn escape(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let mut out = String::new();
    for c in text(state, value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(Value::from_safe_string(out))
}

/// `'%s' % x`, which [`source`](super::source) has rewritten, and `'%s'|format(x)`.
pub(super) fn percent(state: &State, format: &str, operand: &Value) -> Result<String, Error> {
    check_widths(state, format)?;
    let operands =
        if operand.is_tuple() { operand.try_iter()?.collect() } else { vec![operand.clone()] };
    formatted(FormatStyle::Printf, format, &operands)
}

pub(super) fn format(
    state: &mut State,
    format: &Value,
    operands: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    check_widths(state, format.as_str().unwrap_or_default())?;
    filters::format(state, format, operands)
}

/// Refuses what the engine would pay for too late: `{:>9999999999}`.
pub(super) fn check_widths(state: &State, format: &str) -> Result<(), Error> {
    let mut total = 0;
    for digits in format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()) {
        match digits.parse::<u64>() {
            Ok(width @ ..10_000) => total += width,
            _ => return refuse("a number in a format has over four digits"),
        }
    }
    state.consume_fuel(total / 64)
}

/// The engine's own knows no names of its arguments.
pub(super) fn default(
    value: &Value,
    instead: Option<Value>,
    boolean: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let instead = match instead {
        Some(instead) => Some(instead),
        None => named.get("default_value")?,
    };
    let boolean = match boolean {
        Some(boolean) => boolean,
        None => named.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    named.assert_all_used()?;
    let take = value.is_undefined() || (boolean && !value.is_true());
    Ok(if take { instead.unwrap_or_else(|| Value::from("")) } else { value.clone() })
}

/// Whether `iter(value)` works; it does for an undefined value, and not for `None`.
pub(super) fn is_iterable(value: &Value) -> bool {
    value.kind() == ValueKind::Iterable || is_sequence(value)
}

/// Whether Jinja takes it for a sequence: whatever has a length and items, so a mapping, too.
pub(super) fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Map, Seq, String, Undefined};
    matches!(value.kind(), Seq | Map | String | Undefined)
}

/// Python's truth values are numbers.
pub(super) fn is_number(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
}

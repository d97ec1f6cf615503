//! Corrects differences of the engine from Jinja and Python: printing of values, string methods, filters and tests.
//!
//! If the engine would render a value or a method differently from Python and this module does not correct it, it is
//! an error, so that a rendered text is never wrong.

use minijinja::value::{Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

/// Maximum nesting of a printed value. Python's own limit is about 1000 calls.
const MAX_DEPTH: usize = 400;

/// The engine's type of `namespace()`, which is private.
const NAMESPACE: &str = "minijinja::value::namespace_object::Namespace";
/// Values searched for one step of the limit.
const VALUES_PER_STEP: u64 = 4;

/// String methods that the engine implements only approximately.
const APPROXIMATE_METHODS: [&str; 7] =
    ["format", "isalnum", "isalpha", "isdigit", "isnumeric", "isspace", "splitlines"];

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, reason.into()))
}

/// Python's `str(value)`, which `{{ value }}` prints.
pub(super) fn text(state: &State, value: &Value) -> Result<String, Error> {
    if !matches!(value.kind(), ValueKind::String | ValueKind::Undefined) {
        check(state, value, 0, 0, |text| {
            let is_safe = |c: char| c.is_ascii() || c.is_control() || c.escape_debug().len() == 1;
            text.chars().all(is_safe)
        })?;
    }
    Ok(value.to_string())
}

/// Checks that a value can be written as Python does, and charges fuel for it: one list can contain another many
/// times. `extra` is the number of bytes written per value that is not a string; `is_printable` checks strings.
pub(super) fn check(
    state: &State,
    value: &Value,
    depth: usize,
    extra: usize,
    is_printable: fn(&str) -> bool,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return refuse(format!("a value is nested more than {MAX_DEPTH} levels deep"));
    }
    let length = value.as_str().map_or(0, str::len) + extra;
    state.consume_fuel(1 + length as u64 / 64)?;
    let check = |value: &Value| check(state, value, depth + 1, extra, is_printable);
    match value.kind() {
        ValueKind::None | ValueKind::Bool => Ok(()),
        ValueKind::Number if value.is_integer() => Ok(()),
        ValueKind::Number => match f64::try_from(value.clone())? {
            0.0 => Ok(()),
            number if (1e-4..1e16).contains(&number.abs()) => Ok(()),
            number => refuse(format!("writing the number {number:e} is not supported")),
        },
        ValueKind::String if is_printable(value.as_str().unwrap_or_default()) => Ok(()),
        ValueKind::String => refuse("writing invisible characters in a list is not supported"),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|item| check(&item)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| {
            check(&key)?;
            check(&value.get_item(&key)?)
        }),
        kind => refuse(format!("writing a value of the type {kind} is not supported")),
    }
}

/// The value of `{% set ns.name = value %}`. Namespaces are the only values that change, so only this assignment can
/// make a value contain itself.
pub(super) fn stored(state: &State, value: Value) -> Result<Value, Error> {
    let mut seen = 0;
    without_namespaces(state, &value, 0, &mut seen)?;
    Ok(value)
}

/// Checks that no namespace is in a value, and charges fuel for the search. `seen` counts values.
fn without_namespaces(
    state: &State,
    value: &Value,
    depth: usize,
    seen: &mut u64,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return refuse(format!("a value is nested more than {MAX_DEPTH} levels deep"));
    }
    *seen += 1;
    if seen.is_multiple_of(VALUES_PER_STEP) {
        state.consume_fuel(1)?;
    }
    if value.as_object().is_some_and(|object| object.type_name() == NAMESPACE) {
        return refuse(
            "storing a namespace in a namespace is not supported: it could contain itself",
        );
    }
    let mut check = |value: &Value| without_namespaces(state, value, depth + 1, seen);
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|item| check(&item)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| check(&value.get_item(&key)?)),
        _ => Ok(()),
    }
}

/// A method of a value.
pub(super) fn call_method(
    state: &mut State,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        match name {
            "title" => return from_args(args).map(|()| title(text).into()),
            "strip" | "lstrip" | "rstrip" | "split" if args.is_empty() => check_spaces(text)?,
            "split" if args[0].as_str() == Some("") => return refuse("empty separator"),
            name if APPROXIMATE_METHODS.contains(&name) => {
                return refuse(format!("the method str.{name} is not supported"));
            }
            _ => {}
        }
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

/// Returns an error for the characters that are whitespace only in Python.
fn check_spaces(text: &str) -> Result<(), Error> {
    if text.contains(|c| matches!(c, '\u{1c}'..='\u{1f}')) {
        return refuse("whitespace around the characters U+001C to U+001F is not supported");
    }
    Ok(())
}

/// Python's `str.title`: any character that is not a letter separates words.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        match in_word {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        in_word = c.is_alphabetic();
    }
    out
}

/// The filter `trim`.
pub(super) fn trim(state: &State, value: &Value, chars: Option<&str>) -> Result<String, Error> {
    let text = text(state, value)?;
    match chars {
        Some(chars) => Ok(text.trim_matches(|c| chars.contains(c)).to_owned()),
        None => check_spaces(&text).map(|()| text.trim().to_owned()),
    }
}

/// The filter `escape`, as `markupsafe.escape`.
pub(super) fn escape(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = text(state, value)?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Value::from_safe_string(text.replace('\'', "&#39;").replace('"', "&#34;")))
}

/// The test `iterable`: in contrast to the engine, true for undefined values and false for `None`.
pub(super) fn is_iterable(value: &Value) -> bool {
    value.kind() == ValueKind::Iterable || is_sequence(value)
}

/// The test `sequence`: in Jinja, everything with a length and items.
pub(super) fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Map, Seq, String, Undefined};
    matches!(value.kind(), Seq | Map | String | Undefined)
}

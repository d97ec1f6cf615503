//! The methods of Python's `str`: those that the engine's supplement has not, or has otherwise.

use minijinja::value::{Tuple, Value, from_args};
use minijinja::{Error, State};
use minijinja_contrib::pycompat;

use super::python::{check_widths, refuse};

/// `str.isspace` of a character: four separators more than Unicode's white space.
fn space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// What the engine calls for a method of a value.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        if name == "format" {
            check_widths(state, text)?;
        }
        if let Some(result) = text_method(text, name, args) {
            return result;
        }
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match name {
        "strip" | "lstrip" | "rstrip" => {
            from_args(args).map(|(chars,): (Option<&str>,)| stripped(text, name, chars).into())
        }
        "removeprefix" => {
            from_args(args).map(|(affix,): (&str,)| text.strip_prefix(affix).unwrap_or(text).into())
        }
        "removesuffix" => {
            from_args(args).map(|(affix,): (&str,)| text.strip_suffix(affix).unwrap_or(text).into())
        }
        "partition" => from_args(args).map(|(by,): (&str,)| match text.split_once(by) {
            Some((before, after)) => triple(before, by, after),
            None => triple(text, "", ""),
        }),
        "rpartition" => from_args(args).map(|(by,): (&str,)| match text.rsplit_once(by) {
            Some((before, after)) => triple(before, by, after),
            None => triple("", "", text),
        }),
        "rsplit" => rsplit(text, args),
        "splitlines" => split_lines(text, args),
        "title" => from_args(args).map(|()| title(text).into()),
        "index" | "rindex" => from_args(args).and_then(|(part,): (&str,)| {
            let at = if name == "index" { text.find(part) } else { text.rfind(part) };
            match at {
                Some(at) => Ok(text[..at].chars().count().into()),
                None => refuse("substring not found"),
            }
        }),
        _ => return None,
    })
}

fn triple(a: &str, b: &str, c: &str) -> Value {
    Tuple::from([Value::from(a), Value::from(b), Value::from(c)]).into()
}

/// `None` for the characters is white space.
pub(super) fn stripped<'a>(text: &'a str, method: &str, chars: Option<&str>) -> &'a str {
    let unwanted = |c: char| chars.map_or_else(|| space(c), |chars| chars.contains(c));
    match method {
        "lstrip" => text.trim_start_matches(unwanted),
        "rstrip" => text.trim_end_matches(unwanted),
        _ => text.trim_matches(unwanted),
    }
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (by, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    match by {
        Some("") => return refuse("empty separator"),
        Some(by) => parts.extend(text.rsplitn(most.saturating_add(1), by)),
        None => {
            let mut rest = text.trim_end_matches(space);
            while parts.len() < most
                && let Some((at, c)) = rest.char_indices().rfind(|&(_, c)| space(c))
            {
                parts.push(&rest[at + c.len_utf8()..]);
                rest = rest[..at].trim_end_matches(space);
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
        }
    }
    parts.reverse();
    Ok(parts.into_iter().map(Value::from).collect())
}

fn split_lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep_ends,): (Option<bool>,) = from_args(args)?;
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                    ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        });
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        let after_end = after.strip_prefix("\r\n").unwrap_or_else(|| {
            let mut after = after.chars();
            after.next();
            after.as_str()
        });
        let whole = &rest[..rest.len() - after_end.len()];
        lines.push(if keep_ends == Some(true) { whole } else { line });
        rest = after_end;
    }
    Ok(lines.into_iter().map(Value::from).collect())
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_alphabetic();
    }
    out
}

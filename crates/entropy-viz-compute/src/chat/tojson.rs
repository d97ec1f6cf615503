//! The filter `tojson`. In transformers it is `json.dumps`, without Jinja's escaping for HTML.

use std::io::{self, Write};

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, State};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::python::{check, refuse};

/// `json.dumps(value, ensure_ascii=False)`; other arguments are by name.
pub(super) fn tojson(state: &State, value: &Value, args: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = args.get("indent")?;
    let ensure_ascii = args.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort_keys = args.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let separators = match args.get::<Option<Value>>("separators")? {
        Some(separators) if separators.kind() != ValueKind::None => {
            let separators: Vec<Value> = separators.try_iter()?.collect();
            match &separators[..] {
                [item, key] => [item.to_string(), key.to_string()],
                _ => return refuse("separators must be a pair of strings"),
            }
        }
        _ => [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()],
    };
    args.assert_all_used()?;

    check(state, value, 0, separators.iter().map(String::len).sum(), |_| true)?;
    let error = |error: serde_json::Error| {
        Error::new(minijinja::ErrorKind::InvalidOperation, format!("tojson: {error}"))
    };
    let mut json = serde_json::to_value(value).map_err(error)?;
    if sort_keys {
        json.sort_all_objects();
    }
    let indent = indent.map(|width| " ".repeat(width.min(64)));
    let [item_separator, key_separator] = separators;
    let style =
        JsonStyle { indent, item_separator, key_separator, ensure_ascii, depth: 0, is_empty: true };
    let mut out = Vec::new();
    json.serialize(&mut Serializer::with_formatter(&mut out, style)).map_err(error)?;
    Ok(String::from_utf8(out).expect("BUG: JSON is UTF-8"))
}

/// The layout of `json.dumps`.
struct JsonStyle {
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    ensure_ascii: bool,
    depth: usize,
    /// Whether nothing was written yet in the current list or object.
    is_empty: bool,
}

impl JsonStyle {
    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        out.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_empty {
            self.new_line(out)?;
        }
        self.is_empty = false;
        out.write_all(bracket)
    }

    fn begin_item<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.is_empty = false;
        if !first {
            out.write_all(self.item_separator.as_bytes())?;
        }
        self.new_line(out)
    }

    fn new_line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        match &self.indent {
            Some(indent) => write!(out, "\n{}", indent.repeat(self.depth)),
            None => Ok(()),
        }
    }
}

impl Formatter for JsonStyle {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key_separator.as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !self.ensure_ascii {
            return out.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            match c {
                ' '..='~' => write!(out, "{c}")?,
                _ => c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .try_for_each(|unit| write!(out, "\\u{unit:04x}"))?,
            }
        }
        Ok(())
    }
}

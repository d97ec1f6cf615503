//! The filter `tojson`: transformers puts `json.dumps` in the place of Jinja's own, which would
//! escape for HTML.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, from_args};
use minijinja::{Error, State};

use super::python::{DEEPEST, float, refuse};

/// As `json.dumps(value, ensure_ascii=False)`.
pub(super) fn tojson(
    state: &State,
    value: &Value,
    arguments: Rest<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    type Given = Option<Value>;
    let (ensure_ascii, indent, separators, sort_keys): (Given, Given, Given, Given) =
        from_args(&arguments)?;
    let argument = |given: Option<Value>, name| match given {
        Some(value) => Ok(value),
        None => Ok::<_, Error>(named.get::<Option<Value>>(name)?.unwrap_or_default()),
    };
    let ensure_ascii = argument(ensure_ascii, "ensure_ascii")?.is_true();
    let indent = argument(indent, "indent")?;
    let separators = argument(separators, "separators")?;
    let sort_keys = argument(sort_keys, "sort_keys")?.is_true();
    named.assert_all_used()?;

    let indent = match indent.kind() {
        ValueKind::Undefined | ValueKind::None => None,
        ValueKind::String => indent.as_str().map(str::to_owned),
        _ => Some(" ".repeat(i64::try_from(indent)?.clamp(0, 64) as usize)),
    };
    let (comma, colon) = match separators.kind() {
        ValueKind::Undefined | ValueKind::None if indent.is_some() => (",".into(), ": ".into()),
        ValueKind::Undefined | ValueKind::None => (", ".into(), ": ".into()),
        _ => {
            let mut pair = separators.try_iter()?.map(|s| s.to_string());
            (pair.next().unwrap_or_default(), pair.next().unwrap_or_default())
        }
    };
    let mut json =
        JsonWriter { out: String::new(), state, ensure_ascii, indent, comma, colon, sort_keys };
    json.value(value, 0)?;
    Ok(json.out)
}

struct JsonWriter<'a> {
    out: String,
    state: &'a State<'a, 'a>,
    ensure_ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    sort_keys: bool,
}

impl JsonWriter<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return refuse("a value is nested too deep for JSON");
        }
        let indent = self.indent.as_ref().map_or(0, |indent| indent.len() * depth);
        let size =
            value.as_str().map_or(0, str::len) + self.comma.len() + self.colon.len() + indent;
        self.state.consume_fuel(1 + size as u64 / 64)?;
        match value.kind() {
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                let word = word(value)?;
                self.out.push_str(&word);
            }
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.separate(i, depth);
                    self.value(item, depth + 1)?;
                }
                self.close(items.is_empty(), depth, ']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    self.separate(i, depth);
                    match key.as_str() {
                        Some(text) => self.text(text),
                        None => {
                            let word = word(key)?;
                            self.text(&word);
                        }
                    }
                    self.out.push_str(&self.colon);
                    self.value(&value.get_item(key)?, depth + 1)?;
                }
                self.close(keys.is_empty(), depth, '}');
            }
            kind => return refuse(format!("tojson cannot write a value that is {kind}")),
        }
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push_str(&self.comma);
        }
        self.new_line(depth + 1);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..='\u{1f}' => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                ' '..='~' => self.out.push(c),
                _ if self.ensure_ascii => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// JSON's word for what is neither a text nor holds anything.
fn word(value: &Value) -> Result<String, Error> {
    Ok(match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Number if value.is_integer() => value.to_string(),
        ValueKind::Number => match float(f64::try_from(value.clone())?).as_str() {
            "nan" => "NaN".to_owned(),
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            finite => finite.to_owned(),
        },
        kind => return refuse(format!("tojson cannot write a key that is {kind}")),
    })
}

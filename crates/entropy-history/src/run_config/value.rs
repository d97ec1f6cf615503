//! A value of a configuration, with the text that its file has.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};

/// What a value of a configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigValueKind {
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// No value: `null`, or Python's `None`.
    Null,
    /// A text.
    Text,
    /// A list of such values, in brackets.
    List,
}

/// A value of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigValue {
    text: String,
    kind: ConfigValueKind,
}

impl ConfigValue {
    /// A value that its file has in quotes, or that is known to be a text.
    pub(crate) fn quoted(text: impl Into<String>) -> ConfigValue {
        ConfigValue { text: text.into(), kind: ConfigValueKind::Text }
    }

    /// A value without quotes: its kind is seen from its text. Words of YAML, JSON and Python are known.
    pub(crate) fn plain(text: &str) -> ConfigValue {
        let kind = match text {
            "" | "~" | "null" | "Null" | "NULL" | "None" => ConfigValueKind::Null,
            "true" | "True" | "false" | "False" => ConfigValueKind::Bool,
            _ if number(text).is_some() => ConfigValueKind::Number,
            _ => ConfigValueKind::Text,
        };
        let text = if kind == ConfigValueKind::Null { "null" } else { text };
        ConfigValue { text: text.to_owned(), kind }
    }

    /// A list of values.
    pub(crate) fn list<'a>(items: impl Iterator<Item = &'a ConfigValue>) -> ConfigValue {
        let items: Vec<&str> = items.map(ConfigValue::text).collect();
        ConfigValue { text: format!("[{}]", items.join(", ")), kind: ConfigValueKind::List }
    }

    /// The value with at most this many bytes; an ellipsis is at the end of a text that was cut.
    pub(super) fn cut(mut self, longest: usize) -> ConfigValue {
        if self.text.len() > longest {
            self.text.truncate(self.text.floor_char_boundary(longest));
            self.text.push('…');
            self.kind = ConfigValueKind::Text;
        }
        self
    }

    /// What is shown in place of a value that may be a password.
    pub fn hidden(&self) -> ConfigValue {
        ConfigValue::quoted("(hidden)")
    }

    /// The value as its file has it: a number keeps its form, `1e-06`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is.
    pub fn kind(&self) -> ConfigValueKind {
        self.kind
    }

    /// The order of values: numbers by their size before texts in natural order (`v2` before `v10`).
    pub fn order(&self, other: &ConfigValue) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => alphanumeric_sort::compare_str(&self.text, &other.text),
        }
    }

    /// Whether both are one value: equal texts, equal numbers in any form, the same of true and false in any case, or lists of such values,
    /// however they are spaced. Numbers, true and false may be in quotes. Null is only null.
    pub fn is_same(&self, other: &ConfigValue) -> bool {
        if let (Some(items), Some(others)) = (list_items(&self.text), list_items(&other.text)) {
            let mut pairs = items.iter().zip(&others);
            let is_same = |(a, b): (&&str, &&str)| item(a).is_same(&item(b));
            return items.len() == others.len() && pairs.all(is_same);
        }
        let numbers = self.number().zip(other.number());
        let flags = self.flag().zip(other.flag());
        self.text == other.text
            || numbers.is_some_and(|(a, b)| a == b)
            || flags.is_some_and(|(a, b)| a == b)
    }

    /// The truth value that it is.
    fn flag(&self) -> Option<bool> {
        match self.kind {
            ConfigValueKind::Bool | ConfigValueKind::Text => {
                self.text.to_ascii_lowercase().parse().ok()
            }
            ConfigValueKind::Number | ConfigValueKind::Null | ConfigValueKind::List => None,
        }
    }

    /// The number that it is. YAML's writers put quotes around `1e-6`, which its readers would take for a text.
    fn number(&self) -> Option<f64> {
        match self.kind {
            ConfigValueKind::Number | ConfigValueKind::Text => number(&self.text),
            ConfigValueKind::Bool | ConfigValueKind::Null | ConfigValueKind::List => None,
        }
    }
}

/// The items of a list or a tuple in a text, as trackers write that keep only texts: `[1,2]`, `('a', 'b')`.
fn list_items(text: &str) -> Option<Vec<&str>> {
    let inside = |(open, close)| text.strip_prefix(open)?.strip_suffix(close);
    let inside = [('[', ']'), ('(', ')')].into_iter().find_map(inside)?.trim();
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in inside.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                items.push(inside[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    // A tuple of one has a comma at its end.
    let last = inside[start..].trim();
    items.extend((!last.is_empty()).then_some(last));
    Some(items)
}

/// A value of a list, without the quotes around a text.
fn item(text: &str) -> ConfigValue {
    let unquoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    ['\'', '"']
        .into_iter()
        .find_map(unquoted)
        .map_or_else(|| ConfigValue::plain(text), ConfigValue::quoted)
}

/// The number that a text is, in the spelling of YAML, JSON or Python; words for NaN and infinity are none.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins =
        digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit());
    if begins { text.parse().ok() } else { None }
}

/// Keys and values; `None` where a run does not have a key. As JSON, an object in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigEntries(pub Vec<(String, Option<ConfigValue>)>);

impl ConfigEntries {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ConfigEntries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// As a JSON value: a number that JSON can hold exactly is a number, every other text a string.
impl Serialize for ConfigValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            ConfigValueKind::Null => serializer.serialize_unit(),
            ConfigValueKind::Bool => serializer.serialize_bool(self.text.starts_with(['t', 'T'])),
            ConfigValueKind::Number => {
                let is_integer = !self.text.contains(['.', 'e', 'E']);
                match (self.text.parse::<i64>(), number(&self.text)) {
                    (Ok(integer), _) => serializer.serialize_i64(integer),
                    (Err(_), Some(number)) if !is_integer && number.is_finite() => {
                        serializer.serialize_f64(number)
                    }
                    _ => serializer.serialize_str(&self.text),
                }
            }
            ConfigValueKind::Text | ConfigValueKind::List => serializer.serialize_str(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_seen_from_a_plain_text() {
        let kind = |text| ConfigValue::plain(text).kind();
        for text in ["1e-06", "0.0001", "-3", "+1.5", ".5", "1.", "1E5"] {
            assert_eq!(kind(text), ConfigValueKind::Number, "{text}");
        }
        for text in ["v1", "1e", "nan", "inf", "1,5", "0x10", "1 2", "-", "token-mean"] {
            assert_eq!(kind(text), ConfigValueKind::Text, "{text}");
        }
        for text in ["", "null", "None", "~"] {
            assert_eq!(kind(text), ConfigValueKind::Null, "{text}");
        }
        assert_eq!(kind("False"), ConfigValueKind::Bool);
        assert_eq!(ConfigValue::quoted("1").kind(), ConfigValueKind::Text);
    }

    #[test]
    fn equal_numbers_in_other_forms_are_one_value() {
        let same = |a, b| ConfigValue::plain(a).is_same(&ConfigValue::plain(b));
        assert!(same("1e-06", "1e-6") && same("0.000001", "1e-6") && same("1", "1.0"));
        assert!(!same("1e-6", "1e-5") && !same("a", "b") && !same("true", "1"));
        assert!(ConfigValue::quoted("1").is_same(&ConfigValue::plain("1")), "texts are equal");
    }

    #[test]
    fn lists_are_compared_by_their_values() {
        let same = |a, b| ConfigValue::plain(a).is_same(&ConfigValue::plain(b));
        assert!(same("[1,2]", "[1, 2]") && same("[0.9, 1e-06]", "(0.90,0.000001)"));
        assert!(
            same("['console', 'file']", "[console,\"file\"]")
                && same("[True, None]", "[true,null]")
        );
        assert!(same("[[1,2],[3]]", "[ [1, 2], [3] ]") && same("(1,)", "[1]") && same("[]", "[ ]"));
        for (a, b) in
            [("[1,2]", "[2,1]"), ("[1,2]", "[1,2,3]"), ("[1]", "1"), ("['a, b']", "[a, b]")]
        {
            assert!(!same(a, b), "{a} {b}");
        }
        let list = ConfigValue::list([ConfigValue::plain("1"), ConfigValue::plain("x")].iter());
        assert!(list.is_same(&ConfigValue::quoted("[1,'x']")));
    }

    #[test]
    fn numbers_are_ordered_by_size_and_texts_naturally() {
        let mut values = ["v10", "1e-05", "v2", "5e-06", "10", "2"].map(ConfigValue::plain);
        values.sort_by(ConfigValue::order);
        let texts = values.each_ref().map(ConfigValue::text);
        assert_eq!(texts, ["5e-06", "1e-05", "2", "10", "v2", "v10"]);
    }

    #[test]
    fn json_has_numbers_and_words_as_such() {
        let json = |value: &ConfigValue| serde_json::to_string(value).unwrap();
        let plain = |text| json(&ConfigValue::plain(text));
        assert_eq!(plain("1e-06"), "1e-6");
        assert_eq!((plain("42").as_str(), plain("True").as_str()), ("42", "true"));
        assert_eq!((plain("None").as_str(), plain("grpo").as_str()), ("null", "\"grpo\""));
        assert_eq!(plain("123456789012345678901"), "\"123456789012345678901\"");
        assert_eq!(plain("1e999"), "\"1e999\"");
        let items = ["1", "x"].map(ConfigValue::plain);
        assert_eq!(json(&ConfigValue::list(items.iter())), "\"[1, x]\"");
    }
}

//! Names and tokens as the page shows them.

use std::collections::HashMap;

use serde_json::{Value, json};

use entropy_history::label::{shorten_middle, visible};
use entropy_tokens::{TokenKind, TokenName};

/// The largest length of a name or a token in characters; longer ones are shortened in the middle.
const MAX_TEXT: usize = 80;

/// The kinds of tokens that occur on the page, with indices in order of first use.
#[derive(Default)]
pub(super) struct KindTable<'a> {
    indices: HashMap<(u32, Option<&'a str>), usize>, // only looked up, never iterated
    kinds: Vec<(u32, Option<&'a str>)>,
}

impl<'a> KindTable<'a> {
    fn index(&mut self, kind: (u32, Option<&'a str>)) -> usize {
        *self.indices.entry(kind).or_insert_with(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        })
    }

    pub(super) fn of_kind(&mut self, kind: &'a TokenKind) -> usize {
        self.index((kind.id, kind.text.as_deref()))
    }

    pub(super) fn of_name(&mut self, name: &'a TokenName) -> usize {
        self.index((name.id, name.text.as_deref()))
    }

    /// The id of each kind, and its text if the dump has one.
    pub(super) fn value(&self) -> Value {
        self.kinds.iter().map(|(id, text)| json!([id, text.and_then(display_text)])).collect()
    }
}

/// A name from a file, with control characters visible and at most [`MAX_TEXT`] characters.
pub(super) fn display_name(name: &str) -> String {
    shortened(&visible(name))
}

fn shortened(text: &str) -> String {
    shorten_middle(text, |text| text.chars().count() <= MAX_TEXT)
}

/// Shows all texts in a value as names.
pub(super) fn make_visible(value: &mut Value) {
    match value {
        Value::String(text) => *text = display_name(text),
        Value::Array(values) => values.iter_mut().for_each(make_visible),
        Value::Object(values) => values.values_mut().for_each(make_visible),
        _ => {}
    }
}

/// The text of a token for display. A symbol is put before each line break and tab, a token of only spaces becomes
/// symbols, and other invisible characters are escaped. `None` for an empty text.
pub(super) fn display_text(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    if text.chars().all(|c| c == ' ') {
        return Some("␣".repeat(text.chars().count().min(MAX_TEXT)));
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("⏎\n"),
            '\r' => shown.push('␍'),
            '\t' => shown.push_str("⇥\t"),
            c => shown.push_str(&visible(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Some(shortened(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_of_tokens_are_made_visible() {
        assert_eq!(display_text(" the").as_deref(), Some(" the"));
        assert_eq!(display_text("  ").as_deref(), Some("␣␣"));
        assert_eq!(display_text(".\n\n").as_deref(), Some(".⏎\n⏎\n"));
        assert_eq!(display_text("\u{202e}a\u{0}").as_deref(), Some(r"\u{202e}a\u{0}"));
        assert_eq!(display_text("</script>").as_deref(), Some("</script>"), "text stays text");
        assert_eq!(display_text(""), None);
    }
}

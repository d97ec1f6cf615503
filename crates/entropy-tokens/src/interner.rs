//! Gives the kinds of tokens of a batch their numbers.

use std::collections::HashMap;

use crate::json::string;

/// Ids below this are looked up in a vector: no vocabulary is as large.
const DENSE_IDS: usize = 1 << 20;
/// Stands for no kind.
pub(crate) const NONE: u32 = u32::MAX;

/// The text of a token as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawText<'a> {
    /// There are no texts.
    None,
    /// JSON, with its quotes.
    Json(&'a [u8]),
    /// UTF-8.
    Plain(&'a [u8]),
}

impl RawText<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            RawText::None => b"",
            RawText::Json(bytes) | RawText::Plain(bytes) => bytes,
        }
    }

    /// Whether this is the text.
    pub(crate) fn is(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (RawText::None, None) => true,
            (RawText::None, Some(_)) | (_, None) => false,
            (RawText::Json(quoted), Some(text)) if memchr::memchr(b'\\', quoted).is_none() => {
                quoted.get(1..quoted.len().saturating_sub(1)) == Some(text.as_bytes())
            }
            (RawText::Plain(bytes), Some(text)) if *bytes == text.as_bytes() => true,
            (raw, text) => raw.text().as_deref() == text,
        }
    }

    /// The text; `None` without texts.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            RawText::None => None,
            // Half of a surrogate pair, as Python writes a part of a character, is no valid JSON.
            RawText::Json(quoted) => {
                Some(string(quoted).map_or_else(|| "\u{fffd}".to_owned(), |text| text.into_owned()))
            }
            RawText::Plain(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

/// A kind: its id, the form and the place of its text, and the next kind with the same id.
struct Entry {
    id: u32,
    form: Form,
    start: u32,
    length: u32,
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    None,
    Json,
    Plain,
}

/// The kinds of a batch. Their texts are one after the other, as the file has them: an allocation per kind would take
/// longer than parsing it.
#[derive(Default)]
pub(crate) struct Interner {
    first: FirstById,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// What tokens of a batch are.
pub(crate) enum BatchKinds {
    /// Ids: no token of the batch has a text.
    Ids,
    /// Numbers of these kinds.
    Kinds(Interner),
}

impl Interner {
    /// The number of a kind, which is added if it is new.
    #[inline]
    pub(crate) fn kind(&mut self, id: u32, text: RawText<'_>) -> u32 {
        let first = self.first.get(id);
        let mut at = first;
        while at != NONE {
            let entry = &self.entries[at as usize];
            if self.text_of(entry) == text {
                return at;
            }
            at = entry.next;
        }
        self.add(id, text, first)
    }

    fn text_of(&self, entry: &Entry) -> RawText<'_> {
        let bytes = &self.bytes[entry.start as usize..][..entry.length as usize];
        match entry.form {
            Form::None => RawText::None,
            Form::Json => RawText::Json(bytes),
            Form::Plain => RawText::Plain(bytes),
        }
    }

    #[cold]
    fn add(&mut self, id: u32, text: RawText<'_>, next: u32) -> u32 {
        let number = self.entries.len() as u32;
        self.first.set(id, number);
        let form = match text {
            RawText::None => Form::None,
            RawText::Json(_) => Form::Json,
            RawText::Plain(_) => Form::Plain,
        };
        let (start, length) = (self.bytes.len() as u32, text.bytes().len() as u32);
        self.bytes.extend_from_slice(text.bytes());
        self.entries.push(Entry { id, form, start, length, next });
        number
    }

    /// The kinds, by their numbers.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (u32, RawText<'_>)> {
        self.entries.iter().map(|entry| (entry.id, self.text_of(entry)))
    }
}

/// The first kind with an id.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstById {
    dense: Vec<u32>,
    sparse: HashMap<u32, u32>, // only looked up, never iterated
}

impl FirstById {
    /// The number of the first kind; [`NONE`] without one.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> u32 {
        match self.dense.get(id as usize) {
            Some(first) => *first,
            None if self.sparse.is_empty() => NONE,
            None => self.sparse.get(&id).copied().unwrap_or(NONE),
        }
    }

    pub(crate) fn set(&mut self, id: u32, number: u32) {
        if (id as usize) < DENSE_IDS {
            let needed = (id as usize + 1).next_power_of_two();
            if self.dense.len() < needed {
                self.dense.resize(needed, NONE);
            }
            self.dense[id as usize] = number;
        } else {
            self.sparse.insert(id, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_differ_by_id_and_text() {
        let mut interner = Interner::default();
        let numbers = [
            interner.kind(7, RawText::Json(b"\"a\"")),
            interner.kind(7, RawText::Json(b"\"b\"")),
            interner.kind(7, RawText::None),
            interner.kind(4_000_000_000, RawText::Plain(b"z")),
            interner.kind(7, RawText::Json(b"\"a\"")),
            interner.kind(4_000_000_000, RawText::Plain(b"z")),
        ];
        assert_eq!(numbers, [0, 1, 2, 3, 0, 3]);
        let kinds: Vec<(u32, RawText<'_>)> = interner.kinds().collect();
        assert_eq!(kinds[1], (7, RawText::Json(b"\"b\"")));
        assert_eq!(kinds[2].1.text(), None);
    }

    #[test]
    fn half_of_a_surrogate_pair_is_a_replacement_character() {
        let raw = RawText::Json(b"\"\\ud83d\"");
        assert_eq!(raw.text().as_deref(), Some("\u{fffd}"));
        assert!(raw.is(Some("\u{fffd}")) && !raw.is(Some("x")) && !raw.is(None));
    }

    #[test]
    fn texts_are_equal_in_every_form() {
        for raw in [RawText::Json(b"\"a\\u0062\""), RawText::Json(b"\"ab\""), RawText::Plain(b"ab")]
        {
            assert!(raw.is(Some("ab")) && !raw.is(Some("abc")) && !raw.is(None), "{raw:?}");
        }
        assert!(RawText::None.is(None) && !RawText::None.is(Some("")));
        assert!(RawText::Plain(b"\xff").is(Some("\u{fffd}")));
    }
}

//! Gives the kinds of tokens of a batch their numbers.

use std::collections::HashMap;

use crate::json::string;
use crate::table::TokenKind;

/// Ids below this are looked up in a vector: no vocabulary is as large.
const DENSE_IDS: usize = 1 << 20;
const NONE: u32 = u32::MAX;

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

/// A kind: the bytes of its text in the file, and the next kind with the same id.
struct Entry {
    has_text: bool,
    raw: Box<[u8]>,
    next: u32,
}

/// The kinds of a batch.
#[derive(Default)]
pub(crate) struct Interner {
    first_dense: Vec<u32>,
    first_sparse: HashMap<u32, u32>, // only looked up, never iterated
    entries: Vec<Entry>,
    kinds: Vec<TokenKind>,
}

impl Interner {
    /// The number of a kind, which is added if it is new.
    #[inline]
    pub(crate) fn kind(&mut self, id: u32, text: RawText<'_>) -> u32 {
        let first = match self.first_dense.get(id as usize) {
            Some(first) => *first,
            None => self.first_sparse.get(&id).copied().unwrap_or(NONE),
        };
        let mut at = first;
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.has_text == (text != RawText::None) && *entry.raw == *text.bytes() {
                return at;
            }
            at = entry.next;
        }
        self.add(id, text, first)
    }

    #[cold]
    fn add(&mut self, id: u32, text: RawText<'_>, next: u32) -> u32 {
        let number = self.entries.len() as u32;
        if (id as usize) < DENSE_IDS {
            let needed = (id as usize + 1).next_power_of_two();
            if self.first_dense.len() < needed {
                self.first_dense.resize(needed, NONE);
            }
            self.first_dense[id as usize] = number;
        } else {
            self.first_sparse.insert(id, number);
        }
        let has_text = text != RawText::None;
        self.entries.push(Entry { has_text, raw: text.bytes().into(), next });
        self.kinds.push(TokenKind { id, text: text.text() });
        number
    }

    /// The kinds, by their numbers.
    pub(crate) fn into_kinds(self) -> Vec<TokenKind> {
        self.kinds
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
        let kinds = interner.into_kinds();
        assert_eq!(kinds[1], TokenKind { id: 7, text: Some("b".to_owned()) });
        assert_eq!(kinds[2].text, None);
    }

    #[test]
    fn half_of_a_surrogate_pair_is_a_replacement_character() {
        let mut interner = Interner::default();
        interner.kind(1, RawText::Json(b"\"\\ud83d\""));
        assert_eq!(interner.into_kinds()[0].text.as_deref(), Some("\u{fffd}"));
    }
}

//! A row of a dump, whatever the file's format.

use std::borrow::Cow;

use crate::interner::RawText;
use crate::json::{
    Entries, Scalar, ScanError, floats, ids, mask, quoted_texts, scalar, unwrap_list_of_one,
};
use crate::names::{REPEATED, looks_like_mask};

/// A list of a row.
pub(crate) enum Cell<T> {
    /// The row has no list of this name.
    Missing,
    /// It is a list of something else.
    Bad,
    List(T),
}

/// The texts of tokens.
pub(crate) enum Texts<'a> {
    /// Positions in a list of JSON.
    Json(&'a [u8], Vec<(u32, u32)>),
    Plain(Vec<&'a [u8]>),
}

impl<'a> Texts<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Texts::Json(_, places) => places.len(),
            Texts::Plain(texts) => texts.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> RawText<'a> {
        match self {
            Texts::Json(list, places) => {
                let (from, to) = places[at];
                RawText::Json(&list[from as usize..to as usize])
            }
            Texts::Plain(texts) => RawText::Plain(texts[at]),
        }
    }
}

/// The values of a row.
pub(crate) trait Cells {
    fn ids(&self, name: &str) -> Cell<Cow<'_, [u32]>>;
    /// Numbers; `missing` stands for null. True and false are no numbers.
    fn floats(&self, name: &str, missing: f64) -> Cell<Cow<'_, [f64]>>;
    /// The numbers of a mask; true is 1 and false is 0.
    fn mask(&self, name: &str) -> Cell<Cow<'_, [f64]>>;
    fn texts(&self, name: &str) -> Cell<Texts<'_>>;
    /// A small value; `a.b` is key `b` of the object `a`.
    fn scalar(&self, name: &str) -> Option<Scalar<'_>>;
    /// A small value of the row itself, not of `dump`.
    fn own_scalar(&self, name: &str) -> Option<Scalar<'_>>;
    /// Whether the row itself has a column of this name, be it null.
    fn has_own(&self, name: &str) -> bool;
    /// Whether there is a column of this name, be it null in this row.
    fn has(&self, name: &str) -> bool;
    /// The names of single values, as [`Cells::scalar`] takes them.
    fn scalar_names(&self) -> Vec<String>;
    /// A list whose name looks like that of a mask, but is not a known one.
    fn unknown_mask(&self) -> Option<&str>;
}

/// A line of JSON.
pub(crate) struct JsonRow<'a> {
    row: Entries<'a>,
    repeated: Option<Entries<'a>>,
}

impl<'a> JsonRow<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Result<JsonRow<'a>, ScanError> {
        let row = Entries::new(line)?;
        let repeated = row.get(REPEATED).and_then(|text| Entries::new(text).ok());
        Ok(JsonRow { row, repeated })
    }

    /// The text of a value of the row, else of the columns that are repeated in it.
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.row.get(name).or_else(|| self.repeated.as_ref()?.get(name))
    }

    fn list(&self, name: &str) -> Option<&'a [u8]> {
        let text = self.value(name)?;
        let inner = if text.starts_with(b"[[") { unwrap_list_of_one(text) } else { text };
        inner.starts_with(b"[").then_some(inner)
    }
}

fn cell<T>(list: Option<&[u8]>, read: impl FnOnce(&[u8]) -> Option<T>) -> Cell<T> {
    match list {
        None => Cell::Missing,
        Some(text) => read(text).map_or(Cell::Bad, Cell::List),
    }
}

impl Cells for JsonRow<'_> {
    fn ids(&self, name: &str) -> Cell<Cow<'_, [u32]>> {
        cell(self.list(name), |text| ids(text).map(Cow::Owned))
    }

    fn floats(&self, name: &str, missing: f64) -> Cell<Cow<'_, [f64]>> {
        cell(self.list(name), |text| floats(text, missing).map(Cow::Owned))
    }

    fn mask(&self, name: &str) -> Cell<Cow<'_, [f64]>> {
        cell(self.list(name), |text| mask(text).map(Cow::Owned))
    }

    fn texts(&self, name: &str) -> Cell<Texts<'_>> {
        let Some(text) = self.list(name) else { return Cell::Missing };
        quoted_texts(text).map_or(Cell::Bad, |places| Cell::List(Texts::Json(text, places)))
    }

    fn scalar(&self, name: &str) -> Option<Scalar<'_>> {
        scalar_at(name, &|key| self.value(key))
    }

    fn own_scalar(&self, name: &str) -> Option<Scalar<'_>> {
        scalar_at(name, &|key| self.row.get(key))
    }

    fn has_own(&self, name: &str) -> bool {
        self.row.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.row.has(name) || self.repeated.as_ref().is_some_and(|repeated| repeated.has(name))
    }

    fn scalar_names(&self) -> Vec<String> {
        let mut names = scalar_names(&self.row);
        names.extend(self.repeated.iter().flat_map(scalar_names));
        names
    }

    fn unknown_mask(&self) -> Option<&str> {
        unknown_mask(&self.row).or_else(|| unknown_mask(self.repeated.as_ref()?))
    }
}

/// The names of single values of an object, and of objects in it, as `a.b`.
pub(crate) fn scalar_names(row: &Entries<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in row.iter().filter(|(name, _)| *name != REPEATED) {
        let value = unwrap_list_of_one(value);
        match value.first() {
            Some(b'[') => {}
            Some(b'{') => {
                let inner = Entries::new(value).ok();
                let inner = inner.iter().flat_map(scalar_names);
                names.extend(inner.map(|inner| format!("{name}.{inner}")));
            }
            _ => names.push(name.to_owned()),
        }
    }
    names
}

/// The name of a list that looks like a mask.
pub(crate) fn unknown_mask<'a>(row: &'a Entries<'_>) -> Option<&'a str> {
    let is_one = |(name, value): &(&str, &[u8])| value.starts_with(b"[") && looks_like_mask(name);
    row.iter().find(is_one).map(|(name, _)| name)
}

/// The value at a path of keys.
pub(crate) fn scalar_at<'a>(
    path: &str,
    value: &dyn Fn(&str) -> Option<&'a [u8]>,
) -> Option<Scalar<'a>> {
    if let Some(text) = value(path) {
        return scalar(unwrap_list_of_one(text));
    }
    let (key, rest) = path.split_once('.')?;
    let inner = Entries::new(unwrap_list_of_one(value(key)?)).ok()?;
    scalar_at(rest, &|key| inner.get(key))
}

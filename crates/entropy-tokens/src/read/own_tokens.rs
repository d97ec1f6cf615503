//! Which tokens of a response the policy wrote, and what lists say of them.

use std::borrow::Cow;

/// The tokens of a response that the policy wrote and that count.
pub(crate) enum OwnTokens {
    /// All tokens of the response, with their number.
    All(usize),
    /// Those at these indices in the response.
    Some(Vec<usize>),
}

impl OwnTokens {
    pub(crate) fn len(&self) -> usize {
        match self {
            OwnTokens::All(count) => *count,
            OwnTokens::Some(indices) => indices.len(),
        }
    }

    /// The index in the response of one of them.
    pub(crate) fn index(&self, at: usize) -> usize {
        match self {
            OwnTokens::All(_) => at,
            OwnTokens::Some(indices) => indices[at],
        }
    }

    /// Their indices in the response.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(|at| self.index(at))
    }

    /// Their values in a list of the whole response.
    pub(crate) fn of<'l, T: Copy>(&self, list: &'l [T]) -> Cow<'l, [T]> {
        match self {
            OwnTokens::All(count) => Cow::Borrowed(&list[..*count]),
            OwnTokens::Some(indices) => indices.iter().map(|at| list[*at]).collect(),
        }
    }
}

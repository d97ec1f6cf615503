//! The tokens of a row: its ids, and which of them the policy wrote.
//!
//! The ids are those of the response, or of prompt and response together. A list belongs to the tokens of the response
//! or of the whole sequence, by its length. Any other length is a reason to leave the response out.

use std::borrow::Cow;

use super::cells::{Cell, Cells, Texts};
use super::log_probs::NULL;
use super::own_tokens::OwnTokens;
use crate::left_out::Reason;
use crate::names::{
    MASKS, PROMPT_LENGTHS, RESPONSE_LENGTHS, SEQUENCE_IDS, SEQUENCE_LENGTHS, TEXTS, prompt_ids,
    response_ids,
};

/// Why a row is not a response, with details for a message.
pub(crate) type Rejected = (Reason, String);

/// The tokens of a row: ids, and where the response is among them.
pub(crate) struct Layout<'a> {
    pub(crate) ids: Cow<'a, [u32]>,
    /// Index of the response's first token in `ids`.
    pub(crate) offset: usize,
    /// Number of tokens of the response, with those that others wrote.
    length: usize,
    /// Where the response is in lists of prompt and response, and the length of these lists, with padding.
    before: usize,
    whole: usize,
    /// The ids of the prompt, if the row has them apart from the response.
    prompt: Option<Cow<'a, [u32]>>,
    /// Which tokens of the response the policy wrote; all without a mask.
    own: Option<Vec<bool>>,
}

impl<'a> Layout<'a> {
    /// Reads the ids and the mask of a row.
    pub(crate) fn of(cells: &'a impl Cells) -> Result<Layout<'a>, Rejected> {
        let mut bad = None;
        let prompt = first_ids(cells, prompt_ids(), &mut None);
        if let Some((_, ids)) = first_ids(cells, response_ids(), &mut bad) {
            let (length, before) =
                (ids.len(), prompt.as_ref().map_or(0, |(_, prompt)| prompt.len()));
            let whole = before + length;
            let prompt = prompt.map(|(_, prompt)| prompt);
            let mut layout = Layout { ids, offset: 0, length, before, whole, prompt, own: None };
            let mut own = None;
            for (name, mask) in masks(cells)? {
                let part =
                    layout.part(&mask).ok_or_else(|| mask_length(name, mask.len(), length))?;
                if mask.len() == whole {
                    check_prompt(name, &mask[..before])?;
                }
                and(&mut own, part);
            }
            layout.own = own;
            return Ok(layout);
        }
        let Some((_, ids)) = first_ids(cells, SEQUENCE_IDS, &mut bad) else {
            return Err(match bad {
                Some(name) => (Reason::BadIds, format!("{name:?} is not a list of token ids")),
                None => (Reason::NoIds, "it has no list of token ids".to_owned()),
            });
        };
        let whole = ids.len();
        let real = length_of(cells, &SEQUENCE_LENGTHS).unwrap_or(whole).min(whole);
        let prompt = prompt.map(|(_, prompt)| prompt);
        let of_response =
            length_of(cells, &RESPONSE_LENGTHS).and_then(|length| real.checked_sub(length));
        let of_prompt = length_of(cells, &PROMPT_LENGTHS).or(prompt.as_ref().map(|ids| ids.len()));
        let start = of_response.or(of_prompt.filter(|length| *length <= real));
        let (of_all, of_part): (Vec<_>, Vec<_>) =
            masks(cells)?.into_iter().partition(|(_, mask)| mask.len() == whole);
        let mut own_of_all = None;
        of_all.iter().for_each(|(_, mask)| and(&mut own_of_all, mask));
        let before = match (start, &own_of_all) {
            (Some(start), _) => start,
            (None, Some(own)) => own[..real].iter().position(|own| *own).unwrap_or(real),
            (None, None) => {
                let what = "it has ids of prompt and response, but no mask and no length of either";
                return Err(match of_part.first() {
                    Some((name, mask)) => mask_length(name, mask.len(), whole),
                    None => (Reason::NoMask, what.to_owned()),
                });
            }
        };
        for (name, mask) in &of_all {
            check_prompt(name, &mask[..before])?;
        }
        let mut own = own_of_all.map(|own| own[before..real].to_vec());
        for (name, mask) in of_part {
            if mask.len() != real - before {
                return Err(mask_length(name, mask.len(), whole));
            }
            and(&mut own, &mask);
        }
        Ok(Layout { ids, offset: before, length: real - before, before, whole, prompt, own })
    }

    /// The response's part of a list; `None` if the length fits neither the response nor prompt and response.
    pub(crate) fn part<'l, T>(&self, list: &'l [T]) -> Option<&'l [T]> {
        match list.len() {
            found if found == self.length => Some(list),
            found if found == self.whole => list.get(self.before..self.before + self.length),
            _ => None,
        }
    }

    /// The response's part of a list, which is copied only if it must be.
    pub(crate) fn part_of<'l>(&self, list: Cow<'l, [f64]>) -> Option<Cow<'l, [f64]>> {
        match list {
            Cow::Borrowed(list) => self.part(list).map(Cow::Borrowed),
            Cow::Owned(list) if list.len() == self.length => Some(Cow::Owned(list)),
            Cow::Owned(list) => self.part(&list).map(|part| Cow::Owned(part.to_vec())),
        }
    }

    /// The ids of the prompt; empty if the row has none.
    pub(crate) fn prompt(&self) -> &[u32] {
        match &self.prompt {
            Some(prompt) => prompt,
            None => &self.ids[..self.offset],
        }
    }

    /// The tokens of the response that the policy wrote.
    pub(crate) fn own_tokens(&self) -> OwnTokens {
        match &self.own {
            None => OwnTokens::All(self.length),
            Some(own) => OwnTokens::Some((0..self.length).filter(|&at| own[at]).collect()),
        }
    }
}

fn first_ids<'a>(
    cells: &'a impl Cells,
    names: impl IntoIterator<Item = &'static str>,
    bad: &mut Option<&'static str>,
) -> Option<(&'static str, Cow<'a, [u32]>)> {
    for name in names {
        match cells.ids(name) {
            Cell::List(ids) => return Some((name, ids)),
            Cell::Bad => *bad = Some(name),
            Cell::Missing => {}
        }
    }
    None
}

fn length_of(cells: &impl Cells, names: &[&str]) -> Option<usize> {
    let length = names.iter().find_map(|name| cells.scalar(name)?.whole());
    length.and_then(|length| usize::try_from(length).ok())
}

/// The masks of a row, which all apply.
fn masks(cells: &impl Cells) -> Result<Vec<(&'static str, Vec<bool>)>, Rejected> {
    if let Some(name) = cells.unknown_mask() {
        let what = format!("{name:?}; name it response_mask if 1 is for tokens of the policy");
        return Err((Reason::UnknownMask, what));
    }
    let mut masks = Vec::new();
    for name in MASKS {
        match cells.mask(name) {
            Cell::Missing if cells.scalar(name).is_none() => {}
            Cell::List(mask) if mask.iter().all(|own| [0.0, 1.0].contains(own)) => {
                masks.push((name, mask.iter().map(|own| *own != 0.0).collect()));
            }
            Cell::Missing | Cell::List(_) | Cell::Bad => {
                return Err((Reason::BadNumbers, format!("{name:?} is not a list of 0 and 1")));
            }
        }
    }
    Ok(masks)
}

/// The policy did not write the tokens of the prompt.
fn check_prompt(name: &str, mask: &[bool]) -> Result<(), Rejected> {
    match mask.iter().position(|own| *own) {
        None => Ok(()),
        Some(at) => {
            let (at, tokens) = (at + 1, mask.len());
            let what = format!("{name:?} marks token {at} of the {tokens} of the prompt");
            Err((Reason::MaskInPrompt, what))
        }
    }
}

/// Keeps of the policy's tokens those that are also in `mask`.
fn and(own: &mut Option<Vec<bool>>, mask: &[bool]) {
    match own {
        Some(own) => own.iter_mut().zip(mask).for_each(|(own, mask)| *own &= mask),
        None => *own = Some(mask.to_vec()),
    }
}

fn mask_length(name: &str, found: usize, tokens: usize) -> Rejected {
    (Reason::MaskLength, format!("it has {tokens} tokens and {found} values in {name:?}"))
}

/// The name of a list, and its numbers.
pub(crate) type Scores<'a> = (&'static str, Cow<'a, [f64]>);

/// The first list of numbers of these names, of the tokens of the response, that is not missing. [`NULL`] stands for null.
pub(crate) fn scores<'a>(
    cells: &'a impl Cells,
    names: &[&'static str],
    layout: &Layout<'_>,
    is_missing: impl Fn(&[f64]) -> bool,
) -> Result<Option<Scores<'a>>, Rejected> {
    for name in names {
        let list = match cells.floats(name, NULL) {
            Cell::Missing => continue,
            Cell::List(list) => list,
            Cell::Bad => {
                return Err((Reason::BadNumbers, format!("{name:?} is not a list of numbers")));
            }
        };
        if list.is_empty() && layout.length > 0 {
            continue; // compute writes no log-probs as an empty list in Parquet
        }
        let (tokens, found) = (layout.length, list.len());
        let Some(part) = layout.part_of(list) else {
            let what = format!("it has {tokens} tokens and {found} in {name:?}");
            return Err((Reason::Lengths, what));
        };
        if !is_missing(&part) {
            return Ok(Some((name, part)));
        }
    }
    Ok(None)
}

/// The texts of the response's tokens, and the index of the first of them in the list.
pub(crate) fn texts<'a>(
    cells: &'a impl Cells,
    layout: &Layout<'_>,
) -> Result<Option<(Texts<'a>, usize)>, Rejected> {
    for name in TEXTS {
        let Cell::List(texts) = cells.texts(name) else { continue };
        let first = match texts.len() {
            0 => continue,
            found if found == layout.length => 0,
            found if found == layout.whole => layout.before,
            found => {
                let tokens = layout.length;
                return Err((Reason::Lengths, format!("it has {tokens} tokens and {found} texts")));
            }
        };
        return Ok(Some((texts, first)));
    }
    Ok(None)
}

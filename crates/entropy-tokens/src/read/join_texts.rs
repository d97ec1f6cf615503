//! Joins the tokens of a file that have no text with those of the same id that have one. Some rows of a file may lack texts;
//! the id means the same token in them.

use std::collections::HashMap;

use crate::table::TokenTable;

/// How many texts an id has in a file.
enum TextOfId {
    One(u32),
    Several,
}

/// Joins them in the segments and the worst tokens from these indices on. An id with several texts in the file, as
/// tokenizers of bytes have, stays as it is.
pub(super) fn join_texts(table: &mut TokenTable, from_segment: usize, from_worst: usize) {
    let has_text: Vec<bool> = table.kinds.iter().map(|kind| kind.text.is_some()).collect();
    if !has_text.contains(&true) || !has_text.contains(&false) {
        return;
    }
    let mut used = vec![false; table.kinds.len()];
    for kind in table.segments[from_segment..].iter().flat_map(|segment| &segment.kinds) {
        used[*kind as usize] = true;
    }
    let mut texts: HashMap<u32, TextOfId> = HashMap::new(); // only looked up, never iterated
    let kinds = (0..).zip(&table.kinds);
    for (index, kind) in
        kinds.filter(|(index, _)| used[*index as usize] && has_text[*index as usize])
    {
        let text = texts.entry(kind.id);
        text.and_modify(|text| *text = TextOfId::Several).or_insert(TextOfId::One(index));
    }
    let joined: Vec<u32> = (0..)
        .zip(&table.kinds)
        .map(|(index, kind)| match texts.get(&kind.id) {
            Some(TextOfId::One(text)) if kind.text.is_none() => *text,
            _ => index,
        })
        .collect();
    for segment in &mut table.segments[from_segment..] {
        segment.kinds.iter_mut().for_each(|kind| *kind = joined[*kind as usize]);
    }
    for worst in &mut table.worst[from_worst..] {
        worst.kind = joined[worst.kind as usize];
    }
}

//! Whether two files have the same responses, as JSON lines and their copy in Parquet have.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use crate::response::Response;
use crate::table::TokenTable;

/// Whether two ranges of responses have the same steps, prompts and token ids, in any order. Cheap if their sizes differ.
pub fn have_same_responses(table: &TokenTable, a: Range<usize>, b: Range<usize>) -> bool {
    let of = |range: &Range<usize>| &table.responses()[range.clone()];
    let tokens = |responses: &[Response]| responses.iter().map(Response::tokens).sum::<usize>();
    if a.len() != b.len() || tokens(of(&a)) != tokens(of(&b)) {
        return false;
    }
    let sorted = |range| {
        let mut hashes: Vec<u64> =
            of(range).iter().map(|response| digest(table, response)).collect();
        hashes.sort_unstable();
        hashes
    };
    sorted(&a) == sorted(&b)
}

fn digest(table: &TokenTable, response: &Response) -> u64 {
    let mut hasher = DefaultHasher::new(); // SipHash with fixed keys
    (response.step(), response.group(), response.sample(), response.turn()).hash(&mut hasher);
    for kind in table.kinds_of(response) {
        table.kinds()[*kind as usize].id.hash(&mut hasher);
    }
    hasher.finish()
}

//! Properties of the reader of pickles and of their zip archives.

use crate::pickle::{Pickle, Value, ValueId, read, zip};

/// Reads bytes as a pickle, and as an archive of pickles.
pub fn check(bytes: &[u8]) {
    check_pickle(bytes);
    for entry in zip::entries(bytes).unwrap_or_default() {
        assert!(entry.data.start <= entry.data.end && entry.data.end <= bytes.len());
        check_pickle(&bytes[entry.data]);
    }
}

fn check_pickle(bytes: &[u8]) {
    let Ok(pickle) = read(bytes) else { return };
    // STOP is the last byte that counts: what follows changes nothing.
    let longer = [bytes, b"rest"].concat();
    let longer = read(&longer).expect("only bytes behind its end were added");
    assert_eq!(longer.kind(longer.root()), pickle.kind(pickle.root()));
    walk(&pickle, pickle.root(), 64);
}

/// Visits values down to a depth; all of them must exist, and no question about them may panic.
fn walk(pickle: &Pickle<'_>, id: ValueId, depth: u32) {
    assert!(!pickle.kind(id).is_empty());
    let _ = (pickle.field(id, "dim"), pickle.ints(id), pickle.text(id), pickle.global(id));
    if depth == 0 {
        return;
    }
    // One of each value, because shared values would be visited exponentially often.
    let last = pickle.elements(id).and_then(|elements| elements.last());
    let entry = pickle.entries(id).and_then(|entries| entries.last()).map(|(_, value)| value);
    let argument = pickle.object(id).and_then(|(_, arguments)| arguments.last());
    let below = match pickle.get(id) {
        Value::Persistent(id) => Some(id),
        _ => last.or(entry).or(argument),
    };
    if let Some(id) = below {
        walk(pickle, *id, depth - 1);
    }
}

#![no_main]
//! Reads arbitrary bytes as a token dump: whole, cut, and in pieces.

use std::io::Read;

use entropy_tokens::{AnalysisOptions, Columns, ReadError, TokenTable, analyse, read};
use entropy_viz_fuzz::formats::{LogNote, Source};
use libfuzzer_sys::fuzz_target;

fn dump(reader: &mut dyn Read) -> (TokenTable, Result<Vec<LogNote>, ReadError>) {
    let mut table = TokenTable::default();
    table.begin("dump");
    let source = Source { reader, path: None };
    let notes = read(source, "dump", &Columns::default(), &mut table);
    (table, notes)
}

/// Ids and entropies of all responses.
fn tokens(table: &TokenTable) -> Vec<(Vec<u32>, Vec<u64>)> {
    let of = |response| {
        let kinds = table.kinds_of(response).iter();
        let ids = kinds.map(|kind| table.kinds()[*kind as usize].id).collect();
        let mut entropies = Vec::new();
        if let Some(values) = table.entropies(response) {
            values.each(|value| entropies.push(value.to_bits()));
        }
        (ids, entropies)
    };
    table.responses().iter().map(of).collect()
}

/// A reader that returns a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let most = self.1.min(to.len());
        self.0.read(&mut to[..most])
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (whole, outcome) = dump(&mut &*bytes);
    for (response, (ids, entropies)) in whole.responses().iter().zip(tokens(&whole)) {
        assert!(!ids.is_empty() && ids.len() == response.tokens());
        assert!([0, ids.len()].contains(&entropies.len()));
        assert!(entropies.iter().all(|entropy| f64::from_bits(*entropy).is_finite()));
    }
    analyse(&whole, &AnalysisOptions::default());
    let (pieces, again) = dump(&mut Pieces(bytes, 1 + bytes.len() % 7));
    assert_eq!(tokens(&pieces), tokens(&whole));
    assert_eq!(again.is_ok(), outcome.is_ok());
    if !bytes.starts_with(b"{") || outcome.is_err() {
        return;
    }
    // Whole lines give a prefix of the responses. A cut line may be a row although the whole line is not.
    let lines = &bytes[..bytes.len() * 2 / 3];
    let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (cut, _) = dump(&mut &bytes[..end]);
    assert!(tokens(&whole).starts_with(&tokens(&cut)));
});

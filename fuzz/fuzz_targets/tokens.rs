#![no_main]
//! Reads arbitrary bytes as a token dump: whole, cut, and in pieces.

use std::io::Read;

use entropy_viz_fuzz::dump::TokenDump;
use entropy_viz_fuzz::formats::tokens::{TokensError, is_token_dump, read};
use entropy_viz_fuzz::formats::{Note, Source};
use libfuzzer_sys::fuzz_target;

fn dump(reader: &mut dyn Read) -> (TokenDump, Result<Vec<Note>, TokensError>) {
    let mut dump = TokenDump::default();
    let notes = read(Source { reader, path: None }, &mut dump);
    (dump, notes)
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
    let _ = is_token_dump(bytes);
    let (whole, outcome) = dump(&mut &*bytes);
    for response in whole.responses() {
        let tokens = response.kinds().len();
        assert!(tokens > 0 && response.entropies().len() == tokens);
        assert!(response.entropies().iter().all(|entropy| entropy.is_finite()));
        assert!([0, tokens].contains(&response.log_probs().len()));
        assert!(response.kinds().iter().all(|&kind| (kind as usize) < whole.kinds().len()));
    }
    let (pieces, again) = dump(&mut Pieces(bytes, 1 + bytes.len() % 7));
    assert_eq!(pieces.responses(), whole.responses());
    assert_eq!(again.is_ok(), outcome.is_ok());
    if bytes.starts_with(b"PAR1") || outcome.is_err() {
        return;
    }
    // Only complete lines are read, so a shorter file gives a prefix of the longer one.
    let end = bytes.len() * 2 / 3;
    let (cut, _) = dump(&mut &bytes[..end]);
    assert!(whole.responses().starts_with(cut.responses()));
});

#![no_main]
//! Any text, read as what a trainer prints.

use entropy_viz_fuzz::formats::FORMATS;
use entropy_viz_fuzz::{ask, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut dice = ask::dice(text);
    ask::whatever(text);
    let consoles: Vec<_> = FORMATS.iter().filter(|f| f.name.ends_with("console")).collect();
    let format = consoles[dice(consoles.len())];
    ask::as_format(text, format, &mut dice);
    if dice(16) == 0 {
        ask::in_pieces_behind(&pad::lines(text), 1 + dice(64), format, &ask::every());
    }
});

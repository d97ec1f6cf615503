#![no_main]
//! Any text, read as a table.

use entropy_viz_fuzz::{ask, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut dice = ask::dice(text);
    ask::whatever(text);
    let format = ask::format("csv").expect("it is in the table");
    ask::as_format(text, format, &mut dice);
    if dice(16) == 0 {
        ask::in_pieces_behind(&pad::csv(text), 1 + dice(64), format, &ask::every());
    }
});

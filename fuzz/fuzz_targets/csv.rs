#![no_main]
//! Reads arbitrary text as a CSV table.

use entropy_viz_fuzz::{checks, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut random = checks::random_numbers(text);
    checks::read_any(text);
    let format = checks::format("csv").expect("it is in the table");
    checks::check_format(text, format, &mut random);
    if random(16) == 0 {
        checks::check_pieces_after_padding(&pad::csv(text), 1 + random(64), format, &checks::all_series());
    }
});

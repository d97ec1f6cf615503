#![no_main]
//! Reads arbitrary text as console output.

use entropy_viz_fuzz::formats::FORMATS;
use entropy_viz_fuzz::{checks, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut random = checks::random_numbers(text);
    checks::read_any(text);
    let consoles: Vec<_> = FORMATS.iter().filter(|f| f.name.ends_with("console")).collect();
    let format = consoles[random(consoles.len())];
    checks::check_format(text, format, &mut random);
    if random(16) == 0 {
        checks::check_pieces_after_padding(&pad::lines(text), 1 + random(64), format, &checks::all_series());
    }
});

#![no_main]
//! Reads arbitrary text as each of the JSON formats.

use entropy_viz_fuzz::formats::SeriesSelector;
use entropy_viz_fuzz::{checks, pad, reference};
use libfuzzer_sys::fuzz_target;

const FORMATS: [&str; 6] =
    ["rzero", "verl", "easyr1", "jsonl", "trainer_state", "tensorboard-json"];

fuzz_target!(|text: &[u8]| {
    let mut random = checks::random_numbers(text);
    let recognised = checks::read_any(text).map(|format| format.name);
    let wanted = SeriesSelector::metrics(&reference::KEYS.map(str::to_owned)).expect("no patterns");
    // As the recognised format, and as a random one.
    let other = FORMATS[random(FORMATS.len())];
    for name in FORMATS.into_iter().filter(|name| Some(*name) == recognised || *name == other) {
        let format = checks::format(name).expect("it is in the table");
        checks::check_format(text, format, &mut random);
        reference::agrees(text, name, &checks::read(text, Some(format), &wanted));
        if random(8) == 0 {
            checks::check_pieces_after_padding(&pad::json(text, name), 1 + random(64), format, &wanted);
        }
    }
});

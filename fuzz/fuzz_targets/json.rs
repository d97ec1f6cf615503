#![no_main]
//! Any text, read as each of the JSON formats.

use entropy_viz_fuzz::formats::SeriesSelector;
use entropy_viz_fuzz::{ask, pad, reference};
use libfuzzer_sys::fuzz_target;

const FORMATS: [&str; 6] =
    ["rzero", "verl", "easyr1", "jsonl", "trainer_state", "tensorboard-json"];

fuzz_target!(|text: &[u8]| {
    let mut dice = ask::dice(text);
    let recognised = ask::whatever(text).map(|format| format.name);
    let wanted = SeriesSelector::metrics(&reference::KEYS.map(str::to_owned)).expect("no patterns");
    // As what it is, and as one that it may not be.
    let other = FORMATS[dice(FORMATS.len())];
    for name in FORMATS.into_iter().filter(|name| Some(*name) == recognised || *name == other) {
        let format = ask::format(name).expect("it is in the table");
        ask::as_format(text, format, &mut dice);
        reference::agrees(text, name, &ask::read(text, Some(format), &wanted));
        if dice(8) == 0 {
            ask::in_pieces_behind(&pad::json(text, name), 1 + dice(64), format, &wanted);
        }
    }
});

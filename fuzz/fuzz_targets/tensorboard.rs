#![no_main]
//! Any bytes, read as an event file, as it is and with its checksums put right.

use entropy_viz_fuzz::{ask, frames, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut dice = ask::dice(bytes);
    ask::whatever(bytes);
    let format = ask::format("tensorboard").expect("it is in the table");
    let mut right = bytes.to_vec();
    frames::right_tfrecords(&mut right);
    for bytes in [bytes, &right] {
        ask::as_format(bytes, format, &mut dice);
    }
    if dice(16) == 0 {
        ask::in_pieces_behind(&pad::tfrecords(&right), 1 + dice(64), format, &ask::every());
    }
});

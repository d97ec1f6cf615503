#![no_main]
//! Reads arbitrary bytes as a W&B run file, unchanged and with corrected checksums.

use entropy_viz_fuzz::{checks, frames, pad};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut random = checks::random_numbers(bytes);
    checks::read_any(bytes);
    let format = checks::format("wandb").expect("it is in the table");
    let mut right = bytes.to_vec();
    frames::right_chunks(&mut right, frames::WANDB);
    for bytes in [bytes, &right] {
        checks::check_format(bytes, format, &mut random);
    }
    if random(16) == 0 {
        checks::check_pieces_after_padding(&pad::wandb(&right), 1 + random(64), format, &checks::all_series());
    }
});

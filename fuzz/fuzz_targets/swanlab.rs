#![no_main]
//! Reads arbitrary bytes as a SwanLab run file of both versions, unchanged and with corrected checksums.

use entropy_viz_fuzz::frames::SWANLAB;
use entropy_viz_fuzz::{checks, frames};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut random = checks::random_numbers(bytes);
    checks::read_any(bytes);
    let format = checks::format("swanlab").expect("it is in the table");
    checks::check_format(bytes, format, &mut random);
    for version in [1, 2] {
        let mut header = [version; 7];
        header[..SWANLAB.len()].copy_from_slice(&SWANLAB);
        let mut right = bytes.to_vec();
        frames::right_chunks(&mut right, header);
        checks::check_format(&right, format, &mut random);
    }
});

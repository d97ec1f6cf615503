#![no_main]
//! Reads arbitrary text as the JSON of smaller backends: ClearML, miles and tensorboardX.

use entropy_viz_fuzz::checks;
use libfuzzer_sys::fuzz_target;

const FORMATS: [&str; 3] = ["clearml", "miles", "tensorboardx"];

fuzz_target!(|text: &[u8]| {
    let mut random = checks::random_numbers(text);
    checks::read_any(text);
    let format = checks::format(FORMATS[random(FORMATS.len())]).expect("it is in the table");
    checks::check_format(text, format, &mut random);
});

#![no_main]
//! Reads arbitrary bytes as a pickle, and as a file of torch.save.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| entropy_viz_fuzz::pickles::check(bytes));

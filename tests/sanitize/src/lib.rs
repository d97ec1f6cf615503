//! The helper's kernels and their tests, without libtorch, so that AddressSanitizer can run them.

#![allow(dead_code)] // the helper uses more of them than their tests do

#[path = "../../../src/bin/entropy-viz-compute/entropy.rs"]
mod entropy;
#[cfg(target_arch = "x86_64")]
#[path = "../../../src/bin/entropy-viz-compute/model/skinny/kernel.rs"]
mod kernel;

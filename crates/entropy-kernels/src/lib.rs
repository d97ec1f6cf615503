//! The CPU kernels of `entropy-viz-compute`, on slices: statistics of a row of logits, and products with few rows.
//!
//! A crate of its own, since it needs no libtorch: AddressSanitizer and Miri can run its tests, and all code of the
//! helper that is unsafe for the sake of speed is here.

pub mod logits;
#[cfg(target_arch = "x86_64")]
pub mod matmul;

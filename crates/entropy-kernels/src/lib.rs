//! The CPU kernels of `entropy-viz-compute`: softmax statistics of logits, and matrix products with few rows.
//!
//! They work on slices and need no libtorch, so AddressSanitizer can run their tests (`make sanitize`). All code of
//! the helper that is unsafe for speed is here.

pub mod element;
pub mod logits;
#[cfg(target_arch = "x86_64")]
pub mod matmul;

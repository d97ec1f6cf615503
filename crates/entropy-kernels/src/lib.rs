//! The CPU kernels of `entropy-viz-compute`: softmax statistics of logits, sets of most probable tokens, matrix products,
//! and sums of experts' outputs.
//!
//! They work on slices and need no libtorch, so AddressSanitizer can run their tests (`make sanitize`). All code of
//! the helper that is unsafe for speed is here.

mod block_sums;
pub mod divergence;
pub mod element;
#[cfg(target_arch = "x86_64")]
pub mod gemm;
mod lanes;
pub mod logits;
pub mod mixture;
pub mod nucleus;
#[cfg(test)]
mod test_rows;

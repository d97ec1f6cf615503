//! A C library over the kernel of `entropy-kernels`: entropy, log-sum-exp and the log-prob of a token for each row of
//! a matrix of logits. Each logit is read once; nothing as large as the matrix is allocated.
//!
//! `include/entropy_rows.h` declares its functions for C and describes them. It needs neither libtorch nor Python.
//!
//! [`rows`] computes, in safe Rust; [`c_api`] checks what a caller gave and turns pointers into slices.

pub mod c_api;
pub mod rows;
pub mod status;

#[cfg(test)]
#[allow(unsafe_code)] // calls as C makes them
mod tests;

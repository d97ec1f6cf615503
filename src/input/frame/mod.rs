//! Frames turn bytes into records and know nothing of entropy.

pub mod json;

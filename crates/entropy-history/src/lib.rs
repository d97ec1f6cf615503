//! Reads the policy-entropy histories that reinforcement-learning trainers log, and computes their statistics.
//!
//! [`store::Store::open`] turns paths into labelled runs: [`discover`] finds files, [`formats`] reads raw points with
//! the help of [`framing`], and [`history`] validates them once. [`stats`] computes statistics of runs, and the writers
//! in [`formats`] write them for other programs. Nothing here prints, exits or reads the environment.

pub mod discover;
pub mod dump;
pub mod formats;
pub mod framing;
pub mod history;
pub mod label;
pub mod number;
pub mod quantity;
pub mod record;
pub mod select;
pub mod stages;
pub mod stats;
pub mod store;
pub mod text;
pub mod x_axis;

//! Reads the policy-entropy histories that reinforcement-learning trainers log, and computes their statistics.
//!
//! Data flows one way: [`discover`] finds files, [`formats`] reads raw points with the help of [`framing`],
//! [`history`] checks them once, [`stats`] turns them into numbers, and the writers in [`formats`] write
//! them for other programs. Nothing here prints, exits or reads the environment.

pub mod discover;
pub mod dump;
pub mod elapsed;
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
pub mod tail;

//! The library behind `entropy-viz`: histories in, pictures and numbers out.
//!
//! Data flows one way: [`discover`] finds files, [`input`] reads raw points, [`history`] is the door
//! where they are checked once, [`stats`] turns them into numbers, [`plot`] and [`report`] into
//! something to look at, and [`output`] is the only place that writes files. Nothing below [`cli`]
//! prints, exits or reads the environment. `tests/layers.rs` holds these directions.

pub mod chain;
pub mod cli;
pub mod discover;
pub mod dump;
pub mod elapsed;
pub mod export;
pub mod history;
pub mod input;
pub mod label;
pub mod output;
pub mod plot;
pub mod quantity;
pub mod record;
pub mod report;
pub mod serve;
pub mod stats;
pub mod watch;

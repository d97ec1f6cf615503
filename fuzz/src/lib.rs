//! What the fuzz targets share: the readers, and what is asked of them on any input.
//!
//! The readers and writers are compiled here from their own files, not taken from the crate: those
//! need a dozen small crates, which build in a minute, and the whole crate brings its drawing, which
//! takes more than ten. `tests/layers.rs` of the crate holds that they need nothing else of it.

#![allow(dead_code)] // what only the command line uses

#[path = "../../src/dump.rs"]
pub mod dump;
#[path = "../../src/export/mod.rs"]
pub mod export;
#[path = "../../src/history.rs"]
pub mod history;
#[path = "../../src/input/mod.rs"]
pub mod input;
#[path = "../../src/label.rs"]
pub mod label;
#[path = "../../src/quantity.rs"]
pub mod quantity;

pub mod ask;
pub mod frames;
mod limit;
pub mod pad;
pub mod reference;

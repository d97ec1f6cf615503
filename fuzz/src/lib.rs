//! What the fuzz targets share: what is asked of the readers on any input, and independent readers to compare with.

pub use entropy_history::{dump, formats, framing, history, label, quantity};

pub mod ask;
pub mod frames;
mod limit;
pub mod pad;
pub mod reference;

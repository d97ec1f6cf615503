//! Shared by the fuzz targets: properties that readers must have, valid framing, and independent reference readers.

pub use entropy_history::{dump, export, formats, history, label, quantity};

pub mod checks;
pub mod frames;
mod limit;
pub mod pad;
pub mod reference;

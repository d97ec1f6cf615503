//! Shared by the fuzz targets: properties that readers must have, valid framing, and independent reference readers.

pub use entropy_history::{formats, framing, history, label, quantity};

pub mod checks;
pub mod frames;
mod limit;
pub mod pad;
pub mod reference;
/// The helper's reader of pickles, which needs no libtorch. The helper uses more of it.
#[allow(dead_code)]
#[path = "../../crates/entropy-viz-compute/src/pickle/mod.rs"]
mod pickle;
pub mod pickles;

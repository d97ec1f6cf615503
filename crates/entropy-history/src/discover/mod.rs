//! From what the user typed to logs and their default labels. Nothing is read here but directories.

mod default_label;
mod input;
mod resolve;
mod scan;

pub use default_label::{default_label, distinct, run_directory};
pub use input::{Found, Input, Location, Origin, sort_naturally};
pub use resolve::{DiscoverError, below, expand, resolve, resolve_all};
pub use scan::logs_in;

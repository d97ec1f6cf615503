//! From paths to labelled runs: [`Store::open`] reads logs once, [`LogStore`] follows logs that grow.
//!
//! Both read the files of each log ([`LogLoader`]), join those of one run, leave out copies of the same
//! points, and give each run its own label. Nothing here prints: problems are [`Notice`]s and
//! [`LoadError`]s, which say what is wrong, and the program adds what to type next.

mod dedupe;
mod error;
mod join;
mod load;
mod log_state;
mod name;
mod open;
mod options;
mod poll;
mod tail;
#[cfg(test)]
mod tests;
mod warnings;

pub use error::LoadError;
pub use load::{LogLoader, holds_no_entropy, looks_like_log, open_log};
pub use log_state::Problem;
pub use open::{Notice, OpenError, Store};
pub use options::{AuxRequest, ClockRequest, LoadOptions};
pub use poll::{Changes, LogStore, SearchPath};

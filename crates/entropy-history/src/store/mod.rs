//! From paths to labelled runs, each once. A [`Store`] reads logs ([`Store::open`]) or follows logs that grow
//! ([`Store::follow`], [`Store::poll`]).
//!
//! Both read the files of each log ([`LogRecord`](log_record::LogRecord), a state machine), join those that
//! continue each other, recognise which logs are records of one run, and give each run its own label.
//! Nothing here prints: problems are [`Notice`]s and [`LoadError`]s, which say what is wrong, and the program
//! adds what to type next.

mod assemble;
mod config;
mod error;
mod join;
mod load;
mod log_record;
mod name;
mod notice;
mod open;
mod options;
mod poll;
mod same_run;
mod search;
mod tail;
#[cfg(test)]
mod tests;
mod unread;
mod warnings;

pub use assemble::RunRecords;
pub use config::ConfigReader;
pub use error::{AuxError, LoadError};
pub use load::{holds_no_entropy, looks_like_log, open_log};
pub use log_record::Problem;
pub use notice::Notice;
pub use open::{OpenError, Store};
pub use options::{AuxRequest, ClockRequest, ConfigRequest, LabelFrom, LoadOptions};
pub use poll::Changes;
pub use search::SearchPath;
pub use unread::looks_like_rows;

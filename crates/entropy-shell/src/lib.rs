//! What `entropy-viz` and its helper `entropy-viz-compute` share at a terminal: errors with hints, messages,
//! output files that are written whole or not at all, and the arguments of `compute`.

pub mod compute;
mod failure;
pub mod output;
mod program;
mod terminal;
mod text;

pub use failure::{Failure, WithHint};
pub use program::{GlobalArgs, Outcome, finish, run_guarded, usage};
pub use terminal::{Progress, Terminal, report_error, write_stderr};
pub use text::{io_message, plural};

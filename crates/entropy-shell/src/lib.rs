//! Shared by the command-line programs `entropy-viz` and its helper `entropy-viz-compute`: errors with
//! hints, messages and progress on stderr, exit codes, atomic output files, and the flags of `compute`.

// The doc comments of arguments are help texts, with placeholders such as <FILE>.
#![allow(rustdoc::invalid_html_tags)]

mod compute_args;
mod error;
mod exit;
mod links;
pub mod lock;
pub mod output;
mod progress;
mod stderr;
mod temporary;
mod terminal;

/// The flags of `entropy-viz compute`, and the entry point of the helper program that carries it out.
pub mod compute {
    pub use crate::compute_args::{
        BatchTokens, ChatTemplates, ComputeArgs, DeviceChoice, Dtype, DumpStep, ShardBy,
        Temperatures, run_helper,
    };
}

pub use entropy_history::text::{io_message, plural};
pub use error::{CliError, WithHint};
pub use exit::{GlobalArgs, Outcome, catch_panics, exit_code, print_usage};
pub use links::real_path;
pub use progress::{Progress, Waiting};
pub use stderr::write_stderr;
pub use terminal::{Terminal, report_error};

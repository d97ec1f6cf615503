//! `entropy-viz`: parse the command line, run the command, map its outcome to an exit code.

// The doc comments of arguments are help texts, with placeholders such as <FILE>.
#![allow(rustdoc::invalid_html_tags)]

mod cli;
mod live;
mod report;
mod tui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

//! `entropy-viz`: parse the command line, run the command, map its outcome to an exit code.

mod cli;
mod live;
mod report;
mod tui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

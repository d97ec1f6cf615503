//! `entropy-viz`: parse, run, outcome to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    entropy_viz::cli::main()
}

//! From the result of a command to an exit code. Usage errors and panics are printed like every other error.

use std::process::ExitCode;

use clap::{ArgAction, Args};

use crate::error::CliError;
use crate::stderr::write_stderr;
use crate::terminal::{Terminal, report_error};

/// The flags that every command has.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Print only errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Explain what was recognised and how long each step took.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub verbose: bool,
}

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done: exit code 0.
    Done,
    /// Some input could not be used, the rest was done: exit code 2.
    Partial,
    /// Everything was done, and a run broke a rule or reached a state: exit code 1.
    Violated,
    /// The user stopped the command: exit code 130.
    Interrupted,
}

/// Runs `program`. A panic is reported as a bug in one line, without a backtrace, and gives exit code 2.
pub fn catch_panics(program: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
        report_error(
            &format!("this is a bug in entropy-viz{place}"),
            Some("please report it with the command and the input file that caused it"),
        );
    }));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(program));
    result.unwrap_or(ExitCode::from(2))
}

/// Prints the error of a failed command and returns the exit code.
pub fn exit_code(result: Result<Outcome, CliError>, terminal: &Terminal) -> ExitCode {
    terminal.report_suppressed_warnings();
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Violated) => ExitCode::from(1),
        Ok(Outcome::Partial) => ExitCode::from(2),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(CliError { error, .. }) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(CliError { error, hint }) => {
            report_error(&format!("{error:#}"), hint.as_deref());
            ExitCode::from(2)
        }
    }
}

/// Whether the reader of stdout closed the pipe, as `head` does. That is not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints what the argument parser returned: help and version to stdout, usage errors to stderr, with a hint
/// if there is a better one than the parser's.
pub fn print_usage(error: &clap::Error, hint: Option<&str>) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe is the only way this fails.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        write_stderr(&text);
        return ExitCode::from(2);
    }
    // A mistyped flag is rarely meant as a value: the tip "to pass '--x' as a value, use '-- --x'" would mislead.
    let is_tip =
        |line: &str| line.contains("tip: to pass '") || hint.is_some() && line.contains("  tip: ");
    let text: String = text.split_inclusive('\n').filter(|line| !is_tip(line)).collect();
    let text = text.replace("\n\n\n", "\n\n").replace("\n  tip: ", "\n  hint: ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (what, rest) = text.split_once('\n').unwrap_or((text, ""));
    report_error(what, hint);
    write_stderr(rest);
    ExitCode::from(2)
}

//! Running a program: flags that every command has, outcomes as exit codes, usage errors and panics in the form
//! of every other message.

use std::process::ExitCode;

use clap::{ArgAction, Args};

use crate::failure::Failure;
use crate::terminal::{Terminal, report_error, write_stderr};

/// The flags that every command has.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Say only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Explain what was recognised and how long it took.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub verbose: bool,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All was done.
    Done,
    /// Something found could not be used; the rest was done.
    Partial,
    /// All was done, and a bound of `check` was crossed.
    Violated,
    /// The user stopped it.
    Interrupted,
}

/// Runs a program; a panic is a bug, and the user gets a line, not a backtrace.
pub fn run_guarded(program: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
        report_error(
            &format!("this is a bug in entropy-viz{place}"),
            Some("please report it with the command and the file that brought it about"),
        );
    }));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(program));
    result.unwrap_or(ExitCode::from(2))
}

/// What became of a command, as an exit code and, if it failed, a message.
pub fn finish(result: Result<Outcome, Failure>, terminal: &Terminal) -> ExitCode {
    terminal.count_unsaid_warnings();
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Violated) => ExitCode::from(1),
        Ok(Outcome::Partial) => ExitCode::from(2),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(Failure { error, .. }) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure { error, hint }) => {
            report_error(&format!("{error:#}"), hint.as_deref());
            ExitCode::from(2)
        }
    }
}

/// The reader of stdout went away, as `head` does: that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Help and version go to stdout; mistakes to stderr in the form of every other message.
pub fn usage(error: &clap::Error) -> ExitCode {
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
    let text = text.strip_prefix("error: ").unwrap_or(&text).replace("\n  tip: ", "\n  hint: ");
    let (what, rest) = text.split_once('\n').unwrap_or((&text, ""));
    report_error(what, None);
    write_stderr(rest);
    ExitCode::from(2)
}

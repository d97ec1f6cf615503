//! The terminal: results go to stdout, everything else to stderr. Control characters from file names and logs
//! are escaped.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::anyhow;

use entropy_history::label::visible;

use crate::error::CliError;
use crate::progress::{Progress, Waiting};
use crate::stderr::write_stderr;
use entropy_history::text::io_message;

/// The largest number of printed warnings; further ones are only counted, except with `--verbose`.
const MAX_WARNINGS: usize = 20;

/// The verbosity and colour of a program's output.
pub struct Terminal {
    quiet: bool,
    verbose: bool,
    colour: bool,
    warnings: AtomicUsize,
}

impl Terminal {
    /// A terminal with the verbosity of `--quiet` and `--verbose`. Colour needs a terminal on stdout and is
    /// switched off by `$NO_COLOR` and `TERM=dumb`.
    pub fn new(quiet: bool, verbose: bool) -> Terminal {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let colour = !plain && io::stdout().is_terminal();
        Terminal { quiet, verbose, colour, warnings: AtomicUsize::new(0) }
    }

    /// Whether only errors are printed.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether details are printed.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether stdout shows colour.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Prints a warning, unless `--quiet` is given or there were too many already.
    pub fn warn(&self, what: &str) {
        let earlier = self.warnings.fetch_add(1, Ordering::Relaxed);
        if !self.quiet && (self.verbose || earlier < MAX_WARNINGS) {
            write_stderr(&format!("entropy-viz: warning: {}\n", visible(what)));
        }
    }

    /// Prints how many warnings were suppressed.
    pub fn report_suppressed_warnings(&self) {
        let warnings = self.warnings.load(Ordering::Relaxed);
        if !self.quiet && !self.verbose && warnings > MAX_WARNINGS {
            let more = warnings - MAX_WARNINGS;
            write_stderr(&format!("entropy-viz: warning: {more} more warnings (-v shows all)\n"));
        }
    }

    /// Prints a status line, unless `--quiet` is given.
    pub fn info(&self, what: &str) {
        if !self.quiet {
            write_stderr(&format!("{}\n", visible(what)));
        }
    }

    /// Prints a detail if `--verbose` is given.
    pub fn verbose(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            write_stderr(&format!("{}\n", visible(&what())));
        }
    }

    /// Writes a result to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written; for a closed pipe the error wraps the [`io::Error`].
    pub fn print(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => e.into(),
            _ => anyhow!("cannot write to stdout: {}", io_message(&e)).into(),
        })
    }

    /// A progress counter on stderr; see [`Progress`].
    pub fn progress(&self, message: impl Into<String>, total: usize) -> Progress {
        Progress::new(message.into(), total, self.quiet)
    }

    /// Shows in log files that long work without a count goes on; see [`Waiting`].
    pub fn waiting(&self, message: impl Into<String>) -> Waiting {
        Waiting::new(message.into(), self.quiet)
    }
}

/// Prints an error and its hint to stderr.
pub fn report_error(what: &str, hint: Option<&str>) {
    // Line breaks are kept (an error may contain a numbered list); the text of each line may be untrusted.
    let lines: Vec<_> = what.trim_end().lines().map(visible).collect();
    write_stderr(&format!("entropy-viz: {}\n", lines.join("\n")));
    if let Some(hint) = hint {
        write_stderr(&format!("  hint: {}\n", visible(hint)));
    }
}

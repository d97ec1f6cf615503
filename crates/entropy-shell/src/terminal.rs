//! The terminal: results to stdout, everything else to stderr, and nothing raw from a file name.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;

use entropy_history::label::visible;

use crate::failure::Failure;
use crate::text::io_message;

/// Warnings said before the rest are only counted, unless the user wants to hear all.
const WARNINGS_SAID: usize = 20;

/// How much is said, and whether in colour.
pub struct Terminal {
    quiet: bool,
    verbose: bool,
    colour: bool,
    warnings: AtomicUsize,
}

impl Terminal {
    /// A terminal that says as much as the flags ask for.
    pub fn new(quiet: bool, verbose: bool) -> Terminal {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let colour = !plain && io::stdout().is_terminal();
        Terminal { quiet, verbose, colour, warnings: AtomicUsize::new(0) }
    }

    /// Whether only errors are said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stdout takes colour.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Something that went wrong and did not stop the work.
    pub fn warn(&self, what: &str) {
        let said = self.warnings.fetch_add(1, Ordering::Relaxed);
        if !self.quiet && (self.verbose || said < WARNINGS_SAID) {
            write_stderr(&format!("entropy-viz: warning: {}\n", visible(what)));
        }
    }

    /// What was not skipped in silence after all: the number of warnings held back.
    pub fn count_unsaid_warnings(&self) {
        let warnings = self.warnings.load(Ordering::Relaxed);
        if !self.quiet && !self.verbose && warnings > WARNINGS_SAID {
            let unsaid = warnings - WARNINGS_SAID;
            write_stderr(&format!("entropy-viz: warning: and {unsaid} more (-v says all)\n"));
        }
    }

    /// The closing line.
    pub fn info(&self, what: &str) {
        if !self.quiet {
            write_stderr(&format!("{}\n", visible(what)));
        }
    }

    /// What only the curious want to know.
    pub fn verbose(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            write_stderr(&format!("{}\n", visible(&what())));
        }
    }

    /// The result asked for.
    ///
    /// # Errors
    /// When stdout does not take it; of a reader that went away the error holds the [`io::Error`].
    pub fn print(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => e.into(),
            _ => anyhow!("cannot write to stdout: {}", io_message(&e)).into(),
        })
    }

    /// A counter on stderr for work that takes over half a second.
    pub fn progress(&self, doing: &'static str, total: usize) -> Progress {
        let shown = !self.quiet && io::stderr().is_terminal();
        let state = Mutex::new((0, Instant::now() + Duration::from_millis(500), false));
        Progress { doing, total, shown, state }
    }
}

/// Says an error in the form of every message.
pub fn report_error(what: &str, hint: Option<&str>) {
    // Line breaks are ours (the numbered list of a label mismatch); what is between may not be.
    let lines: Vec<_> = what.trim_end().lines().map(visible).collect();
    write_stderr(&format!("entropy-viz: {}\n", lines.join("\n")));
    if let Some(hint) = hint {
        write_stderr(&format!("  hint: {}\n", visible(hint)));
    }
}

/// Says text that is already in form. Where stderr takes nothing, as on a full disk, nobody can be told.
pub fn write_stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// How far a piece of work is.
pub struct Progress {
    doing: &'static str,
    total: usize,
    shown: bool,
    state: Mutex<(usize, Instant, bool)>, // done, when to show next, whether anything was shown
}

impl Progress {
    /// One more is done.
    pub fn advance(&self) {
        if !self.shown {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        state.0 += 1;
        if Instant::now() >= state.1 {
            state.1 = Instant::now() + Duration::from_millis(100);
            state.2 = true;
            write_stderr(&format!("\r{} {}/{} ", self.doing, state.0, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.state.lock().is_ok_and(|state| state.2) {
            write_stderr("\r\x1b[K");
        }
    }
}

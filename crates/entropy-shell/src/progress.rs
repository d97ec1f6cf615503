//! Progress of long work: one line on stderr that is overwritten.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that takes less time than this shows no progress.
const DELAY: Duration = Duration::from_millis(500);

/// A counter with a message on stderr. It appears after half a second, only on a terminal, and is erased
/// when dropped. It may be advanced from several threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    enabled: bool,
}

impl Progress {
    /// A counter `MESSAGE 3/10`.
    pub(crate) fn new(message: String, total: usize, quiet: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        bar.set_style(style("{msg} {pos}/{len}"));
        bar.set_message(message);
        Progress { bar, enabled: !quiet && io::stderr().is_terminal() }
    }

    /// Shows the rate and the remaining time instead: `MESSAGE: 5061 tokens/s, at most 12s left`. `total`
    /// is then an upper bound.
    pub fn with_rate(self, unit: &str) -> Progress {
        let template = format!("{{msg}}: {{rate}} {unit}/s, at most {{eta}} left");
        let rate = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        self.bar.set_style(style(&template).with_key("rate", rate));
        self
    }

    /// Adds `n` to the count.
    pub fn advance(&self, n: usize) {
        if self.enabled && self.bar.is_hidden() && self.bar.elapsed() >= DELAY {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.inc(n as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("BUG: the template is well formed")
}

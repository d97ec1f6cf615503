//! What `report`, `auto --artifacts` and `watch --serve` share: the inputs and the smoothing of a page, and the command
//! that shows its runs in a terminal.

use anyhow::anyhow;
use clap::CommandFactory;

use super::invocation::translated;
use crate::report::TerminalCommand;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::store::{AuxRequest, ClockRequest, ConfigRequest};
use entropy_shell::{CliError, WithHint};

/// The auxiliary series of a page: wall-clock times, from logs that have them.
pub(super) const PAGE_AUX: AuxRequest = AuxRequest {
    quantities: Vec::new(),
    requires_quantities: false,
    clock: ClockRequest::Optional,
    config: ConfigRequest::Skip,
};

/// The note on a page if some of the found files could not be read.
pub(super) const PARTIAL: &str = "Some files could not be read and are missing from this page; the command's messages list them.";

/// The weight of an exponential moving average, 0 for no smoothing; `None` for other kinds of smoothing.
pub(super) fn ema_weight(smoothing: Smoothing) -> Option<f64> {
    match smoothing {
        Smoothing::None => Some(0.0),
        Smoothing::Ema(weight) => Some(weight),
        Smoothing::Twema(_) | Smoothing::Mean(_) | Smoothing::Gaussian(_) => None,
    }
}

/// [`ema_weight`] of the option `--smooth`.
///
/// # Errors
/// When it is another kind of smoothing.
pub(super) fn page_smoothing(smoothing: Smoothing) -> Result<f64, CliError> {
    ema_weight(smoothing)
        .ok_or_else(|| anyhow!("the page supports only an exponential moving average"))
        .hint("use --smooth ema:WEIGHT, e.g. ema:0.9")
}

/// The options of a picture, and those that the page adds from its view.
const NOT_IN_TERMINAL: [&str; 12] = [
    "output",
    "with-stats",
    "with_stats",
    "terminal",
    "title",
    "footer",
    "smooth",
    "log-y",
    "x",
    "from-step",
    "to-step",
    "size",
];
/// What `watch` does besides drawing, and the options that the page adds.
const NOT_WHILE_WATCHING: [&str; 13] = [
    "serve",
    "allow-remote",
    "group",
    "group-by",
    "band",
    "interpolate",
    "exec",
    "bell",
    "notify",
    "exit-on",
    "once",
    "smooth",
    "log-y",
];

/// The command that shows the runs of the page of `report` in a terminal.
pub(super) fn report_in_terminal() -> Option<TerminalCommand> {
    let program = super::Cli::command();
    let command = translated(&program, ("report", "plot"), &["--terminal"], &NOT_IN_TERMINAL)?;
    Some(TerminalCommand { command, has_ranges: true })
}

/// The command that watches the runs of the page of `watch --serve` in a terminal.
pub(super) fn watch_in_terminal() -> Option<TerminalCommand> {
    let program = super::Cli::command();
    let command = translated(&program, ("watch", "watch"), &[], &NOT_WHILE_WATCHING)?;
    Some(TerminalCommand { command, has_ranges: false })
}

//! What `report`, `auto --artifacts` and `watch --serve` share: the inputs and the smoothing of a page.

use anyhow::anyhow;

use entropy_history::stats::smooth::Smoothing;
use entropy_history::store::{AuxRequest, ClockRequest};
use entropy_shell::{CliError, WithHint};

/// The auxiliary series of a page: wall-clock times, from logs that have them.
pub(super) const PAGE_AUX: AuxRequest = AuxRequest {
    quantities: Vec::new(),
    requires_quantities: false,
    clock: ClockRequest::Optional,
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

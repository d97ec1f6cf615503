//! `--smooth` and `--log-y`: how curves are shown.

use clap::Args;

use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

#[derive(Debug, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct CurveArgs {
    /// Smoothing: none, ema:W, twema:W, mean:N or gaussian:STEPS.
    ///
    /// ema:WEIGHT is the slider of TensorBoard, twema:WEIGHT that of W&B, mean:POINTS a running mean and
    /// gaussian:STEPS a Gaussian kernel. The logged curve stays visible behind. Interactive pages support only none
    /// and ema:WEIGHT; the reader can change the weight.
    #[arg(long, value_name = "KIND", default_value = "none")]
    pub(in crate::cli) smooth: Smoothing,
    /// Logarithmic y axis.
    #[arg(long)]
    pub(in crate::cli) log_y: bool,
}

impl CurveArgs {
    /// The scale of the y axis.
    pub(in crate::cli) fn scale(&self) -> ValueScale {
        if self.log_y { ValueScale::Log } else { ValueScale::Linear }
    }
}

//! When the entropy of a run counts as collapsed or exploded.

use clap::Args;

use entropy_history::stats::health::Thresholds;

#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub(in crate::cli) struct HealthArgs {
    /// A run at or below this fraction of its start has collapsed.
    ///
    /// The level, the median of five points, is compared with the start, the median of the first five, of the whole run.
    #[arg(long, value_name = "RATIO", default_value_t = Thresholds::default().collapse_ratio, value_parser = below_one, hide_short_help = true)]
    collapse_ratio: f64,
    /// A run at or above this multiple of its start, and 1 nat, has exploded.
    #[arg(long, value_name = "RATIO", default_value_t = Thresholds::default().explode_ratio, value_parser = above_one, hide_short_help = true)]
    explode_ratio: f64,
}

impl HealthArgs {
    pub(in crate::cli) fn thresholds(&self) -> Thresholds {
        Thresholds { collapse_ratio: self.collapse_ratio, explode_ratio: self.explode_ratio }
    }
}

fn below_one(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|r| *r > 0.0 && *r < 1.0);
    ratio.ok_or_else(|| "give a fraction of the start above 0 and below 1, e.g. 0.25".to_owned())
}

fn above_one(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|r| r.is_finite() && *r > 1.0);
    ratio.ok_or_else(|| "give a multiple of the start above 1, e.g. 2.0".to_owned())
}

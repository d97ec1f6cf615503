//! Flags that say when a run's entropy is not all right.

use clap::Args;

use entropy_history::stats::health::Thresholds;

/// When a run has collapsed or exploded, relative to its own start.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub(super) struct HealthArgs {
    /// Share of its baseline at or under which a run has collapsed.
    #[arg(long, value_name = "RATIO", default_value_t = Thresholds::default().collapse_ratio, value_parser = below_one)]
    collapse_ratio: f64,
    /// Share of its baseline at or over which a run has exploded.
    #[arg(long, value_name = "RATIO", default_value_t = Thresholds::default().explode_ratio, value_parser = above_one)]
    explode_ratio: f64,
}

impl HealthArgs {
    pub(super) fn thresholds(&self) -> Thresholds {
        Thresholds { collapse_ratio: self.collapse_ratio, explode_ratio: self.explode_ratio }
    }
}

fn below_one(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|r| *r > 0.0 && *r < 1.0);
    ratio.ok_or_else(|| "it is a share of the baseline above 0 and below 1, as 0.25".to_owned())
}

fn above_one(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|r| r.is_finite() && *r > 1.0);
    ratio.ok_or_else(|| "it is a multiple of the baseline above 1, as 2.0".to_owned())
}

//! Limits of the two axes.

use anyhow::anyhow;
use clap::Args;

use super::values::finite;
use entropy_history::history::{Comparison, Window};
use entropy_shell::{CliError, Terminal, WithHint};

#[derive(Debug, Args)]
#[command(next_help_heading = "Axes")]
pub(in crate::cli) struct StepRangeArgs {
    /// First step to use.
    #[arg(long, value_name = "STEP", allow_negative_numbers = true, value_parser = finite)]
    from_step: Option<f64>,
    /// Last step to use.
    #[arg(long, value_name = "STEP", allow_negative_numbers = true, value_parser = finite)]
    to_step: Option<f64>,
}

impl StepRangeArgs {
    /// Checks that the first step is before the last.
    ///
    /// # Errors
    /// When it is not.
    pub(in crate::cli) fn validate(&self) -> Result<(), CliError> {
        match (self.from_step, self.to_step) {
            (Some(from), Some(to)) if from >= to => {
                Err(anyhow!("--from-step {from} is not before --to-step {to}")).hint("swap them")
            }
            _ => Ok(()),
        }
    }

    /// Whether a limit is set.
    pub(in crate::cli) fn is_limited(&self) -> bool {
        self.from_step.is_some() || self.to_step.is_some()
    }

    /// The limits; infinite where none is set.
    pub(in crate::cli) fn limits(&self) -> (f64, f64) {
        (self.from_step.unwrap_or(f64::NEG_INFINITY), self.to_step.unwrap_or(f64::INFINITY))
    }

    /// The runs with points in the range; `None` without a limit. Warns about runs without such points.
    ///
    /// # Errors
    /// When no run has a point in the range.
    pub(in crate::cli) fn window(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Option<Window>, CliError> {
        if !self.is_limited() {
            return Ok(None);
        }
        let (from, to) = self.limits();
        let (window, outside) = comparison.between(from, to);
        for label in &outside {
            terminal.warn(&format!("{label} is left out: it has no point in the range of steps"));
        }
        window
            .map(Some)
            .ok_or_else(|| anyhow!("no run has a point in the range of steps"))
            .hint("widen --from-step and --to-step")
    }

    /// [`StepRangeArgs::window`] without warnings.
    pub(in crate::cli) fn window_quietly(&self, comparison: &Comparison) -> Option<Window> {
        let (from, to) = self.limits();
        self.is_limited().then(|| comparison.between(from, to).0).flatten()
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Axes")]
pub(in crate::cli) struct ValueRangeArgs {
    /// Lower limit of the y axis.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true, value_parser = finite)]
    pub(in crate::cli) y_min: Option<f64>,
    /// Upper limit of the y axis.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true, value_parser = finite)]
    pub(in crate::cli) y_max: Option<f64>,
}

impl ValueRangeArgs {
    /// Checks that the minimum is below the maximum.
    ///
    /// # Errors
    /// When it is not.
    pub(in crate::cli) fn validate(&self) -> Result<(), CliError> {
        match (self.y_min, self.y_max) {
            (Some(min), Some(max)) if min >= max => {
                Err(anyhow!("--y-min {min} is not below --y-max {max}")).hint("swap them")
            }
            _ => Ok(()),
        }
    }
}

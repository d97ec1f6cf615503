//! The rules that `check` and `watch --exit-on` apply to a run.

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::values::{finite, fraction};
use entropy_history::stats::check::Rules;
use entropy_shell::{CliError, WithHint};

/// Limits of the entropy.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(in crate::cli) struct BoundArgs {
    /// A published lower limit.
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Lower limit of every logged value.
    #[arg(long, value_name = "NATS", value_parser = finite)]
    min_entropy: Option<f64>,
    /// Upper limit of every logged value.
    #[arg(long, value_name = "NATS", value_parser = finite)]
    max_entropy: Option<f64>,
    /// Largest allowed drop of the level below its start, e.g. 60%.
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    max_drop: Option<f64>,
}

/// Published lower limits; they differ by a factor of 100.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// Not below 1.0 nats for 50 steps.
    Rlwatch,
    /// Not below 0.01 nats.
    Axolotl,
    /// Not below 0.2 nats, the target of Skywork-OR1.
    Skywork,
}

impl BoundArgs {
    /// Whether any limit is given.
    pub(in crate::cli) fn is_given(&self) -> bool {
        let BoundArgs { preset, min_entropy, max_entropy, max_drop } = self;
        preset.is_some() || min_entropy.is_some() || max_entropy.is_some() || max_drop.is_some()
    }

    /// The limits, without rules about states and a baseline.
    ///
    /// # Errors
    /// When they contradict each other.
    pub(in crate::cli) fn rules(&self) -> Result<Rules, CliError> {
        if self.preset.is_some() && self.min_entropy.is_some() {
            return Err(anyhow!("--preset and --min-entropy both set a lower limit"))
                .hint("give only one of them");
        }
        let preset = self.preset.map(|preset| match preset {
            Preset::Rlwatch => (1.0, 50),
            Preset::Axolotl => (0.01, 1),
            Preset::Skywork => (0.2, 1),
        });
        let min = preset.or(self.min_entropy.map(|bound| (bound, 1)));
        if let (Some((min, _)), Some(max)) = (min, self.max_entropy)
            && min > max
        {
            return Err(anyhow!("no entropy is at least {min} and at most {max} nats"))
                .hint("swap --min-entropy and --max-entropy, or give only one of them");
        }
        Ok(Rules { min, max: self.max_entropy, max_drop: self.max_drop, ..Rules::NONE })
    }
}

//! Flags that say what is compared with what.

use anyhow::anyhow;
use clap::Args;

use super::groups::{GroupArgs, list};
use entropy_history::history::Comparison;
use entropy_history::stats::compare::Plan;
use entropy_shell::{Failure, WithHint};

/// What is compared with what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareArgs {
    #[command(flatten)]
    pub(super) groups: GroupArgs,
    /// Compare all others with this run, or group, only.
    #[arg(long, value_name = "LABEL")]
    baseline: Option<String>,
}

impl CompareArgs {
    /// What to compare.
    pub(super) fn plan(&self, comparison: &Comparison) -> Result<Plan, Failure> {
        let groups = self.groups.groups(comparison)?;
        let (what, names): (_, Vec<&str>) = match groups[..] {
            [] => ("run", comparison.runs().iter().map(|run| run.history.label()).collect()),
            _ => ("group", groups.iter().map(|group| group.name.as_str()).collect()),
        };
        if let Some(baseline) = &self.baseline
            && !names.contains(&baseline.as_str())
        {
            return Err(anyhow!("no {what} is called {baseline:?}: there are {}", list(&names)))
                .hint(format!("--baseline takes the label of a {what}"));
        }
        let baseline = self.baseline.clone();
        Ok(Plan { groups, baseline, resampling: self.groups.resampling() })
    }
}

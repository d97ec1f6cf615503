//! Comparisons: all pairs of runs or groups, or all of them with a baseline.

use anyhow::anyhow;
use clap::Args;

use super::groups::{GroupArgs, list};
use entropy_history::history::Comparison;
use entropy_history::stats::compare::Plan;
use entropy_shell::{CliError, WithHint};

#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(in crate::cli) struct BaselineArgs {
    /// Compare only with this run or group, instead of all pairs.
    #[arg(long, value_name = "LABEL")]
    baseline: Option<String>,
}

impl BaselineArgs {
    /// The comparisons to make.
    ///
    /// # Errors
    /// When the pattern of `--group` matches no label, or the baseline does not exist.
    pub(in crate::cli) fn plan(
        &self,
        groups: &GroupArgs,
        comparison: &Comparison,
    ) -> Result<Plan, CliError> {
        let resampling = groups.resampling();
        let groups = groups.groups(comparison)?;
        let (what, names): (_, Vec<&str>) = match groups[..] {
            [] => ("run", comparison.runs().iter().map(|run| run.history.label()).collect()),
            _ => ("group", groups.iter().map(|group| group.name.as_str()).collect()),
        };
        if let Some(baseline) = &self.baseline
            && !names.contains(&baseline.as_str())
        {
            return Err(anyhow!("there is no {what} {baseline:?}; there are {}", list(&names)))
                .hint(format!("--baseline takes the label of a {what}"));
        }
        let baseline = self.baseline.clone();
        Ok(Plan { groups, baseline, resampling })
    }
}

//! Comparisons: all pairs of runs or groups, or all of them with a baseline.

use anyhow::anyhow;
use clap::Args;

use super::groups::GroupArgs;
use super::names::list;
use entropy_history::history::Comparison;
use entropy_history::label::ShortNames;
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
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.baseline.is_some()
    }

    /// The comparisons to make.
    ///
    /// # Errors
    /// When the pattern of `--group` matches no label, or the baseline does not exist.
    pub(in crate::cli) fn plan(
        &self,
        groups: &GroupArgs,
        comparison: &Comparison,
    ) -> Result<Plan, CliError> {
        let groups = groups.groups(comparison)?;
        let (what, names): (_, Vec<&str>) = match groups[..] {
            [] => ("run", comparison.runs().iter().map(|run| run.history.label()).collect()),
            _ => ("group", groups.iter().map(|group| group.name.as_str()).collect()),
        };
        let shown = ShortNames::of(names.iter().copied());
        let baseline = match &self.baseline {
            None => None,
            Some(given) => {
                let found = names.iter().find(|name| *name == given);
                // A table shortens long names in the middle: `quest…s1`.
                let (start, end) = given.split_once('…').unwrap_or((given, ""));
                let is_short = |name: &str| match given.contains('…') {
                    true => name.starts_with(start) && name.ends_with(end),
                    false => name == given,
                };
                let mut short = names.iter().zip(shown.names()).filter(|(_, name)| is_short(name));
                let short = short.next().filter(|_| short.next().is_none());
                let Some(name) = found.or(short.map(|(label, _)| label)) else {
                    let names = list(&names);
                    return Err(anyhow!("there is no {what} {given:?}; there are {names}"))
                        .hint(format!("--baseline takes the label of a {what}"));
                };
                Some((*name).to_owned())
            }
        };
        Ok(Plan { groups, baseline })
    }
}

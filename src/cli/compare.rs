//! Flags that say what is compared with what.

use anyhow::anyhow;
use clap::Args;
use regex::Regex;

use super::failure::{Failure, WithHint};
use super::inputs::plural;
use super::terminal::Terminal;
use crate::history::Comparison;
use crate::stats::bootstrap::Resampling;
use crate::stats::compare::Plan;
use crate::stats::group::{Group, group};

/// What is compared with what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareArgs {
    /// Compare groups of runs: the first group in parentheses, or the whole match, names the group of
    /// a label, as in 'questioner|solver'.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    group: Option<Regex>,
    /// Compare all others with this run, or group, only.
    #[arg(long, value_name = "LABEL")]
    baseline: Option<String>,
    /// Seed of the resampling behind intervals.
    #[arg(long, value_name = "N", default_value_t = Resampling::default().seed)]
    seed: u64,
}

pub(super) fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

impl CompareArgs {
    /// What to compare.
    pub(super) fn plan(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Plan, Failure> {
        let groups = match &self.group {
            Some(regex) => grouped(regex, comparison, terminal)?,
            None => Vec::new(),
        };
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
        let resampling = Resampling { seed: self.seed, ..Resampling::default() };
        Ok(Plan { groups, baseline, resampling })
    }
}

/// The groups that the pattern makes of the runs; runs in none are counted.
pub(super) fn grouped(
    regex: &Regex,
    comparison: &Comparison,
    terminal: &Terminal,
) -> Result<Vec<Group>, Failure> {
    let groups = group(comparison, |label| {
        let found = regex.captures(label)?;
        let name = (1..found.len()).find_map(|i| found.get(i)).or(found.get(0))?;
        Some(name.as_str().to_owned())
    });
    let labels: Vec<&str> = comparison.runs().iter().map(|run| run.history.label()).collect();
    if groups.is_empty() {
        return Err(anyhow!("--group {regex} matches none of the runs: {}", list(&labels)))
            .hint("the pattern is matched against labels, as in 'questioner|solver'");
    }
    let grouped: usize = groups.iter().map(|group| group.members.len()).sum();
    if grouped < labels.len() {
        let runs = plural(labels.len() - grouped, "run is", "runs are");
        terminal.warn(&format!("{runs} in no group: --group does not match the label"));
    }
    Ok(groups)
}

/// The names in quotes, the first of them where there are many.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

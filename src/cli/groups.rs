//! Flags that put runs together, and say how the mean of a group is drawn.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use regex::Regex;

use entropy_history::history::{Comparison, History};
use entropy_history::stats::band::{MissingSteps, Spread};
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::group::{Group, group, not_recorded};
use entropy_history::stats::health::is_recorded;
use entropy_plot::GroupOptions;
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

/// Which runs are one group.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct GroupArgs {
    /// Put runs into groups: the first group in parentheses, or the whole match, names the group of a
    /// label, as in 'questioner|solver'.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    group: Option<Regex>,
    /// Seed of the resampling behind intervals.
    #[arg(long, value_name = "N", default_value_t = Resampling::default().seed)]
    seed: u64,
}

/// How the mean of a group is drawn.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct BandArgs {
    /// What the band around the mean of a group shows [default: sd].
    #[arg(long, value_enum, value_name = "KIND", requires = "group")]
    band: Option<BandName>,
    /// Take the values of a run between its points from a straight line, so that runs that log at
    /// different steps, or are drawn over time, have a mean.
    #[arg(long, requires = "group")]
    interpolate: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BandName {
    /// One sample standard deviation of the runs to either side.
    Sd,
    /// One standard error of the mean to either side.
    Se,
    /// From the smallest run to the largest.
    Minmax,
    /// The 95 % interval of the mean by resampling runs, from four runs on.
    Ci95,
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

impl GroupArgs {
    /// The groups that the pattern makes of the runs; none if there is no pattern.
    pub(super) fn groups(&self, comparison: &Comparison) -> Result<Vec<Group>, Failure> {
        let Some(regex) = &self.group else { return Ok(Vec::new()) };
        let groups = group(comparison, |label| {
            let found = regex.captures(label)?;
            let name = (1..found.len()).find_map(|i| found.get(i)).or(found.get(0))?;
            // A pattern such as x* also matches where there is nothing to name a group by.
            Some(name.as_str().to_owned()).filter(|name| !name.is_empty())
        });
        if groups.is_empty() {
            let labels: Vec<&str> =
                comparison.runs().iter().map(|run| run.history.label()).collect();
            return Err(anyhow!("--group {regex} matches none of the runs: {}", list(&labels)))
                .hint("the pattern is matched against labels, as in 'questioner|solver'");
        }
        Ok(groups)
    }

    /// Says how many runs are in no group, and what becomes of them; and which are in none of the means, as
    /// their entropy was not recorded.
    pub(super) fn tell_ungrouped(
        &self,
        comparison: &Comparison,
        so: &str,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let groups = self.groups(comparison)?;
        let grouped: usize = groups.iter().map(|group| group.members.len()).sum();
        let rest = comparison.runs().len() - grouped;
        if !groups.is_empty() && rest > 0 {
            let runs = plural(rest, "run is", "runs are");
            terminal.warn(&format!("{runs} in no group{so}: --group does not match the label"));
        }
        for Group { name, members } in &groups {
            let histories = members.iter().map(|i| &comparison.runs()[*i].history);
            let unrecorded = histories.filter(|history| !is_recorded(history));
            let labels: Vec<&str> = unrecorded.map(History::label).collect();
            if !labels.is_empty() {
                let what =
                    if labels.len() == members.len() { "it has no mean" } else { "left out" };
                terminal.warn(&format!("group {name}: {what}: {}", not_recorded(&labels)));
            }
        }
        Ok(())
    }

    /// How intervals are resampled.
    pub(super) fn resampling(&self) -> Resampling {
        Resampling { seed: self.seed, ..Resampling::default() }
    }

    /// What a picture of `comparison` draws of groups, which are of the runs whose entropy was recorded;
    /// nothing if there are none.
    pub(super) fn grouped(
        &self,
        bands: Option<&BandArgs>,
        comparison: &Comparison,
    ) -> Result<Option<GroupOptions>, Failure> {
        let mut groups = self.groups(comparison)?;
        let is_grouped = !groups.is_empty();
        for group in &mut groups {
            group.members.retain(|i| is_recorded(&comparison.runs()[*i].history));
        }
        groups.retain(|group| !group.members.is_empty());
        if groups.is_empty() && is_grouped && bands.is_some() {
            return Err(anyhow!("there is no mean to draw: no run of a group was recorded"))
                .hint("every value of them is 0; without --group every run has a line");
        }
        let spread = match bands.and_then(|bands| bands.band) {
            None | Some(BandName::Sd) => Spread::Sd,
            Some(BandName::Se) => Spread::Se,
            Some(BandName::Minmax) => Spread::MinMax,
            Some(BandName::Ci95) => Spread::Ci95,
        };
        let missing_steps = match bands.is_some_and(|bands| bands.interpolate) {
            true => MissingSteps::Interpolate,
            false => MissingSteps::Skip,
        };
        let resampling = self.resampling();
        let grouped = GroupOptions { groups, spread, missing_steps, resampling };
        Ok((!grouped.groups.is_empty()).then_some(grouped))
    }
}

/// The names in quotes, the first of them where there are many.
pub(super) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

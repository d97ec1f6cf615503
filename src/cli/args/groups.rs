//! Groups of runs, and how the mean of a group is drawn.

use std::cmp::Ordering;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use regex::Regex;

use super::config::config_columns;
use super::names::list;
use super::values::regex;
use entropy_history::history::{Comparison, History};
use entropy_history::run_config::{ConfigColumn, ConfigKeys, run_name};
use entropy_history::stats::band::{MissingSteps, Spread};
use entropy_history::stats::group::{Group, group, not_recorded};
use entropy_history::stats::health::is_recorded;
use entropy_history::store::{AuxRequest, ConfigRequest};
use entropy_plot::GroupOptions;
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{CliError, WithHint};

/// Which runs form a group.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub(in crate::cli) struct GroupArgs {
    /// Group runs by label, e.g. 'questioner|solver'.
    ///
    /// The first capture group of the pattern, or else the whole match, is the name of the group.
    #[arg(long, value_name = "REGEX", value_parser = regex, group = "grouping")]
    group: Option<Regex>,
    /// Group runs by keys of the configuration that the trainer wrote, e.g. config.lr.
    ///
    /// Runs with equal values form a group, called `lr=1e-06`. Several keys are separated by commas. A key may be given by
    /// its last parts: lr for actor.optim.lr.
    #[arg(long, value_name = "config.KEY", value_parser = ConfigKeys::parse, group = "grouping")]
    group_by: Option<ConfigKeys>,
    /// Without effect: intervals are no longer resampled.
    #[arg(long, value_name = "N", hide = true)]
    seed: Option<u64>,
}

/// How the mean of a group is drawn.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub(in crate::cli) struct BandArgs {
    /// Band around group means [default: sd].
    #[arg(long, value_enum, value_name = "KIND", requires = "grouping")]
    band: Option<BandName>,
    /// Interpolate runs linearly between their points, for the mean of a group.
    ///
    /// Needed when the runs of a group log at different steps, or are drawn over time.
    #[arg(long, requires = "grouping", hide_short_help = true)]
    interpolate: bool,
}

/// Panels of line charts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runs")]
pub(in crate::cli) struct FacetArgs {
    /// Draw a panel per group of runs, with shared axes, e.g. 'lr[^_]+'.
    ///
    /// The first capture group of the pattern, or else the whole match, is the name of the panel.
    #[arg(long, value_name = "REGEX", value_parser = regex, conflicts_with_all = ["grouping", "with", "legend"])]
    facet: Option<Regex>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BandName {
    /// Mean ± one sample standard deviation of the runs.
    Sd,
    /// Mean ± one standard error.
    Se,
    /// From the lowest run to the highest.
    Minmax,
    /// 95 % interval of the mean, by Student's t over the runs.
    Ci95,
}

/// The runs by the name that a pattern finds in their labels.
///
/// # Errors
/// When it matches no label.
fn grouped_by(flag: &str, regex: &Regex, comparison: &Comparison) -> Result<Vec<Group>, CliError> {
    let groups = group(comparison, |i| {
        let found = regex.captures(comparison.runs()[i].history.label())?;
        let name = (1..found.len()).find_map(|i| found.get(i)).or(found.get(0))?;
        // A pattern such as x* also matches the empty string, which cannot name a group.
        Some(name.as_str().to_owned()).filter(|name| !name.is_empty())
    });
    if groups.is_empty() {
        let labels: Vec<&str> = comparison.runs().iter().map(|run| run.history.label()).collect();
        return Err(anyhow!("{flag} {regex} matches none of the runs: {}", list(&labels)))
            .hint("the pattern is matched against labels, e.g. 'questioner|solver'");
    }
    Ok(groups)
}

/// The runs by the values of keys in their configurations, in the order of the values.
///
/// # Errors
/// When no configuration has a key, it may be several keys, or no run has all of them.
fn grouped_by_config(keys: &ConfigKeys, comparison: &Comparison) -> Result<Vec<Group>, CliError> {
    let columns = config_columns(keys, comparison)?;
    // Equal numbers may be written in several forms; the first one names the group.
    let is_same = |a: usize, b: usize| {
        columns.iter().all(|column| match (&column.values[a], &column.values[b]) {
            (Some(a), Some(b)) => a.is_same(b),
            _ => false,
        })
    };
    let mut groups = group(comparison, |i| {
        let first = (0..i).find(|first| is_same(*first, i)).unwrap_or(i);
        run_name(&columns, first)
    });
    let order = |a: usize, b: usize| {
        let pairs = columns.iter().filter_map(|c| c.values[a].as_ref().zip(c.values[b].as_ref()));
        pairs.map(|(a, b)| a.order(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    groups.sort_by(|a, b| order(a.members[0], b.members[0]));
    if groups.is_empty() {
        return Err(anyhow!("no run has a value for all of {keys}"))
            .hint("give fewer keys; `entropy-viz stats --columns` shows which run has which");
    }
    Ok(groups)
}

impl FacetArgs {
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.facet.is_some()
    }

    /// The panels of the chart of these runs; `None` without the flag. Warns about runs in no panel.
    ///
    /// # Errors
    /// When the pattern matches no label.
    pub(in crate::cli) fn panels(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Option<Vec<Group>>, CliError> {
        let Some(regex) = &self.facet else { return Ok(None) };
        let panels = grouped_by("--facet", regex, comparison)?;
        let is_alone = |i: &usize| panels.iter().all(|panel| !panel.members.contains(i));
        let alone: Vec<&str> = (0..comparison.runs().len())
            .filter(is_alone)
            .map(|i| comparison.runs()[i].history.label())
            .collect();
        if !alone.is_empty() {
            let (runs, labels) = (plural(alone.len(), "run is", "runs are"), list(&alone));
            terminal.warn(&format!(
                "{runs} in no panel and not drawn: --facet does not match {labels}"
            ));
        }
        Ok(Some(panels))
    }
}

impl GroupArgs {
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.group.is_some() || self.group_by.is_some()
    }

    /// The flag that is given.
    pub(in crate::cli) fn flag(&self) -> &'static str {
        if self.group_by.is_some() { "--group-by" } else { "--group" }
    }

    /// What these groups need in addition to `aux`.
    pub(in crate::cli) fn added_to(&self, aux: AuxRequest) -> AuxRequest {
        match self.group_by {
            Some(_) => AuxRequest { config: ConfigRequest::Read, ..aux },
            None => aux,
        }
    }

    /// The groups of `--group` or `--group-by`; empty without the flags.
    ///
    /// # Errors
    /// When the pattern matches no label, or no run has the keys.
    pub(in crate::cli) fn groups(&self, comparison: &Comparison) -> Result<Vec<Group>, CliError> {
        match (&self.group, &self.group_by) {
            (Some(regex), _) => grouped_by("--group", regex, comparison),
            (None, Some(keys)) => grouped_by_config(keys, comparison),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Warns about runs without a group, and about runs that no mean includes because their entropy was not
    /// recorded. `consequence` is appended to the first part of the warning, e.g. ` and not drawn`.
    ///
    /// # Errors
    /// When the pattern matches no label.
    pub(in crate::cli) fn warn_ungrouped(
        &self,
        comparison: &Comparison,
        consequence: &str,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        if self.seed.is_some() {
            terminal.warn("--seed has no effect: intervals are no longer resampled");
        }
        if let Some(keys) = &self.group_by {
            let columns = config_columns(keys, comparison)?;
            columns.iter().filter_map(ConfigColumn::warning).for_each(|text| terminal.warn(&text));
        }
        let groups = self.groups(comparison)?;
        let is_alone = |i: &usize| groups.iter().all(|group| !group.members.contains(i));
        let alone = (0..comparison.runs().len()).filter(is_alone);
        let alone: Vec<&str> = alone.map(|i| comparison.runs()[i].history.label()).collect();
        if !groups.is_empty() && !alone.is_empty() {
            let (runs, labels) = (plural(alone.len(), "run is", "runs are"), list(&alone));
            let why = match &self.group_by {
                Some(keys) => format!("--group-by {keys} has no value for {labels}"),
                None => format!("--group does not match {labels}"),
            };
            terminal.warn(&format!("{runs} in no group{consequence}: {why}"));
        }
        for Group { name, members } in &groups {
            let histories = members.iter().map(|i| &comparison.runs()[*i].history);
            let unrecorded = histories.filter(|history| !is_recorded(history));
            let labels: Vec<&str> = unrecorded.map(History::label).collect();
            if !labels.is_empty() {
                let what = if labels.len() == members.len() { "no mean" } else { "left out" };
                terminal.warn(&format!("group {name}: {what}: {}", not_recorded(&labels)));
            }
        }
        Ok(())
    }

    /// The groups to draw in a chart of these runs, without runs whose entropy was not recorded; `None` without
    /// groups.
    ///
    /// # Errors
    /// When means are to be drawn and no run of a group was recorded.
    pub(in crate::cli) fn grouped(
        &self,
        bands: Option<&BandArgs>,
        comparison: &Comparison,
    ) -> Result<Option<GroupOptions>, CliError> {
        let mut groups = self.groups(comparison)?;
        let is_grouped = !groups.is_empty();
        for group in &mut groups {
            group.members.retain(|i| is_recorded(&comparison.runs()[*i].history));
        }
        groups.retain(|group| !group.members.is_empty());
        if groups.is_empty() && is_grouped && bands.is_some() {
            return Err(anyhow!("no mean can be drawn: no run of a group recorded its entropy"))
                .hint("every value is 0; without groups every run has its own line");
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
        let grouped = GroupOptions { groups, spread, missing_steps };
        Ok((!grouped.groups.is_empty()).then_some(grouped))
    }
}

impl GroupArgs {
    /// The groups whose means a page draws; `None` without groups, or if no run of a group was recorded.
    ///
    /// # Errors
    /// When there are no groups to make.
    pub(in crate::cli) fn on_page(
        &self,
        bands: &BandArgs,
        comparison: &Comparison,
    ) -> Result<Option<GroupOptions>, CliError> {
        match self.grouped(None, comparison)? {
            None => Ok(None),
            Some(_) => self.grouped(Some(bands), comparison),
        }
    }
}

//! Groups of runs, each summarised by one number per run: its mean over the steps that all runs share.

use serde::Serialize;
use statrs::statistics::Statistics;

use super::replicates::{self, copies};
use super::sample::finite;
use super::student::t95;
use super::two_sample::interquartile_mean;
use crate::history::{Comparison, History};

/// A group of runs of a comparison; at least one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name of the group.
    pub name: String,
    /// Indices of its runs in the comparison.
    pub members: Vec<usize>,
}

/// Groups the runs by the name that `key` gives for the index of a run; runs without one are in no group. Groups are
/// in the order of their first runs.
pub fn group(comparison: &Comparison, key: impl Fn(usize) -> Option<String>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for i in 0..comparison.runs().len() {
        let Some(name) = key(i) else { continue };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.members.push(i),
            None => groups.push(Group { name, members: vec![i] }),
        }
    }
    groups
}

/// The statistics of a group. Entropies are in nats; undefined numbers are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupStats {
    /// Name of the group.
    pub name: String,
    /// Labels of its runs.
    pub runs: Vec<String>,
    /// Labels of the runs that were left out because their entropy was not recorded.
    pub left_out: Vec<String>,
    /// Number of steps that all its runs have.
    pub shared_steps: usize,
    /// Number of steps that any of its runs has.
    pub total_steps: usize,
    /// Mean over the runs of each run's mean over the shared steps.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1) of the means of the runs.
    pub std: Option<f64>,
    /// Interquartile mean of the means of the runs; needs four runs.
    pub iqm: Option<f64>,
    /// Lower end of the 95 % interval of the mean, by Student's t. It assumes that the runs are independent
    /// draws from a normal distribution.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval of the mean.
    pub high: Option<f64>,
    /// Why a number or a run is missing.
    pub note: Option<String>,
}

/// The runs of a group, without those whose entropy was not recorded.
pub(super) struct GroupMembers<'a> {
    pub(super) name: &'a str,
    pub(super) runs: Vec<&'a History>,
    pub(super) unrecorded: Vec<&'a str>, // labels
}

impl<'a> GroupMembers<'a> {
    /// `recorded` says for each run of the comparison whether its entropy was recorded.
    pub(super) fn of(
        comparison: &'a Comparison,
        group: &'a Group,
        recorded: &[bool],
    ) -> GroupMembers<'a> {
        let run = |i: &usize| &comparison.runs()[*i].history;
        let (recorded_runs, others): (Vec<usize>, Vec<usize>) =
            group.members.iter().partition(|i| recorded[**i]);
        GroupMembers {
            name: &group.name,
            runs: recorded_runs.iter().map(run).collect(),
            unrecorded: others.iter().map(|i| run(i).label()).collect(),
        }
    }
}

/// A message saying that the entropy of some runs was not recorded.
pub fn not_recorded(labels: &[&str]) -> String {
    let (were, values) = match labels.len() {
        1 => ("was", "its values are all 0"),
        _ => ("were", "their values are all 0"),
    };
    format!("{} {were} not recorded ({values})", labels.join(" and "))
}

impl GroupStats {
    pub(super) fn of(group: &GroupMembers<'_>) -> GroupStats {
        let GroupMembers { name, runs, unrecorded } = group;
        let steps = shared_steps(runs);
        let mut stats = GroupStats {
            name: (*name).to_owned(),
            runs: runs.iter().map(|run| run.label().to_owned()).collect(),
            left_out: unrecorded.iter().map(|label| (*label).to_owned()).collect(),
            shared_steps: steps.len(),
            total_steps: replicates::total_steps(runs),
            ..GroupStats::default()
        };
        stats.note = match () {
            () if runs.is_empty() => Some(format!("no mean: {}", not_recorded(unrecorded))),
            () if runs.iter().any(|run| run.kind() != runs[0].kind()) => {
                Some("its runs hold different quantities".to_owned())
            }
            () if steps.is_empty() => Some("its runs share no step".to_owned()),
            () => None,
        };
        if stats.note.is_some() {
            return stats;
        }
        let mut notes = Vec::new();
        if !unrecorded.is_empty() {
            notes.push(format!("left out: {}", not_recorded(unrecorded)));
        }
        notes.extend(replicates::limit_note(runs, steps.len()));
        let means = means_over(runs, &steps);
        stats.mean = finite(means.iter().mean());
        stats.fill_spread(&means, copies(runs), &mut notes);
        stats.note = (!notes.is_empty()).then(|| notes.join("; "));
        stats
    }

    /// Fills in what describes the spread of the means of the runs.
    fn fill_spread(&mut self, means: &[f64], copies: Option<String>, notes: &mut Vec<String>) {
        if let [_] = means[..] {
            notes.push("one run has no spread over runs".to_owned());
            return;
        }
        self.std = finite(means.iter().std_dev());
        if means.len() >= MIN_IQM_RUNS {
            self.iqm = finite(interquartile_mean(means));
        }
        if let Some(copies) = copies {
            notes.push(format!("no interval: {copies}"));
            return;
        }
        // Means that differ only by rounding do not vary.
        if self.std.is_some_and(|std| std <= 1e-12 * means.iter().abs_max()) {
            notes.push("the means of its runs do not vary".to_owned());
            return;
        }
        if let (Some(mean), Some(std)) = (self.mean, self.std) {
            let half = t95((means.len() - 1) as f64) * std / (means.len() as f64).sqrt();
            self.low = finite(mean - half);
            self.high = finite(mean + half);
        }
    }
}

/// The smallest group with an interquartile mean.
const MIN_IQM_RUNS: usize = 4;

/// The steps at which every run has a point, in increasing order.
pub(super) fn shared_steps(runs: &[&History]) -> Vec<f64> {
    let Some((first, rest)) = runs.split_first() else { return Vec::new() };
    let mut steps: Vec<f64> = first.points().iter().map(|p| p.step).collect();
    for run in rest {
        let points = run.points();
        let has = |step: &f64| points.binary_search_by(|p| p.step.total_cmp(step)).is_ok();
        steps.retain(has);
    }
    steps
}

/// The mean of each run over `steps`, all of which it has.
pub(super) fn means_over(runs: &[&History], steps: &[f64]) -> Vec<f64> {
    let mean = |run: &&History| {
        let mut remaining = steps.iter().peekable();
        let shared = run.points().iter().filter(|p| remaining.next_if_eq(&&p.step).is_some());
        shared.map(|p| p.entropy).sum::<f64>() / steps.len() as f64
    };
    runs.iter().map(mean).collect()
}

//! Groups of runs, each summarised by one number per run: its mean over the steps that all runs share.

use serde::Serialize;
use statrs::statistics::Statistics;

use super::bootstrap::Resampling;
use super::sample::finite;
use super::two_sample::{MIN_RESAMPLED_RUNS, interquartile_mean};
use crate::history::{Comparison, History};

/// A group of runs of a comparison; at least one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name of the group.
    pub name: String,
    /// Indices of its runs in the comparison.
    pub members: Vec<usize>,
}

/// Groups the runs by the name that `key` derives from a label; runs without one are in no group. Groups are
/// in the order of their first runs.
pub fn group(comparison: &Comparison, key: impl Fn(&str) -> Option<String>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, run) in comparison.runs().iter().enumerate() {
        let Some(name) = key(run.history.label()) else { continue };
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
    pub(super) fn of(group: &GroupMembers<'_>, resampling: &Resampling) -> GroupStats {
        let GroupMembers { name, runs, unrecorded } = group;
        let steps = shared_steps(runs);
        let mut stats = GroupStats {
            name: (*name).to_owned(),
            runs: runs.iter().map(|run| run.label().to_owned()).collect(),
            left_out: unrecorded.iter().map(|label| (*label).to_owned()).collect(),
            shared_steps: steps.len(),
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
        let left_out =
            (!unrecorded.is_empty()).then(|| format!("left out: {}", not_recorded(unrecorded)));
        let with = |why: &str| match &left_out {
            Some(left_out) => Some(format!("{left_out}; {why}")),
            None => Some(why.to_owned()),
        };
        stats.note.clone_from(&left_out);
        let means = means_over(runs, &steps);
        stats.mean = finite(means.iter().mean());
        if let [_] = means[..] {
            stats.note = with("one run has no spread over runs");
            return stats;
        }
        stats.std = finite(means.iter().std_dev());
        if means.len() >= MIN_RESAMPLED_RUNS {
            stats.iqm = finite(interquartile_mean(&means));
        }
        // Means that differ only by rounding do not vary.
        if stats.std.is_some_and(|std| std <= 1e-12 * means.iter().abs_max()) {
            stats.note = with("the means of its runs do not vary");
            return stats;
        }
        if let (Some(mean), Some(std)) = (stats.mean, stats.std) {
            let error = std / (means.len() as f64).sqrt();
            let half = resampling.t_quantile((means.len() - 1) as f64) * error;
            stats.low = finite(mean - half);
            stats.high = finite(mean + half);
        }
        stats
    }
}

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

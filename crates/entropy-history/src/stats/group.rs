//! Runs with one key as a group: one number a run, over the steps that all of them have.

use serde::Serialize;
use statrs::statistics::Statistics;

use super::between::{FEWEST_RESAMPLED, interquartile_mean};
use super::bootstrap::Resampling;
use crate::history::{Comparison, History};

/// A group of a comparison: its name and the indices of its runs, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Which runs of the comparison.
    pub members: Vec<usize>,
}

/// Puts the runs that `key` gives a name to into groups, in the order of their first runs.
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

/// What `stats` says of a group. Entropies are in nats; a number that does not exist is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupStats {
    /// Its name.
    pub name: String,
    /// The labels of its runs.
    pub runs: Vec<String>,
    /// The labels of those that would be, had their entropy been recorded.
    pub left_out: Vec<String>,
    /// Steps that all its runs have.
    pub shared_steps: usize,
    /// Mean over its runs of each run's mean over these steps.
    pub mean: Option<f64>,
    /// Sample standard deviation of these means over runs (n − 1).
    pub std: Option<f64>,
    /// Interquartile mean of them, from four runs on.
    pub iqm: Option<f64>,
    /// Lower end of the 95 % interval of the mean: Student's t, runs taken as independent draws from a
    /// normal distribution.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Why a number is missing.
    pub note: Option<String>,
}

/// A group with its curves; runs whose entropy was not recorded are no draws of a recipe, and left out.
pub(super) struct Members<'a> {
    pub(super) name: &'a str,
    pub(super) runs: Vec<&'a History>,
    pub(super) unrecorded: Vec<&'a str>, // their labels
}

impl<'a> Members<'a> {
    /// `recorded` says of each run of the comparison whether its entropy was.
    pub(super) fn of(
        comparison: &'a Comparison,
        group: &'a Group,
        recorded: &[bool],
    ) -> Members<'a> {
        let run = |i: &usize| &comparison.runs()[*i].history;
        let (taken, others): (Vec<usize>, Vec<usize>) =
            group.members.iter().partition(|i| recorded[**i]);
        Members {
            name: &group.name,
            runs: taken.iter().map(run).collect(),
            unrecorded: others.iter().map(|i| run(i).label()).collect(),
        }
    }
}

/// That the entropy of some runs was not recorded, in words.
pub fn not_recorded(labels: &[&str]) -> String {
    let (were, values) = match labels.len() {
        1 => ("was", "its values are all 0"),
        _ => ("were", "their values are all 0"),
    };
    format!("{} {were} not recorded ({values})", labels.join(" and "))
}

impl GroupStats {
    pub(super) fn of(group: &Members<'_>, resampling: &Resampling) -> GroupStats {
        let Members { name, runs, unrecorded } = group;
        let steps = shared_steps(runs);
        let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        let mut stats = GroupStats {
            name: (*name).to_owned(),
            runs: runs.iter().map(|run| run.label().to_owned()).collect(),
            left_out: owned(unrecorded),
            shared_steps: steps.len(),
            mean: None,
            std: None,
            iqm: None,
            low: None,
            high: None,
            note: None,
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
        let finite = |value: f64| value.is_finite().then_some(value);
        stats.mean = finite(means.iter().mean());
        if let [_] = means[..] {
            stats.note = with("one run has no spread over runs");
            return stats;
        }
        stats.std = finite(means.iter().std_dev());
        if means.len() >= FEWEST_RESAMPLED {
            stats.iqm = finite(interquartile_mean(&means));
        }
        // Means that differ in their last bits alone do not vary.
        let scale = means.iter().fold(0.0f64, |largest, mean| largest.max(mean.abs()));
        if stats.std.is_some_and(|std| std <= 1e-12 * scale) {
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

/// The steps at which every one of the runs has a point, in order.
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

/// Each run's mean over some of its steps.
pub(super) fn means_over(runs: &[&History], steps: &[f64]) -> Vec<f64> {
    let mean = |run: &&History| {
        let mut wanted = steps.iter().peekable();
        let taken = run.points().iter().filter(|p| wanted.next_if_eq(&&p.step).is_some());
        taken.map(|p| p.entropy).sum::<f64>() / steps.len() as f64
    };
    runs.iter().map(mean).collect()
}

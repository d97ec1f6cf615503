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

impl GroupStats {
    pub(super) fn of(
        comparison: &Comparison,
        group: &Group,
        resampling: &Resampling,
    ) -> GroupStats {
        let runs = group.members.iter().map(|i| &comparison.runs()[*i].history);
        let runs: Vec<&History> = runs.collect();
        let steps = shared_steps(&runs);
        let mut stats = GroupStats {
            name: group.name.clone(),
            runs: runs.iter().map(|run| run.label().to_owned()).collect(),
            shared_steps: steps.len(),
            mean: None,
            std: None,
            iqm: None,
            low: None,
            high: None,
            note: None,
        };
        stats.note = match () {
            () if runs.iter().any(|run| run.kind() != runs[0].kind()) => {
                Some("its runs hold different quantities".to_owned())
            }
            () if steps.is_empty() => Some("its runs share no step".to_owned()),
            () => None,
        };
        if stats.note.is_some() {
            return stats;
        }
        let means = means_over(&runs, &steps);
        let finite = |value: f64| value.is_finite().then_some(value);
        stats.mean = finite(means.iter().mean());
        if let [_] = means[..] {
            stats.note = Some("one run has no spread over runs".to_owned());
            return stats;
        }
        stats.std = finite(means.iter().std_dev());
        if means.len() >= FEWEST_RESAMPLED {
            stats.iqm = finite(interquartile_mean(&means));
        }
        if let (Some(mean), Some(std)) = (stats.mean, stats.std.filter(|std| *std > 0.0)) {
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

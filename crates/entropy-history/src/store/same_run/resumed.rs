//! Recognises that a record continues another run: the run was resumed, and logs the steps after its checkpoint
//! again, often with other values.
//!
//! Values cannot show this, so it needs both: the record begins inside the steps of the other run, right behind
//! the last step of a record of that run whose directory it is in (the state of a checkpoint), or under the same
//! display name.

use std::collections::HashMap;
use std::path::Path;

use super::{Group, RecordOfRun};
use crate::formats::RunIdentity;

/// Chains groups whose runs continue each other. Each chain is in the order of the first steps.
pub(super) fn chain(records: &[RecordOfRun<'_>], groups: Vec<Group>) -> Vec<Vec<Group>> {
    let mut by_directory: HashMap<&Path, Vec<usize>> = HashMap::new();
    let mut by_name: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        for record in group.iter().map(|&i| &records[i]) {
            if let Some(directory) = &record.run_directory {
                by_directory.entry(directory).or_default().push(number);
            }
            if let (RunIdentity::DisplayName, Some(name)) = (record.identity, record.name) {
                by_name.entry((record.format, name)).or_default().push(number);
            }
        }
    }
    let first_steps: Vec<f64> = groups.iter().map(|group| first_step(records, group)).collect();
    let mut previous: Vec<Option<usize>> = vec![None; groups.len()];
    for (number, group) in groups.iter().enumerate() {
        let first = first_steps[number];
        let mut found: Vec<usize> = Vec::new();
        for record in group.iter().map(|&i| &records[i]) {
            let above = record.directory.iter().flat_map(|directory| directory.ancestors());
            let near = above.filter_map(|directory| by_directory.get(directory)).flatten();
            found.extend(near.filter(|&&other| {
                let others = groups[other].iter().map(|&i| &records[i]);
                others.into_iter().any(|other_record| {
                    let is_above = other_record.run_directory.as_deref().is_some_and(|above| {
                        record.directory.as_deref().is_some_and(|own| own.starts_with(above))
                    });
                    is_above && ends_before(other_record, records, &groups[other], first)
                })
            }));
            if let (RunIdentity::DisplayName, Some(name)) = (record.identity, record.name) {
                let same = by_name.get(&(record.format, name)).into_iter().flatten();
                found.extend(same.filter(|&&other| {
                    groups[other].iter().any(|&i| {
                        let points = records[i].points;
                        points[0].step < first && first <= step_after(points, f64::INFINITY)
                    })
                }));
            }
        }
        found.retain(|&other| other != number && first_steps[other] < first);
        previous[number] =
            found.into_iter().max_by(|&a, &b| first_steps[a].total_cmp(&first_steps[b]));
    }
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    let mut chains: Vec<Vec<Group>> = Vec::new();
    let mut chain_of: Vec<Option<usize>> = vec![None; groups.len()];
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|&a, &b| first_steps[a].total_cmp(&first_steps[b]).then(a.cmp(&b)));
    for number in order {
        let Some(group) = groups[number].take() else { continue };
        let chain = match previous[number].and_then(|previous| chain_of[previous]) {
            Some(chain) => chain,
            None => {
                chains.push(Vec::new());
                chains.len() - 1
            }
        };
        chains[chain].push(group);
        chain_of[number] = Some(chain);
    }
    chains
}

fn first_step(records: &[RecordOfRun<'_>], group: &Group) -> f64 {
    let steps = group.iter().map(|&i| records[i].points[0].step);
    steps.fold(f64::INFINITY, f64::min)
}

/// Whether `first` is the step that a run logs next after the last step of this record of it.
fn ends_before(
    record: &RecordOfRun<'_>,
    records: &[RecordOfRun<'_>],
    group: &Group,
    first: f64,
) -> bool {
    let Some(last) = record.points.last().map(|point| point.step) else { return false };
    let next = group.iter().map(|&i| step_after(records[i].points, last));
    last < first && first <= next.fold(f64::INFINITY, f64::min)
}

/// The first step after `last`; behind the last point, the step that would be next.
fn step_after(points: &[crate::history::Point], last: f64) -> f64 {
    let after = points.partition_point(|point| point.step <= last);
    match (points.get(after), points) {
        (Some(point), _) => point.step,
        (None, [.., before, end]) => end.step + (end.step - before.step),
        (None, _) => f64::NEG_INFINITY,
    }
}

//! Whether the runs of a group are replicates: separate runs over the same steps.

use std::collections::BTreeSet;

use crate::history::History;
use crate::number::exact;

/// Values of two runs that differ by no more than this share are equal.
const EQUAL: f64 = 1e-6;

/// A message about runs that are copies of one log; `None` if there are none. Copies are not independent runs, so
/// neither intervals nor p-values over runs are valid.
pub fn copies(runs: &[&History]) -> Option<String> {
    let mut named = Vec::new();
    let mut sets = Vec::new();
    for (i, a) in runs.iter().enumerate() {
        let same = runs[i + 1..].iter().filter(|b| are_copies(a, b)).map(|b| b.label());
        let set: Vec<&str> = std::iter::once(a.label()).chain(same).collect();
        if set.len() > 1 && !named.contains(&a.label()) {
            sets.push(set.join(" and "));
            named.extend(set);
        }
    }
    let one_each = if sets.len() > 1 { "copies of one log each" } else { "copies of one log" };
    (!sets.is_empty()).then(|| format!("{} are {one_each}, not separate runs", sets.join(", ")))
}

/// Whether two runs have equal values at all steps that both have, two at least.
fn are_copies(a: &History, b: &History) -> bool {
    let (a, b) = (a.points(), b.points());
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while let (Some(p), Some(q)) = (a.get(i), b.get(j)) {
        if p.step < q.step {
            i += 1;
        } else if q.step < p.step {
            j += 1;
        } else {
            let size = p.entropy.abs().max(q.entropy.abs());
            if (p.entropy - q.entropy).abs() > EQUAL * size {
                return false;
            }
            (i, j, shared) = (i + 1, j + 1, shared + 1);
        }
    }
    shared >= 2
}

/// Number of steps that any of the runs has.
pub(super) fn total_steps(runs: &[&History]) -> usize {
    let bits = |run: &&History| run.points().iter().map(|p| p.step.to_bits()).collect::<Vec<_>>();
    runs.iter().flat_map(bits).collect::<BTreeSet<u64>>().len()
}

/// Says over how many steps runs are compared, and which run has the fewest, if they do not share all their steps.
pub(super) fn limit_note(runs: &[&History], shared: usize) -> Option<String> {
    let total = total_steps(runs);
    if shared == total {
        return None;
    }
    let shortest = runs.iter().min_by_key(|run| run.points().len())?;
    let points = shortest.points();
    let (label, last) = (shortest.label(), points[points.len() - 1].step);
    let last = exact(last);
    Some(format!(
        "over {shared} of {total} steps: {label} has {} and ends at step {last}",
        points.len()
    ))
}

//! Which runs of many have a colour.
//!
//! Forty lines in forty styles cannot be told apart. With more than [`MAX_COLOURED`] runs, those that matter are coloured,
//! and the others are grey: collapsed and exploded runs first, then the highest and the lowest in turn.

use std::cmp::Ordering;

use entropy_history::stats::RunStats;

/// Up to this number of runs, all are coloured.
const MAX_COLOURED: usize = 12;
/// The number of coloured runs of more.
const NAMED: usize = 8;

/// The style of each run; `None` if all runs have a style of their own.
pub(super) fn styles_of_many(runs: &[RunStats]) -> Option<Vec<Option<usize>>> {
    if runs.len() <= MAX_COLOURED {
        return None;
    }
    let mut named = Vec::new();
    for index in by_event(runs).into_iter().chain(from_the_ends(runs)) {
        if !named.contains(&index) && named.len() < NAMED {
            named.push(index);
        }
    }
    let mut styles = vec![None; runs.len()];
    // Colours go to runs in their order, as elsewhere.
    named.sort_unstable();
    for (style, index) in named.into_iter().enumerate() {
        styles[index] = Some(style);
    }
    Some(styles)
}

/// The collapsed and exploded runs, the earliest first.
fn by_event(runs: &[RunStats]) -> Vec<usize> {
    let failed = |run: &RunStats| matches!(run.state_words(), "collapsed" | "exploded");
    let mut found: Vec<usize> = (0..runs.len()).filter(|index| failed(&runs[*index])).collect();
    let step = |index: &usize| runs[*index].state_step.unwrap_or(f64::INFINITY);
    found.sort_by(|a, b| step(a).total_cmp(&step(b)));
    found
}

/// All runs by their last level: the highest, the lowest, the second highest, …
fn from_the_ends(runs: &[RunStats]) -> Vec<usize> {
    let level = |index: &usize| runs[*index].level.unwrap_or(runs[*index].last);
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|a, b| match level(b).total_cmp(&level(a)) {
        Ordering::Equal => a.cmp(b),
        other => other,
    });
    let half = order.len().div_ceil(2);
    let lowest = order.split_off(half);
    let mut lowest = lowest.into_iter().rev();
    order.into_iter().flat_map(|high| [Some(high), lowest.next()]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::{History, Point, Run};
    use entropy_history::quantity::EntropyKind;
    use entropy_history::stats::health::Thresholds;

    /// A run that is at `level` after it started at `start`.
    fn run(start: f64, level: f64) -> RunStats {
        let value = |step: u32| if step <= 10 { start } else { level };
        let points = (1..=40).map(|step| Point { step: f64::from(step), entropy: value(step) });
        let (history, _) =
            History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap();
        RunStats::of(&Run::new(history, "x.json", "rzero", "entropy"), &Thresholds::default())
    }

    fn coloured(runs: &[RunStats]) -> Vec<usize> {
        let styles = styles_of_many(runs).unwrap();
        (0..runs.len()).filter(|index| styles[*index].is_some()).collect()
    }

    #[test]
    fn collapsed_runs_come_before_the_highest_and_the_lowest() {
        let level = |index: u32| 2.0 + f64::from(index) / 10.0;
        let mut runs: Vec<RunStats> =
            (0..13).map(|index| run(level(index), level(index))).collect();
        assert_eq!(coloured(&runs), [0, 1, 2, 3, 9, 10, 11, 12]);
        runs[6] = run(2.5, 0.1);
        assert_eq!(runs[6].state_words(), "collapsed");
        // The collapsed run is also the lowest.
        assert_eq!(coloured(&runs), [0, 1, 2, 6, 9, 10, 11, 12]);
        assert_eq!(styles_of_many(&runs).unwrap()[6], Some(3), "colours are in the order of runs");
        assert_eq!(styles_of_many(&runs[..12]), None);
    }

    #[test]
    fn of_many_collapsed_runs_eight_are_coloured() {
        let runs: Vec<RunStats> = (0..20).map(|_| run(2.0, 0.1)).collect();
        assert_eq!(coloured(&runs), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

//! Which pairs of records are worth comparing. All pairs of a few; of many, those that have nearly the same
//! value at the first or last step of one of them, or the same first or last value.

use super::RecordOfRun;

/// Up to this number of records, all pairs are compared.
const ALL_PAIRS: usize = 64;
/// Limits the work where very many records have the same value.
const MAX_CANDIDATES: usize = 64;
/// Rounding to three digits changes a value by this share at most, and by this amount.
const WINDOW: (f64, f64) = (0.006, 0.0006);

/// The records that each record may be one run with.
pub(super) enum Candidates {
    /// All others, of this number of records.
    All(usize),
    /// By record; not symmetric.
    Some(Vec<Vec<usize>>),
}

impl Candidates {
    pub(super) fn of(&self, record: usize) -> Vec<usize> {
        match self {
            Candidates::All(count) => (0..*count).filter(|&other| other != record).collect(),
            Candidates::Some(lists) => lists[record].clone(),
        }
    }
}

/// Finds the pairs to compare.
pub(super) fn candidates(records: &[RecordOfRun<'_>]) -> Candidates {
    if records.len() <= ALL_PAIRS {
        return Candidates::All(records.len());
    }
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let ends = |i: usize| {
        let points = records[i].points;
        [points.first(), points.last()].into_iter().flatten()
    };
    let mut steps: Vec<f64> = (0..records.len()).flat_map(ends).map(|point| point.step).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let mut at_step: Vec<Vec<(f64, usize)>> = vec![Vec::new(); steps.len()];
    for (i, record) in records.iter().enumerate() {
        for point in record.points {
            if let Ok(at) = steps.binary_search_by(|step| step.total_cmp(&point.step)) {
                at_step[at].push((point.entropy, i));
            }
        }
    }
    // A record without steps may be any other, in the order of its values.
    let has_numbered = records.iter().any(|record| record.is_numbered);
    let values_of = |end: usize| {
        let records = records.iter().enumerate().filter(|_| has_numbered);
        records.filter_map(move |(i, _)| Some((ends(i).nth(end)?.entropy, i))).collect::<Vec<_>>()
    };
    let by_order = [values_of(0), values_of(1)];
    for mut values in at_step.into_iter().chain(by_order) {
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, &(value, i)) in values.iter().enumerate() {
            let limit = value + WINDOW.0 * value.abs() + WINDOW.1;
            let later = values[at + 1..].iter().take_while(|(other, _)| *other <= limit);
            for &(_, j) in later.take(MAX_CANDIDATES) {
                pairs.push((i.min(j), i.max(j)));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut lists = vec![Vec::new(); records.len()];
    for (i, j) in pairs {
        if i != j {
            lists[i].push(j);
            lists[j].push(i);
        }
    }
    Candidates::Some(lists)
}

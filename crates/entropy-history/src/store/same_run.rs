//! Recognises records of one run among the histories of several files, by their values.
//!
//! A trainer logs one run in several places: an event file, the state in its checkpoints, what it prints,
//! a W&B directory. Two histories are records of one run if they have the same value at every step that
//! both have, up to the digits of the coarser one, and if enough different values agree that this is no
//! coincidence. One may end earlier, start later, or have only some of the steps. A record without steps
//! has numbered rows, and is compared in the order of its values. Where the files are is a hint: files of
//! one directory need fewer common values. It is never a proof: two seeds may be in one directory.

mod candidates;
mod precision;
mod resumed;

use std::collections::BTreeMap;

use self::candidates::candidates;
use self::precision::Precision;
use crate::formats::RunIdentity;
use crate::history::Point;

/// What is known about one history, which has at least one point.
pub(super) struct RecordOfRun<'a> {
    pub(super) points: &'a [Point],
    /// Its steps are the numbers of its rows.
    pub(super) is_numbered: bool,
    /// Records with the same value are in one log, and are never one run.
    pub(super) log: usize,
    /// The format of its log.
    pub(super) format: &'static str,
    /// What its log says about which run it is.
    pub(super) identity: RunIdentity,
    /// The name of the run in its log, if it has one.
    pub(super) name: Option<&'a str>,
    /// The directory of its file.
    pub(super) directory: Option<std::path::PathBuf>,
    /// The directory that belongs to its run, if there is one.
    pub(super) run_directory: Option<std::path::PathBuf>,
    /// A requested reward or clock is missing in it.
    pub(super) lacks_aux: bool,
    /// Its file was deleted after it was read.
    pub(super) is_deleted: bool,
    precision: Precision,
}

impl<'a> RecordOfRun<'a> {
    /// A record in the log with this number.
    pub(super) fn new(points: &'a [Point], log: usize) -> RecordOfRun<'a> {
        RecordOfRun {
            points,
            is_numbered: false,
            log,
            format: "",
            identity: RunIdentity::None,
            name: None,
            directory: None,
            run_directory: None,
            lacks_aux: false,
            is_deleted: false,
            precision: Precision::of(points),
        }
    }

    /// Records that are more complete and more exact come first.
    fn rank(&self) -> impl Ord {
        let points = std::cmp::Reverse(self.points.len());
        let digits = std::cmp::Reverse(self.precision.digits());
        (self.lacks_aux, self.is_deleted, self.is_numbered, points, digits)
    }
}

/// The records of one run, as indices; the most complete and exact one comes first.
pub(super) type Group = Vec<usize>;

/// Groups records by their run. A run that was resumed may have several groups, in the order in which it was
/// resumed; each supersedes those before it from its first step on. Runs are in the order of their first record.
pub(super) fn runs_of(records: &[RecordOfRun<'_>]) -> Vec<Vec<Group>> {
    let mut runs = resumed::chain(records, group(records));
    runs.sort_by_key(|groups| groups.iter().flatten().min().copied());
    runs
}

/// Groups records with the same values.
fn group(records: &[RecordOfRun<'_>]) -> Vec<Group> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&i| (records[i].rank(), i));
    let mut position = vec![0; records.len()];
    order.iter().enumerate().for_each(|(at, &i)| position[i] = at);

    let mut group_of: Vec<usize> = (0..records.len()).collect(); // the best record of its group
    let mut members: BTreeMap<usize, Group> = (0..records.len()).map(|i| (i, vec![i])).collect();
    let mut partial: Vec<(usize, usize, f64, f64)> = Vec::new();
    let nearby = candidates(records);
    for &i in &order {
        // The best records first: most others match one of them.
        let mut others = nearby.of(i);
        others.retain(|&j| position[j] < position[i]);
        others.sort_by_key(|&j| position[j]);
        for j in others {
            let (own, other) = (group_of[i], group_of[j]);
            if own == other {
                continue;
            }
            match compare(&records[j], &records[i]) {
                Likeness::SameRun => {
                    // Through a coarse record, two different runs may look like one.
                    let is_clear = own == i || compare(&records[other], &records[own]).may_be_one();
                    if is_clear {
                        merge(&mut group_of, &mut members, other, own);
                    }
                }
                Likeness::Parts { agrees_up_to, step } => {
                    partial.push((j, i, agrees_up_to, step));
                }
                Likeness::Different | Likeness::Unknown => {}
            }
        }
    }
    // A run that was resumed from a checkpoint logs the steps after it again, with other values. Its first
    // record agrees up to there, if another record of the run begins there.
    for (j, i, agrees_up_to, step) in partial {
        let (into, own) = (group_of[j], group_of[i]);
        let resumes = |&k: &usize| {
            let first = records[k].points[0].step;
            k != i && agrees_up_to < first && first <= step
        };
        if into != own && members[&into].iter().any(resumes) {
            merge(&mut group_of, &mut members, into, own);
        }
    }
    let mut groups: Vec<Group> = members.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(|&i| position[i]);
    }
    groups.sort_by_key(|group| group.iter().min().copied());
    groups
}

fn merge(group_of: &mut [usize], members: &mut BTreeMap<usize, Group>, into: usize, from: usize) {
    let Some(moved) = members.remove(&from) else { return };
    moved.iter().for_each(|&i| group_of[i] = into);
    members.entry(into).or_default().extend(moved);
}

/// How two histories relate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Likeness {
    SameRun,
    /// They agree up to a common step, and differ at the next common step.
    Parts {
        agrees_up_to: f64,
        step: f64,
    },
    Different,
    /// They have nothing in common that could tell.
    Unknown,
}

impl Likeness {
    /// Whether nothing speaks against one run.
    fn may_be_one(self) -> bool {
        matches!(self, Likeness::SameRun | Likeness::Unknown)
    }
}

/// The largest result of [`needed`].
const MOST_NEEDED: usize = 8;
/// Histories that agree in this number of different values begin alike.
const ALIKE: usize = 5;

/// How many different values have to agree.
fn needed(a: &RecordOfRun<'_>, b: &RecordOfRun<'_>, is_rounded: bool) -> usize {
    if a.run_directory.is_some() && a.run_directory == b.run_directory {
        return 1;
    }
    let is_below = |a: &RecordOfRun<'_>, b: &RecordOfRun<'_>| match (&a.directory, &b.directory) {
        (Some(a), Some(b)) => a.starts_with(b),
        _ => false,
    };
    match (is_below(a, b) || is_below(b, a), is_rounded) {
        (true, false) => 3,
        (true, true) | (false, false) => 5,
        (false, true) => MOST_NEEDED,
    }
}

fn compare(a: &RecordOfRun<'_>, b: &RecordOfRun<'_>) -> Likeness {
    if a.log == b.log {
        return Likeness::Unknown;
    }
    let has_other_name = matches!((a.name, b.name), (Some(a), Some(b)) if a != b);
    if a.format == b.format && (has_other_name || a.identity == RunIdentity::Id) {
        return Likeness::Different;
    }
    let by_step = compare_by_step(a, b);
    if by_step != Likeness::SameRun && (a.is_numbered || b.is_numbered) && in_one_order(a, b) {
        return Likeness::SameRun;
    }
    by_step
}

/// Compares the values at common steps.
fn compare_by_step(a: &RecordOfRun<'_>, b: &RecordOfRun<'_>) -> Likeness {
    let first = |points: &[Point]| points[0].step;
    let last = |points: &[Point]| points[points.len() - 1].step;
    let (from, to) = (first(a.points).max(first(b.points)), last(a.points).min(last(b.points)));
    let within = |points: &[Point]| {
        let start = points.partition_point(|p| p.step < from);
        start..points.partition_point(|p| p.step <= to).max(start)
    };
    let (a_points, b_points) = (&a.points[within(a.points)], &b.points[within(b.points)]);
    let tolerance = a.precision.tolerance_to(&b.precision);
    let mut values = DistinctValues::new(MOST_NEEDED);
    let (mut common, mut i, mut j) = (0_usize, 0, 0);
    let mut agrees_up_to = f64::NEG_INFINITY;
    while i < a_points.len() && j < b_points.len() {
        let (p, q) = (a_points[i], b_points[j]);
        if p.step < q.step {
            i += 1;
        } else if q.step < p.step {
            j += 1;
        } else {
            if !tolerance.accepts(p.entropy, q.entropy) {
                return match values.count() >= ALIKE {
                    true => Likeness::Parts { agrees_up_to, step: p.step },
                    false => Likeness::Different,
                };
            }
            agrees_up_to = p.step;
            values.add((p.entropy, q.entropy));
            (common, i, j) = (common + 1, i + 1, j + 1);
        }
    }
    // Rows may be missing in one of them: a line that was not printed, a value that was not finite.
    let fewer = a_points.len().min(b_points.len());
    if common == 0 || common * 5 < fewer * 4 {
        return Likeness::Unknown;
    }
    match values.count() >= needed(a, b, tolerance.is_rounded()) {
        true => Likeness::SameRun,
        false => Likeness::Unknown,
    }
}

/// Whether one holds the values of the other in the same order, from its first or up to its last.
fn in_one_order(a: &RecordOfRun<'_>, b: &RecordOfRun<'_>) -> bool {
    let (long, short) = if a.points.len() < b.points.len() { (b, a) } else { (a, b) };
    let tolerance = a.precision.tolerance_to(&b.precision);
    let needed = needed(a, b, tolerance.is_rounded()).max(3);
    let n = short.points.len();
    let mut values = DistinctValues::new(needed);
    let mut agrees = |part: &[Point]| {
        values.seen = [const { Vec::new() }; 2];
        part.iter().zip(short.points).for_each(|(p, q)| values.add((p.entropy, q.entropy)));
        let same = |(p, q): (&Point, &Point)| tolerance.accepts(p.entropy, q.entropy);
        values.count() >= needed && part.iter().zip(short.points).all(same)
    };
    agrees(&long.points[..n]) || agrees(&long.points[long.points.len() - n..])
}

/// Counts the different values of two records at their common points, up to a limit. Of a rounded record, few
/// values may be different: values that round to one number agree with it by chance.
struct DistinctValues {
    seen: [Vec<f64>; 2],
    limit: usize,
}

impl DistinctValues {
    fn new(limit: usize) -> DistinctValues {
        DistinctValues { seen: [const { Vec::new() }; 2], limit }
    }

    fn add(&mut self, (a, b): (f64, f64)) {
        for (seen, value) in self.seen.iter_mut().zip([a, b]) {
            if seen.len() < self.limit && !seen.contains(&value) {
                seen.push(value);
            }
        }
    }

    /// The number of different values of the record that has fewer.
    fn count(&self) -> usize {
        self.seen[0].len().min(self.seen[1].len())
    }
}

#[cfg(test)]
mod tests;

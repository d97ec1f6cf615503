//! Finds copies of a run, which are left out.
//!
//! Trainers log one run in several files of its directory: a history, event files, `progress.csv`.
//! Curves of the same points would be drawn over each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::load::UnlabelledRun;
use crate::discover::{self, Input, Location, Origin};
use crate::history::{History, Point};

/// Runs with the same points as another log of the same directory, each with its original, as indices;
/// only logs found by scanning a directory can be copies.
pub(super) fn find_copies(runs: &[(&Input, &UnlabelledRun)]) -> BTreeMap<usize, usize> {
    let mut logs_of: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new(); // by the directory of the run
    let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, (input, run)) in runs.iter().enumerate() {
        let own = discover::run_directory(input);
        if input.origin == Origin::Scanned {
            // The directory of the run, and those above the directory of the file.
            let path = input.segments.first().and_then(Location::absolute);
            let above = path.iter().flat_map(|path| path.ancestors().skip(2));
            let directories = own.iter().map(PathBuf::as_path).chain(above);
            let mut earlier = directories.filter_map(|d| logs_of.get(d)).flatten();
            let is_same = |j: &&usize| same_points(&runs[**j].1.run.history, &run.run.history);
            match earlier.find(is_same) {
                // Of two, the one with the requested auxiliary series is kept.
                Some(original)
                    if runs[*original].1.missing_aux.is_some() && run.missing_aux.is_none() =>
                {
                    copies.insert(*original, i);
                }
                Some(original) => {
                    copies.insert(i, *original);
                    continue;
                }
                None => {}
            }
        }
        if let Some(own) = own {
            logs_of.entry(own).or_default().push(i);
        }
    }
    copies
}

/// Whether two histories are equal to the precision of 32-bit floats.
fn same_points(a: &History, b: &History) -> bool {
    let is_same = |(a, b): (&Point, &Point)| {
        a.step == b.step && (a.entropy - b.entropy).abs() <= 1e-6 * a.entropy.abs()
    };
    a.points().len() == b.points().len() && a.points().iter().zip(b.points()).all(is_same)
}

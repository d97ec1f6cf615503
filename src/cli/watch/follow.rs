//! Logs that are followed: read on where they grew, found where they are new, named as every command
//! names them.
//!
//! [`Follower::poll`] says whether anything changed; [`Follower::comparison`] is then what a fresh
//! reading of everything would give.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;
use rayon::prelude::*;

use super::super::curves::{Draft, Reader};
use super::super::inputs::resolve;
use super::super::labels::{Labels, Name};
use super::super::load::leave_out_copies;
use super::followed::{Followed, Look, text};
use entropy_history::discover::{
    self, Depth, DiscoverError, Input, Location, Origin, default_label,
};
use entropy_history::history::{Comparison, Run};
use entropy_history::tail::FileTail;
use entropy_shell::Failure;

/// Looking for new logs takes place again only after so many times as long as it took.
const REST: u32 = 40;
/// Where logs are.
#[derive(Debug)]
pub(in crate::cli) enum Place {
    /// What an argument stands for.
    Argument(OsString),
    /// A directory of models.
    Models(PathBuf),
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Argument(argument) => argument.to_string_lossy().into_owned(),
            Place::Models(directory) => directory.to_string_lossy().into_owned(),
        }
    }
}

/// What a look at the logs brought.
#[derive(Default)]
pub(in crate::cli) struct Changes {
    /// A run has new points, is new, or is gone.
    pub(in crate::cli) grew: bool,
    /// What went wrong since the last look; what was said before is not said again.
    pub(in crate::cli) problems: Vec<Problem>,
    /// Something is wrong now that was not, or no longer.
    pub(in crate::cli) troubles: bool,
}

/// A log that could not be read, or not yet.
pub(in crate::cli) struct Problem {
    /// Why.
    pub(in crate::cli) failure: Failure,
    /// How the log came to be looked at.
    pub(in crate::cli) origin: Origin,
    /// It is a log that holds nothing to draw yet, or one that is not there yet.
    pub(in crate::cli) may_come: bool,
}

impl Problem {
    /// Nothing is where logs are looked for.
    pub(in crate::cli) fn is_absence(&self) -> bool {
        is_absence(&self.failure)
    }
}

/// Follows logs.
pub(in crate::cli) struct Follower<'a> {
    places: Vec<Place>,
    reader: Reader<'a>,
    interval: Duration,
    logs: Vec<Followed<'a>>,
    unreadable: BTreeSet<String>,
    copies: BTreeSet<String>, // sources of logs that hold the points of others
    comparison: Option<Comparison>,
    modified: Vec<Option<SystemTime>>,
    unsure: Vec<bool>,
    next_scan: Option<Instant>,      // none: not looked at anything yet
    absent: BTreeMap<usize, String>, // places without a log from the start, and what is to be said of them
    unnamed: Option<String>,         // why runs cannot be set side by side
    troubles: Vec<String>,
}

impl<'a> Follower<'a> {
    /// Follows the logs in these places; new ones are looked for at most once an interval.
    pub(in crate::cli) fn new(
        places: Vec<Place>,
        reader: Reader<'a>,
        interval: Duration,
    ) -> Follower<'a> {
        Follower {
            places,
            reader,
            interval,
            logs: Vec::new(),
            unreadable: BTreeSet::new(),
            copies: BTreeSet::new(),
            comparison: None,
            modified: Vec::new(),
            unsure: Vec::new(),
            next_scan: None,
            absent: BTreeMap::new(),
            unnamed: None,
            troubles: Vec::new(),
        }
    }

    /// Where it looks, as the user would write it.
    pub(in crate::cli) fn places(&self) -> String {
        self.places.iter().map(Place::name).collect::<Vec<_>>().join(", ")
    }

    /// The runs as they are; none if there is none yet.
    pub(in crate::cli) fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// When each run's log was last written to.
    pub(in crate::cli) fn modified(&self) -> &[Option<SystemTime>] {
        &self.modified
    }

    /// Whether what is known of each run may be the start of a file that is being written.
    pub(in crate::cli) fn unsure(&self) -> &[bool] {
        &self.unsure
    }

    /// What is wrong now, in the order in which it was seen.
    pub(in crate::cli) fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// Looks for new logs, and reads what was appended to those known.
    ///
    /// # Errors
    /// When what was named is not there at the first look, or cannot be followed. Later a log that
    /// cannot be read keeps its curve, and is a problem.
    pub(in crate::cli) fn poll(&mut self, now: Instant) -> Result<Changes, Failure> {
        let mut changes = Changes::default();
        let is_first = self.next_scan.is_none();
        let mut anew = false;
        if self.next_scan.is_none_or(|time| now >= time) {
            let start = Instant::now();
            anew = self.scan(&mut changes)?;
            self.next_scan = Some(now + self.interval.max(start.elapsed() * REST));
        }
        let reader = &self.reader;
        // Later looks find little to read: to wake other cores would cost more.
        let looks: Vec<Look> = match is_first {
            true => self.logs.par_iter_mut().map(|log| log.look(reader, now)).collect(),
            false => self.logs.iter_mut().map(|log| log.look(reader, now)).collect(),
        };
        for (look, log) in looks.into_iter().zip(&mut self.logs) {
            let origin = log.input.origin;
            let problem = |failure| Problem { failure, origin, may_come: true };
            match look {
                Look::Same | Look::Nothing => {}
                Look::Failed(problem) => changes.problems.push(problem),
                Look::Settled(failure) => {
                    anew = true;
                    changes.problems.push(problem(failure));
                }
                Look::Grew(failures) => {
                    anew = true;
                    let known = std::mem::take(&mut log.lesser);
                    log.lesser = failures.iter().map(text).collect();
                    let new =
                        failures.into_iter().filter(|failure| !known.contains(&text(failure)));
                    changes.problems.extend(new.map(problem));
                }
            }
        }
        if anew {
            match self.compare() {
                Ok(()) => {
                    changes.grew = true;
                    self.unnamed = None;
                }
                Err(failure) if is_first => return Err(failure),
                Err(failure) => {
                    let words = text(&failure);
                    if self.unnamed.as_ref() != Some(&words) {
                        let origin = Origin::Found;
                        changes.problems.push(Problem { failure, origin, may_come: true });
                    }
                    self.unnamed = Some(words);
                }
            }
        }
        changes.troubles = self.gather_troubles();
        Ok(changes)
    }

    /// Notes what is wrong now; whether that is something else than before.
    fn gather_troubles(&mut self) -> bool {
        // As long as there is no run, it is said that one is waited for.
        let absent = self.absent.values().filter(|_| self.comparison.is_some());
        let of_logs = self.logs.iter().flat_map(|log| log.said.iter().chain(&log.lesser));
        let all = absent.chain(&self.unreadable).chain(of_logs).chain(&self.unnamed);
        let now: BTreeSet<&String> = all.collect();
        let mut troubles = self.troubles.clone();
        troubles.retain(|known| now.contains(known));
        let new: Vec<String> =
            now.into_iter().filter(|text| !troubles.contains(text)).cloned().collect();
        troubles.extend(new);
        let differ = troubles != self.troubles;
        self.troubles = troubles;
        differ
    }

    /// Finds what logs there are now; whether these are others than before.
    fn scan(&mut self, changes: &mut Changes) -> Result<bool, Failure> {
        let is_first = self.next_scan.is_none();
        let mut found: Vec<(usize, Input)> = Vec::new();
        let mut now_unreadable: BTreeSet<String> = BTreeSet::new();
        for (i, place) in self.places.iter().enumerate() {
            let (inputs, unreadable) = match place {
                Place::Models(directory) => {
                    let found = discover::logs_in(directory, Depth::Runs);
                    (found.files, found.unreadable)
                }
                Place::Argument(argument) => match resolve(&[argument]) {
                    Ok(found) => {
                        self.absent.remove(&i);
                        found
                    }
                    Err(failure) if is_first && !is_absence(&failure) => return Err(failure),
                    Err(failure) => {
                        let kept = self.logs.iter().filter(|log| log.place == i && !log.lost);
                        found.extend(kept.map(|log| (i, log.input.clone())));
                        if is_first {
                            let origin = Origin::Named;
                            self.absent.insert(i, text(&failure));
                            changes.problems.push(Problem { failure, origin, may_come: true });
                        }
                        continue;
                    }
                },
            };
            for what in unreadable {
                let what = format!("skipped {what}");
                let failure = Failure::from(anyhow!(what.clone()));
                if now_unreadable.insert(what.clone()) && !self.unreadable.contains(&what) {
                    changes.problems.push(Problem {
                        failure,
                        origin: Origin::Found,
                        may_come: false,
                    });
                }
            }
            found.extend(inputs.into_iter().map(|input| (i, input)));
        }
        self.unreadable = now_unreadable;
        let known = self.logs.iter().filter(|log| !log.lost).map(|log| &log.input);
        if known.eq(found.iter().map(|(_, input)| input)) {
            return Ok(false);
        }
        let mut before: BTreeMap<String, (usize, Followed<'a>)> = BTreeMap::new();
        for (i, log) in std::mem::take(&mut self.logs).into_iter().enumerate() {
            before.insert(key(&log.input), (i, log));
        }
        let taken: Vec<Option<Followed<'a>>> =
            found.iter().map(|(_, input)| before.remove(&key(input)).map(|(_, log)| log)).collect();
        for ((place, input), mut log) in found.into_iter().zip(taken) {
            if log.is_none() {
                // A newer file of a run, as that of the next checkpoint, stands in for the older.
                let label = default_label(&input);
                let is_older = |log: &Followed<'a>| {
                    log.place == place
                        && !log.drafts.is_empty()
                        && default_label(&log.input) == label
                };
                let older = before.iter().find(|(_, (_, log))| is_older(log));
                let older = older.map(|(key, _)| key.clone());
                log = older.and_then(|key| before.remove(&key)).map(|(_, log)| log);
                self.copies.clear();
            }
            self.logs.push(Followed::new(place, input, log, &self.reader)?);
        }
        if !before.is_empty() {
            self.copies.clear(); // what they were copies of may be gone
        }
        // What was deleted keeps its curve and its place; what is still there belongs to another log now.
        let mut lost: Vec<(usize, Followed<'a>)> = before.into_values().collect();
        lost.retain(|(_, log)| !log.drafts.is_empty() && log.is_deleted());
        lost.sort_by_key(|(i, _)| *i);
        for (i, mut log) in lost {
            log.lost = true;
            self.logs.insert(i.min(self.logs.len()), log);
        }
        Ok(true)
    }

    /// Names the runs and sets them side by side.
    fn compare(&mut self) -> Result<(), Failure> {
        let mut drafts: Vec<(&Input, Draft)> = Vec::new();
        let mut facts: BTreeMap<&str, (usize, Option<SystemTime>, bool)> = BTreeMap::new();
        for log in &self.logs {
            let last = log.tails.iter().filter_map(FileTail::modified).max();
            for draft in log.drafts.iter().filter(|draft| !self.copies.contains(&draft.run.source))
            {
                facts.insert(&draft.run.source, (facts.len(), last, log.unsure));
                drafts.push((&log.input, copy_of(draft)));
            }
        }
        let sources: Vec<String> = drafts.iter().map(|(_, d)| d.run.source.clone()).collect();
        // Of a log that is gone and one that has its points, the latter goes on.
        let lost: BTreeSet<String> =
            self.logs.iter().filter(|log| log.lost).flat_map(Followed::sources).collect();
        drafts.sort_by_key(|(_, draft)| lost.contains(&draft.run.source));
        // A copy stays one when it is a row behind for a moment.
        leave_out_copies(&mut drafts);
        drafts.sort_by_key(|(_, draft)| facts.get(draft.run.source.as_str()).map(|(i, ..)| *i));
        let left: BTreeSet<&str> = drafts.iter().map(|(_, d)| d.run.source.as_str()).collect();
        let out = sources.into_iter().filter(|source| !left.contains(source.as_str()));
        let out: Vec<String> = out.collect();

        let names: Vec<Name<'_>> = drafts
            .iter()
            .map(|(input, draft)| Name {
                input,
                run: draft.name.as_deref(),
                metric: &draft.run.metric,
            })
            .collect();
        let labels = Labels::none().of(&names, 0)?;
        let mut runs = Vec::new();
        for ((_, Draft { run, .. }), label) in drafts.into_iter().zip(labels) {
            runs.push(Run { history: run.history.relabelled(label), ..run });
        }
        let facts = runs.iter().map(|run| facts.get(run.source.as_str()));
        let facts =
            facts.map(|fact| fact.map_or((None, false), |(_, time, unsure)| (*time, *unsure)));
        (self.modified, self.unsure) = facts.unzip();
        self.comparison = if runs.is_empty() { None } else { Some(Comparison::new(runs)?) };
        self.copies.extend(out);
        Ok(())
    }
}

/// Whether what is missing now may be there later: the pattern or directory is right, and empty.
fn is_absence(failure: &Failure) -> bool {
    let error = failure.error.downcast_ref::<DiscoverError>();
    matches!(error, Some(DiscoverError::NoMatch(_) | DiscoverError::NoLog(_)))
}

/// What makes a log the one that was followed before, though it may have more files now.
fn key(input: &Input) -> String {
    let first = input.segments.first().map(Location::name).unwrap_or_default();
    format!("{:?} {first}", input.label)
}

/// A draft with the same points.
fn copy_of(draft: &Draft) -> Draft {
    let (run, name) = (draft.run.clone(), draft.name.clone());
    Draft { run, name, asides: Vec::new(), lacks: None }
}

#[cfg(test)]
#[path = "follow/tests.rs"]
mod tests;

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

use super::super::curves::{Draft, Outcome, Reader, Segment, holds_no_entropy, may_be_log};
use super::super::failure::{Failure, WithHint};
use super::super::inputs::resolve;
use super::super::labels::{Labels, Name};
use super::super::load::leave_out_copies;
use crate::discover::{self, Depth, DiscoverError, Input, Location, Origin};
use crate::history::{Comparison, Run};
use crate::input::ReadError;
use crate::watch::tail::Tail;

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
    next_scan: Option<Instant>, // none: not looked at anything yet
    said: BTreeSet<String>,     // of places and names
}

/// A log that is followed.
struct Followed<'a> {
    place: usize,
    input: Input,
    tails: Vec<Tail<'a>>,
    drafts: Vec<Draft>,
    said: Option<String>,
}

/// What a look at one log brought.
enum Look {
    Same,
    Grew(Vec<Failure>),
    Failed(Problem),
    Nothing,
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
            next_scan: None,
            said: BTreeSet::new(),
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
        for (look, log) in looks.into_iter().zip(&self.logs) {
            match look {
                Look::Same | Look::Nothing => {}
                Look::Failed(problem) => changes.problems.push(problem),
                Look::Grew(failures) => {
                    anew = true;
                    let origin = log.input.origin;
                    let problem = |failure| Problem { failure, origin, may_come: true };
                    changes.problems.extend(failures.into_iter().map(problem));
                }
            }
        }
        if anew {
            match self.compare() {
                Ok(()) => changes.grew = true,
                Err(failure) if is_first => return Err(failure),
                Err(failure) => self.say(failure, &mut changes),
            }
        }
        Ok(changes)
    }

    /// Adds a problem of the whole, unless it was said before.
    fn say(&mut self, failure: Failure, changes: &mut Changes) {
        if self.said.insert(format!("{:#}", failure.error)) {
            changes.problems.push(Problem { failure, origin: Origin::Found, may_come: true });
        }
    }

    /// Finds what logs there are now; whether these are others than before.
    fn scan(&mut self, changes: &mut Changes) -> Result<bool, Failure> {
        let is_first = self.next_scan.is_none();
        let mut found: Vec<(usize, Input)> = Vec::new();
        for (i, place) in self.places.iter().enumerate() {
            let (inputs, unreadable) = match place {
                Place::Models(directory) => {
                    let found = discover::logs_in(directory, Depth::Runs);
                    (found.files, found.unreadable)
                }
                Place::Argument(argument) => match resolve(&[argument]) {
                    Ok(found) => found,
                    Err(failure) if is_first && !is_absence(&failure) => return Err(failure),
                    Err(failure) => {
                        let kept = self.logs.iter().filter(|log| log.place == i);
                        found.extend(kept.map(|log| (i, log.input.clone())));
                        if is_first {
                            let origin = Origin::Named;
                            changes.problems.push(Problem { failure, origin, may_come: true });
                        }
                        continue;
                    }
                },
            };
            for what in unreadable {
                if self.unreadable.insert(what.clone()) {
                    let failure = Failure::from(anyhow!("skipped {what}"));
                    changes.problems.push(Problem {
                        failure,
                        origin: Origin::Found,
                        may_come: false,
                    });
                }
            }
            found.extend(inputs.into_iter().map(|input| (i, input)));
        }
        let same = |(log, (_, input)): (&Followed<'_>, &(usize, Input))| log.input == *input;
        if found.len() == self.logs.len() && self.logs.iter().zip(&found).all(same) {
            return Ok(false);
        }
        let mut before: BTreeMap<String, Followed<'a>> = BTreeMap::new();
        for log in std::mem::take(&mut self.logs) {
            before.insert(key(&log.input), log);
        }
        for (place, input) in found {
            let log = before.remove(&key(&input));
            self.logs.push(Followed::new(place, input, log, &self.reader)?);
        }
        if !before.is_empty() {
            self.copies.clear(); // what they were copies of may be gone
        }
        Ok(true)
    }

    /// Names the runs and sets them side by side.
    fn compare(&mut self) -> Result<(), Failure> {
        let mut drafts: Vec<(&Input, Draft)> = Vec::new();
        let mut modified: BTreeMap<&str, Option<SystemTime>> = BTreeMap::new();
        for log in &self.logs {
            let last = log.tails.iter().filter_map(Tail::modified).max();
            for draft in log.drafts.iter().filter(|draft| !self.copies.contains(&draft.run.source))
            {
                modified.insert(&draft.run.source, last);
                drafts.push((&log.input, copy_of(draft)));
            }
        }
        let sources: Vec<String> = drafts.iter().map(|(_, d)| d.run.source.clone()).collect();
        // A copy stays one when it is a row behind for a moment.
        leave_out_copies(&mut drafts);
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
        let times = runs.iter().map(|run| modified.get(run.source.as_str()).copied().flatten());
        self.modified = times.collect();
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

impl<'a> Followed<'a> {
    /// A log to follow; what is known of its files is kept.
    fn new(
        place: usize,
        input: Input,
        before: Option<Followed<'a>>,
        reader: &Reader<'a>,
    ) -> Result<Followed<'a>, Failure> {
        let (mut known, drafts, said) = match before {
            Some(before) => (before.tails, before.drafts, before.said),
            None => (Vec::new(), Vec::new(), None),
        };
        let mut tails = Vec::new();
        for segment in &input.segments {
            let Location::File(path) = segment else {
                return Err(anyhow!("cannot follow stdin: it is read once"))
                    .hint("write it to a file, as with `tee run.jsonl`, and name that");
            };
            let at = known.iter().position(|tail| tail.path() == path);
            let tail = at.map(|at| known.swap_remove(at));
            tails.push(
                tail.unwrap_or_else(|| Tail::new(path.clone(), reader.format, reader.wanted)),
            );
        }
        Ok(Followed { place, input, tails, drafts, said })
    }

    /// Reads the files of the log if one of them changed.
    fn look(&mut self, reader: &Reader<'_>, now: Instant) -> Look {
        if !self.tails.iter().any(|tail| tail.has_changed(now)) {
            return Look::Same;
        }
        let scanned = self.input.origin == Origin::Scanned && reader.format.is_none();
        let must_look_like_one = scanned && self.drafts.is_empty();
        let mut segments: Vec<Segment> = Vec::new();
        for tail in &mut self.tails {
            let name = tail.path().to_string_lossy().into_owned();
            if must_look_like_one && !may_be_log(tail.path()).unwrap_or(true) {
                tail.pass_over();
                segments.push(Ok(None));
                continue;
            }
            segments.push(reader.part(name, tail.read(now)));
        }
        let is_empty = |segment: &Segment| match segment {
            Ok(None) => true,
            Ok(Some(_)) => false,
            // What is no log at the start will be none.
            Err((ReadError::Unrecognised(_), _)) => false,
            Err((error, _)) => holds_no_entropy(error),
        };
        let may_come = segments.iter().all(is_empty);
        // What could be read once keeps its curve: it may be in the middle of being written.
        match reader.curves(&self.input, segments.into_iter()) {
            Ok(Outcome::Curves(drafts, failures)) => {
                self.drafts = drafts;
                self.said = None;
                Look::Grew(failures)
            }
            Ok(Outcome::NoEntropy(_) | Outcome::NoLog) => Look::Nothing,
            Err(failure) => {
                let text = format!("{:#}", failure.error);
                if self.said.as_ref() == Some(&text) {
                    return Look::Nothing;
                }
                self.said = Some(text);
                Look::Failed(Problem { failure, origin: self.input.origin, may_come })
            }
        }
    }
}

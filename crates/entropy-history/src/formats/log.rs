//! What a reader gives back: the series that were wanted, and what is odd about the file.

use serde::Serialize;

use super::beside::RawAux;
use super::note::Note;
use super::wanted::{Rank, SeriesSelector};
use super::{Format, ReadError};
use crate::history::Point;
use crate::quantity::{EntropyKind, Sign, identify};

/// What a log holds of what was wanted.
#[derive(Debug)]
pub struct Log {
    /// Every series that could be meant, in the order in which their keys appear.
    pub series: Vec<Series>,
    /// Every series of numbers: its run, its key, what it spans. Filled when [`SeriesSelector::survey`].
    pub survey: Vec<(Option<String>, String, Tally)>,
    /// Every key, sorted, as many as are kept.
    pub keys: Vec<String>,
    /// The key that steps were taken from, where the log has several clocks.
    pub step_key: Option<String>,
    /// The step that the run was taken back to before this log: what an earlier one has from it on is
    /// void.
    pub taken_back_to: Option<f64>,
    /// What the user should know about the file.
    pub notes: Vec<Note>,
}

/// One series of a log, in log order, as it stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name that the log gives to the run, if it gives one.
    pub run: Option<String>,
    /// The key the values were logged under.
    pub metric: String,
    /// The key that the file's name tells, where its content has none.
    pub tag: Option<String>,
    /// How well the key is what was wanted.
    pub rank: Rank,
    /// The rows; values may be NaN or infinite, steps may repeat.
    pub points: Vec<Point>,
    /// The series of the same run that could be the reward asked for.
    pub rewards: Vec<RawAux>,
    /// The clocks of the same run, if they were asked for.
    pub clocks: Vec<RawAux>,
    /// What the user should know about the series.
    pub notes: Vec<Note>,
}

/// What the name of a file tells of its content.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hint {
    pub(super) run: Option<String>,
    pub(super) tag: Option<String>,
}

/// What a series spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Values logged.
    pub rows: usize,
    /// Of these, NaN or infinite.
    pub not_finite: usize,
    /// Smallest step.
    pub first_step: f64,
    /// Largest step.
    pub last_step: f64,
    /// The value logged last.
    pub last: f64,
}

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, point: Point) {
        if self.rows == 0 {
            (self.first_step, self.last_step) = (point.step, point.step);
        }
        self.rows += 1;
        self.not_finite += usize::from(!point.entropy.is_finite());
        self.first_step = self.first_step.min(point.step);
        self.last_step = self.last_step.max(point.step);
        self.last = point.entropy;
    }
}

impl Log {
    /// The series to take: of each run the best known one, or every one that was asked for.
    ///
    /// # Errors
    /// When the log has none of what is wanted; the error lists what it has.
    pub fn choose(
        mut self,
        wanted: &SeriesSelector,
        format: &Format,
    ) -> Result<(Vec<Series>, Vec<Note>), ReadError> {
        if self.series.is_empty() {
            return Err(ReadError::NoMetric {
                wanted: wanted.names(format.metrics),
                found: nearest_first(self.keys),
            });
        }
        let chosen = match wanted.patterns() {
            None => best_of_each_run(self.series, format.name),
            Some(patterns) => {
                // `a.b` and `a/b` are alike, but where a log has both, what was typed counts.
                for pattern in 0..patterns {
                    let exact = Rank { pattern, loose: false };
                    if self.series.iter().any(|s| s.rank == exact) {
                        self.series.retain(|s| s.rank != Rank { pattern, loose: true });
                    }
                }
                self.series
            }
        };
        Ok((chosen, self.notes))
    }
}

/// Of each run the series that ranks first, in the order of the runs; a second one of another kind is
/// noted.
fn best_of_each_run(series: Vec<Series>, format: &str) -> Vec<Series> {
    let mut best: Vec<Series> = Vec::new();
    let mut others: Vec<Series> = Vec::new();
    for candidate in series {
        match best.iter_mut().find(|s| s.run == candidate.run) {
            None => best.push(candidate),
            Some(s) if candidate.rank < s.rank => others.push(std::mem::replace(s, candidate)),
            Some(_) => others.push(candidate),
        }
    }
    for other in others {
        let Some(taken) = best.iter_mut().find(|s| s.run == other.run) else { continue };
        let (kind, other_kind) = (kind_of(taken, format), kind_of(&other, format));
        if kind != other_kind {
            taken.notes.push(Note::OtherKind {
                taken: (taken.metric.clone(), kind),
                other: (other.metric, other_kind),
            });
        }
    }
    best
}

fn kind_of(series: &Series, format: &str) -> EntropyKind {
    series.quantity(format).0
}

impl Series {
    /// Which entropy it is, and whether the log holds it negated.
    pub fn quantity(&self, format: &str) -> (EntropyKind, Sign) {
        let key = self.tag.as_deref().unwrap_or(&self.metric);
        identify(format, key, self.points.iter().map(|p| p.entropy))
    }
}

/// The keys most like an entropy first.
fn nearest_first(mut keys: Vec<String>) -> Vec<String> {
    let likeness = |key: &String| {
        let key = key.to_lowercase();
        match () {
            () if key.contains("entropy") => 0,
            () if key.contains("ent") || key.contains("logp") || key.contains("log_prob") => 1,
            () if key.starts_with('_') => 3,
            () => 2,
        }
    };
    keys.sort_by_key(|key| (likeness(key), if likeness(key) == 0 { key.len() } else { 0 }));
    keys
}

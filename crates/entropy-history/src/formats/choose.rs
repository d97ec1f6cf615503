//! Chooses among the series of a log those to plot.

use super::error::ReadError;
use super::format::Format;
use super::log::{Log, LogSeries};
use super::log_note::LogNote;
use crate::quantity::{EntropyKind, Sign, identify};
use crate::select::{KeyRank, SeriesSelector};

impl Log {
    /// The series to plot: the best-known one of each run, or every one that `--metric` names.
    ///
    /// # Errors
    /// When the log has none of the selected keys; the error lists the keys that it has.
    pub fn choose(
        mut self,
        selector: &SeriesSelector,
        format: &Format,
    ) -> Result<(Vec<LogSeries>, Vec<LogNote>), ReadError> {
        if self.series.is_empty() {
            return Err(ReadError::NoMetric {
                wanted: selector.names(format.metrics),
                found: nearest_first(self.keys),
            });
        }
        let chosen = match selector.pattern_count() {
            None => best_of_each_run(self.series, format),
            Some(patterns) => {
                // `a.b` matches `a/b`, but a log that has both keys means the one that was typed.
                for pattern in 0..patterns {
                    let exact = KeyRank { pattern, matched_dotted: false };
                    let dotted = KeyRank { pattern, matched_dotted: true };
                    if self.series.iter().any(|s| s.rank == exact) {
                        self.series.retain(|s| s.rank != dotted);
                    }
                }
                self.series
            }
        };
        Ok((chosen, self.notes))
    }
}

/// The series of each run that ranks first, in the order of the runs. A second series of another kind
/// is noted.
fn best_of_each_run(series: Vec<LogSeries>, format: &Format) -> Vec<LogSeries> {
    let mut best: Vec<LogSeries> = Vec::new();
    let mut others: Vec<LogSeries> = Vec::new();
    for candidate in series {
        match best.iter_mut().find(|s| s.run == candidate.run) {
            None => best.push(candidate),
            Some(s) if candidate.rank < s.rank => others.push(std::mem::replace(s, candidate)),
            Some(_) => others.push(candidate),
        }
    }
    for other in others {
        let Some(taken) = best.iter_mut().find(|s| s.run == other.run) else { continue };
        let (kind, other_kind) = (taken.quantity(format).0, other.quantity(format).0);
        if kind != other_kind {
            taken.notes.push(LogNote::OtherKind {
                taken: (taken.metric.clone(), kind),
                other: (other.metric, other_kind),
            });
        }
    }
    best
}

impl LogSeries {
    /// Which kind of entropy the series holds in this format, and whether the log stores it negated.
    pub fn quantity(&self, format: &Format) -> (EntropyKind, Sign) {
        let key = self.tag.as_deref().unwrap_or(&self.metric);
        identify(format.kinds, key, self.points.iter().map(|p| p.entropy))
    }
}

/// Sorts keys by their likeness to an entropy, the most alike first.
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

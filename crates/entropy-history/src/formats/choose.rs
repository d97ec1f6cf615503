//! Chooses among the series of a log those to plot.

use super::error::ReadError;
use super::format::Format;
use super::log::{Log, LogSeries};
use super::log_note::LogNote;
use crate::entropy_name::entropy_likeness;
use crate::quantity::{EntropyKind, Sign, identify, is_classic, is_key};
use crate::select::{KeyRank, SeriesSelector};
use crate::text::plural;

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
            return Err(no_metric(selector, format, self.keys));
        }
        if selector.uses_default_keys() && is_classic(self.keys.iter().map(String::as_str)) {
            for series in self.series.iter_mut().filter(|s| is_key("entropy", &s.metric)) {
                series.kind = Some(EntropyKind::ActionDistribution);
            }
        }
        let chosen = match selector.pattern_count() {
            None => {
                let chosen = best_of_each_run(self.series, format);
                if chosen.is_empty() {
                    return Err(no_metric(selector, format, self.keys));
                }
                chosen
            }
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

/// The series of each run that ranks first, in the order of the runs; one without a finite value is behind the others. A second
/// series of another known kind is noted, and one with many more values. A run of which no key is known has a series only if a single key looks like an entropy.
fn best_of_each_run(series: Vec<LogSeries>, format: &Format) -> Vec<LogSeries> {
    let mut best: Vec<LogSeries> = Vec::new();
    let mut others: Vec<LogSeries> = Vec::new();
    for candidate in series {
        match best.iter_mut().find(|s| s.run == candidate.run) {
            None => best.push(candidate),
            Some(s) if candidate.order() < s.order() => {
                others.push(std::mem::replace(s, candidate));
            }
            Some(_) => others.push(candidate),
        }
    }
    best.retain_mut(|taken| {
        let is_alone = !others.iter().any(|other| other.run == taken.run);
        if taken.rank.is_guess() && is_alone {
            let (metric, others) = (taken.metric.clone(), Vec::new());
            taken.notes.push(LogNote::UnknownMetric { taken: metric, others });
        }
        !taken.rank.is_guess() || is_alone
    });
    for other in others.into_iter().filter(|other| !other.rank.is_guess()) {
        let Some(taken) = best.iter_mut().find(|s| s.run == other.run) else { continue };
        let (kind, other_kind) = (taken.quantity(format).0, other.quantity(format).0);
        if kind != other_kind && other_kind != EntropyKind::Unknown {
            taken.notes.push(LogNote::OtherKind {
                taken: (taken.metric.clone(), kind),
                other: (other.metric, other_kind),
            });
        } else if other.finite() > 2 * taken.finite() {
            let (few, many) = (plural(taken.finite(), "value", "values"), other.finite());
            taken.notes.push(LogNote::Odd(format!(
                "it holds {:?} with {few} and {:?} with {many}; the first is taken, --metric picks the other",
                taken.metric, other.metric
            )));
        }
    }
    best
}

impl LogSeries {
    /// What puts the series of a run into their order, the best first.
    fn order(&self) -> (bool, bool, KeyRank) {
        (self.rank.is_guess(), self.finite() == 0, self.rank)
    }

    /// Number of finite values.
    fn finite(&self) -> usize {
        self.points.iter().filter(|point| point.entropy.is_finite()).count()
    }

    /// Which kind of entropy the series holds in this format, and whether the log stores it negated.
    pub fn quantity(&self, format: &Format) -> (EntropyKind, Sign) {
        let key = self.tag.as_deref().unwrap_or(&self.metric);
        if let Some(kind) = self.kind {
            return (kind, Sign::AsLogged);
        }
        let (kind, sign) = identify(format.kinds, key, self.points.iter().map(|p| p.entropy));
        let is_default = || format.metrics.iter().any(|metric| is_key(metric, key));
        match kind {
            // A column `value` of a table is taken for an entropy.
            EntropyKind::OtherMetric if is_default() => (EntropyKind::Unknown, sign),
            kind => (kind, sign),
        }
    }
}

/// The error of a log without a selected key. It lists the keys that the log has: those most like a key that the
/// user typed first, else those most like an entropy.
fn no_metric(selector: &SeriesSelector, format: &Format, keys: Vec<String>) -> ReadError {
    let wanted = selector.names(format.metrics);
    let mut found = most_like_entropy_first(keys);
    if !selector.uses_default_keys() {
        let likeness = |key: &String| {
            let of = |wanted: &String| strsim::normalized_damerau_levenshtein(wanted, key);
            wanted.iter().map(of).fold(0.0, f64::max)
        };
        found.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    }
    ReadError::NoMetric { wanted, found }
}

/// Sorts keys by their likeness to an entropy, the most alike first.
fn most_like_entropy_first(mut keys: Vec<String>) -> Vec<String> {
    let likeness = |key: &String| {
        let lower = key.to_lowercase();
        match entropy_likeness(key) {
            likeness @ 0..3 => (likeness, key.len()),
            _ if lower.contains("entropy") => (3, key.len()),
            _ if lower.contains("ent") || lower.contains("logp") || lower.contains("log_prob") => {
                (4, 0)
            }
            _ if key.starts_with('_') => (6, 0),
            _ => (5, 0),
        }
    };
    keys.sort_by_key(likeness);
    keys
}

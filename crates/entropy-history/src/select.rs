//! Selects the series of a log: the best-known entropy key, or the keys of `--metric`, and the auxiliary
//! series to read with them (a reward or another quantity, a clock).

use crate::entropy_name::is_entropy_like;
use crate::quantity::{KNOWN_KEYS, is_key, matches_known};

/// Keys of clocks, best first: the time of day before the age of a process, which restarts when a run
/// is resumed. A clock counts seconds from any origin: only differences within a run are used.
/// TensorBoard, W&B and trackio store theirs outside the metrics, and their readers add them.
const CLOCKS: [&str; 8] = [
    "_timestamp",        // W&B
    "wall_time",         // TensorBoard
    "Wall time",         // TensorBoard's downloads
    "timestamp",         // trackio, RLlib
    "time",              // prime-rl
    "_runtime",          // W&B, age of the process
    "time_total_s",      // RLlib, age of the process
    "time/time_elapsed", // Stable-Baselines3, age of the process
];

/// A pattern as typed, with its compiled form if it is a glob.
type Pattern = (String, Option<glob::Pattern>);

/// How well a key matches a selection; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRank {
    /// Index of the matched pattern, or of the key in the list of known keys.
    pub pattern: usize,
    /// Whether the key only matches with dots in place of slashes.
    pub matched_dotted: bool,
}

impl KeyRank {
    /// The rank of a key that is not known and has "entropy" in its name.
    pub(crate) const GUESS: KeyRank = KeyRank { pattern: usize::MAX - 1, matched_dotted: true };

    /// Whether the key is not known, and only its name suggests an entropy.
    pub(crate) fn is_guess(self) -> bool {
        self == KeyRank::GUESS
    }
}

/// The role of a series that is read with the entropy of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuxKind {
    /// A requested quantity: its index among the requested ones.
    Quantity(usize, KeyRank),
    /// A clock.
    Clock(KeyRank),
}

impl AuxKind {
    /// Whether it is a clock.
    pub(crate) fn is_clock(self) -> bool {
        matches!(self, AuxKind::Clock(_))
    }
}

/// The rank of a key among the known clocks; `None` if it is not a clock.
pub(crate) fn clock_rank(key: &str) -> Option<KeyRank> {
    let pattern = CLOCKS.iter().position(|clock| is_key(clock, key))?;
    Some(KeyRank { pattern, matched_dotted: CLOCKS[pattern] != key })
}

/// Selects the series to read from a log.
#[derive(Debug, Clone, Default)]
pub struct SeriesSelector {
    patterns: Vec<Pattern>,
    quantities: Vec<Vec<Pattern>>,
    clock: bool,
    list_all: bool,
    step_key: Option<String>,
}

impl SeriesSelector {
    /// Selects the best-known entropy key of each run.
    pub fn default_keys() -> SeriesSelector {
        SeriesSelector::default()
    }

    /// Selects every key that equals one of `patterns`, or matches one that contains `*`, `?` or `[`.
    ///
    /// # Errors
    /// The invalid pattern and the reason.
    pub fn metrics(patterns: &[String]) -> Result<SeriesSelector, (String, String)> {
        Ok(SeriesSelector { patterns: compile(patterns)?, ..SeriesSelector::default() })
    }

    /// Also selects these quantities, such as the reward: of each, the first key or glob that a run has.
    ///
    /// # Errors
    /// The invalid pattern and the reason.
    pub fn with_quantities(
        self,
        quantities: &[Vec<String>],
    ) -> Result<SeriesSelector, (String, String)> {
        let quantities = quantities.iter().map(|patterns| compile(patterns));
        Ok(SeriesSelector { quantities: quantities.collect::<Result<_, _>>()?, ..self })
    }

    /// Also selects the time at which each step was logged.
    pub fn with_clock(self) -> SeriesSelector {
        SeriesSelector { clock: true, ..self }
    }

    /// Also reports the extent of every other numeric series.
    pub fn with_all_series(self) -> SeriesSelector {
        SeriesSelector { list_all: true, ..self }
    }

    /// Takes the steps from this key instead of the best-known one.
    pub fn with_step_key(self, key: Option<String>) -> SeriesSelector {
        SeriesSelector { step_key: key, ..self }
    }

    /// The requested key of the steps.
    pub fn step_key(&self) -> Option<&str> {
        self.step_key.as_deref()
    }

    /// Whether the extent of every series is reported.
    pub fn list_all(&self) -> bool {
        self.list_all
    }

    /// Whether other quantities are selected too.
    pub fn has_quantities(&self) -> bool {
        !self.quantities.is_empty()
    }

    /// Whether a clock is selected too.
    pub fn has_clock(&self) -> bool {
        self.clock
    }

    /// The auxiliary role of `key`, if one is requested.
    pub(crate) fn aux_kind(&self, key: &str) -> Option<AuxKind> {
        if self.quantities.is_empty() && !self.clock {
            return None;
        }
        let clock = || clock_rank(key).filter(|_| self.clock).map(AuxKind::Clock);
        let mut quantities = self.quantities.iter().enumerate();
        let quantity = |(index, patterns): (usize, &Vec<Pattern>)| {
            rank_among(patterns, key).map(|rank| AuxKind::Quantity(index, rank))
        };
        // A quantity of this very key comes before one of several keys, such as the reward.
        let is_key = |patterns: &Vec<Pattern>| matches!(&patterns[..], [(text, _)] if text == key);
        let exact =
            self.quantities.iter().position(is_key).map(|index| {
                AuxKind::Quantity(index, KeyRank { pattern: 0, matched_dotted: false })
            });
        exact.or_else(|| quantities.find_map(quantity)).or_else(clock)
    }

    /// Whether the known keys are searched, because no key was named.
    pub fn uses_default_keys(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Number of patterns; `None` if the known keys are searched.
    pub(crate) fn pattern_count(&self) -> Option<usize> {
        (!self.patterns.is_empty()).then_some(self.patterns.len())
    }

    /// How well `key` matches; without patterns, `format_keys` come before the known keys.
    pub(crate) fn rank(&self, format_keys: &[&str], key: &str) -> Option<KeyRank> {
        if self.patterns.is_empty() {
            let known = KNOWN_KEYS.iter().map(|known| known.key);
            let all = format_keys.iter().copied().chain(known);
            let matches = all.enumerate().filter(|(_, text)| matches_known(text, key));
            let ranks =
                matches.map(|(pattern, text)| KeyRank { pattern, matched_dotted: text != key });
            let best = ranks.min_by_key(|rank| (rank.matched_dotted, rank.pattern));
            return best.or_else(|| is_entropy_like(key).then_some(KeyRank::GUESS));
        }
        rank_among(&self.patterns, key)
    }

    /// How well a tag matches in which every slash became an underscore.
    pub(crate) fn rank_of_tag(&self, tag: &str) -> Option<KeyRank> {
        let is_tag = |(text, glob): &Pattern| {
            let text = text.replace('/', "_");
            match glob {
                Some(_) => glob::Pattern::new(&text).is_ok_and(|glob| glob.matches(tag)),
                None => text == tag,
            }
        };
        let pattern = self.patterns.iter().position(is_tag)?;
        Some(KeyRank { pattern, matched_dotted: false })
    }

    /// The searched keys, for an error message.
    pub(crate) fn names(&self, format_keys: &[&str]) -> Vec<String> {
        match &self.patterns[..] {
            [] => format_keys.iter().map(|&key| key.to_owned()).collect(),
            patterns => patterns.iter().map(|(text, _)| text.clone()).collect(),
        }
    }
}

fn compile(patterns: &[String]) -> Result<Vec<Pattern>, (String, String)> {
    let compiled = patterns.iter().map(|text| {
        let is_glob = text.contains(['*', '?', '[']);
        let glob = is_glob.then(|| glob::Pattern::new(text)).transpose();
        let glob = glob.map_err(|e| (text.clone(), e.msg.to_owned()))?;
        Ok((text.clone(), glob))
    });
    compiled.collect()
}

/// The first pattern that matches the key; an exact match or a glob is preferred to a dotted match.
fn rank_among(patterns: &[Pattern], key: &str) -> Option<KeyRank> {
    let exact =
        |(text, glob): &Pattern| text == key || glob.as_ref().is_some_and(|glob| glob.matches(key));
    let dotted = |(text, _): &Pattern| !text.starts_with('*') && is_key(text, key);
    if let Some(pattern) = patterns.iter().position(exact) {
        return Some(KeyRank { pattern, matched_dotted: false });
    }
    let pattern = patterns.iter().position(dotted)?;
    Some(KeyRank { pattern, matched_dotted: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_format_rank_before_known_keys() {
        let defaults = SeriesSelector::default_keys();
        let rank = |key| defaults.rank(&["actor/entropy"], key);
        assert!(rank("actor/entropy") < rank("policy/entropy"));
        assert!(rank("policy/entropy") < rank("train/entropy"));
        assert!(rank("policy.entropy").unwrap().matched_dotted);
        assert_eq!(rank("loss"), None);
    }

    #[test]
    fn glob_selects_matching_keys() {
        let selector =
            SeriesSelector::metrics(&["*/entropy*".to_owned(), "loss".to_owned()]).unwrap();
        let pattern = |key| selector.rank(&[], key).map(|rank| rank.pattern);
        assert_eq!(pattern("actor/entropy_loss"), Some(0));
        assert_eq!((pattern("loss"), pattern("kl")), (Some(1), None));
        assert!(SeriesSelector::metrics(&["[a".to_owned()]).is_err());
    }

    #[test]
    fn reward_is_auxiliary_and_not_a_metric() {
        let selector = SeriesSelector::default_keys()
            .with_quantities(&[vec!["critic/score/*".to_owned()]])
            .unwrap();
        assert!(matches!(selector.aux_kind("critic/score/mean"), Some(AuxKind::Quantity(0, _))));
        assert_eq!(selector.rank(&[], "critic/score/mean"), None);
        assert_eq!((selector.aux_kind("_timestamp"), selector.aux_kind("entropy")), (None, None));
        let selector = selector.with_clock();
        assert!(matches!(selector.aux_kind("_timestamp"), Some(AuxKind::Clock(_))));
    }
}

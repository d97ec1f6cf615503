//! Which series of a log are wanted: the best known one, or those that `--metric` names; and which are
//! to stand beside it.

use super::beside::{Beside, clock_rank};
use crate::quantity::{KNOWN_KEYS, is_key};

/// A key, and what it means if it is a glob.
type Pattern = (String, Option<glob::Pattern>);

/// How well a key is what is wanted; the smaller the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The pattern that it matches, or its place in the list of known keys.
    pub pattern: usize,
    /// It matches with dots for slashes.
    pub loose: bool,
}

/// What is wanted of a log.
#[derive(Debug, Clone, Default)]
pub struct SeriesSelector {
    patterns: Vec<Pattern>,
    rewards: Vec<Pattern>,
    clock: bool,
    survey: bool,
}

impl SeriesSelector {
    /// The first known key that a log has.
    pub fn known() -> SeriesSelector {
        SeriesSelector::default()
    }

    /// Every key that is one of `patterns`, or matches one that has `*`, `?` or `[`.
    ///
    /// # Errors
    /// The pattern that is none, and why.
    pub fn metrics(patterns: &[String]) -> Result<SeriesSelector, (String, String)> {
        Ok(SeriesSelector { patterns: compile(patterns)?, ..SeriesSelector::default() })
    }

    /// The same, and of each run the first of these rewards that it has, as keys or globs.
    ///
    /// # Errors
    /// The pattern that is none, and why.
    pub fn with_rewards(self, patterns: &[String]) -> Result<SeriesSelector, (String, String)> {
        Ok(SeriesSelector { rewards: compile(patterns)?, ..self })
    }

    /// The same, and when each step was logged.
    pub fn with_clock(self) -> SeriesSelector {
        SeriesSelector { clock: true, ..self }
    }

    /// The same, and a count of every other series.
    pub fn with_survey(self) -> SeriesSelector {
        SeriesSelector { survey: true, ..self }
    }

    /// Whether every series is to be counted.
    pub fn survey(&self) -> bool {
        self.survey
    }

    /// Whether a reward is wanted too.
    pub fn has_rewards(&self) -> bool {
        !self.rewards.is_empty()
    }

    /// Whether the clock is wanted too.
    pub fn has_clock(&self) -> bool {
        self.clock
    }

    /// What `key` is besides a metric, if that is wanted.
    pub(super) fn beside(&self, key: &str) -> Option<Beside> {
        if self.rewards.is_empty() && !self.clock {
            return None;
        }
        let clock = || clock_rank(key).filter(|_| self.clock).map(Beside::Clock);
        rank_among(&self.rewards, key).map(Beside::Reward).or_else(clock)
    }

    /// Whether the best known series is wanted, and none by its name.
    pub fn is_known(&self) -> bool {
        self.patterns.is_empty()
    }

    /// How many patterns there are; `None` if the known keys are looked for.
    pub(super) fn patterns(&self) -> Option<usize> {
        (!self.patterns.is_empty()).then_some(self.patterns.len())
    }

    /// How well `key` is what is wanted; `first_choice` comes before the known keys.
    pub(super) fn rank(&self, first_choice: &[&str], key: &str) -> Option<Rank> {
        if self.patterns.is_empty() {
            let known = KNOWN_KEYS.iter().map(|known| known.key);
            let all = first_choice.iter().copied().chain(known);
            let rank = |pattern: usize, text: &str| Rank { pattern, loose: text != key };
            let ranks = all.enumerate().filter(|(_, text)| is_key(text, key));
            return ranks.map(|(i, text)| rank(i, text)).min_by_key(|r| (r.loose, r.pattern));
        }
        rank_among(&self.patterns, key)
    }

    /// How well a tag with underscores for slashes is what is wanted.
    pub(super) fn rank_of_tag(&self, tag: &str) -> Option<Rank> {
        let is_tag = |(text, glob): &Pattern| {
            let text = text.replace('/', "_");
            match glob {
                Some(_) => glob::Pattern::new(&text).is_ok_and(|glob| glob.matches(tag)),
                None => text == tag,
            }
        };
        let pattern = self.patterns.iter().position(is_tag)?;
        Some(Rank { pattern, loose: false })
    }

    /// What was looked for, for an error.
    pub(super) fn names(&self, first_choice: &[&str]) -> Vec<String> {
        match &self.patterns[..] {
            [] => first_choice.iter().map(|&key| key.to_owned()).collect(),
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

/// The first of the patterns that the key matches.
fn rank_among(patterns: &[Pattern], key: &str) -> Option<Rank> {
    for (pattern, (text, glob)) in patterns.iter().enumerate() {
        let matches = text == key || glob.as_ref().is_some_and(|glob| glob.matches(key));
        if matches {
            return Some(Rank { pattern, loose: false });
        }
    }
    let loose = patterns.iter().position(|(text, _)| is_key_literally(text, key));
    loose.map(|pattern| Rank { pattern, loose: true })
}

fn is_key_literally(text: &str, key: &str) -> bool {
    !text.starts_with('*') && is_key(text, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_own_key_comes_first() {
        let known = SeriesSelector::known();
        let rank = |key| known.rank(&["actor/entropy"], key);
        assert!(rank("actor/entropy") < rank("policy/entropy"));
        assert!(rank("policy/entropy") < rank("train/entropy"));
        assert!(rank("policy.entropy").unwrap().loose);
        assert_eq!(rank("loss"), None);
    }

    #[test]
    fn a_glob_takes_what_matches() {
        let wanted =
            SeriesSelector::metrics(&["*/entropy*".to_owned(), "loss".to_owned()]).unwrap();
        let pattern = |key| wanted.rank(&[], key).map(|rank| rank.pattern);
        assert_eq!(pattern("actor/entropy_loss"), Some(0));
        assert_eq!((pattern("loss"), pattern("kl")), (Some(1), None));
        assert!(SeriesSelector::metrics(&["[a".to_owned()]).is_err());
    }

    #[test]
    fn a_reward_stands_beside_the_metric_and_is_none() {
        let wanted = SeriesSelector::known().with_rewards(&["critic/score/*".to_owned()]).unwrap();
        assert!(matches!(wanted.beside("critic/score/mean"), Some(Beside::Reward(_))));
        assert_eq!(wanted.rank(&[], "critic/score/mean"), None);
        assert_eq!((wanted.beside("_timestamp"), wanted.beside("entropy")), (None, None));
        let wanted = wanted.with_clock();
        assert!(matches!(wanted.beside("_timestamp"), Some(Beside::Clock(_))));
    }
}

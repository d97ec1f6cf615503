//! What the name of a metric key says about an entropy.

/// Words that show that a key with "entropy" is not an entropy: weights of a loss, targets, cross-entropies, times.
const NO_ENTROPY_WORDS: [&str; 19] = [
    "coef",
    "coeff",
    "coefficient",
    "coefs",
    "target",
    "threshold",
    "weight",
    "beta",
    "alpha",
    "cross",
    "crossentropy",
    "relative",
    "bonus",
    "penalty",
    "schedule",
    "scale",
    "lr",
    "time",
    "timing",
];
/// Words that show that a key is the spread or an extreme of an entropy.
const SPREAD_WORDS: [&str; 14] = [
    "std", "stdev", "stddev", "stderr", "sem", "var", "variance", "min", "max", "sd", "se",
    "count", "median", "num",
];

fn words(key: &str) -> impl Iterator<Item = String> + '_ {
    let words = key.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

/// Whether the name of a key suggests the mean of an entropy.
pub(crate) fn is_entropy_like(key: &str) -> bool {
    entropy_likeness(key) < 2
}

/// A class for the name of a key, smaller if it is more likely the mean of an entropy: 0 for a mean, 1 for an
/// entropy, 2 for its spread or extremes, 3 for something else.
pub(crate) fn entropy_likeness(key: &str) -> u8 {
    let has = |list: &[&str]| words(key).any(|word| list.contains(&word.as_str()));
    if !key.to_lowercase().contains("entropy") || has(&NO_ENTROPY_WORDS) || has(&["eval"]) {
        return 3;
    }
    match () {
        () if has(&SPREAD_WORDS) => 2,
        () if has(&["mean", "avg", "average"]) => 0,
        () => 1,
    }
}

/// Whether the name of a key says that its values are entropies, their extremes and medians included.
pub(crate) fn names_an_entropy(key: &str) -> bool {
    let has = |list: &[&str]| words(key).any(|word| list.contains(&word.as_str()));
    let lower = key.to_lowercase();
    let is_named = lower.contains("entrop") || has(&["ent", "h"]);
    is_named && !has(&NO_ENTROPY_WORDS) && (!has(&SPREAD_WORDS) || has(&["min", "max", "median"]))
}

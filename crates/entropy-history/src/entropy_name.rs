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

/// Words that show that a key is of an evaluation and not of the training.
const EVALUATION_WORDS: [&str; 8] =
    ["eval", "evaluation", "val", "valid", "validation", "dev", "test", "testing"];

/// Whether the name of a key says that it is of an evaluation. A column of W&B's CSV has the name of a run before " - ".
fn is_of_evaluation(key: &str) -> bool {
    let key = key.rsplit_once(" - ").map_or(key, |(_, key)| key);
    words(key).any(|word| EVALUATION_WORDS.contains(&word.as_str()))
}

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
    if !key.to_lowercase().contains("entropy") || has(&NO_ENTROPY_WORDS) || is_of_evaluation(key) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_of_an_evaluation_is_not_that_of_the_training() {
        for key in [
            "eval_entropy",
            "eval/entropy",
            "evaluation/entropy",
            "val/entropy",
            "val_entropy",
            "val-core/entropy",
            "Validation.entropy",
            "valid/actor/entropy_mean",
            "dev/entropy",
            "test/entropy",
            "entropy/test",
            "run 1 - val/entropy",
        ] {
            assert!(!is_entropy_like(key), "{key}");
        }
        for key in ["teacher/entropy", "value/entropy", "latest_entropy", "test-3 - my/entropy"] {
            assert!(is_entropy_like(key), "{key}");
        }
    }
}

//! Keys that look like a reward, to suggest for `--reward`.

use crate::quantity::is_key;
use crate::quantity_names::REWARDS;
use crate::select::clock_rank;

/// Sorts keys for a suggestion: first those most similar to the `requested` key or to a reward, last
/// clocks and steps.
pub fn nearest_rewards(mut keys: Vec<String>, requested: &str) -> Vec<String> {
    let requested = requested.trim_matches('*').to_lowercase();
    let likeness = |key: &String| {
        let lower = key.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        match () {
            () if !requested.is_empty()
                && (lower.contains(&requested) || requested.contains(&lower)) =>
            {
                0
            }
            () if REWARDS.iter().any(|known| is_key(known, key)) => 1,
            () if has(&["reward"]) => 2,
            () if has(&["score", "rew_", "_rew", "return", "accuracy", "/acc"]) => 3,
            () if clock_rank(key).is_some() || lower.starts_with('_') || has(&["step"]) => 5,
            () => 4,
        }
    };
    // A key with "std" or "min" is not a mean, and validation is logged seldom. Of similar keys, the
    // shorter one is the more general.
    let is_unlikely =
        |key: &String| ["std", "min", "max", "val"].iter().any(|word| key.contains(word));
    keys.sort_by_key(|key| {
        (likeness(key), is_unlikely(key), if likeness(key) < 4 { key.len() } else { 0 })
    });
    keys
}

/// Whether the key looks like a reward, so that it can be suggested for `--reward`.
pub fn is_reward_like(key: &str) -> bool {
    let lower = key.to_lowercase();
    REWARDS.iter().any(|known| is_key(known, key)) || lower.contains("reward")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reward_like_keys_are_suggested_first() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        let log = keys(&["actor/lr", "critic/rewards/max", "critic/rewards/mean", "step", "time"]);
        assert_eq!(nearest_rewards(log, "reward")[0], "critic/rewards/mean");
        let log = keys(&["loss", "rewards/format/mean", "reward", "reward_std"]);
        assert_eq!(nearest_rewards(log.clone(), "rewards/mean")[0], "reward");
        assert_eq!(nearest_rewards(log, "*format*")[0], "rewards/format/mean");
    }
}

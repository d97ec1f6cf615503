//! Runs that differ only in their seeds.

use std::collections::BTreeMap;

use regex::Regex;

/// What people write before the number of a seed at the end of a label, as in `_seed1` and `/s-1`, and in front of it.
const WORDS: [&str; 10] =
    ["seed", "seed_", "seed-", "seed=", "s", "run", "run_", "rep", "trial", "trial_"];
const SEPARATORS: [&str; 6] = ["_", "-", "/", r"\.", " ", ""];

/// A pattern for `--group` that puts runs with different seeds into one group, if nearly all labels have a seed and
/// there are several groups, most of them of several runs.
pub fn group_pattern(labels: &[&str]) -> Option<String> {
    let seeds = WORDS.into_iter().flat_map(|word| SEPARATORS.map(|separator| (separator, word)));
    // A letter without a separator is a part of a word.
    let mut seeds = seeds.filter(|(separator, word)| !separator.is_empty() || word.len() > 1);
    seeds.find_map(|(separator, word)| {
        let pattern = format!("^(.+){separator}{word}[0-9]+$");
        let regex = Regex::new(&pattern).expect("BUG: a pattern of seeds is valid");
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for label in labels {
            if let Some(found) = regex.captures(label) {
                *sizes.entry(found.get(1)?.as_str()).or_default() += 1;
            }
        }
        let grouped: usize = sizes.values().sum();
        let several = sizes.values().filter(|size| **size > 1).count();
        let is_useful =
            sizes.len() > 1 && 2 * several > sizes.len() && 10 * grouped >= 9 * labels.len();
        is_useful.then_some(pattern)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_with_seeds_have_an_obvious_group() {
        let labels = ["grpo_kl0_seed1", "grpo_kl0_seed2", "grpo_kl1_seed1", "grpo_kl1_seed2"];
        let pattern = group_pattern(&labels).unwrap();
        assert_eq!(pattern, "^(.+)_seed[0-9]+$");
        let regex = Regex::new(&pattern).unwrap();
        assert_eq!(&regex.captures(labels[0]).unwrap()[1], "grpo_kl0");
        assert!(group_pattern(&["a_s1", "a_s2", "b_s1", "b_s2"]).is_some());
        assert!(group_pattern(&["a/seed_1", "a/seed_2", "b/seed_1", "b/seed_2"]).is_some());
    }

    #[test]
    fn other_labels_have_none() {
        assert_eq!(group_pattern(&["a_s1", "a_s2"]), None, "one group");
        assert_eq!(group_pattern(&["a_s1", "b_s1", "c_s1"]), None, "one run each");
        assert_eq!(group_pattern(&["lr1", "lr2", "a_s1", "a_s2", "b_s1"]), None, "most have none");
        assert_eq!(group_pattern(&[]), None);
    }
}

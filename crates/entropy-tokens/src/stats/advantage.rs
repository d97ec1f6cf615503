//! Group-normalised advantages, as GRPO has them, for dumps with rewards and without advantages.
//!
//! ```text
//! A_i = (r_i − mean(r)) / (sd(r) + 1e-6)      over the responses of a prompt; sd with n − 1
//! ```
//!
//! This is verl's `compute_grpo_outcome_advantage` with its defaults; TRL adds 1e-4 instead of 1e-6. A prompt with one
//! response has no standard deviation: verl keeps its reward as the advantage, here it is left out and counted.

use std::collections::BTreeMap;

/// What is added to the standard deviation.
pub const EPSILON: f64 = 1e-6;
/// The formula, for messages.
pub const FORMULA: &str =
    "A = (r − mean) / (sd + 1e-6) over the responses of a prompt, sd with n − 1";

/// The advantages of responses from their prompts and rewards, in order; `None` for a response without reward, or whose
/// prompt has one response with a reward.
pub fn group_normalised(responses: &[(u64, Option<f64>)]) -> Vec<Option<f64>> {
    let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (group, reward) in responses {
        groups.entry(*group).or_default().extend(*reward);
    }
    let moments: BTreeMap<u64, Option<(f64, f64)>> =
        groups.into_iter().map(|(group, rewards)| (group, mean_and_sd(&rewards))).collect();
    let advantage = |(group, reward): &(u64, Option<f64>)| {
        let (mean, sd) = moments.get(group).copied().flatten()?;
        Some(((*reward)? - mean) / (sd + EPSILON))
    };
    responses.iter().map(advantage).collect()
}

/// Mean and standard deviation with n − 1; `None` for fewer than two numbers.
pub fn mean_and_sd(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_have_mean_zero_in_each_group() {
        let rewards = [(1, Some(1.0)), (1, Some(0.0)), (2, Some(5.0)), (1, Some(0.0)), (1, None)];
        let found = group_normalised(&rewards);
        // torch.tensor([1., 0., 0.]).std() = 0.57735026
        let sd = (1.0f64 / 3.0).sqrt();
        assert!((found[0].unwrap() - (2.0 / 3.0) / (sd + 1e-6)).abs() < 1e-12);
        assert!((found[0].unwrap() + found[1].unwrap() + found[3].unwrap()).abs() < 1e-12);
        assert_eq!((found[2], found[4]), (None, None), "a group of one, and no reward");
    }

    #[test]
    fn equal_rewards_have_no_advantage() {
        assert_eq!(group_normalised(&[(1, Some(1.0)), (1, Some(1.0))]), [Some(0.0), Some(0.0)]);
    }
}

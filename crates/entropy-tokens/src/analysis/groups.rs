//! Responses in groups: entropy, length and log-prob of each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clusters::Clusters;
use super::units::{Outcomes, Units};
use super::view::StepView;
use crate::stats::difficulty;
use crate::stats::interval::{ClusterSums, MeanInterval};

/// The responses of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupStats {
    /// The name of the group.
    pub name: String,
    /// Number of responses.
    pub responses: u64,
    /// Number of tokens.
    pub tokens: u64,
    /// Mean entropy of their tokens, in nats, with its 95 % interval.
    pub entropy: Option<MeanInterval>,
    /// Mean number of tokens.
    pub mean_length: f64,
    /// Mean of the finite scored log-probs, in nats.
    pub mean_log_prob: Option<f64>,
    /// Mean reward of the responses that have one.
    pub mean_reward: Option<f64>,
}

#[derive(Default)]
struct Sums {
    responses: u64,
    tokens: u64,
    entropy: ClusterSums,
    log_prob: (f64, u64),
    reward: (f64, u64),
}

/// Groups the responses by a name; those without a name are in no group. Names that are numbers are in their order.
pub(super) fn by(
    view: &StepView<'_>,
    clusters: &Clusters,
    name: impl Fn(usize) -> Option<String>,
) -> Vec<GroupStats> {
    let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
    for (at, response) in view.iter().enumerate() {
        let Some(name) = name(at) else { continue };
        let sums = groups.entry(name).or_default();
        sums.responses += 1;
        sums.tokens += u64::from(response.tokens);
        if response.has_entropies {
            let (cluster, tokens) = (clusters.of_response[at], u64::from(response.tokens));
            sums.entropy.add(cluster, response.entropy_sum, tokens);
        }
        sums.log_prob.0 += response.log_prob_sum;
        sums.log_prob.1 += u64::from(response.log_prob_count);
        if let Some(reward) = response.reward {
            sums.reward = (sums.reward.0 + reward, sums.reward.1 + 1);
        }
    }
    let mean = |(sum, count): (f64, u64)| (count > 0).then(|| sum / count as f64);
    let stats = |(name, sums): (String, Sums)| GroupStats {
        name,
        responses: sums.responses,
        tokens: sums.tokens,
        entropy: sums.entropy.interval(),
        mean_length: sums.tokens as f64 / sums.responses as f64,
        mean_log_prob: mean(sums.log_prob),
        mean_reward: mean(sums.reward),
    };
    let mut groups: Vec<GroupStats> = groups.into_iter().map(stats).collect();
    let number = |group: &GroupStats| group.name.parse::<f64>().ok().filter(|n| n.is_finite());
    if groups.iter().all(|group| number(group).is_some()) {
        groups.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    groups
}

/// Groups the responses by the pass rate of their prompt.
pub(super) fn by_difficulty(
    view: &StepView<'_>,
    clusters: &Clusters,
    units: &Units,
    outcomes: &Outcomes,
) -> Vec<GroupStats> {
    let mut bin_of_group: BTreeMap<u64, usize> = BTreeMap::new();
    for (group, members) in &units.groups {
        let known: Vec<bool> = members.iter().filter_map(|&unit| outcomes.of_unit[unit]).collect();
        if !known.is_empty() {
            let right = known.iter().filter(|right| **right).count();
            bin_of_group.insert(*group, difficulty::bin(right as u64, known.len() as u64));
        }
    }
    let bin = |at: usize| bin_of_group.get(&units.units[units.of_response[at]].group).copied();
    let mut groups = by(view, clusters, |at| bin(at).map(|bin| difficulty::BINS[bin].to_owned()));
    let order = |name: &str| difficulty::BINS.iter().position(|bin| *bin == name);
    groups.sort_by_key(|group| order(&group.name));
    groups
}

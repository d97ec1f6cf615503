//! Responses in groups: entropy, length and log-prob of each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::clusters::Clusters;
use super::grouping::Grouping;
use super::units::{OutcomeRule, Outcomes, Units};
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

/// The names of the groups of the responses of a step.
pub(super) struct GroupNames<'a, 'b> {
    view: &'b StepView<'a>,
    outcomes: Option<&'b Outcomes>,
    /// The pass rate of each response's prompt, as an index into [`difficulty::BINS`].
    difficulties: Vec<Option<usize>>,
}

impl<'a, 'b> GroupNames<'a, 'b> {
    pub(super) fn new(
        view: &'b StepView<'a>,
        units: &Units,
        rule: Option<OutcomeRule>,
        outcomes: Option<&'b Outcomes>,
    ) -> GroupNames<'a, 'b> {
        // Above the mean of its prompt is no absolute rule: there is no pass rate.
        let absolute = outcomes.filter(|_| matches!(rule, Some(OutcomeRule::RewardAbove(_))));
        let difficulties = absolute.map_or_else(Vec::new, |outcomes| difficulties(units, outcomes));
        GroupNames { view, outcomes, difficulties }
    }

    /// The name of the group of the response at an index of the step; `None` if it is in no group.
    pub(super) fn of(&self, grouping: Grouping, at: usize) -> Option<Cow<'a, str>> {
        let response = self.view.response(at);
        match grouping {
            Grouping::Outcome => {
                let right = self.outcomes?.of_response[at]?;
                Some(Cow::Borrowed(if right { "right" } else { "wrong" }))
            }
            Grouping::Difficulty => {
                let bin = self.difficulties.get(at).copied().flatten()?;
                Some(Cow::Borrowed(difficulty::BINS[bin]))
            }
            Grouping::Turn => response.turn.map(|turn| Cow::Owned(turn.to_string())),
            Grouping::Role => response.role.as_deref().map(Cow::Borrowed),
            Grouping::Column => response.by.as_deref().map(Cow::Borrowed),
        }
    }
}

/// Groups the responses; those without a name are in no group. Names that are numbers are in their order, pass rates in
/// theirs.
pub(super) fn by(
    view: &StepView<'_>,
    clusters: &Clusters,
    names: &GroupNames<'_, '_>,
    grouping: Grouping,
) -> Vec<GroupStats> {
    let mut groups: BTreeMap<Cow<'_, str>, Sums> = BTreeMap::new();
    for (at, response) in view.iter().enumerate() {
        let Some(name) = names.of(grouping, at) else { continue };
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
    let stats = |(name, sums): (Cow<'_, str>, Sums)| GroupStats {
        name: name.into_owned(),
        responses: sums.responses,
        tokens: sums.tokens,
        entropy: sums.entropy.interval(),
        mean_length: sums.tokens as f64 / sums.responses as f64,
        mean_log_prob: mean(sums.log_prob),
        mean_reward: mean(sums.reward),
    };
    let mut groups: Vec<GroupStats> = groups.into_iter().map(stats).collect();
    let number = |group: &GroupStats| group.name.parse::<f64>().ok().filter(|n| n.is_finite());
    if grouping == Grouping::Difficulty {
        let order = |name: &str| difficulty::BINS.iter().position(|bin| *bin == name);
        groups.sort_by_key(|group| order(&group.name));
    } else if groups.iter().all(|group| number(group).is_some()) {
        groups.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    groups
}

/// The pass rate of the prompt of each response of a step.
fn difficulties(units: &Units, outcomes: &Outcomes) -> Vec<Option<usize>> {
    let mut bin_of_group: BTreeMap<u64, usize> = BTreeMap::new();
    for (group, members) in &units.groups {
        let known: Vec<bool> = members.iter().filter_map(|&unit| outcomes.of_unit[unit]).collect();
        if !known.is_empty() {
            let right = known.iter().filter(|right| **right).count();
            bin_of_group.insert(*group, difficulty::bin(right as u64, known.len() as u64));
        }
    }
    let bin = |unit: &usize| bin_of_group.get(&units.units[*unit].group).copied();
    units.of_response.iter().map(bin).collect()
}

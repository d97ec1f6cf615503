//! Trajectories and prompts: a response of one turn is a trajectory; the turns of a conversation are one trajectory, with
//! one reward. The trajectories of a prompt form a group.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::StepView;
use crate::names::ADVANTAGES;
use crate::table::TokenTable;

/// A trajectory: its prompt, its reward, and its responses in the order of their turns.
pub(crate) struct Unit {
    pub(crate) group: u64,
    pub(crate) reward: Option<f64>,
    /// Indices in the step.
    pub(crate) responses: Vec<usize>,
}

/// The trajectories of a step.
pub(crate) struct Units {
    pub(crate) units: Vec<Unit>,
    /// The trajectory of each response.
    pub(crate) of_response: Vec<usize>,
    /// Indices of trajectories by prompt, in the order of the prompts' hashes.
    pub(crate) groups: BTreeMap<u64, Vec<usize>>,
}

/// The rule by which a response is right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeRule {
    /// Right: the reward is above this number.
    RewardAbove(f64),
    /// Right: the advantage is above this number, since the chosen column of rewards has advantages.
    AdvantageAbove(f64),
    /// Right: the reward is above the mean of the prompt's responses, since all rewards are on one side of the number.
    AboveGroupMean,
}

/// What the column that is read as rewards has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RewardsAre {
    Rewards,
    /// Advantages: they tell right from wrong responses, but have no mean that says anything.
    Advantages,
}

impl RewardsAre {
    pub(crate) fn of(table: &TokenTable) -> RewardsAre {
        let names = &table.names().rewards;
        let is_advantage = |name: &String| ADVANTAGES.contains(&name.as_str());
        match !names.is_empty() && names.iter().all(is_advantage) {
            true => RewardsAre::Advantages,
            false => RewardsAre::Rewards,
        }
    }
}

/// Which responses of a step are right.
pub(crate) struct Outcomes {
    /// `None` without a reward, or in a group whose rewards are equal under [`OutcomeRule::AboveGroupMean`].
    pub(crate) of_unit: Vec<Option<bool>>,
    pub(crate) of_response: Vec<Option<bool>>,
}

impl Units {
    /// Joins the turns of each trajectory.
    pub(crate) fn of(view: &StepView<'_>) -> Units {
        let mut by_trajectory: BTreeMap<u64, usize> = BTreeMap::new();
        let mut units: Vec<Unit> = Vec::new();
        let mut of_response = Vec::with_capacity(view.responses.len());
        for (at, response) in view.iter().enumerate() {
            let new = units.len();
            let unit = match response.trajectory {
                Some(trajectory) => *by_trajectory.entry(trajectory).or_insert(new),
                None => new,
            };
            if unit == new {
                units.push(Unit { group: response.group, reward: None, responses: Vec::new() });
            }
            units[unit].responses.push(at);
            of_response.push(unit);
        }
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, unit) in units.iter_mut().enumerate() {
            unit.responses.sort_by_key(|at| view.response(*at).turn); // stable
            let first = view.response(unit.responses[0]);
            // A trajectory whose prompt is not known is alone with it.
            unit.group = if first.has_prompt { first.group } else { u64::MAX - index as u64 };
            // The last turn has the reward of the whole, where turns have rewards of their own.
            unit.reward = unit.responses.iter().rev().find_map(|at| view.response(*at).reward);
            groups.entry(unit.group).or_default().push(index);
        }
        Units { units, of_response, groups }
    }

    /// Number of prompts.
    pub(crate) fn prompts(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn rewards(&self) -> impl Iterator<Item = f64> {
        self.units.iter().filter_map(|unit| unit.reward)
    }

    /// The rewards of the trajectories of each prompt.
    fn group_rewards(&self) -> impl Iterator<Item = (&Vec<usize>, Vec<f64>)> {
        self.groups.values().map(|members| {
            (members, members.iter().filter_map(|&unit| self.units[unit].reward).collect())
        })
    }

    /// Which trajectories and responses are right.
    pub(crate) fn outcomes(&self, rule: OutcomeRule) -> Outcomes {
        let mut of_unit: Vec<Option<bool>> = vec![None; self.units.len()];
        match rule {
            OutcomeRule::RewardAbove(bound) | OutcomeRule::AdvantageAbove(bound) => {
                for (outcome, unit) in of_unit.iter_mut().zip(&self.units) {
                    *outcome = unit.reward.map(|reward| reward > bound);
                }
            }
            OutcomeRule::AboveGroupMean => {
                for (members, rewards) in self.group_rewards() {
                    if !differ(&rewards) {
                        continue;
                    }
                    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
                    for &unit in members {
                        of_unit[unit] = self.units[unit].reward.map(|reward| reward > mean);
                    }
                }
            }
        }
        let of_response = self.of_response.iter().map(|&unit| of_unit[unit]).collect();
        Outcomes { of_unit, of_response }
    }
}

fn differ(values: &[f64]) -> bool {
    values.iter().any(|value| *value != values[0])
}

impl OutcomeRule {
    /// The rule for a dump: rewards above `right_above` are right, if some are above it and some are not; else rewards
    /// above the mean of their prompt, if they differ there. `None` if neither tells responses apart.
    pub(crate) fn of(
        steps: &[Units],
        right_above: f64,
        rewards_are: RewardsAre,
    ) -> Option<OutcomeRule> {
        let rewards = || steps.iter().flat_map(Units::rewards);
        let (any_above, any_not) = (
            rewards().any(|reward| reward > right_above),
            rewards().any(|reward| reward <= right_above),
        );
        if any_above && any_not {
            return Some(match rewards_are {
                RewardsAre::Rewards => OutcomeRule::RewardAbove(right_above),
                RewardsAre::Advantages => OutcomeRule::AdvantageAbove(right_above),
            });
        }
        let mut groups = steps.iter().flat_map(Units::group_rewards);
        groups.any(|(_, rewards)| differ(&rewards)).then_some(OutcomeRule::AboveGroupMean)
    }

    /// The rule in words.
    pub fn words(self) -> String {
        match self {
            OutcomeRule::RewardAbove(bound) => format!("right: reward > {bound}"),
            OutcomeRule::AdvantageAbove(bound) => format!("right: advantage > {bound}"),
            OutcomeRule::AboveGroupMean => "right: reward above the mean of its prompt".to_owned(),
        }
    }
}

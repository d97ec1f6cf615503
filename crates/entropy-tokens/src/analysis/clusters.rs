//! Which responses depend on each other: the clusters of the intervals.

use std::collections::HashMap;

use serde::Serialize;

use super::units::Units;
use super::view::StepView;

/// What the clusters of the intervals of a step are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterKind {
    /// Prompts, with all responses to each.
    Prompts,
    /// Responses (where turns are known, conversations): prompts are not known, or there is only one.
    Responses,
}

impl ClusterKind {
    /// The clusters in words.
    pub fn words(self) -> &'static str {
        match self {
            ClusterKind::Prompts => "prompts",
            ClusterKind::Responses => "responses",
        }
    }
}

/// The clusters of the intervals of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClusterInfo {
    /// What they are.
    pub of: ClusterKind,
    /// How many there are.
    pub count: usize,
}

/// The cluster of each response of a step.
pub(super) struct Clusters {
    pub(super) info: ClusterInfo,
    /// The clusters have numbers in the order of their first responses.
    pub(super) of_response: Vec<u32>,
}

impl Clusters {
    /// Prompts, if the prompt of each response is known and there are at least two; else trajectories.
    pub(super) fn of(view: &StepView<'_>, units: &Units) -> Clusters {
        let knows_prompts = view.iter().all(|response| response.has_prompt);
        let kind = match knows_prompts && units.prompts() > 1 {
            true => ClusterKind::Prompts,
            false => ClusterKind::Responses,
        };
        let mut numbers: HashMap<u64, u32> = HashMap::new(); // only looked up, never iterated
        let mut number = |unit: &usize| {
            let key = match kind {
                ClusterKind::Prompts => units.units[*unit].group,
                ClusterKind::Responses => *unit as u64,
            };
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        };
        let of_response: Vec<u32> = units.of_response.iter().map(&mut number).collect();
        Clusters { info: ClusterInfo { of: kind, count: numbers.len() }, of_response }
    }

    /// Number of clusters.
    pub(super) fn count(&self) -> usize {
        self.info.count
    }
}

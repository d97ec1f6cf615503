//! Groups of tokens, in which a change is split, and sums over them by prompt.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Step;
use crate::stats::jackknife::PromptSums;
use crate::stats::shift_share::SumCount;

/// What the tokens are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Right and wrong responses.
    Outcome,
    /// Position in the response, in bands with about equally many tokens.
    Position,
    /// The 20 % of tokens of each step with the highest entropy, and the others.
    TopTokens,
    /// The kinds of tokens with the highest mean entropy, and the others.
    ForkingKinds,
    /// The assistant's turn.
    Turn,
    /// The role.
    Role,
    /// The column that the user chose.
    Column,
}

/// The unit that is left out for intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cluster {
    Prompt,
    Response,
}

/// Sums over a step by cluster: `fill` adds the response at an index to the sums of its `groups` groups.
pub(crate) fn sums_of(
    step: &Step<'_>,
    cluster: Cluster,
    groups: usize,
    mut fill: impl FnMut(usize, &mut [SumCount]),
) -> PromptSums {
    let mut by_name: BTreeMap<u64, Vec<SumCount>> = BTreeMap::new();
    for (at, response) in step.view.iter().enumerate() {
        let name = match cluster {
            Cluster::Prompt => response.group,
            Cluster::Response => step.units.of_response[at] as u64,
        };
        let sums = by_name.entry(name).or_insert_with(|| vec![(0.0, 0); groups]);
        fill(at, sums);
    }
    PromptSums { prompts: by_name.into_iter().collect() }
}

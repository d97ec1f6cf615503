//! The groups that a reader of the page can choose.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::texts::display_name;
use crate::report::budget::longest_within;
use entropy_history::label::visible;
use entropy_tokens::stats::difficulty;
use entropy_tokens::{Analysis, Grouping, OutcomeRule};

/// The largest number of groups of a grouping.
const MAX_GROUPS: usize = 8;
/// The largest number of groups of all steps: each has a few kilobytes.
const MAX_SLICES: usize = 800;

/// A grouping, with the groups that can be chosen.
struct GroupingChoice {
    grouping: Grouping,
    title: String,
    note: Option<String>,
    groups: Vec<String>,
    left_out: usize,
}

/// The groups that can be chosen.
pub(super) struct Choices {
    groupings: Vec<GroupingChoice>,
    /// All groups, in the order of the groupings.
    wanted: Vec<(Grouping, String)>,
}

impl Choices {
    /// The groups of the shown steps. If there are too many, those with the most tokens.
    pub(super) fn of(analysis: &Analysis, shown: &[usize], by: Option<&str>) -> Choices {
        let found: Vec<(Grouping, Vec<(&str, u64)>)> = Grouping::ALL
            .into_iter()
            .map(|grouping| (grouping, by_size(grouping, analysis, shown)))
            .filter(|(_, groups)| !groups.is_empty())
            .collect();
        // With many steps, the groupings with the most groups lose some first.
        let sizes: Vec<usize> =
            found.iter().map(|(_, groups)| groups.len().min(MAX_GROUPS)).collect();
        let most = longest_within(&sizes, MAX_SLICES / shown.len().max(1)).min(MAX_GROUPS);
        let groupings: Vec<GroupingChoice> = found
            .into_iter()
            .map(|(grouping, groups)| {
                let kept = groups.len().min(most);
                let mut names: Vec<&str> = groups[..kept].iter().map(|(name, _)| *name).collect();
                sort(grouping, &mut names);
                let rule = analysis.outcome.filter(|_| grouping == Grouping::Outcome);
                GroupingChoice {
                    grouping,
                    title: title(grouping, by),
                    note: rule.map(OutcomeRule::words),
                    groups: names.into_iter().map(str::to_owned).collect(),
                    left_out: groups.len() - kept,
                }
            })
            .collect();
        let wanted = groupings.iter().flat_map(|choice: &GroupingChoice| {
            choice.groups.iter().map(|name| (choice.grouping, name.clone()))
        });
        let wanted = wanted.collect();
        Choices { groupings, wanted }
    }

    /// All groups, in the order of the groupings.
    pub(super) fn wanted(&self) -> &[(Grouping, String)] {
        &self.wanted
    }

    /// The place of a group in [`Choices::wanted`].
    pub(super) fn place(&self, grouping: Grouping, name: &str) -> Option<usize> {
        self.wanted.iter().position(|(other, known)| *other == grouping && known == name)
    }

    /// The groupings for the page.
    pub(super) fn value(&self) -> Value {
        let value = |choice: &GroupingChoice| {
            json!({
                "key": choice.grouping,
                "title": visible(&choice.title),
                "note": choice.note,
                "groups": choice.groups.iter().map(|name| display_name(name)).collect::<Vec<_>>(),
                "left_out": choice.left_out,
            })
        };
        self.groupings.iter().map(value).collect()
    }
}

/// The groups of the shown steps with their numbers of tokens, the largest first; of equal ones by name.
fn by_size<'a>(grouping: Grouping, analysis: &'a Analysis, shown: &[usize]) -> Vec<(&'a str, u64)> {
    let mut tokens: BTreeMap<&str, u64> = BTreeMap::new();
    for group in shown.iter().flat_map(|&at| grouping.of(&analysis.steps[at])) {
        *tokens.entry(&group.name).or_default() += group.tokens;
    }
    let mut by_size: Vec<(&str, u64)> = tokens.into_iter().collect();
    by_size.sort_by_key(|(_, tokens)| std::cmp::Reverse(*tokens)); // stable
    by_size
}

fn title(grouping: Grouping, by: Option<&str>) -> String {
    match grouping {
        Grouping::Outcome => "outcome".to_owned(),
        Grouping::Difficulty => "pass rate of the prompt".to_owned(),
        Grouping::Turn => "turn".to_owned(),
        Grouping::Role => "role".to_owned(),
        Grouping::Column => by.unwrap_or("column").to_owned(),
    }
}

/// Sorts names of groups: numbers by size, pass rates from low to high, others as texts.
fn sort(grouping: Grouping, names: &mut [&str]) {
    let number = |name: &str| name.parse::<f64>().ok().filter(|number| number.is_finite());
    if grouping == Grouping::Difficulty {
        names.sort_by_key(|name| difficulty::BINS.iter().position(|bin| bin == name));
    } else if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    } else {
        names.sort_unstable();
    }
}

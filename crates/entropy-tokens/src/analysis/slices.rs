//! The entropies of groups of responses: the same numbers as those of a whole step, for those who choose a group.

use rayon::prelude::*;

use super::clusters::Clusters;
use super::grouping::Grouping;
use super::groups::GroupNames;
use super::units::Units;
use super::view::{Entropies, StepView};
use super::{
    Analysis, AnalysisOptions, EntropyStats, ForkingToken, GroupStats, Shared, StepAnalysis,
    TokenColumn, entropy, views,
};
use crate::stats::order::Buckets;
use crate::stats::profile::PositionBin;
use crate::table::TokenTable;

impl Grouping {
    /// The groups of a step.
    pub fn of(self, step: &StepAnalysis) -> &[GroupStats] {
        match self {
            Grouping::Outcome => &step.by_outcome,
            Grouping::Difficulty => &step.by_difficulty,
            Grouping::Turn => &step.by_turn,
            Grouping::Role => &step.by_role,
            Grouping::Column => &step.by_column,
        }
    }
}

/// Where the entropy of some responses is.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Entropies of tokens.
    pub entropy: Option<EntropyStats>,
    /// Means of other columns of tokens.
    pub token_columns: Vec<TokenColumn>,
    /// By tenth of the response.
    pub tenths: Vec<PositionBin>,
    /// By token, counted from the start of the response.
    pub positions: Vec<PositionBin>,
    /// Tokens with the highest mean entropy.
    pub forking: Vec<ForkingToken>,
    /// Number of kinds of tokens with enough occurrences to be compared.
    pub frequent_kinds: usize,
}

/// A group of the responses of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSlice {
    /// What it is a group of.
    pub grouping: Grouping,
    /// Its name.
    pub name: String,
    /// Indices into [`TokenTable::responses`], in order.
    pub members: Vec<usize>,
    /// The numbers of these responses.
    pub numbers: Distribution,
}

/// A step and its groups.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSlices {
    /// Indices of all responses of the step into [`TokenTable::responses`], in order.
    pub members: Vec<usize>,
    /// The 0th to the 100th percentile of the entropies of its tokens, in nats; empty without entropies.
    pub percentiles: Vec<f64>,
    /// The wanted groups that the step has.
    pub groups: Vec<GroupSlice>,
}

/// The numbers of the wanted groups at some steps, which are indices into `analysis.steps`. `analysis` must be that of
/// this table and these options.
pub fn slices(
    table: &TokenTable,
    analysis: &Analysis,
    options: &AnalysisOptions,
    steps: &[usize],
    wanted: &[(Grouping, String)],
) -> Vec<StepSlices> {
    let mut all: Vec<Option<StepView<'_>>> =
        views(table, |response| options.steps.is_empty() || options.steps.contains(&response.step))
            .into_iter()
            .map(Some)
            .collect();
    let views: Vec<StepView<'_>> = steps.iter().filter_map(|&at| all[at].take()).collect();
    let shared = Shared {
        histogram_max: analysis.histogram_max,
        position_width: analysis.position_width,
        outcome: analysis.outcome,
        options,
    };
    views.into_par_iter().map(|view| slices_of(view, &shared, wanted)).collect()
}

fn slices_of(view: StepView<'_>, shared: &Shared<'_>, wanted: &[(Grouping, String)]) -> StepSlices {
    let units = Units::of(&view);
    let outcomes = shared.outcome.map(|rule| units.outcomes(rule));
    let names = GroupNames::new(&view, &units, shared.outcome, outcomes.as_ref());
    let mut groups: Vec<GroupSlice> = Vec::new();
    for (grouping, name) in wanted {
        let is_member = |at: &usize| names.of(*grouping, *at).is_some_and(|found| found == *name);
        let members: Vec<usize> =
            (0..view.responses.len()).filter(is_member).map(|at| view.responses[at]).collect();
        if members.is_empty() {
            continue;
        }
        let part = StepView { responses: members, ..view };
        let clusters = Clusters::of(&part, &Units::of(&part));
        let (forking, _, frequent_kinds) = entropy::forking(&part);
        let (tenths, positions) = entropy::profiles(&part, &clusters, shared.position_width);
        let numbers = Distribution {
            entropy: entropy::entropy(&part, &clusters, shared),
            token_columns: entropy::token_columns(&part, &clusters),
            tenths,
            positions,
            forking,
            frequent_kinds,
        };
        let (name, members) = (name.clone(), part.responses);
        groups.push(GroupSlice { grouping: *grouping, name, members, numbers });
    }
    let values = Entropies(&view);
    let buckets = Buckets::of(&values);
    let percents: Vec<f64> = (0..=100).map(f64::from).collect();
    let has_entropies = buckets.count > 0;
    StepSlices {
        percentiles: match has_entropies {
            true => buckets.percentiles(&values, &percents),
            false => Vec::new(),
        },
        groups,
        members: view.responses,
    }
}

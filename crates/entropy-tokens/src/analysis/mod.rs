//! The numbers of every step of a dump, in sections. A section that the dump cannot carry is named with the reason.

mod clusters;
mod covariance;
mod diversity;
mod entropy;
mod grouping;
mod groups;
mod mismatch;
mod repeats;
mod sections;
mod shared;
mod slices;
pub(crate) mod units;
pub(crate) mod view;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

pub use clusters::{ClusterInfo, ClusterKind};
pub use covariance::{CovarianceLeftOut, CovarianceSection, KindCount, TopToken};
pub use diversity::{Answers, DistinctNgrams, Diversity, PassAtK};
pub use entropy::{
    EntropyStats, ForkingToken, HISTOGRAM_BINS, PERCENTS, Percentile, TOP_SHARE, Threshold,
    TokenColumn,
};
pub use grouping::Grouping;
pub use groups::GroupStats;
pub use mismatch::{MismatchLeftOut, MismatchSection, MismatchToken};
pub use sections::{Missing, Section};
pub use shared::{SharedTokens, shared_tokens};
pub use slices::{Distribution, GroupSlice, StepSlices, slices};
pub use units::OutcomeRule;

use crate::response::Response;
use crate::stats::forking::{ForkingOverlap, KindMean, overlap};
use crate::stats::profile::{PositionBin, bin_width};
use crate::table::{TokenKind, TokenTable};
use clusters::Clusters;
use groups::GroupNames;
use units::{RewardsAre, Units};
use view::StepView;

/// What the user chose.
#[derive(Debug, Clone)]
pub struct AnalysisOptions {
    /// Entropies in nats below and above which the shares of tokens are reported.
    pub thresholds: Vec<f64>,
    /// A response is right if its reward is above this.
    pub right_above: f64,
    /// Only these steps; all if empty.
    pub steps: Vec<u64>,
}

impl Default for AnalysisOptions {
    fn default() -> AnalysisOptions {
        AnalysisOptions { thresholds: vec![0.01, 0.672], right_above: 0.0, steps: Vec::new() }
    }
}

/// A kind of token: its id, and its text if the dump has texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenName {
    /// The id in the vocabulary.
    pub id: u32,
    /// The text.
    pub text: Option<String>,
}

impl TokenName {
    pub(crate) fn of(kind: &TokenKind) -> TokenName {
        TokenName { id: kind.id, text: kind.text.clone() }
    }
}

/// What the sections of a step leave out, also those that the step does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StepLeftOut {
    /// Responses that have log-probs but no entropies.
    pub responses_without_entropies: u64,
    /// Left out of the covariance.
    pub covariance: CovarianceLeftOut,
    /// Left out of the mismatch.
    pub mismatch: MismatchLeftOut,
}

/// The numbers of a source at a step.
#[derive(Debug, Clone, Serialize)]
pub struct StepAnalysis {
    /// Index of the source.
    pub source: usize,
    /// The training step.
    pub step: u64,
    /// Number of responses.
    pub responses: usize,
    /// Number of distinct prompts.
    pub prompts: usize,
    /// Index in [`Analysis::steps`] of the first step of the source with the same responses, if that is an earlier one: then at
    /// most one of these steps sampled them.
    pub same_responses_as: Option<usize>,
    /// What is taken as independent in the intervals.
    pub clusters: ClusterInfo,
    /// Number of tokens that the policy wrote.
    pub tokens: u64,
    /// Mean number of tokens of a response.
    pub mean_length: f64,
    /// Mean reward; `None` without rewards.
    pub mean_reward: Option<f64>,
    /// Mean of the finite scored log-probs, in nats.
    pub mean_log_prob: Option<f64>,
    /// Entropies of tokens.
    pub entropy: Option<EntropyStats>,
    /// Means of other columns of tokens, such as the KL to a reference model.
    pub token_columns: Vec<TokenColumn>,
    /// By tenth of the response.
    pub tenths: Vec<PositionBin>,
    /// By token, counted from the start of the response.
    pub positions: Vec<PositionBin>,
    /// By turn.
    pub by_turn: Vec<GroupStats>,
    /// By role.
    pub by_role: Vec<GroupStats>,
    /// Right and wrong responses.
    pub by_outcome: Vec<GroupStats>,
    /// By the pass rate of the prompt.
    pub by_difficulty: Vec<GroupStats>,
    /// By the chosen column.
    pub by_column: Vec<GroupStats>,
    /// Tokens with the highest mean entropy.
    pub forking: Vec<ForkingToken>,
    /// Number of kinds of tokens with enough occurrences to be compared.
    pub frequent_kinds: usize,
    /// Covariance of log-prob and advantage.
    pub covariance: Option<CovarianceSection>,
    /// Scored against the sampler's log-probs.
    pub mismatch: Option<MismatchSection>,
    /// Diversity of the responses to a prompt.
    pub diversity: Option<Diversity>,
    /// What these sections leave out.
    pub left_out: StepLeftOut,
    #[serde(skip)]
    forking_kinds: Vec<KindMean>,
}

/// The forking tokens that two steps of a source share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepOverlap {
    /// Index of the earlier step in [`Analysis::steps`].
    pub a: usize,
    /// Index of the later step.
    pub b: usize,
    /// How many are the same.
    #[serde(flatten)]
    pub overlap: ForkingOverlap,
}

/// The numbers of all steps.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// Upper end of all histograms, in nats.
    pub histogram_max: f64,
    /// Number of tokens of a bin by position.
    pub position_width: usize,
    /// The rule by which a response is right or wrong; `None` if all rewards are equal or there are none.
    pub outcome: Option<OutcomeRule>,
    /// The steps, by source and step.
    pub steps: Vec<StepAnalysis>,
    /// Each step compared with the first and with the previous one of its source.
    pub overlaps: Vec<StepOverlap>,
    /// Sections that no step has, and why.
    pub missing: Vec<Missing>,
    /// Steps that the user chose and that no source has.
    pub missing_steps: Vec<u64>,
}

impl StepAnalysis {
    /// Removes means of rewards, which are of another quantity.
    fn forget_rewards(&mut self) {
        self.mean_reward = None;
        let groups = [
            &mut self.by_turn,
            &mut self.by_role,
            &mut self.by_outcome,
            &mut self.by_difficulty,
            &mut self.by_column,
        ];
        groups.into_iter().flatten().for_each(|group| group.mean_reward = None);
    }
}

/// Computes the numbers of every step.
pub fn analyse(table: &TokenTable, options: &AnalysisOptions) -> Analysis {
    let views =
        views(table, |response| options.steps.is_empty() || options.steps.contains(&response.step));
    let units: Vec<Units> = views.iter().map(Units::of).collect();
    let rewards_are = RewardsAre::of(table);
    let outcome = OutcomeRule::of(&units, options.right_above, rewards_are);
    let histogram_max = views.iter().map(StepView::max_entropy).fold(0.0, f64::max);
    let lengths = views.iter().flat_map(|view| view.iter().map(|response| response.tokens()));
    let position_width = bin_width(lengths.max().unwrap_or(1));
    let same_responses = repeats::same_responses(&views);
    let shared = Shared { histogram_max, position_width, outcome, options };
    let mut steps: Vec<StepAnalysis> =
        views.par_iter().zip(&units).map(|(view, units)| step(view, units, &shared)).collect();
    for (step, same) in steps.iter_mut().zip(same_responses) {
        step.same_responses_as = same;
        if rewards_are == RewardsAre::Advantages {
            step.forget_rewards();
        }
    }
    let has_step = |step: &&u64| !views.iter().any(|view| view.step == **step);
    Analysis {
        histogram_max,
        position_width,
        outcome,
        overlaps: overlaps(&steps),
        missing: sections::missing(table, &steps, outcome, options),
        missing_steps: options.steps.iter().filter(has_step).copied().collect(),
        steps,
    }
}

/// The responses of each step, by source and step.
pub(crate) fn views(
    table: &TokenTable,
    is_chosen: impl Fn(&Response) -> bool,
) -> Vec<StepView<'_>> {
    let mut by_step: BTreeMap<(u32, u64), Vec<usize>> = BTreeMap::new();
    for (index, response) in table.responses().iter().enumerate() {
        if is_chosen(response) {
            by_step.entry((response.source, response.step)).or_default().push(index);
        }
    }
    by_step
        .into_iter()
        .map(|((source, step), responses)| StepView { table, source, step, responses })
        .collect()
}

/// What all steps have in common.
struct Shared<'a> {
    histogram_max: f64,
    position_width: usize,
    outcome: Option<OutcomeRule>,
    options: &'a AnalysisOptions,
}

fn step(view: &StepView<'_>, units: &Units, shared: &Shared<'_>) -> StepAnalysis {
    let clusters = &Clusters::of(view, units);
    let tokens: u64 = view.iter().map(|response| u64::from(response.tokens)).sum();
    let rewards: Vec<f64> = units.rewards().collect();
    let log_probs = view.iter().map(|r| (r.log_prob_sum, u64::from(r.log_prob_count)));
    let (log_prob_sum, log_probs) = log_probs.fold((0.0, 0), |(s, n), (x, m)| (s + x, n + m));
    let outcomes = shared.outcome.map(|rule| units.outcomes(rule));
    let names = GroupNames::new(view, units, shared.outcome, outcomes.as_ref());
    // Each half passes several times over all tokens of the step.
    let ((entropy, forking, profiles), (covariance, diversity)) = rayon::join(
        || {
            let profiles = entropy::profiles(view, clusters, shared.position_width);
            (entropy::entropy(view, clusters, shared), entropy::forking(view), profiles)
        },
        || {
            let diversity = diversity::diversity(view, units, outcomes.as_ref(), shared.outcome);
            (covariance::covariance_of(view, units, clusters), diversity)
        },
    );
    let ((forking, forking_kinds, frequent_kinds), (tenths, positions)) = (forking, profiles);
    let (covariance, left_out_of_covariance) = covariance;
    let (mismatch, left_out_of_mismatch) = mismatch::mismatch_of(view);
    let with_entropies = view.iter().filter(|response| response.has_entropies).count();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    StepAnalysis {
        source: view.source as usize,
        step: view.step,
        responses: view.responses.len(),
        prompts: units.prompts(),
        same_responses_as: None,
        clusters: clusters.info,
        tokens,
        mean_length: tokens as f64 / view.responses.len() as f64,
        mean_reward: (!rewards.is_empty()).then(|| mean(&rewards)),
        mean_log_prob: (log_probs > 0).then(|| log_prob_sum / log_probs as f64),
        entropy,
        token_columns: entropy::token_columns(view, clusters),
        tenths,
        positions,
        by_turn: groups::by(view, clusters, &names, Grouping::Turn),
        by_role: groups::by(view, clusters, &names, Grouping::Role),
        by_outcome: groups::by(view, clusters, &names, Grouping::Outcome),
        by_difficulty: groups::by(view, clusters, &names, Grouping::Difficulty),
        by_column: groups::by(view, clusters, &names, Grouping::Column),
        forking,
        frequent_kinds,
        covariance,
        mismatch,
        diversity,
        left_out: StepLeftOut {
            responses_without_entropies: (view.responses.len() - with_entropies) as u64,
            covariance: left_out_of_covariance,
            mismatch: left_out_of_mismatch,
        },
        forking_kinds,
    }
}

/// Each step with the first and the previous one of its source.
fn overlaps(steps: &[StepAnalysis]) -> Vec<StepOverlap> {
    let mut pairs = Vec::new();
    for b in 1..steps.len() {
        let first = steps.iter().position(|step| step.source == steps[b].source).unwrap_or(b);
        pairs.extend([first, b - 1].into_iter().filter(|a| *a >= first && *a < b).map(|a| (a, b)));
    }
    pairs.dedup(); // for the second step, the first is also the previous one
    let compare = |(a, b): (usize, usize)| {
        let overlap = overlap(&steps[a].forking_kinds, &steps[b].forking_kinds)?;
        Some(StepOverlap { a, b, overlap })
    };
    pairs.into_iter().filter_map(compare).collect()
}

//! Between which steps the entropy changed, and on which tokens.
//!
//! [`changes`] finds the largest fall or rise between two steps of a source and says whether it is more than noise;
//! splits it by outcome, position, turn and so on ([`crate::stats::shift_share`]); and compares the sign that the
//! covariance of log-prob and advantage predicts with the change that followed. Intervals leave out one prompt at a time
//! ([`crate::stats::jackknife`]).

mod cells;
mod pair;
mod signs;
mod split;

use serde::Serialize;

pub use cells::Dimension;
pub use signs::SignAgreement;
pub use split::{PartRow, Split};

use crate::analysis::units::{RewardsAre, Units};
use crate::analysis::view::StepView;
use crate::analysis::{Analysis, AnalysisOptions, OutcomeRule, views};
use crate::names::TOKEN_COLUMNS;
use crate::response::Response;
use crate::stats::jackknife::{PromptSums, StandardError, is_paired, standard_errors};
use crate::stats::shift_share::{SumCount, mean};
use crate::table::TokenTable;
use cells::{Cluster, sums_of};

/// An interval misses the number with this probability.
pub(crate) const MISS: f64 = 0.05;

/// A number with its interval; without one if a step has fewer than two prompts and responses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Interval {
    pub(crate) fn of(value: f64, error: Option<&StandardError>, miss: f64) -> Interval {
        let half = error.map(|error| error.half_width(miss));
        Interval { value, low: half.map(|half| value - half), high: half.map(|half| value + half) }
    }

    /// Whether the interval says that the number is above or below this one.
    pub fn excludes(&self, other: f64) -> bool {
        self.low.is_some_and(|low| low > other) || self.high.is_some_and(|high| high < other)
    }
}

/// Which way the entropy went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It fell.
    Fall,
    /// It rose.
    Rise,
}

/// The mean entropy of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepMean {
    /// The training step.
    pub step: u64,
    /// Mean over tokens, in nats.
    pub mean: f64,
    /// Number of tokens with an entropy, of responses and of prompts.
    pub tokens: u64,
    /// Number of responses with entropies.
    pub responses: usize,
    /// Number of their prompts.
    pub prompts: usize,
}

/// The change of the mean entropy between two steps, in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The earlier step.
    pub from: StepMean,
    /// The later step.
    pub to: StepMean,
    /// Entropy at `to` minus entropy at `from`.
    pub change: Interval,
    /// Among how many pairs of steps this one was chosen: the interval holds for all of them at once (Bonferroni).
    pub pairs: usize,
    /// Whether the interval excludes 0.
    pub is_clear: bool,
    /// Which way the mean went.
    pub direction: Direction,
    /// Whether both steps have the same prompts.
    pub same_prompts: bool,
    /// Whether both steps have the same responses, which then another policy sampled at one of them at least.
    pub same_responses: bool,
}

/// Which number of a response changed between the two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Mean reward over responses.
    Reward,
    /// Mean number of tokens of a response.
    Length,
    /// Mean over tokens of a column, such as `kl`.
    Column(&'static str),
}

/// The change of another mean between the same two steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherChange {
    /// Which mean.
    pub quantity: Quantity,
    /// Its value at the earlier step.
    pub from: f64,
    /// Its value at the later step.
    pub to: f64,
    /// Their difference, with its interval.
    pub change: Interval,
    /// Whether the interval excludes 0.
    pub is_clear: bool,
}

/// Where the entropy of a source changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes {
    /// The steps with entropies.
    pub steps: Vec<StepMean>,
    /// The shortest stretch with most of the largest change; `None` with fewer than two steps.
    pub main: Option<Change>,
    /// From the first to the last step, if that is another pair.
    pub whole: Option<Change>,
    /// The largest change in the other direction, if it is clear and not small beside the main one.
    pub opposite: Option<Change>,
    /// The main change by groups of tokens; empty if it is not clear.
    pub splits: Vec<Split>,
    /// Other means between the same steps.
    pub others: Vec<OtherChange>,
    /// Predicted and actual signs; `None` if no step has a covariance before a further step.
    pub agreement: Option<SignAgreement>,
    /// The rule by which a response is right or wrong.
    pub outcome: Option<OutcomeRule>,
}

/// A step of the source, ready to be summed.
pub(crate) struct Step<'a> {
    pub(crate) view: StepView<'a>,
    pub(crate) units: Units,
    pub(crate) mean: StepMean,
}

/// Finds where the mean entropy of a source changed. `analysis` is that of the same table and options.
pub fn changes(
    table: &TokenTable,
    analysis: &Analysis,
    options: &AnalysisOptions,
    source: usize,
) -> Changes {
    let is_chosen = |response: &Response| {
        response.source as usize == source
            && (options.steps.is_empty() || options.steps.contains(&response.step))
    };
    let steps: Vec<Step<'_>> = views(table, is_chosen).into_iter().filter_map(step_of).collect();
    let found = pair::find(&steps);
    let means = steps.iter().map(|step| step.mean.clone()).collect();
    let Some(found) = found else {
        return Changes {
            steps: means,
            main: None,
            whole: None,
            opposite: None,
            splits: Vec::new(),
            others: Vec::new(),
            agreement: None,
            outcome: analysis.outcome,
        };
    };
    let (a, b) = found.main_steps;
    let splits = match found.main.is_clear {
        true => split::splits(&steps[a], &steps[b], analysis),
        false => Vec::new(),
    };
    Changes {
        steps: means,
        splits,
        others: others(&steps[a], &steps[b], RewardsAre::of(table)),
        agreement: signs::agreement(analysis, source),
        outcome: analysis.outcome,
        main: Some(found.main),
        whole: found.whole,
        opposite: found.opposite,
    }
}

/// A step with at least one entropy.
fn step_of(view: StepView<'_>) -> Option<Step<'_>> {
    let with = view.iter().filter(|response| response.has_entropies);
    let (mut sum, mut tokens, mut responses) = (0.0, 0, 0);
    let mut prompts = Vec::new();
    for response in with {
        sum += response.entropy_sum;
        tokens += u64::from(response.tokens);
        responses += 1;
        prompts.push(response.group);
    }
    prompts.sort_unstable();
    prompts.dedup();
    let mean = StepMean {
        step: view.step,
        mean: mean(&[(sum, tokens)])?,
        tokens,
        responses,
        prompts: prompts.len(),
    };
    let units = Units::of(&view);
    Some(Step { view, units, mean })
}

/// The unit that is left out for intervals: a prompt, or a response if a step has one prompt only.
pub(crate) fn cluster(a: &Step<'_>, b: &Step<'_>) -> Cluster {
    match a.mean.prompts.min(b.mean.prompts) {
        0 | 1 => Cluster::Response,
        _ => Cluster::Prompt,
    }
}

/// The sums of the mean entropy of both steps, by cluster.
pub(crate) fn entropy_sums(a: &Step<'_>, b: &Step<'_>) -> (PromptSums, PromptSums) {
    let cluster = cluster(a, b);
    let of = |step: &Step<'_>| {
        sums_of(step, cluster, 1, |at, sums| {
            let response = step.view.response(at);
            if response.has_entropies {
                add(&mut sums[0], response.entropy_sum, u64::from(response.tokens));
            }
        })
    };
    (of(a), of(b))
}

pub(crate) fn add(total: &mut SumCount, sum: f64, count: u64) {
    *total = (total.0 + sum, total.1 + count);
}

/// The standard error of the change of a mean.
pub(crate) fn change_error(a: &PromptSums, b: &PromptSums) -> Option<StandardError> {
    let errors = standard_errors(a, b, |a, b| Some(vec![mean(b)? - mean(a)?]))?;
    errors.into_iter().next()
}

fn others(a: &Step<'_>, b: &Step<'_>, rewards_are: RewardsAre) -> Vec<OtherChange> {
    let cluster = cluster(a, b);
    let mut found = Vec::new();
    let mut note = |quantity: Quantity, sums: [PromptSums; 2]| {
        let [of_a, of_b] = sums;
        let (Some(from), Some(to)) = (mean(&of_a.total()), mean(&of_b.total())) else { return };
        let change = Interval::of(to - from, change_error(&of_a, &of_b).as_ref(), MISS);
        let is_clear = change.excludes(0.0);
        found.push(OtherChange { quantity, from, to, change, is_clear });
    };
    let rewards = |step: &Step<'_>| {
        sums_of(step, cluster, 1, |at, sums| {
            // The reward of a trajectory counts once, with its first response.
            let unit = &step.units.units[step.units.of_response[at]];
            if let Some(reward) = unit.reward.filter(|_| unit.responses[0] == at) {
                add(&mut sums[0], reward, 1);
            }
        })
    };
    if rewards_are == RewardsAre::Rewards {
        note(Quantity::Reward, [rewards(a), rewards(b)]);
    }
    let lengths = |step: &Step<'_>| {
        sums_of(step, cluster, 1, |at, sums| {
            add(&mut sums[0], f64::from(step.view.response(at).tokens), 1);
        })
    };
    note(Quantity::Length, [lengths(a), lengths(b)]);
    for (index, name) in (0..).zip(TOKEN_COLUMNS) {
        let column = |step: &Step<'_>| {
            sums_of(step, cluster, 1, |at, sums| {
                let columns = &step.view.response(at).token_columns;
                for (_, sum, count) in columns.iter().filter(|(of, ..)| *of == index) {
                    add(&mut sums[0], *sum, u64::from(*count));
                }
            })
        };
        note(Quantity::Column(name), [column(a), column(b)]);
    }
    found
}

/// Whether two steps have the same prompts.
pub(crate) fn has_same_prompts(a: &Step<'_>, b: &Step<'_>) -> bool {
    let (sums_a, sums_b) = entropy_sums(a, b);
    cluster(a, b) == Cluster::Prompt && is_paired(&sums_a, &sums_b)
}

//! How different the responses to a prompt are, and how many of them are right.

use rayon::prelude::*;
use serde::Serialize;

use super::units::{OutcomeRule, Outcomes, Units};
use super::view::StepView;
use crate::stats::answers::answer_diversity;
use crate::stats::correlation::{pearson, spearman};
use crate::stats::ngrams::NgramCounter;
use crate::stats::pass_at_k::pass_at_k;

/// The lengths of n-grams.
const GRAMS: [usize; 3] = [1, 2, 3];

/// The estimate of pass@k over prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PassAtK {
    /// Number of responses drawn.
    pub k: u64,
    /// Mean over the prompts with at least `k` responses that have a reward.
    pub value: f64,
    /// Number of these prompts.
    pub prompts: u64,
}

/// Distinct n-grams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DistinctNgrams {
    /// Number of tokens of an n-gram.
    pub n: usize,
    /// Mean over prompts of the number of distinct ones / the number of all.
    pub share: f64,
}

/// Answers to the prompts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answers {
    /// Number of prompts with at least two answers.
    pub prompts: u64,
    /// Mean number of distinct answers of a prompt.
    pub distinct: f64,
    /// Mean of the answer entropy of a prompt, in nats.
    pub entropy: f64,
    /// Responses without an answer, which are left out.
    pub responses_without: u64,
    /// Whether all answers to each prompt are equal although rewards differ: then they look like reference answers.
    pub look_like_references: bool,
}

/// Diversity of the responses to a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diversity {
    /// Number of prompts with at least two responses.
    pub prompts: u64,
    /// Number of prompts with one response, which are left out.
    pub prompts_alone: u64,
    /// Final answers; `None` if no prompt has two.
    pub answers: Option<Answers>,
    /// pass@k for k = 1, 2, 4, …; empty without right and wrong responses.
    pub pass_at_k: Vec<PassAtK>,
    /// Pearson's correlation over prompts of pass@1 and the mean entropy of their tokens; `None` for fewer than three.
    pub pass_entropy_pearson: Option<f64>,
    /// Spearman's rank correlation of the same.
    pub pass_entropy_spearman: Option<f64>,
    /// Distinct n-grams of tokens.
    pub distinct_ngrams: Vec<DistinctNgrams>,
}

/// The diversity of a step; `None` if no prompt has two responses.
pub(super) fn diversity(
    view: &StepView<'_>,
    units: &Units,
    outcomes: Option<&Outcomes>,
    rule: Option<OutcomeRule>,
) -> Option<Diversity> {
    let groups: Vec<&Vec<usize>> = units.groups.values().filter(|group| group.len() > 1).collect();
    if groups.is_empty() {
        return None;
    }
    // Above the mean of its prompt is no absolute rule: there is no pass rate.
    let outcomes = outcomes.filter(|_| matches!(rule, Some(OutcomeRule::RewardAbove(_))));
    let passes = outcomes.map_or_else(Vec::new, |outcomes| passes(units, outcomes));
    let (rates, entropies) = rates_and_entropies(view, units, outcomes);
    let shares: Vec<[Option<f64>; GRAMS.len()]> = groups
        .par_iter()
        .map_init(NgramCounter::default, |counter, group| ngrams_of(counter, view, units, group))
        .collect();
    let ngrams = GRAMS.into_iter().enumerate().filter_map(|(at, n)| {
        let shares: Vec<f64> = shares.iter().filter_map(|shares| shares[at]).collect();
        mean(&shares).map(|share| DistinctNgrams { n, share })
    });
    Some(Diversity {
        prompts: groups.len() as u64,
        prompts_alone: (units.groups.len() - groups.len()) as u64,
        answers: answers(view, units, &groups),
        pass_at_k: passes,
        pass_entropy_pearson: pearson(&rates, &entropies),
        pass_entropy_spearman: spearman(&rates, &entropies),
        distinct_ngrams: ngrams.collect(),
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The shares of distinct n-grams in the responses to a prompt.
fn ngrams_of(
    counter: &mut NgramCounter,
    view: &StepView<'_>,
    units: &Units,
    group: &[usize],
) -> [Option<f64>; GRAMS.len()] {
    let responses = group.iter().flat_map(|&unit| &units.units[unit].responses);
    let tokens: Vec<&[u32]> = responses.map(|&at| view.table.kinds_of(view.response(at))).collect();
    GRAMS.map(|n| counter.distinct_share(&tokens, n))
}

/// The answers to prompts with at least two of them.
fn answers(view: &StepView<'_>, units: &Units, groups: &[&Vec<usize>]) -> Option<Answers> {
    // The last turn with an answer gives the answer of a trajectory.
    let answer = |unit: &usize| {
        units.units[*unit].responses.iter().rev().find_map(|at| view.response(*at).answer)
    };
    let (mut distinct, mut entropy) = (Vec::new(), Vec::new());
    let (mut without, mut rewards_differ) = (0, false);
    for group in groups {
        let found: Vec<u64> = group.iter().filter_map(answer).collect();
        without += (group.len() - found.len()) as u64;
        if found.len() < 2 {
            continue;
        }
        let Some(found) = answer_diversity(&found) else { continue };
        distinct.push(found.distinct as f64);
        entropy.push(found.entropy);
        let rewards: Vec<f64> = group.iter().filter_map(|&unit| units.units[unit].reward).collect();
        rewards_differ |= rewards.iter().any(|reward| *reward != rewards[0]);
    }
    Some(Answers {
        prompts: distinct.len() as u64,
        distinct: mean(&distinct)?,
        entropy: mean(&entropy)?,
        responses_without: without,
        look_like_references: rewards_differ && distinct.iter().all(|distinct| *distinct == 1.0),
    })
}

/// Numbers of responses with a known outcome, and of right ones, by prompt.
fn counts(units: &Units, outcomes: &Outcomes) -> Vec<(u64, u64)> {
    let count = |group: &Vec<usize>| {
        let known: Vec<bool> = group.iter().filter_map(|&unit| outcomes.of_unit[unit]).collect();
        (known.len() as u64, known.iter().filter(|right| **right).count() as u64)
    };
    units.groups.values().map(count).collect()
}

fn passes(units: &Units, outcomes: &Outcomes) -> Vec<PassAtK> {
    let counts = counts(units, outcomes);
    let most = counts.iter().map(|(n, _)| *n).max().unwrap_or(0);
    let mut passes = Vec::new();
    let mut k = 1;
    while k <= most {
        let values: Vec<f64> = counts.iter().filter_map(|&(n, c)| pass_at_k(n, c, k)).collect();
        if let Some(value) = mean(&values) {
            passes.push(PassAtK { k, value, prompts: values.len() as u64 });
        }
        k *= 2;
    }
    passes
}

/// The pass rate and the mean entropy of the tokens of each prompt that has both.
fn rates_and_entropies(
    view: &StepView<'_>,
    units: &Units,
    outcomes: Option<&Outcomes>,
) -> (Vec<f64>, Vec<f64>) {
    let Some(outcomes) = outcomes else { return (Vec::new(), Vec::new()) };
    let counts = counts(units, outcomes);
    let of_prompt = |(group, (n, c)): (&Vec<usize>, &(u64, u64))| {
        let (mut sum, mut tokens) = (0.0, 0u64);
        for &at in group.iter().flat_map(|&unit| &units.units[unit].responses) {
            let response = view.response(at);
            if response.has_entropies {
                sum += response.entropy_sum;
                tokens += u64::from(response.tokens);
            }
        }
        (*n > 0 && tokens > 0).then(|| (*c as f64 / *n as f64, sum / tokens as f64))
    };
    units.groups.values().zip(&counts).filter_map(of_prompt).unzip()
}

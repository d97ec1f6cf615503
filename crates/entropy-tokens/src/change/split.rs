//! The change of a pair of steps, split by groups of tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cells::{Cluster, Dimension, sums_of};
use super::{Interval, MISS, Step, add, cluster};
use crate::analysis::units::Outcomes;
use crate::analysis::view::Entropies;
use crate::analysis::{Analysis, TokenName};
use crate::response::Response;
use crate::stats::jackknife::{PromptSums, standard_errors};
use crate::stats::order::Buckets;
use crate::stats::profile::bin_width;
use crate::stats::shift_share::{SumCount, mean, shift_share};

/// Intervals of a group need as many prompts.
const FEWEST_PROMPTS: usize = 5;
/// The number of bands of positions.
const BANDS: usize = 4;
/// The share of the tokens with the highest entropy, and of forking kinds among all tokens (arXiv 2506.01939).
const TOP_SHARE: f64 = 0.2;
/// Groups with at most this share of the tokens of both steps do not count as missing at one.
const FEW: f64 = 0.01;
/// Kinds with fewer occurrences in both steps are not forking kinds: their means are noise.
const MIN_OCCURRENCES: u64 = 20;
/// Values of a column with fewer responses than the first of these are one group.
const MAX_GROUPS: usize = 8;

/// A group's part of the change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartRow {
    /// The name of the group.
    pub name: String,
    /// Number of tokens at the earlier and the later step.
    pub tokens: [u64; 2],
    /// Number of prompts (of responses, if prompts are not known) with a token at both steps.
    pub prompts: [usize; 2],
    /// Its mean entropy at both steps, in nats; `None` without a token.
    pub mean: [Option<f64>; 2],
    /// Its share of the tokens, the mean of both steps.
    pub token_share: f64,
    /// The change of its own mean at its mean share, in nats.
    pub within: Interval,
    /// The effect of its share having changed, in nats.
    pub mix: Interval,
    /// `within` divided by the whole change.
    pub within_share: Interval,
}

/// The change by groups of tokens. The parts within groups and those of the mix add up to the whole change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// What tokens are grouped by.
    pub by: Dimension,
    /// The groups, in their order.
    pub rows: Vec<PartRow>,
    /// The sum of the parts within groups, in nats.
    pub within: Interval,
    /// The sum of the parts of the mix, in nats.
    pub mix: Interval,
    /// `within` divided by the whole change.
    pub within_share: Interval,
    /// `mix` divided by the whole change.
    pub mix_share: Interval,
    /// The forking kinds, if those are the groups; the highest mean first.
    pub kinds: Vec<TokenName>,
    /// Groups with tokens at one of the steps only, unless these are few: their own change and that of the mix cannot be
    /// told apart.
    pub at_one_step: Vec<String>,
    /// Groups with tokens of fewer than five prompts at a step, although the step has more, unless these tokens
    /// are few at both steps: the jackknife takes too little notice of prompts that could have been in the group, so that
    /// the intervals are too narrow.
    pub thin: Vec<String>,
}

/// Names of groups, and the sums of each step by cluster.
struct Grouped {
    names: Vec<String>,
    sums: [PromptSums; 2],
    kinds: Vec<TokenName>,
}

/// All splits that the dump can carry.
pub(super) fn splits(a: &Step<'_>, b: &Step<'_>, analysis: &Analysis) -> Vec<Split> {
    let outcomes = analysis.outcome.map(|rule| [a, b].map(|step| step.units.outcomes(rule)));
    let mut found = Vec::new();
    let mut note = |by: Dimension, grouped: Option<Grouped>| {
        found.extend(grouped.and_then(|grouped| split(by, grouped)));
    };
    note(Dimension::Outcome, outcomes.as_ref().map(|[of_a, of_b]| by_outcome([a, b], of_a, of_b)));
    note(Dimension::Position, Some(by_position([a, b])));
    note(Dimension::TopTokens, Some(by_top_tokens([a, b])));
    note(Dimension::ForkingKinds, by_forking_kinds([a, b]));
    note(Dimension::Turn, by_name([a, b], |response| response.turn.map(|turn| turn.to_string())));
    let role = |response: &Response| response.role.as_deref().map(str::to_owned);
    note(Dimension::Role, by_name([a, b], role));
    let column = |response: &Response| response.by.as_deref().map(str::to_owned);
    note(Dimension::Column, by_name([a, b], column));
    found
}

fn split(by: Dimension, grouped: Grouped) -> Option<Split> {
    let Grouped { names, sums: [a, b], kinds } = grouped;
    let (all_a, all_b) = (a.total(), b.total());
    let change = mean(&all_b)? - mean(&all_a)?;
    // In this order: within, mix and share within of each group; then of all, with the share of the mix.
    let numbers = |a: &[SumCount], b: &[SumCount]| {
        let change = mean(b)? - mean(a)?;
        let parts = shift_share(a, b)?;
        let mut all: Vec<f64> =
            parts.iter().flat_map(|part| [part.within, part.mix, part.within / change]).collect();
        let within = parts.iter().map(|part| part.within).sum::<f64>();
        let mix = parts.iter().map(|part| part.mix).sum::<f64>();
        all.extend([within, mix, within / change, mix / change]);
        all.iter().all(|number| number.is_finite()).then_some(all)
    };
    let values = numbers(&all_a, &all_b).filter(|_| change != 0.0)?;
    let errors = standard_errors(&a, &b, numbers);
    let interval = |at: usize| Interval::of(values[at], errors.as_ref().map(|e| &e[at]), MISS);
    let tokens = |all: &[SumCount]| all.iter().map(|(_, count)| count).sum::<u64>() as f64;
    let (tokens_a, tokens_b) = (tokens(&all_a), tokens(&all_b));
    let row = |(at, name): (usize, String)| {
        let (of_a, of_b) = (all_a[at], all_b[at]);
        PartRow {
            name,
            tokens: [of_a.1, of_b.1],
            prompts: [&a, &b]
                .map(|sums| sums.prompts.iter().filter(|(_, sums)| sums[at].1 > 0).count()),
            mean: [mean(&[of_a]), mean(&[of_b])],
            token_share: (of_a.1 as f64 / tokens_a + of_b.1 as f64 / tokens_b) / 2.0,
            within: interval(3 * at),
            mix: interval(3 * at + 1),
            within_share: interval(3 * at + 2),
        }
    };
    let end = 3 * names.len();
    let at_one_step = names.iter().zip(all_a.iter().zip(&all_b)).filter(|(_, (a, b))| {
        (a.1 == 0 || b.1 == 0) && (a.1 + b.1) as f64 > FEW * (tokens_a + tokens_b)
    });
    let at_one_step = at_one_step.map(|(name, _)| name.clone()).collect();
    let rows: Vec<PartRow> = names.into_iter().enumerate().map(row).collect();
    let of_step = [a.prompts.len(), b.prompts.len()];
    let is_thin = |row: &&PartRow| {
        let is_few = (row.tokens[0] + row.tokens[1]) as f64 <= FEW * (tokens_a + tokens_b);
        let has_few = |of: usize| row.prompts[of] < of_step[of].min(FEWEST_PROMPTS);
        !is_few && (has_few(0) || has_few(1))
    };
    let thin = rows.iter().filter(is_thin).map(|row| row.name.clone()).collect();
    Some(Split {
        at_one_step,
        thin,
        by,
        rows,
        within: interval(end),
        mix: interval(end + 1),
        within_share: interval(end + 2),
        mix_share: interval(end + 3),
        kinds,
    })
}

/// Sums of whole responses: `group` is the index of a response's group at a step.
fn by_response(
    steps: [&Step<'_>; 2],
    names: Vec<String>,
    group: impl Fn(usize, usize) -> usize,
) -> Grouped {
    let cluster = cluster(steps[0], steps[1]);
    let sums = [0, 1].map(|of| {
        let step = steps[of];
        sums_of(step, cluster, names.len(), |at, sums| {
            let response = step.view.response(at);
            if response.has_entropies {
                add(&mut sums[group(of, at)], response.entropy_sum, u64::from(response.tokens));
            }
        })
    });
    without_empty(Grouped { names, sums, kinds: Vec::new() })
}

/// Removes groups without a token at both steps.
fn without_empty(mut grouped: Grouped) -> Grouped {
    let [a, b] = [0, 1].map(|of| grouped.sums[of].total());
    let is_used: Vec<bool> = a.iter().zip(&b).map(|((_, n), (_, m))| n + m > 0).collect();
    let mut at = 0..;
    grouped.names.retain(|_| is_used[at.next().unwrap_or(0)]);
    for (_, sums) in grouped.sums.iter_mut().flat_map(|sums| &mut sums.prompts) {
        let mut at = 0..;
        sums.retain(|_| is_used[at.next().unwrap_or(0)]);
    }
    grouped
}

fn by_outcome(steps: [&Step<'_>; 2], a: &Outcomes, b: &Outcomes) -> Grouped {
    let names = ["right", "wrong", "neither"].map(str::to_owned).to_vec();
    by_response(steps, names, |of, at| match [a, b][of].of_response[at] {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    })
}

/// By a name of each response; `None` if fewer than two names occur.
fn by_name(steps: [&Step<'_>; 2], name: impl Fn(&Response) -> Option<String>) -> Option<Grouped> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut any_without = false;
    for response in steps.iter().flat_map(|step| step.view.iter()).filter(|r| r.has_entropies) {
        match name(response) {
            Some(name) => *counts.entry(name).or_default() += u64::from(response.tokens),
            None => any_without = true,
        }
    }
    if counts.len() + usize::from(any_without) < 2 || counts.is_empty() {
        return None;
    }
    let mut by_size: Vec<(String, u64)> = counts.into_iter().collect();
    by_size.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let kept = if by_size.len() > MAX_GROUPS { MAX_GROUPS - 1 } else { by_size.len() };
    let others = by_size.len() - kept;
    let mut names: Vec<String> = by_size.into_iter().take(kept).map(|(name, _)| name).collect();
    names.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    let index: BTreeMap<String, usize> = names.iter().cloned().zip(0..).collect();
    names.push(format!("{others} others"));
    names.push("no value".to_owned());
    let group = |of: usize, at: usize| match name(steps[of].view.response(at)) {
        Some(name) => index.get(&name).copied().unwrap_or(kept),
        None => kept + 1,
    };
    Some(by_response(steps, names, group))
}

/// Sums of single tokens: `group` is the index of the group of a token at a step, from its position, its kind and its
/// entropy.
fn by_token(
    steps: [&Step<'_>; 2],
    names: Vec<String>,
    group: impl Fn(usize, usize, u32, f64) -> usize,
) -> Grouped {
    let cluster: Cluster = cluster(steps[0], steps[1]);
    let sums = [0, 1].map(|of| {
        let step = steps[of];
        sums_of(step, cluster, names.len(), |at, sums| {
            let response = step.view.response(at);
            let Some(entropies) = step.view.table.entropies(response) else { return };
            let mut kinds = step.view.table.kinds_of(response).iter().enumerate();
            entropies.each(|entropy| {
                if let Some((position, kind)) = kinds.next() {
                    add(&mut sums[group(of, position, *kind, entropy)], entropy, 1);
                }
            });
        })
    });
    without_empty(Grouped { names, sums, kinds: Vec::new() })
}

/// Bands of positions with about equally many tokens; their borders are round numbers.
fn by_position(steps: [&Step<'_>; 2]) -> Grouped {
    let responses = || steps.iter().flat_map(|step| step.view.iter()).filter(|r| r.has_entropies);
    let longest = responses().map(Response::tokens).max().unwrap_or(1);
    let width = bin_width(longest);
    let mut tokens = vec![0u64; longest.div_ceil(width)];
    for response in responses() {
        let length = response.tokens();
        for (bin, count) in tokens.iter_mut().enumerate().take(length.div_ceil(width)) {
            *count += width.min(length - bin * width) as u64;
        }
    }
    let all: u64 = tokens.iter().sum();
    let (mut starts, mut before) = (vec![0], 0);
    for (bin, count) in tokens.iter().enumerate() {
        before += count;
        let is_enough = before * BANDS as u64 >= all * starts.len() as u64;
        if is_enough && bin + 1 < tokens.len() && starts.len() < BANDS {
            starts.push((bin + 1) * width);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([longest]);
    let names = starts.iter().zip(ends).map(|(from, to)| match to - from {
        1 => format!("token {from}"),
        _ => format!("tokens {from}–{}", to - 1),
    });
    let names = names.collect();
    by_token(steps, names, |_, position, _, _| {
        starts.partition_point(|start| *start <= position) - 1
    })
}

/// The tokens of each step above its 80th percentile, and the others. The percentiles are held fixed in the intervals.
fn by_top_tokens(steps: [&Step<'_>; 2]) -> Grouped {
    let bounds = steps.map(|step| {
        let values = Entropies(&step.view);
        let buckets = Buckets::of(&values);
        let found = buckets.percentiles(&values, &[100.0 * (1.0 - TOP_SHARE)]);
        found.first().copied().unwrap_or(f64::INFINITY)
    });
    let names = ["highest 20 %", "other 80 %"].map(str::to_owned).to_vec();
    by_token(steps, names, |of, _, _, entropy| usize::from(entropy <= bounds[of]))
}

/// The kinds of tokens with the highest mean entropy over both steps, which together are at most 20 % of the tokens;
/// `None` if there are none.
fn by_forking_kinds(steps: [&Step<'_>; 2]) -> Option<Grouped> {
    let kinds = steps[0].view.table.kinds();
    let mut sums: Vec<(u64, f64)> = vec![(0, 0.0); kinds.len()];
    for step in steps {
        for response in step.view.iter() {
            let Some(entropies) = step.view.table.entropies(response) else { continue };
            let mut of_response = step.view.table.kinds_of(response).iter();
            entropies.each(|entropy| {
                if let Some(kind) = of_response.next() {
                    let (count, sum) = &mut sums[*kind as usize];
                    (*count, *sum) = (*count + 1, *sum + entropy);
                }
            });
        }
    }
    let all: u64 = sums.iter().map(|(count, _)| count).sum();
    let mut ranked: Vec<usize> =
        (0..kinds.len()).filter(|&kind| sums[kind].0 >= MIN_OCCURRENCES).collect();
    let mean_of = |kind: usize| sums[kind].1 / sums[kind].0 as f64;
    ranked.sort_by(|&a, &b| {
        mean_of(b).total_cmp(&mean_of(a)).then_with(|| (kinds[a].id, a).cmp(&(kinds[b].id, b)))
    });
    let mut tokens = 0;
    let fits = |kind: &usize| {
        tokens += sums[*kind].0;
        tokens as f64 <= TOP_SHARE * all as f64
    };
    let chosen: Vec<usize> = ranked.into_iter().take_while(fits).collect();
    let is_chosen: BTreeSet<u32> = chosen.iter().map(|kind| *kind as u32).collect();
    if chosen.is_empty() {
        return None;
    }
    let names = ["forking kinds", "other kinds"].map(str::to_owned).to_vec();
    let grouped = by_token(steps, names, |_, _, kind, _| usize::from(!is_chosen.contains(&kind)));
    let kinds = chosen.iter().map(|&kind| TokenName::of(&kinds[kind])).collect();
    Some(Grouped { kinds, ..grouped })
}

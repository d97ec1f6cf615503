//! Which responses, and which excerpts of others, the page shows.
//!
//! A reader can follow a response from step to step, so the same responses are selected at every step where that is
//! possible. Excerpts fill the gaps: at each step, every range of positions of the heat map has a few responses whose
//! tokens the page can show.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::groups::Choices;
use super::texts::{KindTable, display_name};
use crate::report::budget::longest_within;
use entropy_tokens::{Response, StepSlices, TokenTable};

/// The largest number of steps on the page.
pub(super) const MAX_STEPS: usize = 50;
/// The largest number of responses on the page.
pub(super) const MAX_RESPONSES: usize = 200;
/// The largest number of tokens of these responses.
pub(super) const MAX_TOKENS: usize = 100_000;
/// The smallest number of responses of a step; they are truncated if they have too many tokens.
pub(super) const MIN_RESPONSES: usize = 4;
const _: () = assert!(MAX_STEPS * MIN_RESPONSES <= MAX_RESPONSES);
/// The number of responses, or excerpts, that each range of positions has at each step, if the dump has as many.
const PER_CELL: usize = 2;
/// The largest number of tokens of an excerpt.
const EXCERPT_TOKENS: usize = 12;

/// At most `limit` of the items, evenly spaced, including the first and the last.
pub(super) fn evenly_spaced<T: Clone>(items: &[T], limit: usize) -> Vec<T> {
    if items.len() <= limit {
        return items.to_vec();
    }
    (0..limit).map(|i| items[i * (items.len() - 1) / (limit - 1).max(1)].clone()).collect()
}

/// What tells a response from the others of its step, and is equal at other steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Identity<'a> {
    id: Option<&'a str>,
    group: u64,
    sample: Option<u64>,
    turn: Option<u32>,
    /// Its number among those that are equal otherwise, from 0.
    nth: usize,
}

/// A response on the page: its step, its index in the table, and how many of its tokens are embedded.
struct Selected {
    step: usize,
    index: usize,
    tokens: usize,
}

/// A few tokens of a response: its step, its index in the table, the range of positions of the heat map with its number
/// of tokens and their mean entropy, and the tokens that are embedded.
struct Excerpt {
    step: usize,
    index: usize,
    bin: usize,
    bin_tokens: usize,
    mean: f64,
    from: usize,
    to: usize,
}

/// The responses and excerpts on the page.
pub(super) struct Selection<'a> {
    responses: Vec<Selected>,
    excerpts: Vec<Excerpt>,
    /// The identity of each response of the shown steps, and whether there are several that only their number tells apart.
    identities: HashMap<usize, (Identity<'a>, bool)>,
    /// Numbers prompts that have no name, in order of appearance.
    prompts: HashMap<u64, usize>,
    shortened: usize,
}

impl<'a> Selection<'a> {
    /// Selects responses of the shown steps, with bins of `width` positions in the heat map.
    pub(super) fn of(table: &'a TokenTable, width: usize, parts: &[StepSlices]) -> Selection<'a> {
        let (mut identities, mut prompts) = (HashMap::new(), HashMap::new());
        for part in parts {
            let mut counts: HashMap<Identity<'a>, usize> = HashMap::new();
            let of = |&index: &usize| identity(&table.responses()[index]);
            for index in &part.members {
                *counts.entry(of(index)).or_default() += 1;
                let number = prompts.len() + 1;
                prompts.entry(table.responses()[*index].group()).or_insert(number);
            }
            let mut seen: HashMap<Identity<'a>, usize> = HashMap::new();
            for index in &part.members {
                let plain = of(index);
                let nth = seen.entry(plain).or_default();
                identities.insert(*index, (Identity { nth: *nth, ..plain }, counts[&plain] > 1));
                *nth += 1;
            }
        }
        let responses = select_responses(table, parts, &identities);
        let length = |selected: &Selected| table.responses()[selected.index].tokens();
        Selection {
            shortened: responses
                .iter()
                .filter(|selected| selected.tokens < length(selected))
                .count(),
            excerpts: excerpts(table, width, parts, &responses),
            responses,
            identities,
            prompts,
        }
    }

    /// Number of responses.
    pub(super) fn responses(&self) -> usize {
        self.responses.len()
    }

    /// Number of tokens of these responses.
    pub(super) fn tokens(&self) -> usize {
        self.responses.iter().map(|selected| selected.tokens).sum()
    }

    /// Number of responses that are truncated.
    pub(super) fn shortened(&self) -> usize {
        self.shortened
    }

    /// The responses, ordered by step and then as in the dump.
    pub(super) fn response_values(
        &self,
        table: &'a TokenTable,
        parts: &[StepSlices],
        choices: &Choices,
        kinds: &mut KindTable<'a>,
    ) -> Vec<Value> {
        let value = |selected: &Selected| {
            let response = &table.responses()[selected.index];
            let part = &parts[selected.step];
            let mut value = self.head(selected.step, selected.index, response, part, choices);
            value["finish"] = json!(response.finish().map(display_name));
            value["mean"] = json!(response.mean_entropy());
            add_tokens(&mut value, table, response, 0, selected.tokens, kinds);
            value
        };
        self.responses.iter().map(value).collect()
    }

    /// The excerpts, ordered by step and position.
    pub(super) fn excerpt_values(
        &self,
        table: &'a TokenTable,
        parts: &[StepSlices],
        choices: &Choices,
        kinds: &mut KindTable<'a>,
    ) -> Vec<Value> {
        let value = |excerpt: &Excerpt| {
            let response = &table.responses()[excerpt.index];
            let part = &parts[excerpt.step];
            let mut value = self.head(excerpt.step, excerpt.index, response, part, choices);
            value["bin"] = excerpt.bin.into();
            value["tokens"] = excerpt.bin_tokens.into();
            value["mean"] = json!(rounded(excerpt.mean));
            value["from"] = excerpt.from.into();
            add_tokens(&mut value, table, response, excerpt.from, excerpt.to, kinds);
            value
        };
        self.excerpts.iter().map(value).collect()
    }

    /// What the page says of a response besides its tokens.
    fn head(
        &self,
        step: usize,
        index: usize,
        response: &Response,
        part: &StepSlices,
        choices: &Choices,
    ) -> Value {
        let name = match (response.id(), response.prompt()) {
            (Some(id), _) => display_name(id),
            (None, Some(prompt)) => format!("prompt {}", display_name(prompt)),
            (None, None) => {
                format!("prompt {}", self.prompts.get(&response.group()).copied().unwrap_or(0))
            }
        };
        let nth = self.identities.get(&index).filter(|(_, several)| *several);
        let groups = part.groups.iter().filter(|group| group.members.binary_search(&index).is_ok());
        let groups: Vec<usize> =
            groups.filter_map(|group| choices.place(group.grouping, &group.name)).collect();
        json!({
            "step": step,
            "name": name,
            "sample": response.sample(),
            "turn": response.turn(),
            "nth": nth.map(|(identity, _)| identity.nth),
            "reward": response.reward(),
            "length": response.tokens(),
            "groups": groups,
        })
    }
}

fn identity(response: &Response) -> Identity<'_> {
    Identity {
        id: response.id(),
        group: response.group(),
        sample: response.sample(),
        turn: response.turn(),
        nth: 0,
    }
}

/// Adds the tokens of a range of positions to a value.
fn add_tokens<'a>(
    value: &mut Value,
    table: &'a TokenTable,
    response: &Response,
    from: usize,
    to: usize,
    kinds: &mut KindTable<'a>,
) {
    let of_kind = |&kind: &u32| kinds.of_kind(&table.kinds()[kind as usize]);
    value["kinds"] = table.kinds_of(response)[from..to].iter().map(of_kind).collect();
    // JSON has no −∞, the log-prob of an impossible token: it is written as null, as one that is missing.
    for (key, numbers) in
        [("entropies", table.entropies(response)), ("log_probs", table.log_probs(response))]
    {
        value[key] = numbers.map_or(Value::Null, |numbers| {
            (from..to).map(|at| json!(rounded(numbers.get(at)))).collect()
        });
    }
}

/// Rounds to four decimals, as many as the page shows of a token.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded == 0.0 { 0.0 } else { rounded } // no −0
}

/// Selects responses, ordered by step and then as in the dump. For each step it selects first those that are already
/// selected for a later step; then a quarter with the highest means, a quarter with the lowest, and the rest evenly
/// spaced.
fn select_responses(
    table: &TokenTable,
    parts: &[StepSlices],
    identities: &HashMap<usize, (Identity<'_>, bool)>,
) -> Vec<Selected> {
    let length = |index: usize| table.responses()[index].tokens();
    let budget = MAX_TOKENS / parts.len().max(1);
    let mut known: BTreeSet<Identity<'_>> = BTreeSet::new();
    let mut selected = Vec::new();
    // The last step first: it is the one that readers look at.
    for (step, StepSlices { members, .. }) in parts.iter().enumerate().rev() {
        let total: usize = members.iter().map(|&index| length(index)).sum();
        let affordable = budget * members.len() / total.max(1);
        let limit = affordable.clamp(MIN_RESPONSES, MAX_RESPONSES / parts.len());
        let limit = limit.min(members.len());
        let mut picked: BTreeSet<usize> = BTreeSet::new();
        let again = members.iter().filter(|index| known.contains(&identities[index].0));
        picked.extend(again.take(limit));
        let mut by_mean: Vec<(f64, usize)> = members
            .iter()
            .filter_map(|&index| Some((table.responses()[index].mean_entropy()?, index)))
            .collect();
        by_mean.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let extremes = by_mean.iter().take(limit / 4).chain(by_mean.iter().rev().take(limit / 4));
        for (_, index) in extremes {
            if picked.len() < limit {
                picked.insert(*index);
            }
        }
        let rest: Vec<usize> =
            members.iter().copied().filter(|index| !picked.contains(index)).collect();
        picked.extend(evenly_spaced(&rest, limit - picked.len()));
        known.extend(picked.iter().map(|index| identities[index].0));
        let lengths: Vec<usize> = picked.iter().map(|&index| length(index)).collect();
        let longest = longest_within(&lengths, budget);
        selected.extend(picked.iter().map(|&index| Selected {
            step,
            index,
            tokens: length(index).min(longest),
        }));
    }
    selected.sort_by_key(|response| (response.step, response.index));
    selected
}

/// Excerpts of the responses with the highest means, for ranges of positions that fewer than [`PER_CELL`] of the
/// selected responses reach.
fn excerpts(
    table: &TokenTable,
    width: usize,
    parts: &[StepSlices],
    selected: &[Selected],
) -> Vec<Excerpt> {
    let mut excerpts = Vec::new();
    for (step, part) in parts.iter().enumerate() {
        let shown: HashMap<usize, usize> = selected
            .iter()
            .filter(|selected| selected.step == step)
            .map(|selected| (selected.index, selected.tokens))
            .collect();
        let response = |index: usize| &table.responses()[index];
        let longest = part.members.iter().map(|&index| response(index).tokens()).max().unwrap_or(0);
        let bins = longest.div_ceil(width);
        let reach = |bin: usize| {
            let with_entropies = shown.iter().filter(|(index, tokens)| {
                **tokens > bin * width && response(**index).mean_entropy().is_some()
            });
            PER_CELL.saturating_sub(with_entropies.count())
        };
        let wanted: Vec<usize> = (0..bins).map(reach).collect();
        let mut best: Vec<Vec<Excerpt>> = (0..bins).map(|_| Vec::new()).collect();
        for &index in &part.members {
            let Some(entropies) = table.entropies(response(index)) else { continue };
            let (length, embedded) =
                (response(index).tokens(), shown.get(&index).copied().unwrap_or(0));
            for bin in embedded.div_ceil(width)..length.div_ceil(width) {
                if wanted[bin] == 0 {
                    continue;
                }
                let (first, end) = (bin * width, ((bin + 1) * width).min(length));
                let (mut sum, mut peak) = (0.0, (f64::NEG_INFINITY, first));
                for at in first..end {
                    let entropy = entropies.get(at);
                    sum += entropy;
                    if entropy > peak.0 {
                        peak = (entropy, at);
                    }
                }
                let (mean, found) = (sum / (end - first) as f64, &mut best[bin]);
                let place = found.partition_point(|other| other.mean >= mean);
                if place < wanted[bin] {
                    // The tokens around the one with the highest entropy.
                    let from = peak.1.saturating_sub(EXCERPT_TOKENS / 2);
                    let from = from.min(end.saturating_sub(EXCERPT_TOKENS)).max(first);
                    let to = (from + EXCERPT_TOKENS).min(end);
                    let bin_tokens = end - first;
                    found.insert(place, Excerpt { step, index, bin, bin_tokens, mean, from, to });
                    found.truncate(wanted[bin]);
                }
            }
        }
        excerpts.extend(best.into_iter().flatten());
    }
    excerpts
}

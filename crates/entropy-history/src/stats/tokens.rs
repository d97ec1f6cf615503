//! Entropies token by token: where in its responses a policy still chooses.
//!
//! A few tokens in a hundred carry most of the entropy of a reasoning model: the "forking tokens" of
//! arXiv 2506.01939, which trains on the top 20 % alone. A mean hides whether a policy became surer
//! everywhere or lost its forks; these numbers tell. All are over the tokens of a *scoring*: the
//! responses of one source at one step. Quantiles interpolate linearly, as NumPy's default does.

mod overlap;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

pub use overlap::Overlap;

use crate::dump::{Response, TokenDump};
use overlap::overlap;

/// The quantiles that are told, in per cent.
pub const QUANTILES: [u32; 8] = [5, 25, 50, 75, 80, 90, 95, 99];
/// Under this many nats a token counts as certain.
pub const CERTAIN: f64 = 0.01;
/// The 80th percentile that arXiv 2506.01939 reports for Qwen3-8B, in nats.
pub const REFERENCE: f64 = 0.672;
/// The part of the tokens with the highest entropies that is looked at by itself.
pub const TOP: f64 = 0.2;
/// A token with fewer occurrences says little about its kind.
pub const OCCURRENCES: usize = 20;
/// How many kinds of tokens are told.
pub const WORDS: usize = 30;
/// Parts of a response, by the place of a token in it.
pub const PARTS: usize = 10;
/// Bars of the histogram.
pub const BARS: usize = 48;

/// What is said of the tokens of a dump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenAnalysis {
    /// One entry a scoring, by source and step.
    pub scorings: Vec<ScoringStats>,
    /// Pairs of scorings that have responses in common: each with the first, and with the one before
    /// it.
    pub overlaps: Vec<Overlap>,
}

/// What is said of the responses of a source at a step. Entropies are in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoringStats {
    /// Which of the dump's sources.
    pub source: usize,
    /// The step of the checkpoint.
    pub step: u64,
    /// How many responses.
    pub responses: usize,
    /// How many tokens they have.
    pub tokens: usize,
    /// Mean over all tokens: the number of a history.
    pub mean: f64,
    /// Mean over responses of each one's own mean.
    pub response_mean: f64,
    /// The quantiles of [`QUANTILES`].
    pub quantiles: Vec<Quantile>,
    /// The share of tokens under [`CERTAIN`].
    pub certain_share: f64,
    /// The share of tokens over [`REFERENCE`].
    pub over_reference_share: f64,
    /// The share of all entropy that the [`TOP`] of the tokens hold; none where there is no entropy.
    pub top_share: Option<f64>,
    /// The tokens with the highest mean entropy among those with at least [`OCCURRENCES`], highest
    /// first.
    pub words: Vec<Word>,
    /// How many kinds of tokens have that many occurrences, and how many there are.
    pub frequent_kinds: usize,
    /// How many kinds of tokens there are.
    pub kinds: usize,
    /// By place in the response, from its first to its last tenth.
    pub parts: Vec<Part>,
    /// How many tokens fall into each of [`BARS`] equal parts of `0 ..= histogram_max`.
    pub histogram: Vec<usize>,
    /// Where the histogram ends; the same for all scorings of a dump.
    pub histogram_max: f64,
    /// The 0th to the 100th percentile.
    pub percentiles: Vec<f64>,
}

/// A quantile of token entropies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// Per cent of the tokens that are at or under it.
    pub percent: u32,
    /// The entropy.
    pub value: f64,
}

/// A kind of token with the mean of its entropies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Word {
    /// Its place among the dump's kinds.
    pub kind: u32,
    /// How often it occurs.
    pub count: usize,
    /// Mean entropy where it was drawn.
    pub mean: f64,
}

/// A tenth of all responses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// How many tokens; short responses have none in some parts.
    pub tokens: usize,
    /// Their mean entropy; none without a token.
    pub mean: Option<f64>,
}

/// The responses of one source at one step, as places in the dump.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// Which source.
    pub source: usize,
    /// Which step.
    pub step: u64,
    /// Its responses, in order; at least one.
    pub responses: Vec<usize>,
}

/// The scorings of a dump, by source and step.
pub fn scorings(dump: &TokenDump) -> Vec<Scoring> {
    let mut found: BTreeMap<(usize, u64), Vec<usize>> = BTreeMap::new();
    for (at, response) in dump.responses().iter().enumerate() {
        found.entry((response.source(), response.step())).or_default().push(at);
    }
    let scoring = |((source, step), responses)| Scoring { source, step, responses };
    found.into_iter().map(scoring).collect()
}

/// Computes the numbers of every scoring of a dump, and of the pairs that scored the same tokens.
pub fn analyse(dump: &TokenDump, scorings: &[Scoring]) -> TokenAnalysis {
    let all = dump.responses().iter().flat_map(Response::entropies);
    let histogram_max = all.copied().fold(0.0, f64::max);
    let mut pairs: Vec<(usize, usize)> =
        (1..scorings.len()).flat_map(|b| [(0, b), (b - 1, b)]).collect();
    pairs.dedup(); // the second's first is the one before it
    TokenAnalysis {
        scorings: scorings.par_iter().map(|s| of_scoring(dump, s, histogram_max)).collect(),
        overlaps: pairs.par_iter().filter_map(|&(a, b)| overlap(dump, scorings, a, b)).collect(),
    }
}

fn of_scoring(dump: &TokenDump, scoring: &Scoring, histogram_max: f64) -> ScoringStats {
    let responses = || scoring.responses.iter().map(|&at| &dump.responses()[at]);
    let mut sorted: Vec<f64> = responses().flat_map(Response::entropies).copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let tokens = sorted.len();
    let sum: f64 = sorted.iter().sum(); // smallest first loses least
    let share = |n: usize| n as f64 / tokens as f64;
    let top: f64 = sorted[tokens - top_count(tokens)..].iter().sum();

    let mut parts = [(0, 0.0); PARTS];
    let mut words: Vec<(usize, f64)> = vec![(0, 0.0); dump.kinds().len()];
    let mut histogram = vec![0; BARS];
    for response in responses() {
        let length = response.entropies().len();
        for (at, (&entropy, &kind)) in response.entropies().iter().zip(response.kinds()).enumerate()
        {
            let part = &mut parts[at * PARTS / length];
            let word = &mut words[kind as usize];
            *part = (part.0 + 1, part.1 + entropy);
            *word = (word.0 + 1, word.1 + entropy);
            let place = entropy.max(0.0) / histogram_max * BARS as f64; // NaN, so 0, if all are 0
            histogram[(place as usize).min(BARS - 1)] += 1;
        }
    }
    let kinds = words.iter().filter(|(count, _)| *count > 0).count();
    let words = (0..).zip(&words).filter(|(_, (count, _))| *count >= OCCURRENCES);
    let mut words: Vec<Word> =
        words.map(|(kind, &(count, sum))| Word { kind, count, mean: sum / count as f64 }).collect();
    let frequent_kinds = words.len();
    let id = |word: &Word| dump.kinds()[word.kind as usize].id;
    words.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| id(a).cmp(&id(b))));
    words.truncate(WORDS);

    ScoringStats {
        source: scoring.source,
        step: scoring.step,
        responses: scoring.responses.len(),
        tokens,
        mean: sum / tokens as f64,
        response_mean: responses().map(Response::mean).sum::<f64>()
            / scoring.responses.len() as f64,
        quantiles: QUANTILES
            .map(|percent| Quantile { percent, value: quantile(&sorted, percent) })
            .to_vec(),
        certain_share: share(sorted.partition_point(|&entropy| entropy < CERTAIN)),
        over_reference_share: share(
            tokens - sorted.partition_point(|&entropy| entropy <= REFERENCE),
        ),
        top_share: (sum > 0.0).then(|| top / sum),
        words,
        frequent_kinds,
        kinds,
        parts: parts
            .map(|(tokens, sum)| Part { tokens, mean: (tokens > 0).then(|| sum / tokens as f64) })
            .to_vec(),
        histogram,
        histogram_max,
        percentiles: (0..=100).map(|percent| quantile(&sorted, percent)).collect(),
    }
}

/// How many tokens the top share of `tokens` is: rounded, at least one.
fn top_count(tokens: usize) -> usize {
    ((tokens as f64 * TOP).round() as usize).max(1)
}

/// A quantile of sorted values by linear interpolation, NumPy's default.
fn quantile(sorted: &[f64], percent: u32) -> f64 {
    let place = (sorted.len() - 1) as f64 * f64::from(percent) / 100.0;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = sorted[(low + 1).min(sorted.len() - 1)];
    sorted[low] + (high - sorted[low]) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RawResponse;

    /// A dump of one response a list, of ids 0, 1, …, each list of another step.
    fn steps(entropies: &[&[f64]]) -> TokenAnalysis {
        let mut dump = TokenDump::default();
        for (step, entropies) in (1..).zip(entropies) {
            let raw = RawResponse {
                step,
                tokens: (0..entropies.len() as u32).collect(),
                entropies: entropies.to_vec(),
                ..RawResponse::default()
            };
            dump.add(raw).unwrap();
        }
        analyse(&dump, &scorings(&dump))
    }

    #[test]
    fn one_token_is_all_its_quantiles() {
        let stats = &steps(&[&[0.5]]).scorings[0];
        assert!(stats.quantiles.iter().all(|quantile| quantile.value == 0.5));
        assert_eq!((stats.mean, stats.response_mean, stats.top_share), (0.5, 0.5, Some(1.0)));
        assert_eq!(stats.parts[0], Part { tokens: 1, mean: Some(0.5) });
        assert_eq!(stats.parts[1], Part { tokens: 0, mean: None });
    }

    #[test]
    fn without_entropy_nothing_is_divided_by_it() {
        let analysis = steps(&[&[0.0; 10], &[0.0; 10]]);
        let stats = &analysis.scorings[0];
        assert_eq!((stats.top_share, stats.certain_share), (None, 1.0));
        assert_eq!(stats.histogram[0], 10);
        assert_eq!(analysis.overlaps[0].pearson, None);
        assert_eq!(analysis.overlaps[0].top_overlap, 1.0, "of equal tokens the first count");
    }

    #[test]
    fn the_top_fifth_and_the_bounds_are_counted_as_they_say() {
        let entropies: Vec<f64> = (0..10).map(f64::from).collect();
        let stats = &steps(&[&entropies]).scorings[0];
        assert_eq!(stats.top_share, Some((9.0 + 8.0) / 45.0));
        assert_eq!((stats.certain_share, stats.over_reference_share), (0.1, 0.9));
        let edges = &steps(&[&[CERTAIN, REFERENCE]]).scorings[0];
        assert_eq!((edges.certain_share, edges.over_reference_share), (0.0, 0.0));
    }

    #[test]
    fn opposite_orders_share_nothing_at_the_top() {
        let up: Vec<f64> = (0..10).map(f64::from).collect();
        let down: Vec<f64> = up.iter().rev().copied().collect();
        let overlap = &steps(&[&up, &down]).overlaps[0];
        assert_eq!((overlap.top_overlap, overlap.pearson), (0.0, Some(-1.0)));
        // Two of ten each: 0.4 shared in expectation, of 3.6 in either.
        assert!((overlap.top_overlap_by_chance - 0.4 / 3.6).abs() < 1e-15);
    }

    #[test]
    fn only_the_same_tokens_are_compared() {
        let analysis = steps(&[&[1.0, 2.0], &[1.0, 2.0, 3.0], &[2.0, 1.0]]);
        let pairs: Vec<_> = analysis.overlaps.iter().map(|o| (o.a, o.b, o.tokens)).collect();
        assert_eq!(pairs, [(0, 2, 2)]);
    }

    #[test]
    fn a_response_that_stands_twice_is_paired_in_order() {
        let mut dump = TokenDump::default();
        for (step, entropy) in [(1, 1.0), (1, 2.0), (2, 1.0), (2, 2.0), (2, 9.0)] {
            let (tokens, entropies) = (vec![5; 2], vec![entropy, entropy + 0.5]);
            dump.add(RawResponse { step, tokens, entropies, ..RawResponse::default() }).unwrap();
        }
        let overlap = &analyse(&dump, &scorings(&dump)).overlaps[0];
        assert_eq!((overlap.responses, overlap.pearson), (2, Some(1.0)));
    }

    #[test]
    fn words_come_by_mean_then_by_id_and_only_frequent_ones() {
        let mut dump = TokenDump::default();
        let mut add = |id: u32, entropy: f64, times: usize| {
            let (tokens, entropies) = (vec![id; times], vec![entropy; times]);
            dump.add(RawResponse { tokens, entropies, ..RawResponse::default() }).unwrap();
        };
        add(9, 1.0, OCCURRENCES);
        add(3, 1.0, OCCURRENCES);
        add(4, 2.0, OCCURRENCES + 1);
        add(5, 9.0, OCCURRENCES - 1);
        let stats = &analyse(&dump, &scorings(&dump)).scorings[0];
        let ids = stats.words.iter().map(|word| dump.kinds()[word.kind as usize].id);
        assert_eq!(ids.collect::<Vec<_>>(), [4, 3, 9]);
        assert_eq!((stats.frequent_kinds, stats.kinds), (3, 4));
    }
}

//! Statistics of token entropies: at which tokens a policy is still uncertain.
//!
//! A few per cent of the tokens carry most of the entropy of a reasoning model: the "forking tokens" of
//! arXiv 2506.01939, which trains on the top 20 % only. A mean does not show whether a policy became more
//! certain everywhere or lost its forking tokens; these statistics do. They cover the tokens of a
//! *scoring*, the responses of one source at one step. Quantiles interpolate linearly, like NumPy's default.

mod overlap;
mod scoring;

use rayon::prelude::*;
use serde::Serialize;

pub use overlap::Overlap;
pub use scoring::{Scoring, TOP_SHARE, scorings};

use super::sample::value_at;
use crate::dump::{Response, TokenDump};
use overlap::overlap;
use scoring::top_count;

/// The reported quantiles, in per cent.
pub const QUANTILES: [u32; 8] = [5, 25, 50, 75, 80, 90, 95, 99];
/// Tokens below this entropy in nats count as certain.
pub const CERTAIN_BELOW: f64 = 0.01;
/// The 80th percentile that arXiv 2506.01939 reports for Qwen3-8B, in nats.
pub const FORKING_ENTROPY: f64 = 0.672;
/// The smallest number of occurrences for which the mean entropy of a distinct token is reported.
pub const MIN_OCCURRENCES: usize = 20;
/// The largest number of distinct tokens in a list.
pub const MAX_LISTED: usize = 30;
/// Number of bins for the relative position of a token in its response.
pub const POSITION_BINS: usize = 10;
/// Number of bins of the histogram.
pub const HISTOGRAM_BINS: usize = 48;

/// The statistics of a token dump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenAnalysis {
    /// One entry per scoring, ordered by source and step.
    pub scorings: Vec<ScoringStats>,
    /// Pairs of scorings that have responses in common: each scoring with the first, and with the previous
    /// one.
    pub overlaps: Vec<Overlap>,
}

/// The statistics of one scoring. Entropies are in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoringStats {
    /// Index of the source in the dump.
    pub source: usize,
    /// Step of the checkpoint.
    pub step: u64,
    /// Number of responses.
    pub responses: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// Mean over all tokens, as in a history.
    pub mean: f64,
    /// Mean over the responses of the mean of each response.
    pub response_mean: f64,
    /// The quantiles listed in [`QUANTILES`].
    pub quantiles: Vec<Quantile>,
    /// The share of tokens below [`CERTAIN_BELOW`].
    pub certain_share: f64,
    /// The share of tokens above [`FORKING_ENTROPY`].
    pub over_reference_share: f64,
    /// The share of all entropy in the [`TOP_SHARE`] of tokens with the highest entropies; `None` if all
    /// entropies are 0.
    pub top_share: Option<f64>,
    /// The distinct tokens with the highest mean entropy among those with at least [`MIN_OCCURRENCES`],
    /// highest first.
    pub words: Vec<TokenMean>,
    /// Number of distinct tokens with at least [`MIN_OCCURRENCES`].
    pub frequent_kinds: usize,
    /// Number of distinct tokens.
    pub kinds: usize,
    /// By position in the response, from the first to the last tenth.
    pub parts: Vec<PositionBin>,
    /// Number of tokens in each of [`HISTOGRAM_BINS`] equal bins of `0 ..= histogram_max`.
    pub histogram: Vec<usize>,
    /// Upper end of the histogram, equal for all scorings of a dump.
    pub histogram_max: f64,
    /// The 0th to the 100th percentile.
    pub percentiles: Vec<f64>,
}

/// A quantile of token entropies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// Per cent of the tokens that are at or below the value.
    pub percent: u32,
    /// The entropy in nats.
    pub value: f64,
}

/// A distinct token with its mean entropy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TokenMean {
    /// Index of the token in [`TokenDump::kinds`].
    pub kind: u32,
    /// Number of occurrences.
    pub count: usize,
    /// Mean entropy in nats of the positions at which it was sampled.
    pub mean: f64,
}

/// The tokens of one tenth of all responses, by relative position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PositionBin {
    /// Number of tokens; short responses have no tokens in some bins.
    pub tokens: usize,
    /// Their mean entropy in nats; `None` without a token.
    pub mean: Option<f64>,
}

/// Computes the statistics of every scoring of a dump, and of pairs of scorings of the same tokens.
pub fn analyse(dump: &TokenDump, scorings: &[Scoring]) -> TokenAnalysis {
    let all = dump.responses().iter().flat_map(Response::entropies);
    let histogram_max = all.copied().fold(0.0, f64::max);
    let mut pairs: Vec<(usize, usize)> =
        (1..scorings.len()).flat_map(|b| [(0, b), (b - 1, b)]).collect();
    pairs.dedup(); // for the second scoring, the first is also the previous one
    TokenAnalysis {
        scorings: scorings.par_iter().map(|s| scoring_stats(dump, s, histogram_max)).collect(),
        overlaps: pairs.par_iter().filter_map(|&(a, b)| overlap(dump, scorings, a, b)).collect(),
    }
}

fn scoring_stats(dump: &TokenDump, scoring: &Scoring, histogram_max: f64) -> ScoringStats {
    let responses = || scoring.responses.iter().map(|&at| &dump.responses()[at]);
    let mut sorted: Vec<f64> = responses().flat_map(Response::entropies).copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let tokens = sorted.len();
    let quantile =
        |percent: u32| value_at(&sorted, (tokens - 1) as f64 * f64::from(percent) / 100.0);
    let sum: f64 = sorted.iter().sum(); // smallest first: the smallest rounding error
    let share = |n: usize| n as f64 / tokens as f64;
    let top: f64 = sorted[tokens - top_count(tokens)..].iter().sum();

    let mut parts = [(0, 0.0); POSITION_BINS];
    let mut words: Vec<(usize, f64)> = vec![(0, 0.0); dump.kinds().len()];
    let mut histogram = vec![0; HISTOGRAM_BINS];
    for response in responses() {
        let length = response.entropies().len();
        for (at, (&entropy, &kind)) in response.entropies().iter().zip(response.kinds()).enumerate()
        {
            let part = &mut parts[at * POSITION_BINS / length];
            let word = &mut words[kind as usize];
            *part = (part.0 + 1, part.1 + entropy);
            *word = (word.0 + 1, word.1 + entropy);
            // NaN, which becomes bin 0, if all entropies are 0.
            let bin = entropy.max(0.0) / histogram_max * HISTOGRAM_BINS as f64;
            histogram[(bin as usize).min(HISTOGRAM_BINS - 1)] += 1;
        }
    }
    let kinds = words.iter().filter(|(count, _)| *count > 0).count();
    let words = (0..).zip(&words).filter(|(_, (count, _))| *count >= MIN_OCCURRENCES);
    let mut words: Vec<TokenMean> = words
        .map(|(kind, &(count, sum))| TokenMean { kind, count, mean: sum / count as f64 })
        .collect();
    let frequent_kinds = words.len();
    let id = |word: &TokenMean| dump.kinds()[word.kind as usize].id;
    words.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| id(a).cmp(&id(b))));
    words.truncate(MAX_LISTED);

    ScoringStats {
        source: scoring.source,
        step: scoring.step,
        responses: scoring.responses.len(),
        tokens,
        mean: sum / tokens as f64,
        response_mean: responses().map(Response::mean).sum::<f64>()
            / scoring.responses.len() as f64,
        quantiles: QUANTILES.map(|percent| Quantile { percent, value: quantile(percent) }).to_vec(),
        certain_share: share(sorted.partition_point(|&entropy| entropy < CERTAIN_BELOW)),
        over_reference_share: share(
            tokens - sorted.partition_point(|&entropy| entropy <= FORKING_ENTROPY),
        ),
        top_share: (sum > 0.0).then(|| top / sum),
        words,
        frequent_kinds,
        kinds,
        parts: parts
            .map(|(tokens, sum)| PositionBin {
                tokens,
                mean: (tokens > 0).then(|| sum / tokens as f64),
            })
            .to_vec(),
        histogram,
        histogram_max,
        percentiles: (0..=100).map(quantile).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RawResponse;

    /// A dump with one response per list of entropies, at steps 1, 2, …, with token ids 0, 1, ….
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
    fn single_token_is_every_quantile() {
        let stats = &steps(&[&[0.5]]).scorings[0];
        assert!(stats.quantiles.iter().all(|quantile| quantile.value == 0.5));
        assert_eq!((stats.mean, stats.response_mean, stats.top_share), (0.5, 0.5, Some(1.0)));
        assert_eq!(stats.parts[0], PositionBin { tokens: 1, mean: Some(0.5) });
        assert_eq!(stats.parts[1], PositionBin { tokens: 0, mean: None });
    }

    #[test]
    fn zero_entropy_has_no_top_share() {
        let analysis = steps(&[&[0.0; 10], &[0.0; 10]]);
        let stats = &analysis.scorings[0];
        assert_eq!((stats.top_share, stats.certain_share), (None, 1.0));
        assert_eq!(stats.histogram[0], 10);
        assert_eq!(analysis.overlaps[0].pearson, None);
        assert_eq!(
            analysis.overlaps[0].top_overlap, 1.0,
            "of equal tokens the first ones are in the top share"
        );
    }

    #[test]
    fn shares_exclude_their_bounds() {
        let entropies: Vec<f64> = (0..10).map(f64::from).collect();
        let stats = &steps(&[&entropies]).scorings[0];
        assert_eq!(stats.top_share, Some((9.0 + 8.0) / 45.0));
        assert_eq!((stats.certain_share, stats.over_reference_share), (0.1, 0.9));
        let edges = &steps(&[&[CERTAIN_BELOW, FORKING_ENTROPY]]).scorings[0];
        assert_eq!((edges.certain_share, edges.over_reference_share), (0.0, 0.0));
    }

    #[test]
    fn opposite_orders_have_no_top_overlap() {
        let up: Vec<f64> = (0..10).map(f64::from).collect();
        let down: Vec<f64> = up.iter().rev().copied().collect();
        let overlap = &steps(&[&up, &down]).overlaps[0];
        assert_eq!((overlap.top_overlap, overlap.pearson), (0.0, Some(-1.0)));
        // Two of ten each: 0.4 shared in expectation, of 3.6 in either.
        assert!((overlap.top_overlap_by_chance - 0.4 / 3.6).abs() < 1e-15);
    }

    #[test]
    fn compares_only_scorings_of_the_same_tokens() {
        let analysis = steps(&[&[1.0, 2.0], &[1.0, 2.0, 3.0], &[2.0, 1.0]]);
        let pairs: Vec<_> = analysis.overlaps.iter().map(|o| (o.a, o.b, o.tokens)).collect();
        assert_eq!(pairs, [(0, 2, 2)]);
    }

    #[test]
    fn repeated_responses_are_paired_in_order() {
        let mut dump = TokenDump::default();
        for (step, entropy) in [(1, 1.0), (1, 2.0), (2, 1.0), (2, 2.0), (2, 9.0)] {
            let (tokens, entropies) = (vec![5; 2], vec![entropy, entropy + 0.5]);
            dump.add(RawResponse { step, tokens, entropies, ..RawResponse::default() }).unwrap();
        }
        let overlap = &analyse(&dump, &scorings(&dump)).overlaps[0];
        assert_eq!((overlap.responses, overlap.pearson), (2, Some(1.0)));
    }

    #[test]
    fn frequent_tokens_are_ordered_by_mean_then_id() {
        let mut dump = TokenDump::default();
        let mut add = |id: u32, entropy: f64, times: usize| {
            let (tokens, entropies) = (vec![id; times], vec![entropy; times]);
            dump.add(RawResponse { tokens, entropies, ..RawResponse::default() }).unwrap();
        };
        add(9, 1.0, MIN_OCCURRENCES);
        add(3, 1.0, MIN_OCCURRENCES);
        add(4, 2.0, MIN_OCCURRENCES + 1);
        add(5, 9.0, MIN_OCCURRENCES - 1);
        let stats = &analyse(&dump, &scorings(&dump)).scorings[0];
        let ids = stats.words.iter().map(|word| dump.kinds()[word.kind as usize].id);
        assert_eq!(ids.collect::<Vec<_>>(), [4, 3, 9]);
        assert_eq!((stats.frequent_kinds, stats.kinds), (3, 4));
    }
}

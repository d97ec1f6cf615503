//! The entropies of a step: distribution, profiles by position, forking tokens.

use serde::Serialize;

use super::clusters::Clusters;
use super::view::{Entropies, StepView};
use super::{Shared, TokenName};
use crate::names::TOKEN_COLUMNS;
use crate::stats::forking::{KindMean, forking_kinds};
use crate::stats::histogram::Histogram;
use crate::stats::interval::{ClusterSums, MeanInterval};
use crate::stats::order::{Buckets, LargestSum, Scan, share_count};
use crate::stats::profile::{PositionBin, Profile, TENTHS, tenth_start};

/// The percentiles that are reported.
pub const PERCENTS: [f64; 8] = [5.0, 25.0, 50.0, 75.0, 80.0, 90.0, 95.0, 99.0];
/// The share of tokens whose part of the entropy is reported (arXiv 2506.01939).
pub const TOP_SHARE: f64 = 0.2;
/// Number of bins of a histogram.
pub const HISTOGRAM_BINS: usize = 60;

/// Shares of tokens at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Threshold {
    /// The entropy in nats.
    pub threshold: f64,
    /// Share of tokens below it.
    pub below: f64,
    /// Share of tokens above it.
    pub above: f64,
}

/// A percentile of entropies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentile {
    /// Per cent of the tokens at or below the value.
    pub percent: f64,
    /// The entropy in nats.
    pub value: f64,
}

/// The entropies of the tokens of a step, in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntropyStats {
    /// Number of responses with entropies.
    pub responses: u64,
    /// Number of tokens with an entropy.
    pub tokens: u64,
    /// Mean over tokens, with its 95 % interval over prompts, or responses.
    #[serde(flatten)]
    pub mean: MeanInterval,
    /// Mean over responses of the means of their tokens.
    pub response_mean: f64,
    /// The percentiles of [`PERCENTS`], interpolated linearly.
    pub percentiles: Vec<Percentile>,
    /// Share of the tokens below and above each threshold.
    pub thresholds: Vec<Threshold>,
    /// The part of the summed entropy that the top 20 % of tokens hold; `None` if all entropies are 0.
    pub top_share: Option<f64>,
    /// Number of tokens in equal bins of 0 to the highest entropy of all steps.
    pub histogram: Vec<u64>,
}

/// A kind of token with its mean entropy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForkingToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenName,
    /// Number of occurrences.
    pub count: u64,
    /// Mean entropy in nats.
    pub mean: f64,
}

/// A column of numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TokenColumn {
    /// The name of the column.
    pub name: &'static str,
    /// Number of tokens with a finite value.
    pub tokens: u64,
    /// Their mean, with its 95 % interval over prompts, or responses.
    #[serde(flatten)]
    pub mean: MeanInterval,
}

/// The means of the other columns of tokens.
pub(super) fn token_columns(view: &StepView<'_>, clusters: &Clusters) -> Vec<TokenColumn> {
    let mut sums = TOKEN_COLUMNS.map(|_| ClusterSums::default());
    for (response, cluster) in view.iter().zip(&clusters.of_response) {
        for (index, sum, count) in &response.token_columns {
            sums[usize::from(*index)].add(*cluster, *sum, u64::from(*count));
        }
    }
    let column = |(name, sums): (&'static str, ClusterSums)| {
        Some(TokenColumn { name, tokens: sums.tokens(), mean: sums.interval()? })
    };
    TOKEN_COLUMNS.into_iter().zip(sums).filter_map(column).collect()
}

/// The distribution of entropies; `None` if the step has none.
pub(super) fn entropy(
    view: &StepView<'_>,
    clusters: &Clusters,
    shared: &Shared<'_>,
) -> Option<EntropyStats> {
    let (mut sums, mut means, mut responses) = (ClusterSums::default(), 0.0, 0u64);
    let with_clusters = view.iter().zip(&clusters.of_response);
    for (response, cluster) in with_clusters.filter(|(response, _)| response.has_entropies) {
        sums.add(*cluster, response.entropy_sum, u64::from(response.tokens));
        means += response.entropy_sum / f64::from(response.tokens);
        responses += 1;
    }
    let mean = sums.interval()?;
    let values = Entropies(view);
    let buckets = Buckets::of(&values);
    let top_tokens = share_count(buckets.count, TOP_SHARE);
    let mut ranks = buckets.percentile_ranks(&PERCENTS);
    ranks.push(buckets.count - top_tokens);
    let ordered = buckets.order(&values, &ranks);
    let mut histogram = Histogram::new(shared.histogram_max, HISTOGRAM_BINS);
    let mut largest = LargestSum::new(ordered.at_rank(buckets.count - top_tokens));
    let (mut sum, thresholds) = (0.0, &shared.options.thresholds);
    let mut below_and_above = vec![(0, 0); thresholds.len()];
    values.scan(|values| {
        histogram.add(values);
        largest.add(values);
        sum += values.sum_of(|value| value);
        for (threshold, (below, above)) in thresholds.iter().zip(&mut below_and_above) {
            *below += values.count(|value| value < *threshold);
            *above += values.count(|value| value > *threshold);
        }
    });
    let share = |count: u64| count as f64 / buckets.count as f64;
    let threshold = |(&threshold, (below, above)): (&f64, (u64, u64))| Threshold {
        threshold,
        below: share(below),
        above: share(above),
    };
    Some(EntropyStats {
        responses,
        tokens: buckets.count,
        mean,
        response_mean: means / responses as f64,
        percentiles: PERCENTS
            .into_iter()
            .map(|percent| Percentile { percent, value: ordered.percentile(percent) })
            .collect(),
        thresholds: thresholds.iter().zip(below_and_above).map(threshold).collect(),
        top_share: (sum > 0.0).then(|| largest.sum(top_tokens) / sum),
        histogram: histogram.counts(),
    })
}

/// Profiles by tenth of the response and by token.
pub(super) fn profiles(
    view: &StepView<'_>,
    clusters: &Clusters,
    width: usize,
) -> (Vec<PositionBin>, Vec<PositionBin>) {
    let longest = view.iter().map(|response| response.tokens()).max().unwrap_or(0);
    let mut tenths = Profile::new(TENTHS, 1);
    let mut positions = Profile::new(longest.div_ceil(width), width);
    for (response, &cluster) in view.iter().zip(&clusters.of_response) {
        let Some(entropies) = view.table.entropies(response) else { continue };
        let length = response.tokens();
        tenths.add(cluster, |add| {
            for tenth in 0..TENTHS {
                let range = tenth_start(tenth, length)..tenth_start(tenth + 1, length);
                let tokens = range.len() as u64;
                add(tenth, entropies.part(range).sum_of(|entropy| entropy), tokens);
            }
        });
        positions.add(cluster, |add| {
            for (bin, from) in (0..length).step_by(width).enumerate() {
                let range = from..(from + width).min(length);
                let tokens = range.len() as u64;
                add(bin, entropies.part(range).sum_of(|entropy| entropy), tokens);
            }
        });
    }
    (tenths.bins(), positions.bins())
}

/// The forking tokens, their kinds, and the number of kinds with enough occurrences.
pub(super) fn forking(view: &StepView<'_>) -> (Vec<ForkingToken>, Vec<KindMean>, usize) {
    let kinds = view.table.kinds();
    let mut sums = vec![(0u64, 0.0f64); kinds.len()];
    for response in view.iter() {
        let Some(entropies) = view.table.entropies(response) else { continue };
        let mut tokens = view.table.kinds_of(response).iter();
        entropies.each(|entropy| {
            if let Some(kind) = tokens.next() {
                let (count, sum) = &mut sums[*kind as usize];
                *count += 1;
                *sum += entropy;
            }
        });
    }
    let (found, frequent) = forking_kinds(&sums, |kind| (kinds[kind as usize].id, kind));
    let token = |kind: &KindMean| ForkingToken {
        token: TokenName::of(&kinds[kind.kind as usize]),
        count: kind.count,
        mean: kind.mean,
    };
    (found.iter().map(token).collect(), found, frequent)
}

//! Two scorings of the same tokens: how far their entropies agree.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics, RankTieBreaker};

use super::scoring::{Scoring, top_count};
use crate::dump::TokenDump;
use crate::stats::sample::mean;

/// How similar two scorings of the same tokens are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// Index of the earlier scoring.
    pub a: usize,
    /// Index of the later scoring.
    pub b: usize,
    /// Number of responses in both: equal id, sample, prompt and tokens.
    pub responses: usize,
    /// Number of tokens of these responses.
    pub tokens: usize,
    /// Mean entropy of these tokens in `a`, in nats.
    pub mean_a: f64,
    /// Mean entropy of these tokens in `b`, in nats.
    pub mean_b: f64,
    /// Jaccard index (intersection / union) of the [`TOP_SHARE`](super::TOP_SHARE) of tokens with the highest
    /// entropies in each.
    pub top_overlap: f64,
    /// The Jaccard index for the expected intersection of two random sets of the same size.
    pub top_overlap_by_chance: f64,
    /// Pearson's correlation of the entropies; `None` if one scoring does not vary.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation of the entropies; `None` if one scoring does not vary.
    pub spearman: Option<f64>,
}

/// What identifies a response: id, sample, prompt and token ids.
type ResponseKey<'a> = (&'a str, Option<u64>, u64, Vec<u32>);

/// Compares the tokens that two scorings share; `None` if there are none. Responses that occur several times
/// are paired in order.
pub(super) fn overlap(
    dump: &TokenDump,
    scorings: &[Scoring],
    a: usize,
    b: usize,
) -> Option<Overlap> {
    let response = |at: usize| &dump.responses()[at];
    let key = |at: usize| -> ResponseKey<'_> {
        let response = response(at);
        let ids = response.kinds().iter().map(|&kind| dump.kinds()[kind as usize].id);
        (response.id(), response.sample(), response.prompt(), ids.collect())
    };
    let mut responses_of_a: BTreeMap<ResponseKey<'_>, Vec<usize>> = BTreeMap::new();
    for &at in scorings[a].responses.iter().rev() {
        responses_of_a.entry(key(at)).or_default().push(at);
    }
    let (mut x, mut y, mut responses) = (Vec::new(), Vec::new(), 0);
    for &at in &scorings[b].responses {
        if let Some(match_in_a) = responses_of_a.get_mut(&key(at)).and_then(Vec::pop) {
            x.extend_from_slice(response(match_in_a).entropies());
            y.extend_from_slice(response(at).entropies());
            responses += 1;
        }
    }
    if responses == 0 {
        return None;
    }
    let tokens = x.len();
    let top = top_count(tokens);
    let (top_x, top_y) = (top_set(&x, top), top_set(&y, top));
    let shared = top_x.iter().zip(&top_y).filter(|(x, y)| **x && **y).count();
    let jaccard = |shared: f64| shared / (2.0 * top as f64 - shared);
    Some(Overlap {
        a,
        b,
        responses,
        tokens,
        mean_a: mean(&x),
        mean_b: mean(&y),
        top_overlap: jaccard(shared as f64),
        top_overlap_by_chance: jaccard(top as f64 * top as f64 / tokens as f64),
        pearson: pearson(&x, &y),
        spearman: pearson(&ranks(x), &ranks(y)),
    })
}

/// Which values are among the `count` highest; of equal values the earlier ones.
fn top_set(values: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a])); // stable: equal values keep their order
    let mut set = vec![false; values.len()];
    order[..count].iter().for_each(|&at| set[at] = true);
    set
}

/// Ranks from 1; equal values get the mean of their ranks.
fn ranks(values: Vec<f64>) -> Vec<f64> {
    Data::new(values).ranks(RankTieBreaker::Average)
}

/// Pearson's correlation; `None` if one side does not vary.
fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy);
    }
    let scale = (xx * yy).sqrt();
    (scale > 0.0).then(|| (xy / scale).clamp(-1.0, 1.0))
}

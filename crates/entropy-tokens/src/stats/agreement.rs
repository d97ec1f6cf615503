//! How far two scorings of the same tokens agree.

use serde::Serialize;

use super::correlation::{pearson, spearman};
use super::order::share_count;

/// The agreement of two scorings of the same tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of tokens.
    pub tokens: usize,
    /// Their mean entropy in the first scoring, in nats.
    pub mean_a: f64,
    /// Their mean entropy in the second scoring, in nats.
    pub mean_b: f64,
    /// Jaccard index (in both / in either) of the top share of tokens of each; of equal entropies the earlier token.
    pub top_overlap: f64,
    /// The Jaccard index for the expected intersection of two random sets of the same size.
    pub top_overlap_by_chance: f64,
    /// Pearson's correlation of the entropies; `None` for fewer than three tokens, or if one scoring does not vary.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation of the entropies.
    pub spearman: Option<f64>,
}

/// Compares the entropies of the same tokens; `top_share` of them are in the top. `None` without a token.
pub fn agreement(a: &[f64], b: &[f64], top_share: f64) -> Option<Agreement> {
    if a.is_empty() || a.len() != b.len() {
        return None;
    }
    let n = a.len() as f64;
    let top = share_count(a.len() as u64, top_share) as usize;
    let (top_a, top_b) = (top_set(a, top), top_set(b, top));
    let shared = top_a.iter().zip(&top_b).filter(|(a, b)| **a && **b).count();
    let jaccard = |shared: f64| shared / (2.0 * top as f64 - shared);
    Some(Agreement {
        tokens: a.len(),
        mean_a: a.iter().sum::<f64>() / n,
        mean_b: b.iter().sum::<f64>() / n,
        top_overlap: jaccard(shared as f64),
        top_overlap_by_chance: jaccard(top as f64 * top as f64 / n),
        pearson: pearson(a, b),
        spearman: spearman(a, b),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposite_orders_have_no_top_overlap() {
        let up: Vec<f64> = (0..10).map(f64::from).collect();
        let down: Vec<f64> = up.iter().rev().copied().collect();
        let found = agreement(&up, &down, 0.2).unwrap();
        assert_eq!((found.top_overlap, found.pearson), (0.0, Some(-1.0)));
        // Two of ten each: 0.4 shared in expectation, of 3.6 in either.
        assert!((found.top_overlap_by_chance - 0.4 / 3.6).abs() < 1e-15);
    }

    #[test]
    fn equal_entropies_are_in_the_top_by_order() {
        let found = agreement(&[0.0; 10], &[0.0; 10], 0.2).unwrap();
        assert_eq!((found.top_overlap, found.pearson, found.spearman), (1.0, None, None));
        assert_eq!(agreement(&[], &[], 0.2), None);
    }
}

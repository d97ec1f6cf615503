//! Forking tokens: the kinds of tokens with the highest mean entropy (arXiv 2506.01939), and how many of them two steps
//! share.

use serde::Serialize;

use super::order::first_sorted;

/// Kinds with fewer occurrences are not listed: their means are noise.
pub const MIN_OCCURRENCES: u64 = 20;
/// The number of kinds that are listed, and compared between steps.
pub const MAX_LISTED: usize = 30;

/// A kind of token with its mean entropy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KindMean {
    /// Index of the kind.
    pub kind: u32,
    /// Number of occurrences.
    pub count: u64,
    /// Mean entropy in nats of the distributions it was drawn from.
    pub mean: f64,
}

/// The kinds with the highest means among those with at least [`MIN_OCCURRENCES`] occurrences, from their counts and sums
/// of entropies; of equal means the kind with the smaller `order`. Also returns how many kinds have enough occurrences.
pub fn forking_kinds(
    sums: &[(u64, f64)],
    order: impl Fn(u32) -> (u32, u32),
) -> (Vec<KindMean>, usize) {
    let kinds: Vec<KindMean> = (0..)
        .zip(sums)
        .filter(|(_, (count, _))| *count >= MIN_OCCURRENCES)
        .map(|(kind, &(count, sum))| KindMean { kind, count, mean: sum / count as f64 })
        .collect();
    let frequent = kinds.len();
    let kinds = first_sorted(kinds, MAX_LISTED, |a, b| {
        b.mean.total_cmp(&a.mean).then_with(|| order(a.kind).cmp(&order(b.kind)))
    });
    (kinds, frequent)
}

/// How many of the forking tokens of two steps are the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ForkingOverlap {
    /// Number of kinds in both lists.
    pub shared: usize,
    /// Number of kinds in either.
    pub either: usize,
    /// Jaccard index: shared / either.
    pub jaccard: f64,
}

/// Compares two lists of kinds; `None` if one is empty.
pub fn overlap(a: &[KindMean], b: &[KindMean]) -> Option<ForkingOverlap> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let shared = a.iter().filter(|x| b.iter().any(|y| x.kind == y.kind)).count();
    let either = a.len() + b.len() - shared;
    Some(ForkingOverlap { shared, either, jaccard: shared as f64 / either as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_kinds_are_not_listed_and_equal_means_are_ordered() {
        let n = MIN_OCCURRENCES;
        let sums = [(n, 20.0), (n - 1, 900.0), (n, 20.0), (2 * n, 80.0)];
        let (kinds, frequent) = forking_kinds(&sums, |kind| (9 - kind, 0));
        let found: Vec<u32> = kinds.iter().map(|kind| kind.kind).collect();
        assert_eq!((found, frequent), (vec![3, 2, 0], 3));
    }

    #[test]
    fn overlap_is_the_jaccard_index() {
        let list = |kinds: &[u32]| -> Vec<KindMean> {
            kinds.iter().map(|&kind| KindMean { kind, count: 20, mean: 1.0 }).collect()
        };
        let found = overlap(&list(&[1, 2, 3]), &list(&[2, 3, 4])).unwrap();
        assert_eq!((found.shared, found.either, found.jaccard), (2, 4, 0.5));
        assert_eq!(overlap(&list(&[]), &list(&[1])), None);
    }
}

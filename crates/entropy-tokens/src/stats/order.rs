//! Quantiles, shares and sums of the largest of many numbers, without sorting or copying all of them.
//!
//! Numbers are counted by their first 18 bits in order, which costs one pass. A second pass collects only the numbers of
//! the buckets that hold the ranks in question. The results are exact.

use std::ops::Range;

/// Numbers that can be passed over several times, in the same order.
pub trait Scan {
    /// Calls `visit` with each number.
    fn scan(&self, visit: impl FnMut(f64));
}

impl Scan for [f64] {
    fn scan(&self, visit: impl FnMut(f64)) {
        self.iter().copied().for_each(visit);
    }
}

impl<F: Fn(&mut dyn FnMut(f64))> Scan for F {
    fn scan(&self, mut visit: impl FnMut(f64)) {
        self(&mut visit);
    }
}

const BITS: u32 = 18;

/// The bucket of a number: its sign, exponent and first digits, in increasing order.
#[inline]
fn bucket(value: f64) -> usize {
    let bits = value.to_bits();
    let ordered = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
    (ordered >> (64 - BITS)) as usize
}

/// The numbers in a bucket.
struct Bucket {
    index: usize,
    count: u64,
    sum: f64,
}

/// Counts and sums of numbers by bucket.
pub struct Buckets {
    /// The buckets that have numbers, in increasing order.
    used: Vec<Bucket>,
    /// Number of numbers.
    pub count: u64,
}

/// A bucket with a rank in it: its index, and the ranks of its numbers.
type RankedBucket = (usize, Range<u64>);

impl Buckets {
    /// Counts the numbers, which must not be NaN.
    pub fn of(values: &(impl Scan + ?Sized)) -> Buckets {
        // Zeroed memory costs nothing until it is used, so few numbers take little time.
        let (mut counts, mut sums) = (vec![0u64; 1 << BITS], vec![0.0; 1 << BITS]);
        let mut indices = Vec::new();
        values.scan(|value| {
            let at = bucket(value);
            if counts[at] == 0 {
                indices.push(at);
            }
            counts[at] += 1;
            sums[at] += value;
        });
        indices.sort_unstable();
        let used: Vec<Bucket> = indices
            .into_iter()
            .map(|index| Bucket { index, count: counts[index], sum: sums[index] })
            .collect();
        Buckets { count: used.iter().map(|bucket| bucket.count).sum(), used }
    }

    /// The numbers at these ranks, from 0 for the smallest; the ranks must increase and be below the count.
    pub fn at_ranks(&self, values: &(impl Scan + ?Sized), ranks: &[u64]) -> Vec<f64> {
        let wanted = self.buckets_of(ranks);
        let mut collected: Vec<Vec<f64>> = wanted.iter().map(|_| Vec::new()).collect();
        values.scan(|value| {
            let at = bucket(value);
            if let Ok(found) = wanted.binary_search_by_key(&at, |(index, _)| *index) {
                collected[found].push(value);
            }
        });
        collected.iter_mut().for_each(|values| values.sort_unstable_by(f64::total_cmp));
        let value = |rank: &u64| {
            let found = wanted.partition_point(|(_, ranks)| ranks.end <= *rank);
            collected[found][(rank - wanted[found].1.start) as usize]
        };
        ranks.iter().map(value).collect()
    }

    fn buckets_of(&self, ranks: &[u64]) -> Vec<RankedBucket> {
        let (mut wanted, mut ranks, mut below) = (Vec::new(), ranks.iter().peekable(), 0);
        for &Bucket { index, count, .. } in &self.used {
            let here = below..below + count;
            if ranks.peek().is_some_and(|rank| here.contains(rank)) {
                wanted.push((index, here.clone()));
                while ranks.peek().is_some_and(|rank| here.contains(rank)) {
                    ranks.next();
                }
            }
            below = here.end;
        }
        wanted
    }

    /// Quantiles with linear interpolation, as `numpy.percentile` computes them; `percents` must increase.
    pub fn percentiles(&self, values: &(impl Scan + ?Sized), percents: &[f64]) -> Vec<f64> {
        let index = |percent: &f64| (self.count - 1) as f64 * percent / 100.0;
        let mut ranks: Vec<u64> = percents
            .iter()
            .map(index)
            .flat_map(|index| [index.floor() as u64, index.ceil() as u64])
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        let found = self.at_ranks(values, &ranks);
        let at = |rank: f64| found[ranks.partition_point(|other| *other < rank as u64)];
        percents
            .iter()
            .map(index)
            .map(|index| {
                let (low, high) = (at(index.floor()), at(index.ceil()));
                low + (high - low) * index.fract()
            })
            .collect()
    }

    /// The sum of all numbers, the smallest first.
    pub fn sum(&self) -> f64 {
        self.used.iter().map(|bucket| bucket.sum).sum()
    }

    /// The sum of the `k` largest numbers; `k` must be from 1 to the count.
    pub fn sum_of_largest(&self, values: &(impl Scan + ?Sized), k: u64) -> f64 {
        let least = self.count - k;
        let Some((index, ranks)) = self.buckets_of(&[least]).pop() else { return 0.0 };
        let above: f64 =
            self.used.iter().filter(|bucket| bucket.index > index).map(|bucket| bucket.sum).sum();
        let mut here = Vec::new();
        values.scan(|value| {
            if bucket(value) == index {
                here.push(value);
            }
        });
        here.sort_unstable_by(f64::total_cmp);
        above + here[(least - ranks.start) as usize..].iter().sum::<f64>()
    }
}

/// Number of tokens in a share of `tokens`: rounded, at least one. For the top 20 % of arXiv 2506.01939.
pub fn share_count(tokens: u64, share: f64) -> u64 {
    ((tokens as f64 * share).round() as u64).clamp(1, tokens.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of many magnitudes, with repetitions.
    fn numbers() -> Vec<f64> {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / 2f64.powi(31)
        };
        (0..5000)
            .map(|at| if at % 7 == 0 { 0.0 } else { (next() - 0.3) * 10f64.powi(at % 9 - 5) })
            .collect()
    }

    #[test]
    fn ranks_and_sums_are_those_of_the_sorted_numbers() {
        let values = numbers();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let buckets = Buckets::of(&values[..]);
        let ranks: Vec<u64> = (0..5000).step_by(131).chain([4999]).collect();
        let expected: Vec<f64> = ranks.iter().map(|rank| sorted[*rank as usize]).collect();
        assert_eq!(buckets.at_ranks(&values[..], &ranks), expected);
        for k in [1, 2, 713, 4999, 5000] {
            let expected: f64 = sorted[5000 - k..].iter().sum();
            let found = buckets.sum_of_largest(&values[..], k as u64);
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{k}: {found} {expected}");
        }
    }

    #[test]
    fn percentiles_are_interpolated() {
        let values = [1.0, 2.0, 4.0, 8.0];
        let found = Buckets::of(&values[..]).percentiles(&values[..], &[0.0, 10.0, 50.0, 100.0]);
        assert_eq!(found, [1.0, 1.3, 3.0, 8.0]);
        let one = [0.5];
        assert_eq!(Buckets::of(&one[..]).percentiles(&one[..], &[5.0, 95.0]), [0.5, 0.5]);
    }

    #[test]
    fn equal_numbers_have_one_bucket() {
        let values = vec![-0.25; 1000];
        let buckets = Buckets::of(&values[..]);
        assert_eq!(buckets.percentiles(&values[..], &[1.0, 99.0]), [-0.25, -0.25]);
        assert_eq!(buckets.sum_of_largest(&values[..], 10), -2.5);
    }
}

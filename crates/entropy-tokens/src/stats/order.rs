//! Quantiles and sums of the largest of many numbers, without sorting or copying all of them.
//!
//! Numbers are counted by their first 18 bits in order, which costs one pass. A second pass collects only the numbers of
//! the buckets that hold the ranks in question. The results are exact.

use std::cmp::Ordering;

use crate::floats::Floats;

/// Numbers that can be passed over several times, in the same order.
pub trait Scan {
    /// Calls `visit` with all numbers, some at a time.
    fn scan(&self, visit: impl FnMut(Floats<'_>));
}

impl Scan for [f64] {
    fn scan(&self, mut visit: impl FnMut(Floats<'_>)) {
        visit(Floats::Exact(self));
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

/// The numbers in a bucket: one of them, and how many there are.
struct Bucket {
    index: usize,
    first: f64,
    count: u64,
}

/// Counts of numbers by bucket.
pub struct Buckets {
    /// The buckets that have numbers, in increasing order.
    used: Vec<Bucket>,
    /// Number of numbers.
    pub count: u64,
}

impl Buckets {
    /// Counts the numbers, which must not be NaN.
    pub fn of(values: &(impl Scan + ?Sized)) -> Buckets {
        // Zeroed memory costs nothing until it is used, so few numbers take little time.
        let mut counts = vec![[0u64; 2]; 1 << BITS];
        let mut firsts: Vec<(usize, f64)> = Vec::new();
        values.scan(|values| match values {
            Floats::Exact(values) => count_buckets(values, &mut counts, &mut firsts),
            Floats::Rounded(values) => count_buckets(values, &mut counts, &mut firsts),
        });
        firsts.sort_unstable_by_key(|(index, _)| *index);
        let used: Vec<Bucket> = firsts
            .into_iter()
            .map(|(index, first)| Bucket { index, first, count: counts[index].iter().sum() })
            .collect();
        Buckets { count: used.iter().map(|bucket| bucket.count).sum(), used }
    }

    /// Collects what is needed for the numbers at these ranks, from 0 for the smallest and below the count.
    pub fn order(&self, values: &(impl Scan + ?Sized), ranks: &[u64]) -> Ordered<'_> {
        let mut ranks = ranks.to_vec();
        ranks.sort_unstable();
        let (mut left, mut end) = (&ranks[..], 0);
        let mut collected: Vec<Numbers> = Vec::new();
        let mut slots = vec![0u16; 1 << BITS]; // 0, or the place among those collected, plus 1
        let mut slot_of_used = vec![None; self.used.len()];
        for (at, bucket) in self.used.iter().enumerate() {
            end += bucket.count;
            let here = left.partition_point(|rank| *rank < end);
            left = &left[here..];
            if here > 0 {
                slot_of_used[at] = Some(collected.len());
                collected.push(Numbers { first: bucket.first, ..Numbers::default() });
                slots[bucket.index] = u16::try_from(collected.len()).expect("BUG: too many ranks");
            }
        }
        values.scan(|values| {
            values.each(|value| {
                let slot = slots[bucket(value)];
                if slot > 0 {
                    collected[usize::from(slot) - 1].add(value);
                }
            });
        });
        for (bucket, slot) in self.used.iter().zip(&slot_of_used) {
            if let Some(slot) = slot {
                collected[*slot].sort(bucket.count);
            }
        }
        Ordered { buckets: self, collected, slot_of_used }
    }

    /// Quantiles of at least one number, with linear interpolation, as `numpy.percentile` computes them.
    pub fn percentiles(&self, values: &(impl Scan + ?Sized), percents: &[f64]) -> Vec<f64> {
        let ordered = self.order(values, &self.percentile_ranks(percents));
        percents.iter().map(|percent| ordered.percentile(*percent)).collect()
    }

    /// The ranks of which [`Ordered::percentile`] needs the numbers.
    pub fn percentile_ranks(&self, percents: &[f64]) -> Vec<u64> {
        let places = percents.iter().map(|percent| self.place(*percent));
        places.flat_map(|place| [place.floor() as u64, place.ceil() as u64]).collect()
    }

    /// Where a quantile is among the ranks.
    fn place(&self, percent: f64) -> f64 {
        (self.count - 1) as f64 * percent / 100.0
    }
}

/// Counts numbers by bucket, and notes the first one of each bucket. Neighbours are often equal: with a count each, the
/// second does not wait for the first.
fn count_buckets<T: Copy + Into<f64>>(
    values: &[T],
    counts: &mut [[u64; 2]],
    firsts: &mut Vec<(usize, f64)>,
) {
    for (turn, value) in values.iter().enumerate() {
        let value = (*value).into();
        let at = bucket(value);
        let counts = &mut counts[at];
        if counts[0] | counts[1] == 0 {
            firsts.push((at, value));
        }
        counts[turn % 2] += 1;
    }
}

/// The numbers of a bucket. Often most are equal, such as the entropies of certain tokens, so those equal to the first are
/// only counted.
#[derive(Default)]
struct Numbers {
    first: f64,
    others: Vec<f64>,
    /// How many are equal to the first, bit by bit.
    equal: usize,
    /// How many of the others are below the first.
    below: usize,
}

impl Numbers {
    #[inline]
    fn add(&mut self, value: f64) {
        if value.to_bits() != self.first.to_bits() {
            self.others.push(value);
        }
    }

    /// Sorts all `count` numbers.
    fn sort(&mut self, count: u64) {
        self.equal = count as usize - self.others.len();
        self.others.sort_unstable_by(f64::total_cmp);
        self.below = self.others.partition_point(|other| other.total_cmp(&self.first).is_lt());
    }

    /// The number at a rank, from 0.
    fn at(&self, rank: usize) -> f64 {
        match rank {
            _ if rank < self.below => self.others[rank],
            _ if rank < self.below + self.equal => self.first,
            _ => self.others[rank - self.equal],
        }
    }
}

/// Buckets, and the sorted numbers of those with a rank of [`Buckets::order`].
pub struct Ordered<'a> {
    buckets: &'a Buckets,
    collected: Vec<Numbers>,
    slot_of_used: Vec<Option<usize>>,
}

impl Ordered<'_> {
    /// The number at one of the ranks.
    pub fn at_rank(&self, rank: u64) -> f64 {
        let mut below = 0;
        for (bucket, slot) in self.buckets.used.iter().zip(&self.slot_of_used) {
            if rank < below + bucket.count {
                let slot = slot.expect("BUG: a rank that was not asked for");
                return self.collected[slot].at((rank - below) as usize);
            }
            below += bucket.count;
        }
        unreachable!("BUG: rank {rank} of {below} numbers");
    }

    /// A quantile with linear interpolation; its ranks must be among those asked for.
    pub fn percentile(&self, percent: f64) -> f64 {
        let place = self.buckets.place(percent);
        let (low, high) = (self.at_rank(place.floor() as u64), self.at_rank(place.ceil() as u64));
        low + (high - low) * place.fract()
    }
}

/// The sum of the largest numbers, from the smallest of them.
#[derive(Debug, Clone, Copy)]
pub struct LargestSum {
    smallest: f64,
    above: u64,
    sum: f64,
}

impl LargestSum {
    /// `smallest` is the number at rank count − k.
    pub fn new(smallest: f64) -> LargestSum {
        LargestSum { smallest, above: 0, sum: 0.0 }
    }

    /// Adds the numbers above the smallest.
    pub fn add(&mut self, values: Floats<'_>) {
        let smallest = self.smallest;
        self.above += values.count(|value| value > smallest);
        self.sum += values.sum_of(|value| if value > smallest { value } else { 0.0 });
    }

    /// The sum of the `k` largest, once all are added. The others of them are equal to the smallest.
    pub fn sum(&self, k: u64) -> f64 {
        self.sum + (k - self.above) as f64 * self.smallest
    }
}

/// The first `count` items in an order without ties, sorted: much faster than sorting all.
pub fn first_sorted<T>(
    mut items: Vec<T>,
    count: usize,
    mut compare: impl FnMut(&T, &T) -> Ordering,
) -> Vec<T> {
    if count < items.len() {
        items.select_nth_unstable_by(count, &mut compare);
        items.truncate(count);
    }
    items.sort_unstable_by(compare);
    items
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
            .map(|at| {
                if at % 7 == 0 {
                    if at % 2 == 0 { 0.0 } else { -0.0 }
                } else {
                    (next() - 0.3) * 10f64.powi(at % 9 - 5)
                }
            })
            .collect()
    }

    #[test]
    fn ranks_and_sums_are_those_of_the_sorted_numbers() {
        let values = numbers();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let buckets = Buckets::of(&values[..]);
        let ranks: Vec<u64> = (0..5000).step_by(131).chain([4999]).collect();
        let tops = [1u64, 2, 713, 4999, 5000];
        let wanted: Vec<u64> = tops.iter().map(|k| 5000 - k).chain(ranks.clone()).collect();
        let ordered = buckets.order(&values[..], &wanted);
        for rank in ranks {
            assert_eq!(ordered.at_rank(rank), sorted[rank as usize]);
        }
        for k in tops {
            let expected: f64 = sorted[5000 - k as usize..].iter().sum();
            let mut largest = LargestSum::new(ordered.at_rank(5000 - k));
            values.chunks(700).for_each(|part| largest.add(Floats::Exact(part)));
            let found = largest.sum(k);
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
        let mut largest = LargestSum::new(buckets.order(&values[..], &[990]).at_rank(990));
        largest.add(Floats::Exact(&values));
        assert_eq!(largest.sum(10), -2.5);
    }

    #[test]
    fn first_items_are_those_of_the_sorted_list() {
        let items: Vec<u32> = (0..100).map(|at| at * 37 % 100).collect();
        for count in [0, 1, 10, 99, 100, 200] {
            let expected: Vec<u32> = (0..100).take(count).collect();
            assert_eq!(first_sorted(items.clone(), count, u32::cmp), expected);
        }
    }
}

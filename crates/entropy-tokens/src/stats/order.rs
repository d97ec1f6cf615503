//! Quantiles, shares and sums of the largest of many numbers, without sorting or copying all of them.
//!
//! Numbers are counted by their first 18 bits in order, which costs one pass. A second pass collects only the numbers of
//! the buckets that hold the ranks in question. The results are exact.

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

impl Buckets {
    /// Counts the numbers, which must not be NaN.
    pub fn of(values: &(impl Scan + ?Sized)) -> Buckets {
        // Zeroed memory costs nothing until it is used, so few numbers take little time.
        let mut sums = vec![(0u64, 0.0f64); 1 << BITS];
        let mut indices = Vec::new();
        values.scan(|value| {
            let at = bucket(value);
            let (count, sum) = &mut sums[at];
            if *count == 0 {
                indices.push(at);
            }
            *count += 1;
            *sum += value;
        });
        indices.sort_unstable();
        let used: Vec<Bucket> = indices
            .into_iter()
            .map(|index| Bucket { index, count: sums[index].0, sum: sums[index].1 })
            .collect();
        Buckets { count: used.iter().map(|bucket| bucket.count).sum(), used }
    }

    /// The sum of all numbers, the smallest first.
    pub fn sum(&self) -> f64 {
        self.used.iter().map(|bucket| bucket.sum).sum()
    }

    /// Collects what is needed for the numbers at these ranks, from 0 for the smallest and below the count, and for the
    /// numbers below and above the thresholds, which must not be NaN. Calls `also` with each number.
    pub fn order(
        &self,
        values: &(impl Scan + ?Sized),
        ranks: &[u64],
        thresholds: &[f64],
        mut also: impl FnMut(f64),
    ) -> Ordered<'_> {
        let mut is_wanted = vec![false; self.used.len()];
        let mut ranks = ranks.to_vec();
        ranks.sort_unstable();
        let (mut left, mut end) = (&ranks[..], 0);
        for (at, bucket) in self.used.iter().enumerate() {
            end += bucket.count;
            let here = left.partition_point(|rank| *rank < end);
            is_wanted[at] = here > 0;
            left = &left[here..];
        }
        for threshold in thresholds {
            let near = threshold_buckets(*threshold);
            let first = self.used.partition_point(|bucket| bucket.index < *near.start());
            let last = self.used.partition_point(|bucket| bucket.index <= *near.end());
            is_wanted[first..last].fill(true);
        }
        let mut collected: Vec<Numbers> = Vec::new();
        let mut slots = vec![0u16; 1 << BITS]; // 0, or the place among those collected, plus 1
        let mut slot_of_used = vec![None; self.used.len()];
        for (at, bucket) in self.used.iter().enumerate().filter(|(at, _)| is_wanted[*at]) {
            slot_of_used[at] = Some(collected.len());
            collected.push(Numbers::default());
            slots[bucket.index] =
                u16::try_from(collected.len()).expect("BUG: too many ranks and thresholds");
        }
        values.scan(|value| {
            let slot = slots[bucket(value)];
            if slot > 0 {
                collected[usize::from(slot) - 1].add(value);
            }
            also(value);
        });
        collected.iter_mut().for_each(Numbers::sort);
        Ordered { buckets: self, collected, slot_of_used }
    }

    /// Quantiles with linear interpolation, as `numpy.percentile` computes them.
    pub fn percentiles(&self, values: &(impl Scan + ?Sized), percents: &[f64]) -> Vec<f64> {
        let ordered = self.order(values, &self.percentile_ranks(percents), &[], |_| {});
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

/// The buckets with a number equal to a threshold: zeros of both signs are equal.
fn threshold_buckets(threshold: f64) -> std::ops::RangeInclusive<usize> {
    match threshold == 0.0 {
        true => bucket(-0.0)..=bucket(0.0),
        false => bucket(threshold)..=bucket(threshold),
    }
}

/// The numbers of a bucket. Often most are equal, such as the entropies of certain tokens, so those equal to the first are
/// only counted.
#[derive(Default)]
struct Numbers {
    first: f64,
    /// How many are equal to the first, bit by bit.
    equal: usize,
    others: Vec<f64>,
    /// How many of the others are below the first.
    below: usize,
}

impl Numbers {
    #[inline]
    fn add(&mut self, value: f64) {
        if self.equal == 0 {
            self.first = value;
        }
        if value.to_bits() == self.first.to_bits() {
            self.equal += 1;
        } else {
            self.others.push(value);
        }
    }

    fn sort(&mut self) {
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

    /// The sum of the numbers from a rank on.
    fn sum_from(&self, rank: usize) -> f64 {
        let equal = (self.below + self.equal).saturating_sub(rank).min(self.equal);
        let others = rank.min(self.below).max(rank.saturating_sub(self.equal));
        equal as f64 * self.first + self.others[others..].iter().sum::<f64>()
    }

    /// How many are true.
    fn count(&self, is: impl Fn(f64) -> bool) -> u64 {
        let equal = if is(self.first) { self.equal } else { 0 };
        (equal + self.others.iter().filter(|value| is(**value)).count()) as u64
    }
}

/// Buckets, and the sorted numbers of those with a rank or a threshold of [`Buckets::order`].
pub struct Ordered<'a> {
    buckets: &'a Buckets,
    collected: Vec<Numbers>,
    slot_of_used: Vec<Option<usize>>,
}

impl Ordered<'_> {
    /// The numbers of a bucket, which must be one of those asked for.
    fn numbers(&self, used: usize) -> &Numbers {
        &self.collected[self.slot_of_used[used].expect("BUG: a rank that was not asked for")]
    }

    /// The bucket with a rank, and the rank in it.
    fn find(&self, rank: u64) -> (usize, usize) {
        let mut below = 0;
        for (at, bucket) in self.buckets.used.iter().enumerate() {
            if rank < below + bucket.count {
                return (at, (rank - below) as usize);
            }
            below += bucket.count;
        }
        unreachable!("BUG: rank {rank} of {below} numbers");
    }

    /// The number at one of the ranks.
    pub fn at_rank(&self, rank: u64) -> f64 {
        let (used, at) = self.find(rank);
        self.numbers(used).at(at)
    }

    /// A quantile with linear interpolation; its ranks must be among those asked for.
    pub fn percentile(&self, percent: f64) -> f64 {
        let place = self.buckets.place(percent);
        let (low, high) = (self.at_rank(place.floor() as u64), self.at_rank(place.ceil() as u64));
        low + (high - low) * place.fract()
    }

    /// The sum of the `k` largest numbers; rank count − `k` must be among those asked for.
    pub fn sum_of_largest(&self, k: u64) -> f64 {
        let (used, at) = self.find(self.buckets.count - k);
        let above: f64 = self.buckets.used[used + 1..].iter().map(|bucket| bucket.sum).sum();
        above + self.numbers(used).sum_from(at)
    }

    /// Numbers of values below and above one of the thresholds; a value equal to it is neither.
    pub fn below_and_above(&self, threshold: f64) -> (u64, u64) {
        let near = threshold_buckets(threshold);
        let (mut below, mut above) = (0, 0);
        for (at, bucket) in self.buckets.used.iter().enumerate() {
            if bucket.index < *near.start() {
                below += bucket.count;
            } else if bucket.index > *near.end() {
                above += bucket.count;
            } else {
                below += self.numbers(at).count(|value| value < threshold);
                above += self.numbers(at).count(|value| value > threshold);
            }
        }
        (below, above)
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
        let thresholds = [0.0, -0.0, -1e-3, 0.25, 1e9];
        let wanted: Vec<u64> = tops.iter().map(|k| 5000 - k).chain(ranks.clone()).collect();
        let mut seen = Vec::new();
        let ordered = buckets.order(&values[..], &wanted, &thresholds, |value| seen.push(value));
        assert_eq!(seen, values);
        for rank in ranks {
            assert_eq!(ordered.at_rank(rank), sorted[rank as usize]);
        }
        for threshold in thresholds {
            let count = |is: fn(&f64, &f64) -> bool| {
                values.iter().filter(|value| is(value, &threshold)).count() as u64
            };
            let expected = (count(f64::lt), count(f64::gt));
            assert_eq!(ordered.below_and_above(threshold), expected, "{threshold}");
        }
        for k in tops {
            let expected: f64 = sorted[5000 - k as usize..].iter().sum();
            let found = ordered.sum_of_largest(k);
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
        assert_eq!(buckets.order(&values[..], &[990], &[], |_| {}).sum_of_largest(10), -2.5);
    }
}

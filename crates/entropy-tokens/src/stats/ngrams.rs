//! Distinct n-grams: the number of different sequences of n tokens in the responses to a prompt, divided by the number
//! of all (distinct-n, Li et al. 2016, arXiv 1510.03055). Longer responses repeat more, so it falls with length.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Counts distinct n-grams. Its memory is used again for each prompt.
#[derive(Default)]
pub struct NgramCounter {
    known: KnownNumbers,
    /// A bit per token.
    is_known: Vec<u64>,
}

impl NgramCounter {
    /// The share of distinct n-grams in responses to one prompt; `None` if none has `n` tokens. Three tokens of large
    /// numbers, and more than three, are compared by hashes of 64 bits.
    pub fn distinct_share(&mut self, responses: &[&[u32]], n: usize) -> Option<f64> {
        let total = responses.iter().map(|tokens| (tokens.len() + 1).saturating_sub(n)).sum();
        if total == 0 {
            return None;
        }
        let largest = responses.iter().flat_map(|tokens| tokens.iter()).max().copied().unwrap_or(0);
        let is_small = largest < 1 << 21;
        let known = &mut self.known;
        let distinct = match n {
            1 if is_small => self.distinct_tokens(responses, largest),
            2 => known
                .distinct(total, windows(responses, |[a, b]| u64::from(a) << 32 | u64::from(b))),
            3 if is_small => known.distinct(
                total,
                windows(responses, |[a, b, c]| {
                    u64::from(a) << 42 | u64::from(b) << 21 | u64::from(c)
                }),
            ),
            _ => {
                let hash = |gram: &[u32]| {
                    let mut hasher = DefaultHasher::new();
                    gram.hash(&mut hasher);
                    hasher.finish()
                };
                known.distinct(
                    total,
                    responses.iter().flat_map(|tokens| tokens.windows(n)).map(hash),
                )
            }
        };
        Some(distinct as f64 / total as f64)
    }

    fn distinct_tokens(&mut self, responses: &[&[u32]], largest: u32) -> usize {
        self.is_known.clear();
        self.is_known.resize(largest as usize / 64 + 1, 0);
        for token in responses.iter().flat_map(|tokens| tokens.iter()) {
            self.is_known[*token as usize / 64] |= 1 << (token % 64);
        }
        self.is_known.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

/// The n-grams of responses as numbers.
fn windows<const N: usize>(
    responses: &[&[u32]],
    number: impl Fn([u32; N]) -> u64 + Copy,
) -> impl Iterator<Item = u64> {
    let grams = responses.iter().flat_map(|tokens| tokens.windows(N));
    grams.filter_map(|gram| gram.first_chunk::<N>()).map(move |gram| number(*gram))
}

/// A set of numbers with open addressing, at most half full: several times as fast as sorting them.
#[derive(Default)]
struct KnownNumbers {
    /// Number + 1; 0 is a free slot.
    slots: Vec<u64>,
    shift: u32,
    count: usize,
    has_largest: bool,
}

impl KnownNumbers {
    /// How many of at most `most` numbers are distinct.
    fn distinct(&mut self, most: usize, numbers: impl Iterator<Item = u64>) -> usize {
        let size = (2 * most).next_power_of_two().max(2);
        self.slots.clear();
        self.slots.resize(size, 0);
        (self.shift, self.count, self.has_largest) = (64 - size.trailing_zeros(), 0, false);
        numbers.for_each(|number| self.insert(number));
        self.count
    }

    fn insert(&mut self, number: u64) {
        let Some(stored) = number.checked_add(1) else {
            self.count += usize::from(!self.has_largest);
            self.has_largest = true;
            return;
        };
        // Fibonacci hashing: the high bits of the product are spread evenly.
        let mut at = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
        loop {
            match self.slots[at] {
                0 => break,
                found if found == stored => return,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
        self.slots[at] = stored;
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_responses_halve_the_share() {
        let response: &[u32] = &[1, 2, 3, 4];
        let mut counter = NgramCounter::default();
        let mut share = |responses: &[&[u32]], n| counter.distinct_share(responses, n);
        for n in 1..=4 {
            assert_eq!(share(&[response], n), Some(1.0));
            assert_eq!(share(&[response, response], n), Some(0.5));
        }
        assert_eq!(share(&[response], 5), None);
        assert_eq!(share(&[&[1, 1, 1], &[2]], 1), Some(0.5));
        assert_eq!(share(&[&[1, 1, 1], &[1, 1]], 2), Some(1.0 / 3.0));
        let large: &[u32] = &[u32::MAX; 5];
        for n in 1..=4 {
            assert_eq!(share(&[large], n), Some(1.0 / (6 - n) as f64), "{n}");
        }
    }

    #[test]
    fn set_counts_distinct_numbers_at_every_size() {
        for count in [1usize, 2, 3, 100, 4097] {
            let twice = (0..count as u64).chain(0..count as u64).chain([u64::MAX, u64::MAX]);
            let numbers = twice.map(|number| number << 20 | number);
            // u64::MAX << 20 | u64::MAX is u64::MAX.
            assert_eq!(KnownNumbers::default().distinct(2 * count + 2, numbers), count + 1);
        }
    }
}

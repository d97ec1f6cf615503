//! Distinct n-grams: the number of different sequences of n tokens in the responses to a prompt, divided by the number
//! of all (distinct-n, Li et al. 2016, arXiv 1510.03055). Longer responses repeat more, so it falls with length.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The share of distinct n-grams in responses to one prompt; `None` if none has `n` tokens. Three tokens of large
/// numbers, and more than three, are compared by hashes of 64 bits.
pub fn distinct_ngrams(responses: &[&[u32]], n: usize) -> Option<f64> {
    let total = responses.iter().map(|tokens| (tokens.len() + 1).saturating_sub(n)).sum();
    let mut known = KnownNumbers::for_count(total);
    for tokens in responses {
        let numbers = tokens.windows(n).map(|gram| match *gram {
            [a] => u64::from(a),
            [a, b] => u64::from(a) << 32 | u64::from(b),
            [a, b, c] if (a | b | c) < 1 << 21 => {
                u64::from(a) << 42 | u64::from(b) << 21 | u64::from(c)
            }
            _ => {
                let mut hasher = DefaultHasher::new();
                gram.hash(&mut hasher);
                hasher.finish()
            }
        });
        numbers.for_each(|number| known.insert(number));
    }
    (total > 0).then(|| known.count as f64 / total as f64)
}

/// A set of numbers with open addressing, at most half full: several times as fast as sorting them.
struct KnownNumbers {
    /// Number + 1; 0 is a free slot.
    slots: Vec<u64>,
    shift: u32,
    count: usize,
    has_largest: bool,
}

impl KnownNumbers {
    fn for_count(count: usize) -> KnownNumbers {
        let size = (2 * count).next_power_of_two().max(2);
        let shift = 64 - size.trailing_zeros();
        KnownNumbers { slots: vec![0; size], shift, count: 0, has_largest: false }
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
                _ => at = (at + 1) % self.slots.len(),
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
        for n in 1..=4 {
            assert_eq!(distinct_ngrams(&[response], n), Some(1.0));
            assert_eq!(distinct_ngrams(&[response, response], n), Some(0.5));
        }
        assert_eq!(distinct_ngrams(&[response], 5), None);
        assert_eq!(distinct_ngrams(&[&[1, 1, 1], &[2]], 1), Some(0.5));
        assert_eq!(distinct_ngrams(&[&[1, 1, 1], &[1, 1]], 2), Some(1.0 / 3.0));
    }

    #[test]
    fn set_counts_distinct_numbers_at_every_size() {
        for count in [1usize, 2, 3, 100, 4097] {
            let mut known = KnownNumbers::for_count(2 * count + 2);
            for number in (0..count as u64).chain(0..count as u64).chain([u64::MAX, u64::MAX]) {
                known.insert(number << 20 | number);
            }
            // u64::MAX << 20 | u64::MAX is u64::MAX.
            assert_eq!(known.count, count + 1);
        }
    }
}

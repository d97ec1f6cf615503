//! Distinct n-grams: the number of different sequences of n tokens in the responses to a prompt, divided by the number
//! of all (distinct-n, Li et al. 2016, arXiv 1510.03055). Longer responses repeat more, so it falls with length.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The share of distinct n-grams in responses to one prompt; `None` if none has `n` tokens. Three tokens of large
/// numbers, and more than three, are compared by hashes of 64 bits.
pub fn distinct_ngrams(responses: &[&[u32]], n: usize) -> Option<f64> {
    let total = responses.iter().map(|tokens| (tokens.len() + 1).saturating_sub(n)).sum();
    let mut hashes: Vec<u64> = Vec::with_capacity(total);
    for tokens in responses {
        hashes.extend(tokens.windows(n).map(|gram| match *gram {
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
        }));
    }
    hashes.sort_unstable();
    hashes.dedup();
    (total > 0).then(|| hashes.len() as f64 / total as f64)
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
}

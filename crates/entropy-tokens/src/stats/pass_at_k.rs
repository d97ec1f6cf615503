//! The unbiased estimate of pass@k (Chen et al. 2021, arXiv 2107.03374).
//!
//! ```text
//! pass@k = 1 − C(n − c, k) / C(n, k)      n responses to a prompt, c of them right
//! ```

/// The probability that one of `k` responses drawn without replacement is right; `None` if `k` is 0 or above `n`.
pub fn pass_at_k(n: u64, c: u64, k: u64) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if n - c < k {
        return Some(1.0);
    }
    // The product form does not overflow.
    let wrong: f64 = (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of all subsets of `k` of `n` responses that have one of the first `c`.
    fn by_subsets(n: u32, c: u32, k: u32) -> f64 {
        let subsets = (0u32..1 << n).filter(|set| set.count_ones() == k);
        let (mut all, mut with) = (0.0, 0.0);
        for set in subsets {
            all += 1.0;
            if set & ((1 << c) - 1) != 0 {
                with += 1.0;
            }
        }
        with / all
    }

    #[test]
    fn estimate_is_the_share_of_subsets_with_a_right_response() {
        for n in 1..=10 {
            for c in 0..=n {
                for k in 1..=n {
                    let found = pass_at_k(u64::from(n), u64::from(c), u64::from(k)).unwrap();
                    assert!((found - by_subsets(n, c, k)).abs() < 1e-12, "{n} {c} {k}");
                }
            }
        }
    }

    #[test]
    fn there_is_no_estimate_for_more_draws_than_responses() {
        assert_eq!((pass_at_k(4, 1, 5), pass_at_k(4, 1, 0)), (None, None));
        assert!((pass_at_k(100_000, 1, 1).unwrap() - 1e-5).abs() < 1e-15);
    }
}

//! How long lists may be so that all of them fit into a page.

/// The largest length limit for which the total of all lists, each truncated to the limit, is within the budget;
/// `usize::MAX` if no list needs to be truncated.
pub(super) fn longest_within(lengths: &[usize], budget: usize) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let (mut left, mut lists) = (budget, sorted.len());
    for length in sorted {
        if length * lists > left {
            return left / lists;
        }
        left -= length;
        lists -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::longest_within;

    #[test]
    fn longest_within_truncates_only_the_long_lists() {
        assert_eq!(longest_within(&[1, 2, 3], 6), usize::MAX);
        assert_eq!(longest_within(&[10, 1, 10], 11), 5);
        assert_eq!(longest_within(&[], 5), usize::MAX);
    }
}

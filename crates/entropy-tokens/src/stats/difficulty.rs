//! Bins of prompts by their pass rate: the share of right responses.

/// The names of the bins.
pub const BINS: [&str; 6] = ["0 %", "0–25 %", "25–50 %", "50–75 %", "75–100 %", "100 %"];

/// The bin of a prompt with `right` of `responses` right. Prompts that are always or never solved have bins of their own;
/// the others include their upper end: 1 of 4 is in the bin up to 25 %.
pub fn bin(right: u64, responses: u64) -> usize {
    match right {
        0 => 0,
        _ if right >= responses => 5,
        _ => ((right * 4).div_ceil(responses) as usize).clamp(1, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_include_their_upper_end() {
        let bins: Vec<usize> = (0..=8).map(|right| bin(right, 8)).collect();
        assert_eq!(bins, [0, 1, 1, 2, 2, 3, 3, 4, 5]);
        assert_eq!((bin(1, 1), bin(0, 1), bin(1, 3), bin(2, 3)), (5, 0, 2, 3));
    }
}

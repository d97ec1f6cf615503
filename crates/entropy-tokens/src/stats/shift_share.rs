//! Which groups of tokens a change of their mean belongs to, and how much of it is a changed mix of the groups.
//!
//! The mean entropy of a step is H = Σ w h over groups, w the group's share of the tokens and h its own mean. Between two
//! steps a and b (Kitagawa 1955, J. Am. Stat. Assoc. 50:1168, the decomposition of a difference of two rates):
//!
//! ```text
//! H_b − H_a = Σ within + Σ mix
//! within = (w_a + w_b)/2 · (h_b − h_a)                the group itself became more or less certain
//! mix    = (w_b − w_a) · ((h_a + h_b)/2 − M)          the group became more or less frequent
//! ```
//!
//! with M = (H_a + H_b)/2. Since Σ (w_b − w_a) = 0, M changes no sum: it makes `mix` of a group the effect of its share
//! growing at the cost of the average token. A group without a token in one of the steps has no mean there; it is given
//! that of the other step, so that all of its part is mix. The sum is exact in every case.

/// A sum of values and their number.
pub type SumCount = (f64, u64);

/// The part of a change that belongs to a group, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Part {
    /// The change of the group's own mean, at its mean share.
    pub within: f64,
    /// The change of its share, at its mean distance from the mean of all.
    pub mix: f64,
}

/// The mean of all groups; `None` without a value.
pub fn mean(groups: &[SumCount]) -> Option<f64> {
    let (sum, count) = groups.iter().fold((0.0, 0), |(s, n), (x, m)| (s + x, n + m));
    (count > 0).then(|| sum / count as f64)
}

/// The parts of the groups, in their order; `None` if one of the steps has no value.
pub fn shift_share(a: &[SumCount], b: &[SumCount]) -> Option<Vec<Part>> {
    let middle = (mean(a)? + mean(b)?) / 2.0;
    let total = |groups: &[SumCount]| groups.iter().map(|(_, count)| count).sum::<u64>() as f64;
    let (all_a, all_b) = (total(a), total(b));
    let part = |((sum_a, count_a), (sum_b, count_b)): (&SumCount, &SumCount)| {
        let (w_a, w_b) = (*count_a as f64 / all_a, *count_b as f64 / all_b);
        let (h_a, h_b) = match (count_a, count_b) {
            (0, 0) => return Part::default(),
            (0, _) => (sum_b / *count_b as f64, sum_b / *count_b as f64),
            (_, 0) => (sum_a / *count_a as f64, sum_a / *count_a as f64),
            _ => (sum_a / *count_a as f64, sum_b / *count_b as f64),
        };
        Part {
            within: (w_a + w_b) / 2.0 * (h_b - h_a),
            mix: (w_b - w_a) * ((h_a + h_b) / 2.0 - middle),
        }
    };
    Some(a.iter().zip(b).map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(parts: &[Part]) -> f64 {
        parts.iter().map(|part| part.within + part.mix).sum()
    }

    #[test]
    fn parts_add_up_to_the_change_also_if_a_group_is_new_or_gone() {
        let a = [(6.0, 3), (1.0, 5), (0.0, 0), (9.0, 2)];
        let b = [(1.0, 4), (2.0, 5), (3.0, 7), (0.0, 0)];
        let parts = shift_share(&a, &b).unwrap();
        let change = mean(&b).unwrap() - mean(&a).unwrap();
        assert!((total(&parts) - change).abs() < 1e-15, "{parts:?}");
        assert_eq!((parts[2].within, parts[3].within), (0.0, 0.0));
    }

    #[test]
    fn equal_shares_leave_no_mix_and_equal_means_nothing_within() {
        let parts = shift_share(&[(4.0, 2), (6.0, 2)], &[(2.0, 4), (6.0, 4)]).unwrap();
        assert_eq!(parts, [Part { within: -0.75, mix: 0.0 }, Part { within: -0.75, mix: 0.0 }]);
        let parts = shift_share(&[(4.0, 2), (2.0, 2)], &[(2.0, 1), (3.0, 3)]).unwrap();
        assert!(parts.iter().all(|part| part.within == 0.0), "{parts:?}");
        assert!((total(&parts) - (1.25 - 1.5)).abs() < 1e-15);
        assert!(parts[0].mix < 0.0 && parts[1].mix < 0.0, "both lower the mean: {parts:?}");
    }

    #[test]
    fn step_without_a_token_has_no_parts() {
        assert_eq!(shift_share(&[(0.0, 0)], &[(1.0, 1)]), None);
    }
}

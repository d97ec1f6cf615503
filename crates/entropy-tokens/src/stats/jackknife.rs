//! Intervals of any number that is computed from sums over prompts, by leaving out one prompt at a time.
//!
//! Responses to one prompt are alike, so prompts are the independent units. With θ_p the number without prompt p and m
//! prompts (Efron & Stein 1981, Ann. Stat. 9:586):
//!
//! ```text
//! variance = (m − 1)/m · Σ_p (θ_p − mean θ_p)²,     m − 1 degrees of freedom
//! ```
//!
//! Two steps with the same prompts lose a prompt together. Steps with prompts of their own are independent samples: their
//! variances add up, with the degrees of freedom of Welch and Satterthwaite. The interval is that of Student's t.
//! A percentile bootstrap is not used: over few units it is too narrow.

use entropy_history::stats::student::t_quantile;

use super::shift_share::SumCount;

/// The sums of the groups of one step, by prompt.
#[derive(Debug, Clone, Default)]
pub struct PromptSums {
    /// Of each prompt, what names it and the sums of its groups, in the order of the names.
    pub prompts: Vec<(u64, Vec<SumCount>)>,
}

impl PromptSums {
    /// The sums over all prompts.
    pub fn total(&self) -> Vec<SumCount> {
        let mut total = vec![(0.0, 0); self.prompts.first().map_or(0, |(_, sums)| sums.len())];
        for (_, sums) in &self.prompts {
            for (total, (sum, count)) in total.iter_mut().zip(sums) {
                *total = (total.0 + sum, total.1 + count);
            }
        }
        total
    }

    /// The sums over all prompts but one.
    fn without(&self, total: &[SumCount], at: usize) -> Vec<SumCount> {
        let parts = total.iter().zip(&self.prompts[at].1);
        parts
            .map(|((sum, count), (less, fewer))| {
                // Of no value nothing may be left by rounding.
                if count == fewer { (0.0, 0) } else { (sum - less, count - fewer) }
            })
            .collect()
    }
}

/// A standard error with its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandardError {
    /// In the unit of the number.
    pub error: f64,
    /// Degrees of freedom, above 0.
    pub degrees: f64,
}

impl StandardError {
    /// Half the width of an interval that misses the number with a probability of `miss`.
    pub fn half_width(&self, miss: f64) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            t_quantile(1.0 - miss / 2.0, self.degrees) * self.error
        }
    }
}

/// Whether two steps have the same prompts, so that they lose a prompt together.
pub fn is_paired(a: &PromptSums, b: &PromptSums) -> bool {
    let names = |sums: &PromptSums| sums.prompts.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    names(a) == names(b)
}

/// The standard errors of some numbers of two steps. `numbers` computes them from the sums of both; `None` leaves a
/// replicate out. No standard errors with fewer than two prompts in a step, or if a replicate has no numbers.
pub fn standard_errors(
    a: &PromptSums,
    b: &PromptSums,
    numbers: impl Fn(&[SumCount], &[SumCount]) -> Option<Vec<f64>>,
) -> Option<Vec<StandardError>> {
    if a.prompts.len() < 2 || b.prompts.len() < 2 {
        return None;
    }
    let (all_a, all_b) = (a.total(), b.total());
    if is_paired(a, b) {
        let replicate = |at: usize| numbers(&a.without(&all_a, at), &b.without(&all_b, at));
        let variances = variances((0..a.prompts.len()).map(replicate))?;
        let degrees = (a.prompts.len() - 1) as f64;
        let error = |variance: f64| StandardError { error: variance.sqrt(), degrees };
        return Some(variances.into_iter().map(error).collect());
    }
    let of_a = variances((0..a.prompts.len()).map(|at| numbers(&a.without(&all_a, at), &all_b)))?;
    let of_b = variances((0..b.prompts.len()).map(|at| numbers(&all_a, &b.without(&all_b, at))))?;
    let (n_a, n_b) = ((a.prompts.len() - 1) as f64, (b.prompts.len() - 1) as f64);
    let error = |(v_a, v_b): (f64, f64)| {
        let sum = v_a + v_b;
        let degrees = sum * sum / (v_a * v_a / n_a + v_b * v_b / n_b);
        StandardError {
            error: sum.sqrt(),
            degrees: if degrees.is_finite() { degrees } else { n_a + n_b },
        }
    };
    Some(of_a.into_iter().zip(of_b).map(error).collect())
}

/// The jackknife variance of each number.
fn variances(replicates: impl Iterator<Item = Option<Vec<f64>>>) -> Option<Vec<f64>> {
    let replicates: Vec<Vec<f64>> = replicates.collect::<Option<_>>()?;
    let m = replicates.len() as f64;
    let width = replicates.first()?.len();
    let variance = |at: usize| {
        let mean = replicates.iter().map(|numbers| numbers[at]).sum::<f64>() / m;
        let squares = replicates.iter().map(|numbers| (numbers[at] - mean).powi(2)).sum::<f64>();
        (m - 1.0) / m * squares
    };
    Some((0..width).map(variance).collect())
}

#[cfg(test)]
mod tests {
    use super::super::shift_share::mean;
    use super::*;

    fn sums(names: &[u64], values: &[f64]) -> PromptSums {
        let prompt = |(name, value): (&u64, &f64)| (*name, vec![(*value * 10.0, 10)]);
        PromptSums { prompts: names.iter().zip(values).map(prompt).collect() }
    }

    fn change(a: &[SumCount], b: &[SumCount]) -> Option<Vec<f64>> {
        Some(vec![mean(b)? - mean(a)?])
    }

    #[test]
    fn mean_of_equal_counts_has_the_errors_of_t_tests() {
        // scipy 1.17: d = [1.5, 0.5, 2, 1]; scipy.stats.sem(d) = 0.322748612184; for independent samples
        // sqrt(sem(a)² + sem(b)²) = 1.28290036765, and scipy.stats.ttest_ind(a, b, equal_var=False).df = 5.70103…
        let (a, b) = ([1.0, 2.0, 4.0, 5.0], [2.5, 2.5, 6.0, 6.0]);
        let paired = standard_errors(&sums(&[1, 2, 3, 4], &a), &sums(&[1, 2, 3, 4], &b), change);
        let paired = paired.unwrap()[0];
        assert!((paired.error - 0.322_748_612_183_951).abs() < 1e-9, "{paired:?}");
        assert_eq!(paired.degrees, 3.0);
        let apart = standard_errors(&sums(&[1, 2, 3, 4], &a), &sums(&[5, 6, 7, 8], &b), change);
        let apart = apart.unwrap()[0];
        let sem = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / 4.0;
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 12.0
        };
        assert!((apart.error - (sem(&a) + sem(&b)).sqrt()).abs() < 1e-12);
        assert!(apart.degrees > 5.0 && apart.degrees < 6.0, "{apart:?}");
    }

    #[test]
    fn one_prompt_has_no_error() {
        assert_eq!(standard_errors(&sums(&[1], &[1.0]), &sums(&[1], &[2.0]), change), None);
    }

    #[test]
    fn wider_for_more_comparisons() {
        let error = StandardError { error: 1.0, degrees: 7.0 };
        // scipy 1.17: scipy.stats.t.ppf([0.975, 1 - 0.025/21], 7)
        assert!((error.half_width(0.05) - 2.364_624_251_592_785).abs() < 1e-9);
        assert!((error.half_width(0.05 / 21.0) - 4.653_0).abs() < 0.3);
    }
}

//! Entropies and sampling on the device of the logits, for GPUs.
//!
//! They use libtorch's operations, so that only a few numbers per row are copied to the CPU. They run on any device;
//! the tests compare them with the CPU kernels.

use tch::{Device, Kind, TchError, Tensor};

use entropy_kernels::logits::TokenScore;

use crate::row_pass::Side;
use crate::score_plan::ScorePlan;

/// Logits that are sorted at once, which takes several times their memory.
const SORTED_LOGITS: i64 = 1 << 25;

/// Why rows of logits could not be scored or sampled from.
#[derive(Debug)]
pub(crate) enum LogitsError {
    Torch(TchError),
    /// The index of a row with NaN or +∞, and the model that it is from.
    NotFinite(usize, Side),
}

impl From<TchError> for LogitsError {
    fn from(error: TchError) -> LogitsError {
        LogitsError::Torch(error)
    }
}

impl LogitsError {
    /// Adds `rows` to the row index.
    pub(crate) fn offset(self, rows: usize) -> LogitsError {
        match self {
            LogitsError::NotFinite(row, side) => LogitsError::NotFinite(rows + row, side),
            other => other,
        }
    }
}

/// A distribution per row.
struct Rows {
    /// (logit − largest logit) / temperature: rows × vocabulary.
    x: Tensor,
    /// e^x: rows × vocabulary.
    e: Tensor,
    /// Σ e^x of each row.
    sum: Tensor,
    log_sum: Tensor,
}

impl Rows {
    fn new(logits: &Tensor, temperature: f64) -> Result<Rows, TchError> {
        let (max, _) = logits.f_max_dim(-1, true)?;
        let x = logits.f_sub(&max)?.f_div_scalar(temperature)?;
        let e = x.f_exp()?;
        let sum = e.f_sum_dim_intlist(-1, false, Kind::Float)?;
        let log_sum = sum.f_log()?;
        Ok(Rows { x, e, sum, log_sum })
    }

    fn entropy(&self) -> Result<Tensor, TchError> {
        // 0 · −∞ is NaN, and e is 0 where x is −∞.
        let terms = self.e.f_mul(&self.x.f_clamp_min(-1e4)?)?;
        let weighted = terms.f_sum_dim_intlist(-1, false, Kind::Float)?;
        self.log_sum.f_sub(&weighted.f_div(&self.sum)?)?.f_clamp_min(0.0)
    }

    /// `targets` has a token per row, rows × 1.
    fn log_prob(&self, targets: &Tensor) -> Result<Tensor, TchError> {
        self.x.f_gather(1, targets, false)?.f_squeeze_dim(1)?.f_sub(&self.log_sum)
    }

    /// Log-probabilities: rows × vocabulary.
    fn log_probs(&self) -> Result<Tensor, TchError> {
        self.x.f_sub(&self.log_sum.f_unsqueeze(1)?)
    }

    /// −ln Σ p².
    fn renyi2(&self) -> Result<Tensor, TchError> {
        let squares = self.e.f_square()?.f_sum_dim_intlist(-1, false, Kind::Float)?;
        self.log_sum.f_mul_scalar(2.0)?.f_sub(&squares.f_log()?)?.f_clamp_min(0.0)
    }

    /// Entropy of the smallest set of most probable tokens with the probability `mass`.
    fn nucleus_entropy(&self, mass: f64) -> Result<Tensor, TchError> {
        let (count, vocabulary) = self.e.size2()?;
        let at_once = (SORTED_LOGITS / vocabulary).max(1);
        let mut entropies = Vec::new();
        for start in (0..count).step_by(at_once as usize) {
            let part = self.e.f_narrow(0, start, at_once.min(count - start))?;
            let (sorted, _) = part.f_sort(-1, true)?;
            let inside = sorted.f_masked_fill(&outside_nucleus(&sorted, mass)?, 0.0)?;
            let sum = inside.f_sum_dim_intlist(-1, false, Kind::Double)?;
            // 0 · ln 0 is 0.
            let terms = inside.f_mul(&inside.f_clamp_min(1e-38)?.f_log()?)?;
            let weighted = terms.f_sum_dim_intlist(-1, false, Kind::Double)?;
            entropies.push(sum.f_log()?.f_sub(&weighted.f_div(&sum)?)?.f_clamp_min(0.0)?);
        }
        Tensor::f_cat(&entropies, 0)
    }
}

/// Σ p (log p − log q) of each row; infinite if q is 0 where p is not.
fn kl(log_p: &Tensor, log_q: &Tensor) -> Result<Tensor, TchError> {
    let p = log_p.f_exp()?;
    // 0 · ∞ is NaN: a token without probability adds nothing.
    let terms = log_p.f_sub(log_q)?.f_mul_(&p)?.f_masked_fill_(&p.f_eq(0.0)?, 0.0)?;
    terms.f_sum_dim_intlist(-1, false, Kind::Float)?.f_clamp_min(0.0)
}

/// All numbers of each row and its target, in the order of [`ScorePlan::quantities`]: rows × numbers. `reference` has the
/// logits of the reference model, if the plan has divergences.
pub(crate) fn score_all(
    plan: &ScorePlan,
    logits: &Tensor,
    reference: Option<&Tensor>,
    targets: &[i64],
) -> Result<Vec<f64>, LogitsError> {
    let targets = Tensor::f_from_slice(targets)?.f_to_device(logits.device())?.f_unsqueeze(1)?;
    let rows = Rows::new(logits, plan.temperature)?;
    let above = logits.f_gt_tensor(&logits.f_gather(1, &targets, false)?)?;
    let rank = above.f_sum_dim_intlist(-1, false, Kind::Int64)?;
    let mut columns = vec![
        rows.entropy()?,
        rows.log_prob(&targets)?,
        rank,
        rows.sum.f_reciprocal()?, // e is 1 for the most probable token
        rows.renyi2()?,
    ];
    if let Some(mass) = plan.nucleus {
        columns.push(rows.nucleus_entropy(mass)?);
    }
    let mut of_reference = None;
    if let Some(reference) = reference {
        let policy = rows.log_probs()?;
        drop(rows);
        let reference = Rows::new(reference, plan.temperature)?.log_probs()?;
        of_reference = Some(columns.len());
        columns.extend([
            reference.f_gather(1, &targets, false)?.f_squeeze_dim(1)?,
            kl(&policy, &reference)?,
            kl(&reference, &policy)?,
        ]);
    }
    for &temperature in &plan.other_temperatures {
        let rows = Rows::new(logits, temperature)?;
        columns.extend([rows.entropy()?, rows.log_prob(&targets)?]);
    }
    let columns: Vec<Tensor> =
        columns.iter().map(|column| column.f_to_kind(Kind::Double)).collect::<Result<_, _>>()?;
    let width = columns.len();
    let all = Tensor::f_stack(&columns, 1)?.f_to_device(Device::Cpu)?;
    let all = Vec::<f64>::try_from(all.f_contiguous()?.f_view([-1])?)?;
    // An entropy may hide a NaN, but the log-prob uses the same sum.
    let log_probs = [(1, Side::Policy)].into_iter();
    for (column, side) in log_probs.chain(of_reference.map(|column| (column, Side::Reference))) {
        if let Some(row) = all.chunks(width).position(|row| row[column].is_nan()) {
            return Err(LogitsError::NotFinite(row, side));
        }
    }
    Ok(all)
}

/// Entropy of each row of `logits` and log-prob of its target, like [`entropy_kernels::logits::score_rows`].
pub(crate) fn score(
    logits: &Tensor,
    targets: &[i64],
    temperature: f64,
) -> Result<Vec<TokenScore>, LogitsError> {
    let plan = ScorePlan::at(temperature);
    let width = plan.quantities().len();
    let scores = score_all(&plan, logits, None, targets)?;
    let score = |row: &[f64]| TokenScore { entropy: row[0], log_prob: row[1] };
    Ok(scores.chunks(width).map(score).collect())
}

/// Samples a token per row by inverting its cumulative distribution at `uniform`, rows × 1 numbers in [0, 1).
pub(crate) fn sample(
    logits: &Tensor,
    top_k: usize,
    top_p: f64,
    uniform: &Tensor,
) -> Result<Tensor, TchError> {
    let probabilities = logits.f_softmax(-1, Kind::Float)?;
    if top_k == 0 && top_p == 1.0 {
        return invert(&probabilities, uniform)?.f_squeeze_dim(1);
    }
    let vocabulary = logits.size()[1];
    let limit = if top_k == 0 { vocabulary } else { (top_k as i64).min(vocabulary) };
    let (sorted, tokens) = probabilities.f_topk(limit, -1, true, true)?;
    let kept = sorted.f_masked_fill(&outside_nucleus(&sorted, top_p)?, 0.0)?;
    tokens.f_gather(1, &invert(&kept, uniform)?, false)?.f_squeeze_dim(1)
}

/// Which weights, in falling order, are not in the smallest set with the fraction `mass` of their sum.
fn outside_nucleus(sorted: &Tensor, mass: f64) -> Result<Tensor, TchError> {
    let total = sorted.f_sum_dim_intlist(-1, true, Kind::Double)?;
    let before = sorted.f_cumsum(-1, Kind::Double)?.f_sub(sorted)?;
    let outside = before.f_ge_tensor(&total.f_mul_scalar(mass)?)?;
    // The most probable token always stays, whatever the rounding.
    let first = Tensor::f_from_slice(&[0i64])?.f_to_device(sorted.device())?;
    outside.f_index_fill(1, &first, 0)
}

fn invert(weights: &Tensor, uniform: &Tensor) -> Result<Tensor, TchError> {
    let cumulated = weights.f_cumsum(-1, Kind::Double)?;
    let last = cumulated.size()[1] - 1;
    let at = uniform.f_to_kind(Kind::Double)?.f_mul(&cumulated.f_narrow(1, last, 1)?)?;
    at.f_searchsorted(&cumulated, false, true, "right", None::<Tensor>)?.f_clamp_max(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_plan::Divergences;

    #[test]
    fn sample_inverts_cumulative_distribution() {
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 37 % 101) as f32) / 9.0).collect();
        let rows = Tensor::from_slice(&logits).unsqueeze(0);
        let total: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
        let mut cumulated = 0.0;
        for (i, z) in logits.iter().enumerate() {
            let p = f64::from(*z).exp() / total;
            if p > 1e-4 {
                let uniform = Tensor::from_slice(&[(cumulated + 0.5 * p) as f32]).unsqueeze(1);
                let drawn = sample(&rows, 0, 1.0, &uniform).unwrap().int64_value(&[0]);
                assert_eq!(drawn, i as i64);
            }
            cumulated += p;
        }
    }

    #[test]
    fn nucleus_equals_that_of_cpu() {
        let p = [0.1f32, 0.5, 0.15, 0.25];
        let logits = Tensor::from_slice(&p).log().unsqueeze(0);
        let at = |u: f32, k, top_p| {
            let uniform = Tensor::from_slice(&[u]).unsqueeze(1);
            sample(&logits, k, top_p, &uniform).unwrap().int64_value(&[0])
        };
        assert_eq!([at(0.1, 0, 0.5), at(0.999, 0, 0.5)], [1, 1]);
        assert_eq!([at(0.6, 0, 0.51), at(0.7, 0, 0.51)], [1, 3]);
        assert_eq!([at(0.999, 2, 1.0), at(0.999, 2, 0.6), at(0.999, 1, 1.0)], [3, 1, 1]);
    }

    #[test]
    fn scores_equal_those_of_cpu_kernel() {
        let mut logits: Vec<f32> =
            (0..3000).map(|i| ((i * 7919 % 1009) as f32) / 50.0 + 300.0).collect();
        logits[5] = f32::NEG_INFINITY;
        let rows = Tensor::from_slice(&logits).view([3, 1000]);
        let kernel = entropy_kernels::logits::score_rows(&logits, 1000, &[1, 2, 3], 0.7).unwrap();
        let device = score(&rows, &[1, 2, 3], 0.7).unwrap();
        for (a, b) in kernel.iter().zip(&device) {
            assert!(
                (a.entropy - b.entropy).abs() < 1e-5 && (a.log_prob - b.log_prob).abs() < 1e-5,
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn all_numbers_equal_those_of_the_row_pass() {
        let (rows, vocabulary) = (5, 3000);
        let mut logits: Vec<f32> = (0..rows * vocabulary)
            .map(|i| ((i * 7919 % 10_007) as f32) / 700.0 * (1 + i / vocabulary) as f32)
            .collect();
        logits[5] = f32::NEG_INFINITY;
        let targets = [5, 77, 1500, 2999, 1];
        let reference: Vec<f32> =
            logits.iter().enumerate().map(|(i, z)| z + (i * 31 % 17) as f32 / 20.0).collect();
        let tensor =
            |logits: &[f32]| Tensor::from_slice(logits).view([rows as i64, vocabulary as i64]);
        for nucleus in [None, Some(0.5), Some(0.95), Some(1.0)] {
            for divergences in [Divergences::None, Divergences::Computed] {
                let other_temperatures = vec![0.5, 3.0];
                let plan =
                    ScorePlan { other_temperatures, nucleus, divergences, ..ScorePlan::at(1.3) };
                let reference = (divergences == Divergences::Computed).then_some(&reference[..]);
                let device =
                    score_all(&plan, &tensor(&logits), reference.map(tensor).as_ref(), &targets);
                let kernel =
                    crate::row_pass::score_rows(&plan, &logits, reference, vocabulary, &targets);
                let (kernel, device) = (kernel.unwrap(), device.unwrap());
                assert_eq!(device.len(), 5 * plan.quantities().len());
                for (i, (a, b)) in kernel.iter().zip(&device).enumerate() {
                    assert!(a == b || (a - b).abs() < 1e-5, "{nucleus:?}, number {i}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn divergences_may_be_infinite_and_errors_name_the_model() {
        let plan = ScorePlan { divergences: Divergences::Computed, ..ScorePlan::at(1.0) };
        let score = |p: [f32; 3], q: [f32; 3]| {
            let rows = [p, q].map(|row| Tensor::from_slice(&row).view([1, 3]));
            score_all(&plan, &rows[0], Some(&rows[1]), &[1])
        };
        let found = score([0.0, 0.0, 0.0], [0.0, 0.0, f32::NEG_INFINITY]).unwrap();
        assert_eq!(found[6], f64::INFINITY);
        assert!((found[7] - 1.5f64.ln()).abs() < 1e-6, "{found:?}");
        for (p, q, expected) in [
            ([0.0, f32::NAN, 0.0], [0.0; 3], Side::Policy),
            ([0.0; 3], [0.0, f32::NAN, 0.0], Side::Reference),
        ] {
            let error = score(p, q).unwrap_err();
            assert!(matches!(error, LogitsError::NotFinite(0, side) if side == expected));
        }
    }
}

//! Entropies and sampling on the device of the logits, for GPUs.
//!
//! They use libtorch's operations, so that only a few numbers per row are copied to the CPU. They run on any device;
//! the tests compare them with the CPU kernels.

use tch::{Device, Kind, TchError, Tensor};

use entropy_kernels::logits::TokenScore;

/// Why rows of logits could not be scored or sampled from.
#[derive(Debug)]
pub(crate) enum LogitsError {
    Torch(TchError),
    /// The index of a row with NaN or +∞.
    NotFinite(usize),
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
            LogitsError::NotFinite(row) => LogitsError::NotFinite(rows + row),
            other => other,
        }
    }
}

/// Entropy of each row of `logits` and log-prob of its target, like [`entropy_kernels::logits::score_rows`].
pub(crate) fn score(
    logits: &Tensor,
    targets: &[i64],
    temperature: f64,
) -> Result<Vec<TokenScore>, LogitsError> {
    let (max, _) = logits.f_max_dim(-1, true)?;
    let x = logits.f_sub(&max)?.f_div_scalar(temperature)?;
    let e = x.f_exp()?;
    let sum = e.f_sum_dim_intlist(-1, false, Kind::Float)?;
    // 0 · −∞ is NaN, and e is 0 where x is −∞.
    let weighted = e.f_mul(&x.f_clamp_min(-1e4)?)?.f_sum_dim_intlist(-1, false, Kind::Float)?;
    let log_sum = sum.f_log()?;
    let entropy = log_sum.f_sub(&weighted.f_div(&sum)?)?;
    let targets = Tensor::f_from_slice(targets)?.f_to_device(logits.device())?.f_unsqueeze(1)?;
    let log_prob = x.f_gather(1, &targets, false)?.f_squeeze_dim(1)?.f_sub(&log_sum)?;
    let both = Tensor::f_stack(&[entropy, log_prob], 0)?
        .f_to_kind(Kind::Double)?
        .f_to_device(Device::Cpu)?;
    let both = Vec::<Vec<f64>>::try_from(both)?;
    let scores = both[0]
        .iter()
        .zip(&both[1])
        .map(|(&entropy, &log_prob)| TokenScore { entropy: entropy.max(0.0), log_prob });
    let scores: Vec<TokenScore> = scores.collect();
    // max(0) hides a NaN in the entropy, but the log-prob uses the same sum.
    match scores.iter().position(|score| score.log_prob.is_nan()) {
        Some(row) => Err(LogitsError::NotFinite(row)),
        None => Ok(scores),
    }
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
    let total = sorted.f_sum_dim_intlist(-1, true, Kind::Float)?;
    let before = sorted.f_cumsum(-1, Kind::Float)?.f_sub(&sorted)?;
    let outside = before.f_ge_tensor(&total.f_mul_scalar(top_p)?)?;
    // The most probable token always stays, whatever the rounding.
    let outside = outside.f_index_fill(
        1,
        &Tensor::f_from_slice(&[0i64])?.f_to_device(logits.device())?,
        0,
    )?;
    let kept = sorted.f_masked_fill(&outside, 0.0)?;
    tokens.f_gather(1, &invert(&kept, uniform)?, false)?.f_squeeze_dim(1)
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
}

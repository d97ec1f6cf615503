//! Entropies and draws where the logits are: what a GPU does instead of the one pass on the CPU.
//!
//! Made of libtorch's operations, so that only a few numbers a row come back. They run on any device,
//! and the tests hold them against the CPU's way.

use tch::{Device, Kind, TchError, Tensor};

use entropy_kernels::logits::Token;

/// Why rows could not be scored.
#[derive(Debug)]
pub(crate) enum RowError {
    Torch(TchError),
    NotFinite(usize),
}

impl From<TchError> for RowError {
    fn from(error: TchError) -> RowError {
        RowError::Torch(error)
    }
}

impl RowError {
    pub(crate) fn after(self, rows: usize) -> RowError {
        match self {
            RowError::NotFinite(row) => RowError::NotFinite(rows + row),
            other => other,
        }
    }
}

/// The same as [`entropy_kernels::logits::rows`] where the logits are: m + ln s − t / s with sums relative to m.
pub(crate) fn tokens(
    logits: &Tensor,
    targets: &[i64],
    temperature: f64,
) -> Result<Vec<Token>, RowError> {
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
    let tokens = both[0]
        .iter()
        .zip(&both[1])
        .map(|(&entropy, &log_prob)| Token { entropy: entropy.max(0.0), log_prob });
    let tokens: Vec<Token> = tokens.collect();
    // max(0) hides a NaN of the entropy, not one of the log-prob, which has the same sum in it.
    match tokens.iter().position(|token| token.log_prob.is_nan()) {
        Some(row) => Err(RowError::NotFinite(row)),
        None => Ok(tokens),
    }
}

/// Inverts each row's cumulated distribution at its number; rows × 1 numbers in [0, 1).
pub(crate) fn draw(
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
    // The most probable token stays, whatever rounding says.
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
    fn a_gpus_way_of_drawing_inverts_the_cumulated_distribution() {
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 37 % 101) as f32) / 9.0).collect();
        let rows = Tensor::from_slice(&logits).unsqueeze(0);
        let total: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
        let mut cumulated = 0.0;
        for (i, z) in logits.iter().enumerate() {
            let p = f64::from(*z).exp() / total;
            if p > 1e-4 {
                let uniform = Tensor::from_slice(&[(cumulated + 0.5 * p) as f32]).unsqueeze(1);
                let drawn = draw(&rows, 0, 1.0, &uniform).unwrap().int64_value(&[0]);
                assert_eq!(drawn, i as i64);
            }
            cumulated += p;
        }
    }

    #[test]
    fn a_gpus_nucleus_is_the_cpus() {
        let p = [0.1f32, 0.5, 0.15, 0.25];
        let logits = Tensor::from_slice(&p).log().unsqueeze(0);
        let at = |u: f32, k, top_p| {
            let uniform = Tensor::from_slice(&[u]).unsqueeze(1);
            draw(&logits, k, top_p, &uniform).unwrap().int64_value(&[0])
        };
        assert_eq!([at(0.1, 0, 0.5), at(0.999, 0, 0.5)], [1, 1]);
        assert_eq!([at(0.6, 0, 0.51), at(0.7, 0, 0.51)], [1, 3]);
        assert_eq!([at(0.999, 2, 1.0), at(0.999, 2, 0.6), at(0.999, 1, 1.0)], [3, 1, 1]);
    }

    #[test]
    fn entropies_on_a_device_are_those_of_the_kernel() {
        let mut logits: Vec<f32> =
            (0..3000).map(|i| ((i * 7919 % 1009) as f32) / 50.0 + 300.0).collect();
        logits[5] = f32::NEG_INFINITY;
        let rows = Tensor::from_slice(&logits).view([3, 1000]);
        let kernel = entropy_kernels::logits::rows(&logits, 1000, &[1, 2, 3], 0.7).unwrap();
        let device = tokens(&rows, &[1, 2, 3], 0.7).unwrap();
        for (a, b) in kernel.iter().zip(&device) {
            assert!(
                (a.entropy - b.entropy).abs() < 1e-5 && (a.log_prob - b.log_prob).abs() < 1e-5,
                "{a:?} {b:?}"
            );
        }
    }
}

//! Gates of an MLP of which only the highest count, as in Gemma 3n: each is lowered by a cutoff of its token, and is 0 below it.

use anyhow::bail;
use tch::{Kind, TchError, Tensor};

/// The cutoff, in standard deviations above the mean, that this part of normally distributed numbers is below.
///
/// # Errors
/// If `part` is not from 0 to less than 1.
pub(super) fn cutoff(part: f64) -> anyhow::Result<f64> {
    if !(0.0..1.0).contains(&part) {
        bail!("{part} is not from 0 to less than 1");
    }
    // The quantile √2·erfinv(2·part − 1), in f32 like in torch.distributions.
    let quantile = Tensor::f_from_slice(&[part as f32])?
        .f_mul_scalar(2.0)?
        .f_sub_scalar(1.0)?
        .f_erfinv()?
        .f_mul_scalar(2f64.sqrt())?;
    Ok(f64::try_from(quantile.f_get(0)?)?)
}

/// Lowers `gate`, tokens × width, in place; see [`cutoff`].
pub(super) fn lower(gate: &Tensor, cutoff: f64) -> Result<(), TchError> {
    let mean = gate.f_mean_dim(-1, true, None::<Kind>)?;
    let deviation = gate.f_std_dim(-1, false, true)?;
    // Rounded to the type of the gate.
    let cutoff = Tensor::f_from_slice(&[cutoff as f32])?
        .f_to_kind(gate.kind())?
        .f_to_device(gate.device())?;
    let lowest = mean.f_add(&deviation.f_mul(&cutoff)?)?;
    let mut gate = gate.shallow_clone();
    gate.f_sub_(&lowest)?.f_relu_().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoffs_are_quantiles_of_the_normal_distribution() {
        // SciPy's norm.ppf.
        for (part, quantile) in [(0.5, 0.0), (0.95, 1.644_853_627), (0.1, -1.281_551_566)] {
            assert!((cutoff(part).unwrap() - quantile).abs() < 1e-5, "{part}");
        }
        assert!(cutoff(1.0).is_err());
        assert!(cutoff(-0.1).is_err());
    }
}

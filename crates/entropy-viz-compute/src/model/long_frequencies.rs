//! Rotary frequencies of sequences that are longer than the context of the pre-training.

use tch::{Kind, TchError, Tensor};

/// The frequencies of sequences that are longer than the original context.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LongFrequencies {
    /// longrope: the same for all of them.
    Fixed(Vec<f32>),
    /// dynamic: the base `theta` grows with the length, up to `factor` times the original context.
    Growing { theta: f64, factor: f64 },
}

impl LongFrequencies {
    /// Radians per position for each length in tokens, lengths × (`dim` / 2) or 1 × (`dim` / 2): in f32, as in
    /// transformers. A length below `original` counts as `original`.
    pub(super) fn of_lengths(
        &self,
        original: i64,
        lengths: &[i64],
        dim: i64,
    ) -> Result<Tensor, TchError> {
        let (theta, factor) = match self {
            LongFrequencies::Fixed(frequencies) => {
                return Tensor::f_from_slice(frequencies)?.f_unsqueeze(0);
            }
            LongFrequencies::Growing { theta, factor } => (*theta, *factor),
        };
        let lengths: Vec<i64> = lengths.iter().map(|length| *length.max(&original)).collect();
        let lengths = Tensor::f_from_slice(&lengths)?.f_to_kind(Kind::Float)?;
        let stretch = lengths.f_mul_scalar(factor)?.f_div_scalar(original as f64)?;
        let stretch = stretch.f_sub_scalar(factor - 1.0)?;
        let theta = stretch.f_pow_tensor_scalar(growth_exponent(dim))?.f_mul_scalar(theta)?;
        theta.f_unsqueeze(1)?.f_pow(&exponents(dim)?)?.f_reciprocal()
    }
}

/// 2i / dim for the i-th pair of numbers of a head, in f32.
pub(super) fn exponents(dim: i64) -> Result<Tensor, TchError> {
    let exponents: Vec<f32> = (0..dim / 2).map(|i| (2 * i) as f32 / dim as f32).collect();
    Tensor::f_from_slice(&exponents)
}

/// The power of a longer context that the base of the frequencies is multiplied by; `dim` is more than 2.
pub(super) fn growth_exponent(dim: i64) -> f64 {
    dim as f64 / (dim - 2) as f64
}

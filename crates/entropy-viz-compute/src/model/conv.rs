//! Depthwise causal convolutions: each channel is a weighted sum of its last few tokens.
//!
//! Sequences are packed, and the convolution begins anew at each. A row of zeros behind the tokens stands for what is before
//! a sequence.

use tch::{Device, Kind, TchError, Tensor};

use super::packed::Packed;
use super::spec::Activation;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The tokens before each token of packed sequences.
pub(super) struct ConvPlan {
    /// For each distance from 1 on: the index of the token so far before each token, and of the row of zeros for itself.
    before: Vec<Tensor>,
    /// The last `kernel - 1` tokens of each sequence: sequences · (kernel - 1).
    tails: Tensor,
}

impl ConvPlan {
    /// `kernel` is the number of tokens that the convolution sees, with the current one.
    pub(super) fn new(packed: &Packed, kernel: i64, device: Device) -> Result<ConvPlan, TchError> {
        let zeros = packed.ids.len() as i64;
        let (positions, _) = packed.positions();
        let before = (1..kernel).map(|distance| {
            let index = |(i, position): (usize, &i64)| {
                if *position >= distance { i as i64 - distance } else { zeros }
            };
            let mut indices: Vec<i64> = positions.iter().enumerate().map(index).collect();
            indices.push(zeros);
            Tensor::f_from_slice(&indices)?.f_to_device(device)
        });
        let mut tails = Vec::new();
        for last in packed.last_tokens() {
            let position = positions[last as usize];
            let index = |back: i64| if back <= position { last - back } else { zeros };
            tails.extend((0..kernel - 1).rev().map(index));
        }
        let tails = Tensor::f_from_slice(&tails)?.f_to_device(device)?;
        Ok(ConvPlan { before: before.collect::<Result<_, _>>()?, tails })
    }
}

/// The weights of a convolution, and the activation after it.
pub(super) struct CausalConv {
    /// kernel × channels, f32; the current token last.
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Option<Activation>,
    kernel: i64,
}

impl CausalConv {
    /// Loads the module `at`, whose weight is stored as channels × 1 × kernel.
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        (channels, kernel): (i64, i64),
        bias: bool,
        activation: Option<Activation>,
        options: TensorOptions,
    ) -> anyhow::Result<CausalConv> {
        // Rounded to the model's type first, as the weights of all modules.
        let weight = weights.take(&format!("{at}.weight"), &[channels, 1, kernel], options)?;
        let bias = match bias {
            true => Some(weights.take(&format!("{at}.bias"), &[channels], options)?),
            false => None,
        };
        Ok(CausalConv {
            weight: weight
                .f_to_kind(Kind::Float)?
                .f_select(1, 0)?
                .f_transpose(0, 1)?
                .f_contiguous()?,
            bias: bias.map(|bias| bias.f_to_kind(Kind::Float)).transpose()?,
            activation,
            kernel,
        })
    }

    /// Convolves packed tokens. `x` is (tokens + 1) × channels with a last row of zeros, and so is the result, of the same type.
    pub(super) fn forward(&self, x: &Tensor, plan: &ConvPlan) -> Result<Tensor, TchError> {
        let x32 = x.f_to_kind(Kind::Float)?;
        let mut sum = x32.f_mul(&self.weight.f_get(self.kernel - 1)?)?;
        for (before, distance) in plan.before.iter().zip(1..) {
            let earlier = x32.f_index_select(0, before)?;
            sum = sum.f_addcmul_(&earlier, &self.weight.f_get(self.kernel - 1 - distance)?)?;
        }
        let done = self.finish(sum, x.kind())?;
        let _ = done.f_narrow(0, x.size()[0] - 1, 1)?.f_zero_()?;
        Ok(done)
    }

    /// Convolves one new token per sequence; `x` and the result are sequences × channels. `tail` has the tokens before,
    /// sequences × (kernel - 1) × channels, and becomes the next one.
    pub(super) fn step(&self, x: &Tensor, tail: &mut Tensor) -> Result<Tensor, TchError> {
        let seen = Tensor::f_cat(&[&*tail, &x.f_unsqueeze(1)?], 1)?;
        tail.f_copy_(&seen.f_narrow(1, 1, self.kernel - 1)?)?;
        let seen = seen.f_to_kind(Kind::Float)?;
        let mut sum =
            seen.f_select(1, self.kernel - 1)?.f_mul(&self.weight.f_get(self.kernel - 1)?)?;
        for distance in 1..self.kernel {
            let at = self.kernel - 1 - distance;
            sum = sum.f_addcmul_(&seen.f_select(1, at)?, &self.weight.f_get(at)?)?;
        }
        self.finish(sum, x.kind())
    }

    fn finish(&self, sum: Tensor, kind: Kind) -> Result<Tensor, TchError> {
        let sum = match &self.bias {
            Some(bias) => sum.f_add(bias)?,
            None => sum,
        };
        let sum = match self.activation {
            // Rounded before, too: the convolution and the activation are two modules.
            Some(activation) => activation.apply(&sum.f_to_kind(kind)?)?,
            None => sum,
        };
        sum.f_to_kind(kind)
    }

    /// The last tokens of each packed sequence, which [`CausalConv::step`] continues: sequences × (kernel - 1) × channels.
    pub(super) fn tails(&self, x: &Tensor, plan: &ConvPlan) -> Result<Tensor, TchError> {
        x.f_index_select(0, &plan.tails)?.f_view([-1, self.kernel - 1, x.size()[1]])
    }
}

/// `x`, tokens × channels, with a row of zeros behind.
pub(super) fn with_zeros(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_constant_pad_nd([0, 0, 0, 1])
}

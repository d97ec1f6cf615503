//! The short gated convolution of LFM2: out(c ⊙ convolution(b ⊙ x)), with b, c and x projections of the input.

use tch::{TchError, Tensor};

use super::conv::{CausalConv, ConvPlan, with_zeros};
use super::layer::Linear;
use super::mixer_spec::ShortConvSpec;
use super::recurrent::RecurrentState;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The module of one layer.
pub(super) struct ShortConv {
    /// b, c and x.
    input: Linear,
    conv: CausalConv,
    output: Linear,
    channels: i64,
}

impl ShortConv {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        spec: ShortConvSpec,
        hidden: i64,
        options: TensorOptions,
    ) -> anyhow::Result<ShortConv> {
        let ShortConvSpec { channels, kernel, bias } = spec;
        let input = [(format!("{at}.in_proj"), 3 * channels)];
        let output = [(format!("{at}.out_proj"), hidden)];
        let size = (channels, kernel);
        Ok(ShortConv {
            input: Linear::load(weights, &input, hidden, bias, options)?,
            conv: CausalConv::load(weights, &format!("{at}.conv"), size, bias, None, options)?,
            output: Linear::load(weights, &output, channels, bias, options)?,
            channels,
        })
    }

    /// Runs packed sequences; `x` and the result are tokens × hidden. With `cache`, the last inputs of the i-th sequence's
    /// convolution are also written to the slot `slots[i]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        plan: &ConvPlan,
        cache: Option<(&mut RecurrentState, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let (before, c) = self.project(x)?;
        let before = with_zeros(&before)?;
        if let Some((cache, slots)) = cache {
            let slots = Tensor::f_from_slice(slots)?.f_to_device(x.device())?;
            let _ = cache.tail.f_index_copy_(0, &slots, &self.conv.tails(&before, plan)?)?;
        }
        let mixed = self.conv.forward(&before, plan)?.f_narrow(0, 0, x.size()[0])?;
        self.output.forward(&mixed.f_mul(&c)?)
    }

    /// Runs one new token per sequence, in the first slots; `x` and the result are sequences × hidden.
    pub(super) fn step(&self, x: &Tensor, cache: &mut RecurrentState) -> Result<Tensor, TchError> {
        let (before, c) = self.project(x)?;
        let mut tail = cache.tail.f_narrow(0, 0, x.size()[0])?;
        self.output.forward(&self.conv.step(&before, &mut tail)?.f_mul(&c)?)
    }

    /// b ⊙ x, and c.
    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let all = self.input.forward(x)?;
        let part = |i: i64| all.f_narrow(1, i * self.channels, self.channels);
        Ok((part(0)?.f_mul(&part(2)?)?, part(1)?))
    }
}

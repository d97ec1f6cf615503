//! Mamba 2 (Dao and Gu 2024), as in Nemotron-H: a causal convolution, a state with one decay per head, and a gated norm.
//!
//! Per head, with x of the head, B and C of its group, and a step Δ:
//!
//! ```text
//! S ← e^(−e^A_log·Δ)·S + B ⊗ Δ·x      y = SᵀC + D·x
//! ```

use tch::{Kind, TchError, Tensor};

use super::chunks::{self, Block, Chunks, Decays, per_head};
use super::conv::{CausalConv, ConvPlan, with_zeros};
use super::layer::Linear;
use super::mixer_spec::{MambaNorm, MambaSpec};
use super::recurrent::{RecurrentState, STATE_KIND};
use super::scan::ScanPlan;
use super::spec::Spec;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The module of one layer.
pub(super) struct Mamba2 {
    /// Gates z; x, B and C; Δ before its softplus.
    input: Linear,
    conv: CausalConv,
    /// −e^`A_log`, by head, f32.
    rate: Tensor,
    /// Added to Δ before its softplus, f32.
    step_bias: Tensor,
    /// D, by head: heads × 1, f32.
    skip: Tensor,
    norm: Option<Tensor>,
    /// Factors of what the input projection makes.
    input_scales: Option<Tensor>,
    epsilon: f64,
    output: Linear,
    spec: MambaSpec,
}

/// The inputs of the recurrence, one row per token; f32.
struct Inputs {
    /// x: rows × heads × head dimension.
    x: Tensor,
    /// Δ·x.
    values: Tensor,
    /// B and C: rows × groups × state size.
    keys: Tensor,
    queries: Tensor,
    /// rows × heads.
    log_decay: Tensor,
}

impl Mamba2 {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        mamba: MambaSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Mamba2> {
        let exact = TensorOptions { kind: Kind::Float, ..options };
        let (wide, heads) = (mamba.wide(), mamba.heads);
        let input = [(format!("{at}.in_proj"), wide + mamba.channels() + heads)];
        let output = [(format!("{at}.out_proj"), spec.hidden)];
        let (conv, size) = (format!("{at}.conv1d"), (mamba.channels(), mamba.kernel));
        let (bias, activation) = (mamba.conv_bias, Some(spec.mamba_activation));
        let mut per_head = |name: &str| weights.take(&format!("{at}.{name}"), &[heads], exact);
        let (rate, step_bias) = (per_head("A_log")?.f_exp()?.f_neg()?, per_head("dt_bias")?);
        let skip = per_head("D")?.f_unsqueeze(1)?;
        Ok(Mamba2 {
            input: Linear::load(weights, &input, spec.hidden, mamba.input_bias, options)?,
            conv: CausalConv::load(weights, &conv, size, bias, activation, options)?,
            rate,
            step_bias,
            skip,
            norm: match mamba.norm {
                MambaNorm::None => None,
                _ => Some(weights.take(&format!("{at}.norm.weight"), &[wide], options)?),
            },
            input_scales: match mamba.input_scales {
                None => None,
                Some([z, x, b, c, step]) => {
                    let states = mamba.groups * mamba.state;
                    let parts = [(z, wide), (x, wide), (b, states), (c, states), (step, heads)];
                    let part = |(scale, size): (f64, i64)| {
                        Tensor::f_full([size], scale, (options.kind, options.device))
                    };
                    let parts = parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
                    Some(Tensor::f_cat(&parts, 0)?)
                }
            },
            epsilon: spec.epsilon,
            output: Linear::load(weights, &output, wide, mamba.output_bias, options)?,
            spec: mamba,
        })
    }

    /// Runs packed sequences; `x` and the result are tokens × hidden. With `cache`, the state of the i-th sequence is also
    /// written to the slot `slots[i]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        (conv, scan): (&ConvPlan, &ScanPlan),
        cache: Option<(&mut RecurrentState, &[i64])>,
    ) -> Result<Tensor, TchError> {
        let MambaSpec { heads, head_dim, groups, state, .. } = self.spec;
        let device = x.device();
        let (z, mixed, step) = self.project(x)?;
        let before = with_zeros(&mixed)?;
        let inputs = self.inputs(&self.conv.forward(&before, conv)?, &with_zeros(&step)?)?;
        let prepare = |block: &Block| {
            let of = |x: &Tensor| block.chunked(&block.rows(x)?)?.f_contiguous();
            let (keys, queries) = (of(&inputs.keys)?, of(&inputs.queries)?);
            let values = block.grouped(&block.rows(&inputs.values)?, groups)?;
            let logs = block.rows(&inputs.log_decay)?.f_unsqueeze(2)?;
            let decays = Decays::of(&block.grouped(&logs, groups)?)?;
            let weights = queries.f_matmul(&keys.f_transpose(2, 3)?)?.f_unsqueeze(2)?;
            let (keys, queries) = (keys.f_unsqueeze(2)?, queries.f_unsqueeze(2)?);
            Ok(Chunks {
                values: per_head(&values)?,
                reads: None,
                queries: per_head(&queries.f_mul(&decays.since_start)?)?,
                keys: per_head(&keys.f_mul(&decays.until_end)?)?,
                weights: per_head(&weights.f_mul(&decays.between)?)?,
                decay: per_head(&decays.whole)?,
            })
        };
        let shape = [heads, state, head_dim];
        let scanned = match cache {
            None => chunks::scan(scan, shape, device, &prepare, &mut |_, _| Ok(()))?,
            Some((cache, slots)) => {
                let all = Tensor::f_from_slice(slots)?.f_to_device(device)?;
                let _ = cache.tail.f_index_copy_(0, &all, &self.conv.tails(&before, conv)?)?;
                chunks::scan(scan, shape, device, &prepare, &mut |ended, states| {
                    let ended: Vec<i64> = ended.iter().map(|sequence| slots[*sequence]).collect();
                    let ended = Tensor::f_from_slice(&ended)?.f_to_device(device)?;
                    cache.state.f_index_copy_(0, &ended, states).map(|_| ())
                })?
            }
        };
        self.finish(scanned, &inputs.x.f_narrow(0, 0, x.size()[0])?, &z)
    }

    /// Runs one new token per sequence, in the first slots; `x` and the result are sequences × hidden.
    pub(super) fn step(&self, x: &Tensor, cache: &mut RecurrentState) -> Result<Tensor, TchError> {
        let sequences = x.size()[0];
        let (z, mixed, step) = self.project(x)?;
        let mut tail = cache.tail.f_narrow(0, 0, sequences)?;
        let inputs = self.inputs(&self.conv.step(&mixed, &mut tail)?, &step)?;
        let shared = self.spec.heads / self.spec.groups;
        let by_head = |x: &Tensor| x.f_repeat_interleave_self_int(shared, 1, None);
        let (keys, queries) = (by_head(&inputs.keys)?, by_head(&inputs.queries)?);
        let decay = inputs.log_decay.f_exp()?.f_unsqueeze(2)?.f_unsqueeze(3)?;
        let mut state = cache.state.f_narrow(0, 0, sequences)?;
        state = state.f_mul_(&decay)?;
        state = state.f_addcmul_(&keys.f_unsqueeze(3)?, &inputs.values.f_unsqueeze(2)?)?;
        let read = queries.f_unsqueeze(2)?.f_matmul(&state)?.f_select(2, 0)?;
        self.finish(read, &inputs.x, &z)
    }

    /// Gates; x, B and C before the convolution; Δ with its bias, before its softplus, f32.
    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let (wide, channels, heads) = (self.spec.wide(), self.spec.channels(), self.spec.heads);
        let all = self.input.forward(x)?;
        let all = match &self.input_scales {
            Some(scales) => all.f_mul(scales)?,
            None => all,
        };
        let step = all.f_narrow(1, wide + channels, heads)?.f_to_kind(Kind::Float)?;
        let step = step
            .f_add(&self.step_bias)?
            .f_softplus()?
            .f_clamp(self.spec.min_step, self.spec.max_step)?;
        Ok((all.f_narrow(1, 0, wide)?, all.f_narrow(1, wide, channels)?, step))
    }

    /// `mixed` are x, B and C after the convolution, `step` is Δ.
    fn inputs(&self, mixed: &Tensor, step: &Tensor) -> Result<Inputs, TchError> {
        let MambaSpec { heads, head_dim, groups, state, .. } = self.spec;
        let part = |start: i64, count: i64, size: i64| {
            let part = mixed.f_narrow(1, start, count * size)?.f_to_kind(STATE_KIND)?;
            part.f_reshape([-1, count, size])
        };
        let (x, wide) = (part(0, heads, head_dim)?, self.spec.wide());
        Ok(Inputs {
            values: x.f_mul(&step.f_unsqueeze(2)?)?,
            x,
            keys: part(wide, groups, state)?,
            queries: part(wide + groups * state, groups, state)?,
            log_decay: step.f_mul(&self.rate)?,
        })
    }

    /// D·x, the gate and the norm of each group, and the output projection. `read` and `x` are tokens × heads × head dimension.
    fn finish(&self, read: Tensor, x: &Tensor, z: &Tensor) -> Result<Tensor, TchError> {
        let (wide, groups) = (self.spec.wide(), self.spec.groups);
        let mixed = read.f_add(&x.f_mul(&self.skip)?)?.f_flatten(1, 2)?;
        let gate = z.f_to_kind(Kind::Float)?.f_silu()?;
        let normed = |x: &Tensor, weight: &Tensor| -> Result<Tensor, TchError> {
            let by_group = x.f_view([-1, groups, wide / groups])?;
            let normed = by_group.f_rms_norm([wide / groups], None::<&Tensor>, self.epsilon)?;
            normed.f_flatten(1, 2)?.f_mul(weight)
        };
        let scaled = match &self.norm {
            None => mixed.f_mul(&gate)?,
            Some(weight) if self.spec.norm == MambaNorm::BeforeGate => {
                normed(&mixed, weight)?.f_mul(&gate)?
            }
            Some(weight) => normed(&mixed.f_mul(&gate)?, weight)?,
        };
        self.output.forward(&scaled.f_to_kind(z.kind())?)
    }
}

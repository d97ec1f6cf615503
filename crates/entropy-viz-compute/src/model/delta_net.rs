//! Gated DeltaNet, the linear attention of Qwen3-Next and Qwen3.5: a causal convolution over queries, keys and values, the gated
//! delta rule, and a gated norm.

use tch::{Kind, TchError, Tensor};

use super::conv::{CausalConv, ConvPlan, with_zeros};
use super::delta_rule::{self, Inputs};
use super::layer::Linear;
use super::mixer_spec::{DeltaInputs, DeltaSpec};
use super::recurrent::RecurrentState;
use super::scan::ScanPlan;
use super::spec::Spec;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The module of one layer.
pub(super) struct DeltaNet {
    /// Queries, keys, values, output gates z, β before its σ, and decays before their softplus.
    input: Linear,
    conv: CausalConv,
    /// −e^`A_log`, by head of values, f32.
    rate: Tensor,
    /// Added to the decays before their softplus, f32.
    decay_bias: Tensor,
    norm: Tensor,
    epsilon: f64,
    output: Linear,
    spec: DeltaSpec,
}

/// What the inputs of a layer are made into.
struct Projected {
    qkv: Tensor,
    z: Tensor,
    beta: Tensor,
    log_decay: Tensor,
}

impl DeltaNet {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        delta: DeltaSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<DeltaNet> {
        let exact = TensorOptions { kind: Kind::Float, ..options };
        let per_head = [delta.value_heads];
        let input = match delta.inputs {
            DeltaInputs::Separate => separate_inputs(weights, at, delta, spec.hidden, options)?,
            DeltaInputs::ByKeyHead => inputs_by_key_head(weights, at, delta, spec.hidden, options)?,
        };
        let size = (delta.channels(), delta.kernel);
        let activation = Some(spec.activation);
        let output = [(format!("{at}.out_proj"), spec.hidden)];
        Ok(DeltaNet {
            input,
            conv: CausalConv::load(
                weights,
                &format!("{at}.conv1d"),
                size,
                false,
                activation,
                options,
            )?,
            rate: weights.take(&format!("{at}.A_log"), &per_head, exact)?.f_exp()?.f_neg()?,
            decay_bias: weights.take(&format!("{at}.dt_bias"), &per_head, exact)?,
            norm: weights.take(&format!("{at}.norm.weight"), &[delta.value_dim], options)?,
            epsilon: spec.epsilon,
            output: Linear::load(weights, &output, delta.values(), false, options)?,
            spec: delta,
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
        let Projected { qkv, z, beta, log_decay } = self.project(x)?;
        let before = with_zeros(&qkv)?;
        drop(qkv);
        let inputs = Inputs {
            qkv: self.conv.forward(&before, conv)?,
            beta: with_zeros(&beta)?,
            log_decay: with_zeros(&log_decay)?,
        };
        let mixed = match cache {
            None => delta_rule::scan(self.spec, &inputs, scan, &mut |_, _| Ok(()))?,
            Some((cache, slots)) => {
                let device = x.device();
                let all = Tensor::f_from_slice(slots)?.f_to_device(device)?;
                let _ = cache.tail.f_index_copy_(0, &all, &self.conv.tails(&before, conv)?)?;
                delta_rule::scan(self.spec, &inputs, scan, &mut |ended, states| {
                    let ended: Vec<i64> = ended.iter().map(|sequence| slots[*sequence]).collect();
                    let ended = Tensor::f_from_slice(&ended)?.f_to_device(device)?;
                    cache.state.f_index_copy_(0, &ended, states).map(|_| ())
                })?
            }
        };
        self.finish(mixed, &z)
    }

    /// Runs one new token per sequence, in the first slots; `x` and the result are sequences × hidden.
    pub(super) fn step(&self, x: &Tensor, cache: &mut RecurrentState) -> Result<Tensor, TchError> {
        let sequences = x.size()[0];
        let Projected { qkv, z, beta, log_decay } = self.project(x)?;
        let mut tail = cache.tail.f_narrow(0, 0, sequences)?;
        let qkv = self.conv.step(&qkv, &mut tail)?;
        let mut state = cache.state.f_narrow(0, 0, sequences)?;
        let mixed = delta_rule::step(self.spec, &Inputs { qkv, beta, log_decay }, &mut state)?;
        self.finish(mixed, &z)
    }

    fn project(&self, x: &Tensor) -> Result<Projected, TchError> {
        let (channels, values, heads) =
            (self.spec.channels(), self.spec.values(), self.spec.value_heads);
        let all = self.input.forward(x)?;
        let rest = all.f_narrow(1, channels + values, 2 * heads)?;
        let decay = rest.f_narrow(1, heads, heads)?.f_to_kind(Kind::Float)?;
        Ok(Projected {
            qkv: all.f_narrow(1, 0, channels)?,
            z: all.f_narrow(1, channels, values)?.f_reshape([-1, heads, self.spec.value_dim])?,
            beta: rest.f_narrow(1, 0, heads)?.f_sigmoid()?.f_to_kind(Kind::Float)?,
            log_decay: decay.f_add(&self.decay_bias)?.f_softplus()?.f_mul_(&self.rate)?,
        })
    }

    /// The gated norm of each head, and the output projection. `mixed` and `z` are tokens × heads × value dimension.
    fn finish(&self, mixed: Tensor, z: &Tensor) -> Result<Tensor, TchError> {
        let kind = z.kind();
        // In 16 bits, rounded where transformers rounds.
        let rounded = mixed.f_to_kind(kind)?.f_to_kind(Kind::Float)?;
        let normed = rounded
            .f_rms_norm([self.spec.value_dim], None::<&Tensor>, self.epsilon)?
            .f_to_kind(kind)?;
        let gate = z.f_to_kind(Kind::Float)?.f_silu()?;
        let gated =
            normed.f_mul(&self.norm)?.f_to_kind(Kind::Float)?.f_mul_(&gate)?.f_to_kind(kind)?;
        self.output.forward(&gated.f_flatten(1, 2)?)
    }
}

fn separate_inputs(
    weights: &mut Weights,
    at: &str,
    delta: DeltaSpec,
    hidden: i64,
    options: TensorOptions,
) -> anyhow::Result<Linear> {
    let modules = [
        ("qkv", delta.channels()),
        ("z", delta.values()),
        ("b", delta.value_heads),
        ("a", delta.value_heads),
    ]
    .map(|(name, rows)| (format!("{at}.in_proj_{name}"), rows));
    Linear::load(weights, &modules, hidden, false, options)
}

/// Loads tensors whose rows are those of the first key head, then those of the second, and so on, and orders the rows as in
/// [`separate_inputs`].
fn inputs_by_key_head(
    weights: &mut Weights,
    at: &str,
    delta: DeltaSpec,
    hidden: i64,
    options: TensorOptions,
) -> anyhow::Result<Linear> {
    let DeltaSpec { key_heads, value_heads, key_dim, value_dim, .. } = delta;
    let shared = value_heads / key_heads;
    let mut split = |name: &str, sizes: &[i64]| -> anyhow::Result<Vec<Tensor>> {
        let per_head = sizes.iter().sum::<i64>();
        let name = format!("{at}.{name}.weight");
        let all = weights.take(&name, &[key_heads * per_head, hidden], options)?;
        let by_head = all.f_view([key_heads, per_head, hidden])?;
        let part = |part: Tensor| Ok(part.f_reshape([-1, hidden])?);
        by_head.f_split_with_sizes(sizes, 1)?.into_iter().map(part).collect()
    };
    let mut parts =
        split("in_proj_qkvz", &[key_dim, key_dim, shared * value_dim, shared * value_dim])?;
    parts.extend(split("in_proj_ba", &[shared, shared])?);
    Ok(Linear::of(Tensor::f_cat(&parts, 0)?, None))
}

//! The small parts of a layer: linear maps, norms, the gated feed-forward.

use tch::{Kind, TchError, Tensor};

use super::decoder::{PRECISE, Spec};
use crate::checkpoint::weights::{Place, Weights};

/// y = x·Wᵀ + b.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn of(weight: Tensor, bias: Option<Tensor>) -> Linear {
        Linear { weight, bias }
    }

    /// Reads modules of the given numbers of rows as one map.
    pub(super) fn load(
        weights: &mut Weights,
        modules: &[(String, i64)],
        columns: i64,
        bias: bool,
        place: Place,
    ) -> anyhow::Result<Linear> {
        let named = |what: &str| {
            modules.iter().map(|(name, rows)| (format!("{name}.{what}"), *rows)).collect::<Vec<_>>()
        };
        let weight = weights.stack(&named("weight"), &[columns], place)?;
        let bias = if bias { Some(weights.stack(&named("bias"), &[], place)?) } else { None };
        Ok(Linear { weight, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        #[cfg(target_arch = "x86_64")]
        if let Some(mut product) = super::skinny::product(x, &self.weight)? {
            return match &self.bias {
                Some(bias) => product.f_add_(bias),
                None => Ok(product),
            };
        }
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}

/// What a norm's weight is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NormKind {
    /// The factor.
    Plain,
    /// The factor less 1, as in Gemma.
    LessOne,
}

/// Root-mean-square norm.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Tensor,
    size: i64,
    epsilon: f64,
    kind: NormKind,
}

impl Norm {
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        size: i64,
        spec: &Spec,
        place: Place,
    ) -> anyhow::Result<Norm> {
        let weight = match spec.norm {
            NormKind::Plain => weights.take(name, &[size], place)?,
            // Rounded to bfloat16, 1 + w would lose most of w.
            NormKind::LessOne => {
                weights.take(name, &[size], Place { kind: PRECISE, ..place })?.f_add_scalar(1.0)?
            }
        };
        Ok(Norm { weight, size, epsilon: spec.epsilon, kind: spec.norm })
    }

    /// Norms the last dimension.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self.kind {
            NormKind::Plain => x.f_rms_norm([self.size], Some(&self.weight), self.epsilon),
            NormKind::LessOne => {
                let precise = x.f_to_kind(PRECISE)?;
                precise
                    .f_rms_norm([self.size], Some(&self.weight), self.epsilon)?
                    .f_to_kind(x.kind())
            }
        }
    }
}

/// What stands between the two maps of the feed-forward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
}

impl Activation {
    /// activation(gate)·up, of gate and up side by side.
    pub(super) fn gated(self, both: &Tensor) -> Result<Tensor, TchError> {
        let width = both.size()[1] / 2;
        let (gate, up) = (both.f_narrow(1, 0, width)?, both.f_narrow(1, width, width)?);
        let mut gate = match self {
            Activation::Silu => gate.f_silu()?,
            Activation::Gelu => gate.f_gelu("none")?,
            Activation::GeluTanh => gate.f_gelu("tanh")?,
        };
        gate.f_mul_(&up)
    }
}

/// Tokens that go through the feed-forward at once: more are no faster and take memory.
const MOST_TOKENS: i64 = 4096;

/// Gated feed-forward: W_down·(activation(W_gate·x) ⊙ W_up·x).
#[derive(Debug)]
pub(super) struct Feed {
    gate_up: Linear,
    down: Linear,
    activation: Activation,
}

impl Feed {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        spec: &Spec,
        place: Place,
    ) -> anyhow::Result<Feed> {
        let (wide, bias) = (spec.intermediate, spec.feed_bias);
        let gate_up = match spec.fused_feed {
            true => vec![(format!("{at}.gate_up_proj"), 2 * wide)],
            false => vec![(format!("{at}.gate_proj"), wide), (format!("{at}.up_proj"), wide)],
        };
        let down = [(format!("{at}.down_proj"), spec.hidden)];
        Ok(Feed {
            gate_up: Linear::load(weights, &gate_up, spec.hidden, bias, place)?,
            down: Linear::load(weights, &down, wide, bias, place)?,
            activation: spec.activation,
        })
    }

    /// `x` is tokens × hidden.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let once =
            |x: &Tensor| self.down.forward(&self.activation.gated(&self.gate_up.forward(x)?)?);
        if x.size()[0] <= MOST_TOKENS {
            return once(x);
        }
        let parts = x.f_split(MOST_TOKENS, 0)?.iter().map(once).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&parts, 0)
    }
}

/// A tensor's numbers as f32.
pub(super) fn precise(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_to_kind(Kind::Float)
}

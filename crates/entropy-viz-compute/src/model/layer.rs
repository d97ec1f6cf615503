//! The basic modules of a layer: linear, RMS norm, gated MLP.

use tch::{Kind, TchError, Tensor};

use super::spec::{Activation, MlpKind, MlpScales, NormKind, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The number type in which norms with a unit offset are computed.
const NORM_KIND: Kind = Kind::Float;

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

    /// Loads several modules (name, outputs) with the same input as one; W has `columns` columns.
    pub(super) fn load(
        weights: &mut Weights,
        modules: &[(String, i64)],
        columns: i64,
        bias: bool,
        options: TensorOptions,
    ) -> anyhow::Result<Linear> {
        let named = |what: &str| {
            modules.iter().map(|(name, rows)| (format!("{name}.{what}"), *rows)).collect::<Vec<_>>()
        };
        let weight = weights.stack(&named("weight"), &[columns], options)?;
        let bias = if bias { Some(weights.stack(&named("bias"), &[], options)?) } else { None };
        Ok(Linear { weight, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        #[cfg(target_arch = "x86_64")]
        if let Some(mut product) = super::decode_matmul::matmul(x, &self.weight)? {
            return match &self.bias {
                Some(bias) => product.f_add_(bias),
                None => Ok(product),
            };
        }
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}

/// Root mean square norm.
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
        options: TensorOptions,
    ) -> anyhow::Result<Norm> {
        let weight = match spec.norm {
            NormKind::Plain => weights.take(name, &[size], options)?,
            // In bfloat16, 1 + w would lose most bits of w.
            NormKind::UnitOffset => weights
                .take(name, &[size], TensorOptions { kind: NORM_KIND, ..options })?
                .f_add_scalar(1.0)?,
        };
        Ok(Norm { weight, size, epsilon: spec.epsilon, kind: spec.norm })
    }

    /// Normalises the last dimension.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self.kind {
            NormKind::Plain => x.f_rms_norm([self.size], Some(&self.weight), self.epsilon),
            NormKind::UnitOffset => {
                let x32 = x.f_to_kind(NORM_KIND)?;
                x32.f_rms_norm([self.size], Some(&self.weight), self.epsilon)?.f_to_kind(x.kind())
            }
        }
    }
}

impl Activation {
    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Activation::Silu => x.f_silu(),
            Activation::Gelu => x.f_gelu("none"),
            Activation::GeluTanh => x.f_gelu("tanh"),
            Activation::SquaredRelu => x.f_relu()?.f_square_(),
        }
    }

    /// activation(gate) ⊙ up; `both` has the columns of gate followed by those of up.
    pub(super) fn gated(self, both: &Tensor) -> Result<Tensor, TchError> {
        let width = both.size()[1] / 2;
        let (gate, up) = (both.f_narrow(1, 0, width)?, both.f_narrow(1, width, width)?);
        self.apply(&gate)?.f_mul_(&up)
    }
}

/// Maximum tokens per MLP call: more would need more memory without being faster.
const MLP_CHUNK: i64 = 4096;

/// Gated MLP, W_down·(activation(W_gate·x) ⊙ W_up·x), or plain MLP, W_down·activation(W_up·x).
#[derive(Debug)]
pub(super) struct Mlp {
    /// Gate and up, or only up.
    up: Linear,
    down: Linear,
    activation: Activation,
    kind: MlpKind,
    scales: Option<MlpScales>,
}

impl Mlp {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        wide: i64,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Mlp> {
        let bias = spec.mlp_bias;
        let up = match spec.mlp {
            MlpKind::Gated => {
                vec![(format!("{at}.gate_proj"), wide), (format!("{at}.up_proj"), wide)]
            }
            MlpKind::GatedInOne => vec![(format!("{at}.gate_up_proj"), 2 * wide)],
            MlpKind::Plain => vec![(format!("{at}.up_proj"), wide)],
        };
        let down = [(format!("{at}.down_proj"), spec.hidden)];
        Ok(Mlp {
            up: Linear::load(weights, &up, spec.hidden, bias, options)?,
            down: Linear::load(weights, &down, wide, bias, options)?,
            activation: spec.activation,
            kind: spec.mlp,
            scales: spec.mlp_scales,
        })
    }

    /// `x` and the result are tokens × hidden.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let once = |x: &Tensor| {
            let up = self.up.forward(x)?;
            if let Some(MlpScales { gate, down }) = self.scales {
                let wide = up.size()[1] / 2;
                let _ = up.f_narrow(1, 0, wide)?.f_mul_scalar_(gate)?;
                return self.down.forward(&self.activation.gated(&up)?)?.f_mul_scalar(down);
            }
            self.down.forward(&match self.kind {
                MlpKind::Gated | MlpKind::GatedInOne => self.activation.gated(&up)?,
                MlpKind::Plain => self.activation.apply(&up)?,
            })
        };
        if x.size()[0] <= MLP_CHUNK {
            return once(x);
        }
        let parts = x.f_split(MLP_CHUNK, 0)?.iter().map(once).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&parts, 0)
    }
}

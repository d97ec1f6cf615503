//! The settings of an MLP, and activation functions by their names in config.json.

use anyhow::bail;
use tch::{TchError, Tensor};

use crate::checkpoint::config::Config;

/// The linear modules of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MlpKind {
    /// Gate, up and down.
    Gated,
    /// Gated, with gate and up in one tensor, `gate_up_proj`.
    GatedInOne,
    /// Up, the activation, and down.
    Plain,
}

impl MlpKind {
    /// How many matrices the input is multiplied by.
    pub(super) fn ups(self) -> i64 {
        match self {
            MlpKind::Gated | MlpKind::GatedInOne => 2,
            MlpKind::Plain => 1,
        }
    }

    /// Names of all experts' matrices as transformers 5 may save them: gate and up, or only up, and down.
    pub(super) fn fused_experts(self) -> [&'static str; 2] {
        match self {
            MlpKind::Gated | MlpKind::GatedInOne => ["gate_up_proj", "down_proj"],
            MlpKind::Plain => ["up_proj", "down_proj"],
        }
    }
}

/// Factors of the gate before its activation, and of the result of an MLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MlpScales {
    pub(crate) gate: f64,
    pub(crate) down: f64,
}

/// The activation function of the MLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
    /// max(x, 0)².
    SquaredRelu,
    /// x·σ(alpha·x), with x at most `limit`. What a gate multiplies is limited to ±`limit`, and 1 is added to it.
    Clamped {
        alpha: f64,
        limit: f64,
    },
}

impl Activation {
    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Activation::Silu => x.f_silu(),
            Activation::Gelu => x.f_gelu("none"),
            Activation::GeluTanh => x.f_gelu("tanh"),
            Activation::Relu => x.f_relu(),
            Activation::SquaredRelu => x.f_relu()?.f_square_(),
            Activation::Clamped { alpha, limit } => {
                let x = x.f_clamp_max(limit)?;
                x.f_mul(&x.f_mul_scalar(alpha)?.f_sigmoid()?)
            }
        }
    }

    /// The inner numbers of an MLP: activation(gate) ⊙ up, where `wide` has the columns of gate followed by those of
    /// up; without a gate, activation(wide).
    pub(super) fn inner(self, kind: MlpKind, wide: &Tensor) -> Result<Tensor, TchError> {
        if kind == MlpKind::Plain {
            return self.apply(wide);
        }
        let width = wide.size()[1] / 2;
        let (gate, up) = (wide.f_narrow(1, 0, width)?, wide.f_narrow(1, width, width)?);
        let up = match self {
            Activation::Clamped { limit, .. } => up.f_clamp(-limit, limit)?.f_add_scalar(1.0)?,
            _ => up,
        };
        self.apply(&gate)?.f_mul_(&up)
    }
}

/// The activation function under `key` of config.json, by default SiLU.
pub(super) fn activation(config: &Config, key: &str) -> anyhow::Result<Activation> {
    activation_or(config, key, Activation::Silu)
}

/// The activation function under `key` of config.json.
pub(super) fn activation_or(
    config: &Config,
    key: &str,
    default: Activation,
) -> anyhow::Result<Activation> {
    if config.get(key).is_none() {
        return Ok(default);
    }
    Ok(match config.string(key)? {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        // They differ in rounding only.
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        "relu2" => Activation::SquaredRelu,
        other => bail!(
            "{}: {key} {other:?} is not supported; silu, gelu, gelu_pytorch_tanh, gelu_new, gelu_fast, relu and relu2 are",
            config.path().display()
        ),
    })
}

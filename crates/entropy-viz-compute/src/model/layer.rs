//! The basic modules of a layer: linear, norm, MLP.

use tch::{Kind, TchError, Tensor};

use super::low_rank::LowRank;
use super::matrix::{Matrix, arrange};
use super::sparse_gate;
use super::spec::{Activation, MlpKind, MlpScales, NormKind, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The number type in which some norms are computed.
const NORM_KIND: Kind = Kind::Float;

/// y = x·Wᵀ + b.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
    /// What an adapter adds, if W is shared.
    change: Option<Box<LowRank>>,
}

impl Linear {
    /// Takes the memory of `weight`; see [`Matrix::new`].
    pub(super) fn of(weight: Tensor, bias: Option<Tensor>) -> Result<Linear, TchError> {
        Ok(Linear::arranged(arrange(weight)?, bias))
    }

    /// Of a weight after [`arrange`].
    pub(super) fn arranged(weight: Tensor, bias: Option<Tensor>) -> Linear {
        Linear { weight: Matrix::arranged(weight), bias, change: None }
    }

    pub(super) fn with_bias(self, bias: Tensor) -> Linear {
        Linear { bias: Some(bias), ..self }
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
        let parts = named("weight");
        let change = LowRank::load(weights, &parts, columns, options)?.map(Box::new);
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let weight = weights.shared(&names, options.kind, |weights| {
            Ok(arrange(weights.stack(&parts, &[columns], options)?)?)
        })?;
        let bias = if bias { Some(weights.stack(&named("bias"), &[], options)?) } else { None };
        Ok(Linear { change, ..Linear::arranged(weight, bias) })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let products = self.weight.product(x, self.bias.as_ref())?;
        if let Some(change) = &self.change {
            change.add(x, &products)?;
        }
        Ok(products)
    }

    /// Rows of W, which no adapter may change; see [`Matrix::rows`].
    pub(super) fn weight_rows(&self, indices: &[i64]) -> Result<Tensor, TchError> {
        self.weight.rows(indices)
    }
}

/// Root mean square norm or layer norm.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Tensor,
    bias: Option<Tensor>,
    size: i64,
    epsilon: f64,
    kind: NormKind,
}

impl Norm {
    /// Loads the weight of this name, and the bias of the same module if this kind of norm has one.
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        size: i64,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Norm> {
        let weight = match spec.norm {
            NormKind::Plain | NormKind::Layer | NormKind::LayerWithBias => {
                weights.take(name, &[size], options)?
            }
            NormKind::LayerUnitOffset => weights.take(name, &[size], options)?.f_add_scalar(1.0)?,
            // In bfloat16, 1 + w would lose most bits of w.
            NormKind::UnitOffset => weights
                .take(name, &[size], TensorOptions { kind: NORM_KIND, ..options })?
                .f_add_scalar(1.0)?,
        };
        let bias = match spec.norm {
            NormKind::LayerWithBias | NormKind::LayerUnitOffset => {
                let module = name.strip_suffix(".weight").unwrap_or(name);
                Some(weights.take(&format!("{module}.bias"), &[size], options)?)
            }
            NormKind::Plain | NormKind::UnitOffset | NormKind::Layer => None,
        };
        Ok(Norm { weight, bias, size, epsilon: spec.epsilon, kind: spec.norm })
    }

    /// Loads a layer norm of heads with weights of their own, heads × size.
    pub(super) fn load_of_heads(
        weights: &mut Weights,
        name: &str,
        [heads, size]: [i64; 2],
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Norm> {
        let kind = NormKind::Layer;
        let weight = weights.take(name, &[heads, size], options)?;
        Ok(Norm { weight, bias: None, size, epsilon: spec.epsilon, kind })
    }

    /// A norm whose weights are all 1.
    pub(super) fn without_weights(
        size: i64,
        spec: &Spec,
        options: TensorOptions,
    ) -> Result<Norm, TchError> {
        let weight = Tensor::f_ones([size], (options.kind, options.device))?;
        Ok(Norm { weight, bias: None, size, epsilon: spec.epsilon, kind: NormKind::Plain })
    }

    pub(super) fn with_epsilon(self, epsilon: f64) -> Norm {
        Norm { epsilon, ..self }
    }

    /// Normalises the last dimension.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self.kind {
            NormKind::Plain => x.f_rms_norm([self.size], Some(&self.weight), self.epsilon),
            NormKind::UnitOffset => {
                let x32 = x.f_to_kind(NORM_KIND)?;
                x32.f_rms_norm([self.size], Some(&self.weight), self.epsilon)?.f_to_kind(x.kind())
            }
            // Heads with weights of their own.
            NormKind::Layer if self.weight.dim() == 2 => {
                let normed = x.f_to_kind(NORM_KIND)?.f_layer_norm(
                    [self.size],
                    None::<&Tensor>,
                    None::<&Tensor>,
                    self.epsilon,
                    false,
                )?;
                normed.f_mul(&self.weight.f_to_kind(NORM_KIND)?)?.f_to_kind(x.kind())
            }
            NormKind::Layer | NormKind::LayerWithBias | NormKind::LayerUnitOffset => {
                let (weight, bias) = (Some(&self.weight), self.bias.as_ref());
                x.f_layer_norm([self.size], weight, bias, self.epsilon, false)
            }
        }
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
    /// See [`sparse_gate::cutoff`].
    gate_cutoff: Option<f64>,
}

impl Mlp {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        wide: i64,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Mlp> {
        let (bias, names) = (spec.mlp_bias, spec.mlp_names);
        let up = match spec.mlp {
            MlpKind::Gated => {
                vec![(format!("{at}.{}", names.gate), wide), (format!("{at}.{}", names.up), wide)]
            }
            MlpKind::GatedInOne => vec![(format!("{at}.gate_up_proj"), 2 * wide)],
            MlpKind::Plain => vec![(format!("{at}.{}", names.up), wide)],
        };
        let down = [(format!("{at}.{}", names.down), spec.hidden)];
        Ok(Mlp {
            up: Linear::load(weights, &up, spec.hidden, bias, options)?,
            down: Linear::load(weights, &down, wide, bias, options)?,
            activation: spec.activation,
            kind: spec.mlp,
            scales: spec.mlp_scales,
            gate_cutoff: spec.gate_cutoff,
        })
    }

    /// `x` and the result are tokens × hidden.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let once = |x: &Tensor| {
            let up = self.up.forward(x)?;
            if let Some(cutoff) = self.gate_cutoff {
                sparse_gate::lower(&up.f_narrow(1, 0, up.size()[1] / 2)?, cutoff)?;
            }
            let Some(MlpScales { gate, down }) = self.scales else {
                return self.down.forward(&self.activation.inner(self.kind, &up)?);
            };
            let wide = up.size()[1] / 2;
            let _ = up.f_narrow(1, 0, wide)?.f_mul_scalar_(gate)?;
            self.down.forward(&self.activation.inner(self.kind, &up)?)?.f_mul_scalar(down)
        };
        if x.size()[0] <= MLP_CHUNK {
            return once(x);
        }
        let parts = x.f_split(MLP_CHUNK, 0)?.iter().map(once).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&parts, 0)
    }
}

//! Alternating updates (AltUp, Baykal et al. 2023) and learned augmented residual layers (LAuReL), as in Gemma 3n.
//!
//! Each token has several hidden states. A layer predicts all of them by a linear map of them, runs attention and feed-forward on one,
//! the active one, and corrects all by the difference between its result and the prediction. Hidden states of tokens are
//! tokens × states × hidden.

use tch::{Kind, TchError, Tensor};

use super::layer::{Linear, Norm};
use super::layer_settings::{AltUpScale, AltUpSpec};
use super::spec::Spec;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// Minimum of a mean square by which states are divided.
const MIN_SQUARE: f64 = 1e-5;

/// From embeddings to several states of each token, and back.
pub(super) struct AltUpEnds {
    first: Vec<Linear>,
    last: Vec<Linear>,
}

/// The modules of one layer.
pub(super) struct AltUp {
    prediction: Linear,
    correction: Linear,
    router: Linear,
    router_norm: Norm,
    router_factor: f64,
    /// Factors of the corrected active state before it meets the layer's own input.
    output_scale: Option<Tensor>,
    states: i64,
    active: i64,
}

/// A path of low rank beside attention.
pub(super) struct Laurel {
    left: Linear,
    right: Linear,
    norm: Norm,
}

/// The states of tokens × 1 × hidden, each with the root mean square of `like`, which has the same shape.
fn with_magnitude(states: &Tensor, like: &Tensor) -> Result<Tensor, TchError> {
    let square = |x: &Tensor| x.f_square()?.f_mean_dim(-1, true, None::<Kind>);
    let magnitude = square(states)?.f_clamp_min(MIN_SQUARE)?.f_sqrt()?;
    states.f_mul(&square(like)?.f_sqrt()?)?.f_div(&magnitude)
}

impl AltUpEnds {
    pub(super) fn load(
        weights: &mut Weights,
        sizes: AltUpSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<AltUpEnds> {
        let mut all = |name: &str| {
            let one = |i: i64| {
                let module = [(format!("model.{name}.{i}"), spec.hidden)];
                Linear::load(weights, &module, spec.hidden, false, options)
            };
            (0..sizes.states - 1).map(one).collect::<anyhow::Result<Vec<_>>>()
        };
        Ok(AltUpEnds { first: all("altup_projections")?, last: all("altup_unembed_projections")? })
    }

    /// The states of tokens with these embeddings, tokens × hidden.
    pub(super) fn expand(&self, embedded: &Tensor) -> Result<Tensor, TchError> {
        let mut states = vec![embedded.shallow_clone()];
        for projection in &self.first {
            states.push(with_magnitude(&projection.forward(embedded)?, embedded)?);
        }
        Tensor::f_stack(&states, 1)
    }

    /// One state of each token, tokens × hidden.
    pub(super) fn merge(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let first = hidden.f_select(1, 0)?;
        let mut states = vec![first.shallow_clone()];
        for (i, projection) in (1..).zip(&self.last) {
            let state = projection.forward(&hidden.f_select(1, i)?.f_contiguous()?)?;
            states.push(with_magnitude(&state, &first)?);
        }
        Tensor::f_stack(&states, 1)?.f_mean_dim(1, false, None::<Kind>)
    }
}

impl AltUp {
    /// Loads the modules of a layer; `at` gives the full name of a module of the layer.
    pub(super) fn load(
        weights: &mut Weights,
        at: impl Fn(&str) -> String,
        sizes: AltUpSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<AltUp> {
        let AltUpSpec { states, active, scale, .. } = sizes;
        let mut linear = |name: &str, rows, columns| {
            Linear::load(weights, &[(at(&format!("altup.{name}")), rows)], columns, false, options)
        };
        let prediction = linear("prediction_coefs", states * states, states)?;
        let correction = linear("correction_coefs", states, states)?;
        let router = linear("modality_router", states, spec.hidden)?;
        let name = at("altup.router_norm.weight");
        let router_norm = Norm::load(weights, &name, spec.hidden, spec, options)?;
        // It is stored whether it is used or not.
        let stored = weights.take(&at("altup.correct_output_scale"), &[spec.hidden], options)?;
        let output_scale = match scale {
            AltUpScale::Stored => Some(stored),
            AltUpScale::None => None,
        };
        Ok(AltUp {
            prediction,
            correction,
            router,
            router_norm,
            router_factor: (spec.hidden as f64).recip(),
            output_scale,
            states,
            active,
        })
    }

    /// Numbers between −1 and 1 for a state of each token, tokens × states.
    fn route(&self, state: &Tensor) -> Result<Tensor, TchError> {
        let input = self.router_norm.forward(state)?.f_mul_scalar(self.router_factor)?;
        self.router.forward(&input)?.f_to_kind(Kind::Float)?.f_tanh()?.f_to_kind(state.kind())
    }

    /// The active state of each token, tokens × hidden.
    pub(super) fn active(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        hidden.f_select(1, self.active)?.f_contiguous()
    }

    /// Predicts the states after the layer from those before it.
    pub(super) fn predict(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let factors = self.prediction.forward(&self.route(&self.active(hidden)?)?)?;
        factors.f_view([-1, self.states, self.states])?.f_matmul(hidden)?.f_add(hidden)
    }

    /// Corrects predicted states by what attention and feed-forward made of the active one, tokens × hidden.
    pub(super) fn correct(&self, predicted: &Tensor, active: &Tensor) -> Result<Tensor, TchError> {
        let factors = self.correction.forward(&self.route(active)?)?.f_add_scalar(1.0)?;
        let change = active.f_sub(&self.active(predicted)?)?.f_unsqueeze(1)?;
        change.f_mul(&factors.f_unsqueeze(2)?)?.f_add(predicted)
    }

    /// The active state that meets the layer's own input, tokens × hidden.
    pub(super) fn for_input(&self, corrected: &Tensor) -> Result<Tensor, TchError> {
        let active = self.active(corrected)?;
        match &self.output_scale {
            Some(scale) => active.f_mul(scale),
            None => Ok(active),
        }
    }

    /// Adds `input`, tokens × hidden, to all states but the first.
    pub(super) fn add_input(&self, corrected: Tensor, input: &Tensor) -> Result<Tensor, TchError> {
        let _ = corrected.f_narrow(1, 1, self.states - 1)?.f_add_(&input.f_unsqueeze(1)?)?;
        Ok(corrected)
    }
}

impl Laurel {
    /// Loads the modules of a layer; `at` gives the full name of a module of the layer.
    pub(super) fn load(
        weights: &mut Weights,
        at: impl Fn(&str) -> String,
        rank: i64,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Laurel> {
        let mut linear = |name: &str, rows, columns| {
            Linear::load(weights, &[(at(&format!("laurel.{name}")), rows)], columns, false, options)
        };
        let left = linear("linear_left", rank, spec.hidden)?;
        let right = linear("linear_right", spec.hidden, rank)?;
        let name = at("laurel.post_laurel_norm.weight");
        Ok(Laurel { left, right, norm: Norm::load(weights, &name, spec.hidden, spec, options)? })
    }

    /// The residual after attention, whose input was `normed`; all are tokens × hidden.
    pub(super) fn add(&self, attended: &Tensor, normed: &Tensor) -> Result<Tensor, TchError> {
        let low_rank = self.right.forward(&self.left.forward(normed)?)?;
        let beside = normed.f_add(&self.norm.forward(&low_rank)?)?;
        attended.f_add(&beside)?.f_div_scalar(2f64.sqrt())
    }
}

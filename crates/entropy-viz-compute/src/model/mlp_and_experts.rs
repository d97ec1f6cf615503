//! An MLP and a mixture of experts beside each other, as in Gemma 4: both take the residual, with norms of their own, and their
//! outputs are added.

use tch::{TchError, Tensor};

use super::layer::{Mlp, Norm};
use super::moe::Experts;
use super::spec::{ExpertSpec, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The MLP and the experts of one layer.
pub(super) struct MlpAndExperts {
    mlp: Mlp,
    after_mlp: Norm,
    before_experts: Norm,
    experts: Experts,
    after_experts: Norm,
    router_norm: Norm,
    /// Factors of the router's input, one for each number of a hidden state.
    router_scale: Tensor,
    /// A further factor of all of them.
    router_factor: f64,
    /// Factors of the weights of the experts, in f32.
    expert_scales: Tensor,
}

impl MlpAndExperts {
    /// Loads the modules of a layer; `at` gives the full name of a module of the layer.
    pub(super) fn load(
        weights: &mut Weights,
        at: impl Fn(&str) -> String,
        experts: &ExpertSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<MlpAndExperts> {
        let hidden = spec.hidden;
        let norm = |weights: &mut Weights, name: &str| {
            Norm::load(weights, &at(&format!("{name}.weight")), hidden, spec, options)
        };
        // Router and experts are modules of the layer itself.
        let layer = at("");
        let layer = layer.trim_end_matches('.');
        let single = TensorOptions { kind: tch::Kind::Float, ..options };
        Ok(MlpAndExperts {
            mlp: Mlp::load(weights, &at(spec.mlp_names.module), spec.intermediate, spec, options)?,
            after_mlp: norm(weights, "post_feedforward_layernorm_1")?,
            before_experts: norm(weights, "pre_feedforward_layernorm_2")?,
            experts: Experts::load(weights, layer, experts, spec, options)?,
            after_experts: norm(weights, "post_feedforward_layernorm_2")?,
            router_norm: Norm::without_weights(hidden, spec, options)?,
            router_scale: weights.take(&at("router.scale"), &[hidden], options)?,
            router_factor: (hidden as f64).powf(-0.5),
            expert_scales: weights.take(
                &at("router.per_expert_scale"),
                &[experts.count],
                single,
            )?,
        })
    }

    /// The outputs of both for the residual `hidden`, which `normed` is the MLP's norm of; all are tokens × hidden.
    pub(super) fn forward(&self, hidden: &Tensor, normed: &Tensor) -> Result<Tensor, TchError> {
        let by_mlp = self.after_mlp.forward(&self.mlp.forward(normed)?)?;
        let for_router = self.router_norm.forward(hidden)?.f_mul(&self.router_scale)?;
        let for_router = for_router.f_mul_scalar(self.router_factor)?;
        let x = self.before_experts.forward(hidden)?;
        let by_experts = self.experts.forward_routed(&x, &for_router, Some(&self.expert_scales))?;
        by_mlp.f_add(&self.after_experts.forward(&by_experts)?)
    }
}

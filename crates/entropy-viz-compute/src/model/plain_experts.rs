//! The mixture of experts of Nemotron-H: plain MLPs between optional projections to a narrower width, and a shared MLP that
//! takes every token.
//!
//! The router takes σ of its scores. A learnt number is added to choose experts, in groups, but not to weigh them.

use tch::{Kind, TchError, Tensor};

use super::layer::{Linear, Mlp};
use super::spec::{Activation, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The settings of a mixture of plain experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlainExpertSpec {
    pub(crate) count: i64,
    pub(crate) experts_per_token: i64,
    pub(crate) intermediate: i64,
    /// Width of the shared MLP.
    pub(crate) shared: i64,
    /// Width of the experts' inputs and outputs, if it is not that of the model.
    pub(crate) latent: Option<i64>,
    /// Experts are chosen from the best `chosen_groups` of `groups` groups.
    pub(crate) groups: i64,
    pub(crate) chosen_groups: i64,
    /// Whether the weights of the chosen experts are scaled to sum to 1.
    pub(crate) norm_topk_prob: bool,
    /// Factor of the weights, after that.
    pub(crate) factor: f64,
    /// Which layers have experts instead of an MLP.
    pub(crate) layers: Vec<bool>,
}

/// The experts of one layer and their router.
pub(super) struct PlainExperts {
    /// f32, as in transformers.
    router: Tensor,
    /// Added to choose.
    correction: Tensor,
    up: Tensor,   // experts × intermediate × width
    down: Tensor, // experts × width × intermediate
    /// To the experts' width and back.
    latent: Option<(Linear, Linear)>,
    shared: Mlp,
    spec: PlainExpertSpec,
    activation: Activation,
}

impl PlainExperts {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        experts: &PlainExpertSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<PlainExperts> {
        let PlainExpertSpec { count, intermediate: wide, .. } = *experts;
        let exact = TensorOptions { kind: Kind::Float, ..options };
        let gate = format!("{at}.gate");
        let router = weights.take(&format!("{gate}.weight"), &[count, spec.hidden], options)?;
        let correction = format!("{gate}.e_score_correction_bias");
        let mut linear = |name: &str, inputs: i64, outputs: i64| {
            let modules = [(format!("{at}.{name}"), outputs)];
            Linear::load(weights, &modules, inputs, spec.mlp_bias, options)
        };
        let latent = match experts.latent {
            None => None,
            Some(width) => Some((
                linear("fc1_latent_proj", spec.hidden, width)?,
                linear("fc2_latent_proj", width, spec.hidden)?,
            )),
        };
        let width = experts.latent.unwrap_or(spec.hidden);
        let mut stacked = |name: &str, rows: i64, columns: i64| -> anyhow::Result<Tensor> {
            // transformers 5 may save all experts of a layer as one tensor.
            let whole = format!("{at}.experts.{name}");
            if weights.has(&whole) {
                return weights.take(&whole, &[count, rows, columns], options);
            }
            let part = |i: i64| format!("{at}.experts.{i}.{name}.weight");
            // The last one first: the number of experts is that of config.json, and may be absurd.
            weights.require(&part(count - 1))?;
            let parts: Vec<_> = (0..count).map(|i| (part(i), rows)).collect();
            Ok(weights.stack(&parts, &[columns], options)?.f_view([count, rows, columns])?)
        };
        Ok(PlainExperts {
            up: stacked("up_proj", wide, width)?,
            down: stacked("down_proj", width, wide)?,
            router: router.f_to_kind(Kind::Float)?,
            correction: weights.take(&correction, &[count], exact)?,
            latent,
            shared: Mlp::load(
                weights,
                &format!("{at}.shared_experts"),
                experts.shared,
                spec,
                options,
            )?,
            spec: experts.clone(),
            activation: spec.activation,
        })
    }

    /// `x` and the result are tokens × hidden.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (tokens, per_token) = (x.size()[0], self.spec.experts_per_token);
        let (router_weights, experts) = self.route(x)?;
        let inputs = match &self.latent {
            Some((narrow, _)) => narrow.forward(x)?,
            None => x.shallow_clone(),
        };
        // Sorted by expert, so that each has a contiguous block of tokens; then back in the token's own order.
        let experts = experts.f_reshape([-1])?;
        let order = experts.f_argsort_stable(true, 0, false)?;
        let sorted = inputs.f_index_select(0, &order.f_floor_divide_scalar(per_token)?)?;
        let counts = Vec::<i64>::try_from(experts.f_bincount::<Tensor>(None, self.spec.count)?)?;
        let mut done = Vec::new();
        let mut start = 0;
        for (expert, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let of = |x: &Tensor| x.f_get(expert as i64);
            let wide =
                sorted.f_narrow(0, start, count)?.f_linear(&of(&self.up)?, None::<Tensor>)?;
            let wide = self.activation.apply(&wide)?;
            done.push(wide.f_linear(&of(&self.down)?, None::<Tensor>)?);
            start += count;
        }
        let back = order.f_argsort(0, false)?;
        let done = Tensor::f_cat(&done, 0)?.f_index_select(0, &back)?;
        let weighted =
            done.f_view([tokens, per_token, -1])?.f_mul(&router_weights.f_unsqueeze(2)?)?;
        let sum = weighted.f_sum_dim_intlist(1, false, None::<Kind>)?.f_to_kind(x.kind())?;
        let sum = match &self.latent {
            Some((_, wide)) => wide.forward(&sum)?,
            None => sum,
        };
        sum.f_add(&self.shared.forward(x)?)
    }

    /// The weights of the chosen experts, f32, and their indices: tokens × experts per token.
    fn route(&self, x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let PlainExpertSpec { count, experts_per_token, groups, chosen_groups, .. } = self.spec;
        let scores =
            x.f_to_kind(Kind::Float)?.f_linear(&self.router, None::<Tensor>)?.f_sigmoid()?;
        let mut choice = scores.f_add(&self.correction)?;
        if chosen_groups < groups {
            let by_group = choice.f_view([-1, groups, count / groups])?;
            let (best, _) = by_group.f_topk(2, -1, true, true)?;
            let best = best.f_sum_dim_intlist(-1, false, None::<Kind>)?;
            let (_, chosen) = best.f_topk(chosen_groups, -1, true, true)?;
            let is_left_out =
                best.f_ones_like()?.f_scatter_value(1, &chosen, 0.0)?.f_to_kind(Kind::Bool)?;
            choice = by_group
                .f_masked_fill(&is_left_out.f_unsqueeze(2)?, f64::NEG_INFINITY)?
                .f_view([-1, count])?;
        }
        let (_, experts) = choice.f_topk(experts_per_token, -1, true, true)?;
        let mut weights = scores.f_gather(1, &experts, false)?;
        if self.spec.norm_topk_prob {
            let sum = weights.f_sum_dim_intlist(-1, true, None::<Kind>)?;
            weights = weights.f_div(&sum.f_add_scalar(1e-20)?)?;
        }
        Ok((weights.f_mul_scalar(self.spec.factor)?, experts))
    }
}

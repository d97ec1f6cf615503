//! Mixture of experts: a router selects a few experts (MLPs) for each token.
//!
//! Tokens are sorted by expert, so that every expert works on a contiguous block, and all blocks are multiplied at once. The
//! results are put back in the token's own order of experts before they are added, so that the sum does not depend on
//! other tokens.

use tch::{Device, Kind, TchError, Tensor};

use super::expert_weights;
use super::layer::{Linear, Mlp};
use super::matrix::MatrixStack;
use super::routing::{Precision, Scores, Weighs};
use super::spec::{Activation, ExpertBiases, ExpertSpec, MlpKind, SharedExpert, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};
use crate::torch;

/// The experts of one layer and their router.
pub(super) struct Experts {
    router: Linear,
    /// Added to the scores of the experts for the choice.
    router_bias: Option<Tensor>,
    /// An MLP that takes every token, and its gate if it has one.
    shared: Option<(Mlp, Option<Linear>)>,
    /// From the width of the model to that of the experts, and back, if they differ.
    latent: Option<[Linear; 2]>,
    /// Of all experts, gate and up, or only up.
    up: MatrixStack,
    down: MatrixStack,
    /// Of all experts, those of gate and up, experts × 2·intermediate, and of down, experts × hidden.
    biases: Option<[Tensor; 2]>,
    spec: ExpertSpec,
    kind: MlpKind,
    activation: Activation,
}

impl Experts {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        experts: &ExpertSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Experts> {
        let count = experts.count;
        let routers: Vec<String> =
            experts.names.router.iter().map(|name| format!("{at}.{name}")).collect();
        let is_stored = |name: &&String| weights.has(&format!("{name}.weight"));
        let router = routers.iter().find(is_stored).unwrap_or(&routers[0]);
        let single = TensorOptions { kind: Kind::Float, ..options };
        let router_options = match experts.routing.precision {
            Precision::Model => options,
            Precision::Single => single,
        };
        let has_biases = experts.names.biases == ExpertBiases::All;
        let router = [(router.clone(), count)];
        let router = Linear::load(weights, &router, spec.hidden, has_biases, router_options)?;
        let router_bias = match experts.routing.scores {
            Scores::Sigmoid { bias: Some(name) } => {
                Some(weights.take(&format!("{at}.{name}"), &[count], single)?)
            }
            _ => None,
        };
        let shared = match experts.shared {
            None => None,
            Some(SharedExpert { width, name, gate }) => {
                let gate = gate.map(|gate| [(format!("{at}.{gate}"), 1)]);
                let gate = gate
                    .map(|gate| Linear::load(weights, &gate, spec.hidden, false, options))
                    .transpose()?;
                let at = format!("{at}.{name}");
                Some((Mlp::load(weights, &at, width, spec, options)?, gate))
            }
        };
        let mut linear = |name: &str, inputs, outputs| {
            let modules = [(format!("{at}.{name}"), outputs)];
            Linear::load(weights, &modules, inputs, spec.mlp_bias, options)
        };
        let latent = match experts.latent {
            Some(width) => Some([
                linear("fc1_latent_proj", spec.hidden, width)?,
                linear("fc2_latent_proj", width, spec.hidden)?,
            ]),
            None => None,
        };
        let [up, down] = expert_weights::load(weights, at, experts, spec, options)?;
        let biases = match experts.names.biases {
            ExpertBiases::None => None,
            ExpertBiases::All => {
                Some(expert_weights::biases(weights, at, experts, spec.hidden, options)?)
            }
        };
        Ok(Experts {
            router,
            router_bias,
            shared,
            latent,
            up,
            down,
            biases,
            spec: experts.clone(),
            kind: spec.mlp,
            activation: spec.activation,
        })
    }

    /// `x` and the result are tokens × hidden.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.forward_routed(x, x, None)
    }

    /// The experts' output for `x`, chosen by `for_router`; all are tokens × hidden. `scales`, one per expert in f32, are factors
    /// of the experts' weights.
    pub(super) fn forward_routed(
        &self,
        x: &Tensor,
        for_router: &Tensor,
        scales: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        let (tokens, experts_per_token) = (x.size()[0], self.spec.experts_per_token);
        let logits = match self.spec.routing.precision {
            Precision::Model => self.router.forward(for_router)?,
            Precision::Single => self.router.forward(&for_router.f_to_kind(Kind::Float)?)?,
        };
        let (router_weights, experts) =
            self.spec.routing.choose(&logits, self.router_bias.as_ref(), experts_per_token)?;
        let router_weights = match scales {
            Some(scales) => {
                let scales = scales.f_index_select(0, &experts.f_view([-1])?)?;
                router_weights.f_mul(&scales.f_view_as(&router_weights)?)?
            }
            None => router_weights,
        };
        let router_weights = router_weights.f_to_kind(x.kind())?;

        let inputs = match &self.latent {
            Some([narrow, _]) => narrow.forward(x)?,
            None => x.shallow_clone(),
        };
        let experts = experts.f_reshape([-1])?;
        let order = experts.f_argsort_stable(true, 0, false)?;
        let rows = order.f_floor_divide_scalar(experts_per_token)?;
        let counts = Vec::<i64>::try_from(experts.f_bincount::<Tensor>(None, self.spec.count)?)?;
        let [up_biases, down_biases] = match &self.biases {
            Some([up, down]) => [Some(up), Some(down)],
            None => [None, None],
        };
        let wide = match self.spec.routing.weighs {
            Weighs::Output => self.up.product(&inputs, Some(&rows), &counts, up_biases)?,
            Weighs::Input => {
                let sorted_weights = router_weights.f_view([-1])?.f_index_select(0, &order)?;
                let sorted =
                    inputs.f_index_select(0, &rows)?.f_mul(&sorted_weights.f_unsqueeze(1)?)?;
                self.up.product(&sorted, None, &counts, up_biases)?
            }
        };
        let inner = self.activation.inner(self.kind, &wide)?;
        let done = self.down.product(&inner, None, &counts, down_biases)?;
        let output_weights = match self.spec.routing.weighs {
            Weighs::Output => Some(&router_weights),
            Weighs::Input => None,
        };
        let chosen = sums(&done, &order, output_weights, [tokens, experts_per_token])?;
        let chosen = match &self.latent {
            Some([_, wide]) => wide.forward(&chosen)?,
            None => chosen,
        };
        match &self.shared {
            None => Ok(chosen),
            Some((mlp, None)) => chosen.f_add(&mlp.forward(x)?),
            Some((mlp, Some(gate))) => {
                chosen.f_add(&mlp.forward(x)?.f_mul(&gate.forward(x)?.f_sigmoid()?)?)
            }
        }
    }
}

/// The sum of the outputs of each token's experts, in its own order of experts. `done` has the outputs in the order of experts;
/// `order` has the places of these outputs in tokens × experts per token, the shape of the weights.
fn sums(
    done: &Tensor,
    order: &Tensor,
    weights: Option<&Tensor>,
    [tokens, per_token]: [i64; 2],
) -> Result<Tensor, TchError> {
    if done.kind() != Kind::Float || done.device() != Device::Cpu {
        let back = order.f_argsort(0, false)?;
        let done = done.f_index_select(0, &back)?.f_view([tokens, per_token, -1])?;
        let done = match weights {
            Some(weights) => done.f_mul(&weights.f_unsqueeze(2)?)?,
            None => done,
        };
        return done.f_sum_dim_intlist(1, false, None::<Kind>);
    }
    let order = Vec::<i64>::try_from(order)?;
    let mut places = vec![0; order.len()];
    for (row, place) in order.into_iter().enumerate() {
        places[place as usize] = row;
    }
    let width = done.size()[1];
    let mut sums = Tensor::f_empty([tokens, width], (Kind::Float, Device::Cpu))?;
    let weights = weights.map(Tensor::f_contiguous).transpose()?;
    entropy_kernels::mixture::sum_rows(
        torch::slice(done),
        width as usize,
        &places,
        weights.as_ref().map(torch::slice),
        torch::slice_mut(&mut sums),
    );
    Ok(sums)
}

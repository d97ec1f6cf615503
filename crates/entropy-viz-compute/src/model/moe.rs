//! Mixture of experts: a router selects a few experts (MLPs) for each token.
//!
//! Tokens are sorted by expert, so that every expert works on a contiguous block. The results are put back in the
//! token's own order of experts before they are added, so that the sum does not depend on other tokens.

use tch::{Kind, TchError, Tensor};

use super::layer::{Linear, Mlp};
use super::matrix::Matrix;
use super::routing::{Precision, Scores, Weighs};
use super::spec::{
    Activation, ExpertBiases, ExpertLayout, ExpertSpec, MlpKind, SharedExpert, Spec,
};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The experts of one layer and their router.
pub(super) struct Experts {
    router: Linear,
    /// Added to the scores of the experts for the choice.
    router_bias: Option<Tensor>,
    /// An MLP that takes every token, and its gate if it has one.
    shared: Option<(Mlp, Option<Linear>)>,
    /// From the width of the model to that of the experts, and back, if they differ.
    latent: Option<[Linear; 2]>,
    /// Of each expert, gate and up, or only up, and down.
    matrices: Vec<[Matrix; 2]>,
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
        let ExpertSpec { count, intermediate: wide, .. } = *experts;
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
        let width = experts.latent.unwrap_or(spec.hidden);
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
        let shapes = [[count, spec.mlp.ups() * wide, width], [count, width, wide]];
        // PEFT's adapters of other layouts are left over, and named, when all tensors are loaded.
        let mut change = |name: &str, shape| match experts.names.layout {
            ExpertLayout::OutputFirst | ExpertLayout::Interleaved => {
                weights.expert_change(&format!("{at}.experts.{name}"), shape)
            }
            ExpertLayout::InputFirst => Ok(None),
        };
        let fused = spec.mlp.fused_experts();
        let up_change = change(fused[0], shapes[0])?;
        let up_change = match experts.names.layout {
            ExpertLayout::Interleaved => up_change.map(gate_first).transpose()?,
            ExpertLayout::OutputFirst | ExpertLayout::InputFirst => up_change,
        };
        let changes = [up_change, change(fused[1], shapes[1])?];
        let is_adapted = changes.iter().any(Option::is_some);
        // Adapters are merged in f32.
        let stored =
            TensorOptions { kind: if is_adapted { Kind::Float } else { options.kind }, ..options };
        let [gate_up, down] = stacked(weights, at, experts, spec.mlp, shapes, stored)?;
        let merge = |base: Tensor, change: Option<Tensor>| -> anyhow::Result<Tensor> {
            let Some(change) = change else { return Ok(base.f_to_kind(options.kind)?) };
            Ok(base.f_add(&change.f_to_device(options.device)?)?.f_to_kind(options.kind)?)
        };
        let [gate_up_change, down_change] = changes;
        let (gate_up, down) = (merge(gate_up, gate_up_change)?, merge(down, down_change)?);
        let biases = match experts.names.biases {
            ExpertBiases::None => None,
            ExpertBiases::All => Some(biases(weights, at, experts, spec.hidden, options)?),
        };
        let of_expert = |expert| -> Result<[Matrix; 2], TchError> {
            Ok([Matrix::new(gate_up.f_get(expert)?)?, Matrix::new(down.f_get(expert)?)?])
        };
        let matrices = (0..count).map(of_expert).collect::<Result<_, _>>()?;
        Ok(Experts {
            router,
            router_bias,
            shared,
            latent,
            matrices,
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
        let mut sorted =
            inputs.f_index_select(0, &order.f_floor_divide_scalar(experts_per_token)?)?;
        if self.spec.routing.weighs == Weighs::Input {
            let sorted_weights = router_weights.f_view([-1])?.f_index_select(0, &order)?;
            sorted = sorted.f_mul(&sorted_weights.f_unsqueeze(1)?)?;
        }
        let counts = experts.f_bincount::<Tensor>(None, self.spec.count)?;
        let counts = Vec::<i64>::try_from(counts)?;
        let mut done = Vec::new();
        let mut start = 0;
        for (expert, ([up, down], &count)) in self.matrices.iter().zip(&counts).enumerate() {
            if count > 0 {
                let bias = |which: usize| {
                    let all = self.biases.as_ref().map(|biases| &biases[which]);
                    all.map(|all| all.f_get(expert as i64)).transpose()
                };
                let rows = sorted.f_narrow(0, start, count)?;
                let wide = up.product(&rows, bias(0)?.as_ref())?;
                let inner = self.activation.inner(self.kind, &wide)?;
                done.push(down.product(&inner, bias(1)?.as_ref())?);
                start += count;
            }
        }
        let back = order.f_argsort(0, false)?;
        let done = Tensor::f_cat(&done, 0)?.f_index_select(0, &back)?.f_view([
            tokens,
            experts_per_token,
            -1,
        ])?;
        let done = match self.spec.routing.weighs {
            Weighs::Output => done.f_mul(&router_weights.f_unsqueeze(2)?)?,
            Weighs::Input => done,
        };
        let chosen = done.f_sum_dim_intlist(1, false, None::<Kind>)?;
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

/// The matrices of all experts of a layer, in these shapes: gate and up, or only up, and down.
fn stacked(
    weights: &mut Weights,
    at: &str,
    experts: &ExpertSpec,
    kind: MlpKind,
    shapes: [[i64; 3]; 2],
    options: TensorOptions,
) -> anyhow::Result<[Tensor; 2]> {
    let names = experts.names;
    // transformers 5 may save all experts of a layer as one tensor; some families always do.
    let fused = kind.fused_experts().map(|name| format!("{at}.experts.{name}"));
    let whole = match names.fused {
        _ if weights.has(&fused[0]) || names.layout == ExpertLayout::Interleaved => Some(fused),
        Some(names) => Some(names.map(|name| format!("{at}.{name}.weight"))),
        None => None,
    };
    if let Some([up, down]) = whole {
        let down_layout = match names.layout {
            ExpertLayout::Interleaved => ExpertLayout::InputFirst,
            layout => layout,
        };
        let up = matrices(weights, &up, shapes[0], names.layout, options)?;
        return Ok([up, matrices(weights, &down, shapes[1], down_layout, options)?]);
    }
    let [count, width, wide] = shapes[1];
    let part = |i: i64, name: &str| format!("{at}.experts.{i}.{name}.weight");
    // The last one first: the number of experts is that of config.json, and may be absurd.
    weights.require(&part(count - 1, names.down))?;
    let ups = match kind {
        MlpKind::Plain => vec![names.up],
        MlpKind::Gated | MlpKind::GatedInOne => vec![names.gate, names.up],
    };
    let up = (0..count).flat_map(|i| ups.iter().map(move |name| (part(i, name), wide)));
    let down = (0..count).map(|i| (part(i, names.down), width));
    let up = weights.stack(&up.collect::<Vec<_>>(), &[width], options)?;
    let down = weights.stack(&down.collect::<Vec<_>>(), &[wide], options)?;
    Ok([up.f_view(shapes[0])?, down.f_view(shapes[1])?])
}

/// The outputs of gate followed by those of up, of experts × outputs × … with both by turns.
fn gate_first(by_turns: Tensor) -> Result<Tensor, TchError> {
    let shape = by_turns.size();
    let pairs = [&[shape[0], shape[1] / 2, 2], &shape[2..]].concat();
    by_turns.f_reshape(&pairs)?.f_transpose(1, 2)?.f_reshape(&shape)
}

/// The biases of all experts of a layer: of gate and up, in the order of the rows of their matrices, and of down.
fn biases(
    weights: &mut Weights,
    at: &str,
    experts: &ExpertSpec,
    hidden: i64,
    options: TensorOptions,
) -> anyhow::Result<[Tensor; 2]> {
    let ExpertSpec { count, intermediate: wide, .. } = *experts;
    let mut take = |name: &str, width: i64| {
        weights.take(&format!("{at}.experts.{name}_bias"), &[count, width], options)
    };
    let (gate_up, down) = (take("gate_up_proj", 2 * wide)?, take("down_proj", hidden)?);
    let gate_up = match experts.names.layout {
        ExpertLayout::OutputFirst | ExpertLayout::InputFirst => gate_up,
        ExpertLayout::Interleaved => gate_first(gate_up)?,
    };
    Ok([gate_up, down])
}

/// A stored stack of matrices, experts × out × in. Qwen3-VL-MoE was released with experts × in × out.
fn matrices(
    weights: &mut Weights,
    name: &str,
    shape: [i64; 3],
    layout: ExpertLayout,
    options: TensorOptions,
) -> anyhow::Result<Tensor> {
    let [count, rows, columns] = shape;
    let is_input_first = match layout {
        ExpertLayout::Interleaved => {
            let stored = weights.take(name, &[count, columns, rows], options)?;
            let pairs = stored.f_view([count, columns, rows / 2, 2])?.f_permute([0, 3, 2, 1])?;
            return Ok(pairs.f_reshape(shape)?);
        }
        ExpertLayout::InputFirst => true,
        ExpertLayout::OutputFirst => {
            rows != columns && weights.stored_shape(name)? == [count, columns, rows]
        }
    };
    if is_input_first {
        let stored = weights.take(name, &[count, columns, rows], options)?;
        return Ok(stored.f_transpose(1, 2)?.f_contiguous()?);
    }
    weights.take(name, &shape, options)
}

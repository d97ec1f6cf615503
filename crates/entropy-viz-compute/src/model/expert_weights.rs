//! The matrices and biases of the experts of a layer, in the forms in which files have them.

use tch::{Kind, TchError, Tensor};

use super::matrix::{MatrixStack, arrange};
use super::spec::{ExpertLayout, ExpertSpec, MlpKind, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// Loads the matrices of all experts: gate and up, or only up, and down.
pub(super) fn load(
    weights: &mut Weights,
    at: &str,
    experts: &ExpertSpec,
    spec: &Spec,
    options: TensorOptions,
) -> anyhow::Result<[MatrixStack; 2]> {
    let ExpertSpec { count, intermediate: wide, latent, .. } = *experts;
    let width = latent.unwrap_or(spec.hidden);
    let shapes = [[count, spec.mlp.ups() * wide, width], [count, width, wide]];
    // PEFT's adapters of other layouts are left over, and named, when all tensors are loaded.
    let mut change = |name: &str, shape| match experts.names.layout {
        ExpertLayout::OutputFirst | ExpertLayout::Interleaved => {
            weights.expert_change(&format!("{at}.experts.{name}"), shape)
        }
        ExpertLayout::InputFirst => Ok(None),
    };
    let names = spec.mlp.fused_experts();
    let up_change = change(names[0], shapes[0])?;
    let up_change = match experts.names.layout {
        ExpertLayout::Interleaved => up_change.map(gate_first).transpose()?,
        ExpertLayout::OutputFirst | ExpertLayout::InputFirst => up_change,
    };
    let down_change = change(names[1], shapes[1])?;
    let [up, down] = Stored::find(weights, at, experts, spec.mlp, [wide, width])?;
    let up = up.load(weights, shapes[0], up_change, options)?;
    Ok([up, down.load(weights, shapes[1], down_change, options)?])
}

/// How files have the matrices of all experts of a layer.
enum Stored {
    /// As one tensor.
    Whole(String, ExpertLayout),
    /// As tensors (name, rows), which follow one another.
    Parts(Vec<(String, i64)>),
}

impl Stored {
    /// Finds gate and up, or only up, and down; `wide` and `width` are the outputs of each.
    fn find(
        weights: &Weights,
        at: &str,
        experts: &ExpertSpec,
        kind: MlpKind,
        [wide, width]: [i64; 2],
    ) -> anyhow::Result<[Stored; 2]> {
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
            return Ok([Stored::Whole(up, names.layout), Stored::Whole(down, down_layout)]);
        }
        let part = |i: i64, name: &str| format!("{at}.experts.{i}.{name}.weight");
        // The last one first: the number of experts is that of config.json, and may be absurd.
        weights.require(&part(experts.count - 1, names.down))?;
        let ups = match kind {
            MlpKind::Plain => vec![names.up],
            MlpKind::Gated | MlpKind::GatedInOne => vec![names.gate, names.up],
        };
        let all = 0..experts.count;
        let up = all.clone().flat_map(|i| ups.iter().map(move |name| (part(i, name), wide)));
        let down = all.map(|i| (part(i, names.down), width));
        Ok([Stored::Parts(up.collect()), Stored::Parts(down.collect())])
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Stored::Whole(name, _) => vec![name],
            Stored::Parts(parts) => parts.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// Loads the matrices, experts × outputs × columns, and adds the change of an adapter in f32.
    fn load(
        &self,
        weights: &mut Weights,
        shape: [i64; 3],
        change: Option<Tensor>,
        options: TensorOptions,
    ) -> anyhow::Result<MatrixStack> {
        let Some(change) = change else {
            let tensor = weights.shared(&self.names(), options.kind, |weights| {
                Ok(arrange(self.read(weights, shape, options)?)?)
            })?;
            return Ok(MatrixStack::arranged(tensor));
        };
        let single = TensorOptions { kind: Kind::Float, ..options };
        let merged =
            self.read(weights, shape, single)?.f_add(&change.f_to_device(options.device)?)?;
        Ok(MatrixStack::arranged(arrange(merged.f_to_kind(options.kind)?)?))
    }

    fn read(
        &self,
        weights: &mut Weights,
        shape: [i64; 3],
        options: TensorOptions,
    ) -> anyhow::Result<Tensor> {
        match self {
            Stored::Whole(name, layout) => matrices(weights, name, shape, *layout, options),
            Stored::Parts(parts) => {
                Ok(weights.stack(parts, &[shape[2]], options)?.f_view(shape)?)
            }
        }
    }
}

/// The outputs of gate followed by those of up, of experts × outputs × … with both by turns.
fn gate_first(by_turns: Tensor) -> Result<Tensor, TchError> {
    let shape = by_turns.size();
    let pairs = [&[shape[0], shape[1] / 2, 2], &shape[2..]].concat();
    by_turns.f_reshape(&pairs)?.f_transpose(1, 2)?.f_reshape(&shape)
}

/// The biases of all experts of a layer: of gate and up, in the order of the rows of their matrices, and of down.
pub(super) fn biases(
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

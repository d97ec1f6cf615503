//! A gate of the output of attention, as in Qwen3-Next: `q_proj` has per head the rows of the query, then those of a gate,
//! whose σ multiplies the output of the head.

use tch::{TchError, Tensor};

use super::layer::Linear;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The gate of one layer.
pub(super) struct OutputGate(Linear);

impl OutputGate {
    /// Loads `q_proj`, of `heads` heads of dimension `head_dim`, and stacks its queries and the modules `others` (name,
    /// outputs). Returns them and the gate.
    pub(super) fn load(
        weights: &mut Weights,
        q_proj: &str,
        (heads, head_dim): (i64, i64),
        others: &[(String, i64)],
        (hidden, bias): (i64, bool),
        options: TensorOptions,
    ) -> anyhow::Result<(Linear, OutputGate)> {
        let mut load = |what: &str, columns: &[i64]| -> anyhow::Result<[Tensor; 2]> {
            let rows = [&[2 * heads * head_dim], columns].concat();
            let both = weights.take(&format!("{q_proj}.{what}"), &rows, options)?;
            let by_head = both.f_view(&[&[heads, 2, head_dim], columns].concat()[..])?;
            let part = |i| by_head.f_select(1, i)?.f_flatten(0, 1);
            let (queries, gates) = (part(0)?, part(1)?);
            let named: Vec<_> =
                others.iter().map(|(name, rows)| (format!("{name}.{what}"), *rows)).collect();
            Ok([Tensor::f_cat(&[queries, weights.stack(&named, columns, options)?], 0)?, gates])
        };
        let [weight, gate] = load("weight", &[hidden])?;
        let (bias, gate_bias) = match bias {
            true => {
                let [bias, gate] = load("bias", &[])?;
                (Some(bias), Some(gate))
            }
            false => (None, None),
        };
        Ok((Linear::of(weight, bias), OutputGate(Linear::of(gate, gate_bias))))
    }

    /// σ(gate) ⊙ attended; `x` is tokens × hidden, `attended` and the result are tokens × (heads · head dimension).
    pub(super) fn apply(&self, x: &Tensor, attended: &Tensor) -> Result<Tensor, TchError> {
        attended.f_mul(&self.0.forward(x)?.f_sigmoid_()?)
    }
}

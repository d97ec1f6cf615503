//! Inputs of single layers, as in Gemma 3n and 4: each layer adds to the residual what it computes from a vector of the token
//! that is its own.
//!
//! For layer i, token t with the embedding e (already scaled):
//!
//! ```text
//! p = (norm(P_i·e / √hidden) + T_i[t]·√width) / √2
//! hidden += norm(W·(activation(G·hidden) ⊙ p))
//! ```
//!
//! T and P of all layers are stored as one tensor each. Vectors are computed layer by layer, because those of all layers would
//! need much memory.

use tch::{TchError, Tensor};

use super::layer::{Linear, Norm};
use super::layer_settings::PerLayerSpec;
use super::spec::{Activation, Spec};
use crate::checkpoint::weights::{TensorOptions, Weights};

/// What the inputs of all layers have in common.
pub(super) struct PerLayerInputs {
    /// T, vocabulary × (layers · width).
    table: Tensor,
    /// √width, in the number type of the model.
    table_scale: Tensor,
    /// P, (layers · width) × hidden, until the layers take their parts.
    projection: Tensor,
    projection_scale: f64,
    norm: Norm,
    width: i64,
}

/// The inputs of the tokens of one pass.
pub(super) struct TokenInputs<'a> {
    common: &'a PerLayerInputs,
    /// Token ids.
    ids: Tensor,
    /// Their embeddings, tokens × hidden.
    embedded: Tensor,
}

/// The modules of one layer.
pub(super) struct LayerInput {
    layer: i64,
    projection: Linear,
    gate: Linear,
    output: Linear,
    norm: Norm,
    activation: Activation,
}

impl PerLayerInputs {
    pub(super) fn load(
        weights: &mut Weights,
        sizes: PerLayerSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<PerLayerInputs> {
        let PerLayerSpec { width, vocabulary } = sizes;
        let all = spec.layers * width;
        let table = "model.embed_tokens_per_layer.weight";
        let table = weights.shared(&[table], options.kind, |weights| {
            weights.take(table, &[vocabulary, all], options)
        })?;
        let projection = "model.per_layer_model_projection.weight";
        let projection = weights.take(projection, &[all, spec.hidden], options)?;
        let norm = "model.per_layer_projection_norm.weight";
        // Rounded to the type of the weights, like the scale of the embeddings.
        let table_scale = Tensor::f_from_slice(&[(width as f64).sqrt() as f32])?
            .f_to_kind(options.kind)?
            .f_to_device(options.device)?;
        Ok(PerLayerInputs {
            table,
            table_scale,
            projection,
            projection_scale: (spec.hidden as f64).powf(-0.5),
            norm: Norm::load(weights, norm, width, spec, options)?,
            width,
        })
    }

    /// The inputs of tokens whose embeddings are `embedded`, tokens × hidden.
    pub(super) fn of_tokens(
        &self,
        ids: &[i64],
        embedded: &Tensor,
    ) -> Result<TokenInputs<'_>, TchError> {
        let vocabulary = self.table.size()[0];
        let ids: Vec<i64> =
            ids.iter().map(|id| if (0..vocabulary).contains(id) { *id } else { 0 }).collect();
        let ids = Tensor::f_from_slice(&ids)?.f_to_device(self.table.device())?;
        Ok(TokenInputs { common: self, ids, embedded: embedded.shallow_clone() })
    }
}

impl TokenInputs<'_> {
    /// p of a layer, tokens × width.
    fn of_layer(&self, layer: i64, projection: &Linear) -> Result<Tensor, TchError> {
        let PerLayerInputs { table, table_scale, projection_scale, norm, width, .. } = self.common;
        let of_context = projection.forward(&self.embedded)?.f_mul_scalar(*projection_scale)?;
        let of_token = table.f_narrow(1, layer * width, *width)?.f_index_select(0, &self.ids)?;
        let both = norm.forward(&of_context)?.f_add(&of_token.f_mul(table_scale)?)?;
        both.f_mul_scalar(0.5f64.sqrt())
    }
}

impl LayerInput {
    /// Loads the modules of a layer; `at` gives the full name of a module of the layer.
    pub(super) fn load(
        weights: &mut Weights,
        at: impl Fn(&str) -> String,
        layer: i64,
        common: &PerLayerInputs,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<LayerInput> {
        let width = common.width;
        let mut linear = |name: &str, rows, columns| {
            Linear::load(weights, &[(at(name), rows)], columns, false, options)
        };
        // A copy, because the matrix may be rearranged.
        let projection = common.projection.f_narrow(0, layer * width, width)?.copy();
        Ok(LayerInput {
            layer,
            projection: Linear::of(projection, None)?,
            gate: linear("per_layer_input_gate", width, spec.hidden)?,
            output: linear("per_layer_projection", spec.hidden, width)?,
            norm: {
                let name = at("post_per_layer_input_norm.weight");
                Norm::load(weights, &name, spec.hidden, spec, options)?
            },
            activation: spec.activation,
        })
    }

    /// What the layer adds to the residual `hidden`; both are tokens × hidden.
    pub(super) fn forward(
        &self,
        hidden: &Tensor,
        tokens: &TokenInputs,
    ) -> Result<Tensor, TchError> {
        let input = tokens.of_layer(self.layer, &self.projection)?;
        let gated = self.activation.apply(&self.gate.forward(hidden)?)?.f_mul(&input)?;
        self.norm.forward(&self.output.forward(&gated)?)
    }
}

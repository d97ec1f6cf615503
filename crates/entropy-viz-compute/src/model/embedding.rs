//! The vectors of tokens and the head of a decoder, which may be one matrix.

use tch::Tensor;

use super::layer::Linear;
use super::matrix::arrange;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The vectors of the tokens.
pub(super) enum Embedding {
    Own(Tensor),
    /// Those of the head.
    Tied,
}

/// Loads the embedding and the head. Tied models store one tensor for both, under either name. If both are stored
/// and differ, they are not tied, whatever config.json says: transformers does the same.
pub(super) fn embedding_and_head(
    weights: &mut Weights,
    tie_word_embeddings: bool,
    table: &[i64],
    options: TensorOptions,
) -> anyhow::Result<(Embedding, Linear)> {
    let (input, output) = ("model.embed_tokens.weight", "lm_head.weight");
    let is_both_stored = weights.has(input) && weights.has(output);
    if tie_word_embeddings && !is_both_stored {
        let stored = if weights.has(output) { output } else { input };
        if weights.tie([input, output]) {
            let embedding = weights.take_as(stored, input, table, options)?;
            let head = weights.take_as(stored, output, table, options)?;
            return Ok((Embedding::Own(embedding), Linear::of(head, None)?));
        }
        let head = weights.shared(&[stored], options.kind, |weights| {
            Ok(arrange(weights.take(stored, table, options)?)?)
        })?;
        return Ok((Embedding::Tied, Linear::arranged(head, None)));
    }
    if tie_word_embeddings {
        let embedding = weights.take(input, table, options)?;
        let head = weights.take(output, table, options)?;
        let is_one = head.f_equal(&embedding)?;
        let embedding = if is_one { Embedding::Tied } else { Embedding::Own(embedding) };
        return Ok((embedding, Linear::of(head, None)?));
    }
    let embedding =
        weights.shared(&[input], options.kind, |weights| weights.take(input, table, options))?;
    let head = weights.shared(&[output], options.kind, |weights| {
        Ok(arrange(weights.take(output, table, options)?)?)
    })?;
    Ok((Embedding::Own(embedding), Linear::arranged(head, None)))
}

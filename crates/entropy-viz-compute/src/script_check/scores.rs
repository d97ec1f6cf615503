//! Entropies and log-probs of a TorchScript module at every position of a batch.

use entropy_kernels::logits::score_rows;
use tch::{Device, Kind, TchError};

use crate::model::packed::Packed;
use crate::model::torchscript::TorchScript;
use crate::on_device::{self, LogitsError};
use crate::torch;

/// Rows of logits that are scored at once.
const ROWS: i64 = 64;

/// The numbers of one sequence, in nats.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SequenceScores {
    /// One per token.
    pub(super) entropies: Vec<f64>,
    /// Of each token but the first.
    pub(super) log_probs: Vec<f64>,
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScriptError {
    #[error("{}", torch::message(.0))]
    Torch(#[from] TchError),
    #[error("its logits are NaN or infinite")]
    NotFinite,
}

/// How far two numbers of the same token may be apart, in nats. Products are rounded otherwise in another batch, and a
/// mixture of experts may choose another expert for a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// Of the mean over a sequence.
    pub(super) mean: f64,
    /// Of one token.
    pub(super) token: f64,
}

impl Limits {
    /// Those of a number type of the weights.
    pub(super) fn of(kind: Kind) -> Limits {
        match kind {
            Kind::BFloat16 | Kind::Half => Limits { mean: 0.1, token: 2.0 },
            _ => Limits { mean: 1e-3, token: 0.1 },
        }
    }
}

/// The differences of the numbers of sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// The largest mean over a sequence.
    pub(super) mean: f64,
    /// The largest one.
    pub(super) token: f64,
}

impl Difference {
    /// The differences over the tokens that both have.
    pub(super) fn between(a: &SequenceScores, b: &SequenceScores) -> Difference {
        let of = |a: &[f64], b: &[f64]| {
            let differences = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
            // NaN counts as infinite.
            let token = differences().fold(0.0, |max, d| if d <= max { max } else { d });
            let token = if token.is_nan() { f64::INFINITY } else { token };
            Difference {
                mean: differences().sum::<f64>() / differences().count().max(1) as f64,
                token,
            }
        };
        of(&a.entropies, &b.entropies).larger(of(&a.log_probs, &b.log_probs))
    }

    pub(super) fn larger(self, other: Difference) -> Difference {
        Difference { mean: self.mean.max(other.mean), token: self.token.max(other.token) }
    }

    pub(super) fn is_within(self, limits: Limits) -> bool {
        self.mean <= limits.mean && self.token <= limits.token
    }
}

/// Runs sequences of equal length as one batch.
pub(super) fn score(
    script: &TorchScript,
    sequences: &[&[i64]],
) -> Result<Vec<SequenceScores>, ScriptError> {
    let packed = Packed::new(sequences.iter().copied());
    let rows: Vec<i64> = (0..packed.ids.len() as i64).collect();
    let logits = script.forward(&packed, &rows)?;
    let (count, vocabulary) = logits.size2()?;
    // The token after each; the last one of a sequence has none, and its log-prob is not kept.
    let mut targets = packed.ids.clone();
    targets.rotate_left(1);
    if let Some(token) = targets.iter().find(|token| !(0..vocabulary).contains(*token)) {
        let error = format!("token id {token} is outside of its {vocabulary} logits");
        return Err(TchError::Shape(error).into());
    }
    let mut scores = Vec::with_capacity(rows.len());
    for start in (0..count).step_by(ROWS as usize) {
        let part = logits.f_narrow(0, start, ROWS.min(count - start))?;
        let part = part.f_to_kind(Kind::Float)?.f_contiguous()?;
        let targets = &targets[start as usize..][..part.size()[0] as usize];
        scores.extend(match script.device() {
            Device::Cpu => score_rows(torch::slice(&part), vocabulary as usize, targets, 1.0)
                .map_err(|_| ScriptError::NotFinite)?,
            _ => on_device::score(&part, targets, 1.0).map_err(|error| match error {
                LogitsError::Torch(error) => ScriptError::Torch(error),
                LogitsError::NotFinite(..) => ScriptError::NotFinite,
            })?,
        });
    }
    let mut scores = scores.into_iter();
    Ok(sequences
        .iter()
        .map(|sequence| {
            let of_sequence: Vec<_> = scores.by_ref().take(sequence.len()).collect();
            let last = of_sequence.len().saturating_sub(1);
            SequenceScores {
                entropies: of_sequence.iter().map(|score| score.entropy).collect(),
                log_probs: of_sequence[..last].iter().map(|score| score.log_prob).collect(),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_over_common_tokens_and_nan_exceeds_every_limit() {
        let long = SequenceScores { entropies: vec![1.0, 2.0, 3.0], log_probs: vec![-1.0, -2.0] };
        let short = SequenceScores { entropies: vec![1.0, 2.5], log_probs: vec![-1.0] };
        let difference = Difference::between(&short, &long);
        assert_eq!(difference, Difference { mean: 0.25, token: 0.5 });
        assert!(!difference.is_within(Limits::of(Kind::Float)));
        assert!(difference.is_within(Limits { mean: 0.25, token: 0.5 }));
        let nan = SequenceScores { entropies: vec![f64::NAN], log_probs: vec![] };
        assert!(!Difference::between(&nan, &long).is_within(Limits::of(Kind::Half)));
    }
}

//! Causal language models: token ids in, logits at chosen positions out.
//!
//! [`decoder`] holds what all of them share; each architecture's file says how it differs, and
//! `ARCHITECTURES` lists them. Sequences are packed, end to end and without padding: a row's numbers
//! then do not depend on the rows beside it, and attention needs no mask.

pub(crate) mod attention;
pub(crate) mod decoder;
mod gemma2;
mod layer;
mod llama;
mod mistral;
mod moe;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
pub(crate) mod rope;
pub(crate) mod script;
#[cfg(target_arch = "x86_64")]
mod skinny;

use anyhow::bail;
use tch::{Kind, TchError, Tensor};

use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{Place, Weights};
use decoder::{Decoder, Spec};
use script::Script;

/// A `model_type` of config.json and the function that reads the rest of it.
struct Architecture {
    model_type: &'static str,
    read: fn(&Config) -> anyhow::Result<Spec>,
}

const ARCHITECTURES: [Architecture; 7] = [
    gemma2::ARCHITECTURE,
    llama::ARCHITECTURE,
    mistral::ARCHITECTURE,
    phi3::ARCHITECTURE,
    qwen2::ARCHITECTURE,
    qwen3::ARCHITECTURE,
    qwen3_moe::ARCHITECTURE,
];

/// The `model_type`s that can be computed.
pub(crate) fn known() -> String {
    ARCHITECTURES.map(|architecture| architecture.model_type).join(", ")
}

/// Reads what model a config.json describes.
///
/// # Errors
/// If the architecture or one of its settings is not supported, by name.
pub(crate) fn spec(config: &Config) -> anyhow::Result<Spec> {
    let model_type = config.text("model_type")?;
    let Some(architecture) = ARCHITECTURES.iter().find(|a| a.model_type == model_type) else {
        bail!(
            "{}: model_type {model_type:?} is not supported; {} are",
            config.path().display(),
            known()
        );
    };
    config.refuse("quantization_config", |_| false)?;
    (architecture.read)(config)
}

/// A model on its device.
pub(crate) enum Model {
    Decoder(Box<Decoder>),
    Script(Script),
}

/// Sequences end to end, longest first, so that those of one length lie together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Packed {
    pub(crate) ids: Vec<i64>,
    pub(crate) groups: Vec<Group>,
}

/// Neighbours of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) start: i64, // of the first sequence, in tokens
    pub(crate) count: i64,
    pub(crate) length: i64,
}

impl Packed {
    /// Packs sequences in the order given.
    pub(crate) fn new<'a>(sequences: impl Iterator<Item = &'a [i64]>) -> Packed {
        let mut packed = Packed::default();
        for sequence in sequences {
            let (start, length) = (packed.ids.len() as i64, sequence.len() as i64);
            packed.ids.extend_from_slice(sequence);
            match packed.groups.last_mut().filter(|group| group.length == length) {
                Some(group) => group.count += 1,
                None => packed.groups.push(Group { start, count: 1, length }),
            }
        }
        packed
    }

    /// Each token's place in its sequence, and that sequence's length.
    pub(crate) fn positions(&self) -> (Vec<i64>, Vec<i64>) {
        let mut positions = Vec::with_capacity(self.ids.len());
        let mut lengths = Vec::with_capacity(self.ids.len());
        for group in &self.groups {
            for _ in 0..group.count {
                positions.extend(0..group.length);
                lengths.extend(std::iter::repeat_n(group.length, group.length as usize));
            }
        }
        (positions, lengths)
    }
}

/// What the model made of chosen tokens, before the head or after it.
pub(crate) enum Rows {
    Hidden(Tensor),
    Logits(Tensor),
}

impl Rows {
    pub(crate) fn len(&self) -> i64 {
        let (Rows::Hidden(rows) | Rows::Logits(rows)) = self;
        rows.size()[0]
    }
}

impl Model {
    /// Puts a checkpoint's model on a device.
    pub(crate) fn load(spec: Spec, weights: Weights, place: Place) -> anyhow::Result<Model> {
        Ok(Model::Decoder(Box::new(Decoder::load(spec, weights, place)?)))
    }

    /// The number of logits.
    pub(crate) fn vocabulary(&self) -> Option<i64> {
        match self {
            Model::Decoder(decoder) => Some(decoder.spec.vocabulary),
            Model::Script(_) => None,
        }
    }

    /// The longest sequence it was made for.
    pub(crate) fn context(&self) -> Option<i64> {
        match self {
            Model::Decoder(decoder) => Some(decoder.spec.context),
            Model::Script(_) => None,
        }
    }

    /// Runs packed sequences and keeps the tokens at these places of the pack.
    pub(crate) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<Rows, TchError> {
        match self {
            Model::Decoder(decoder) => decoder.forward(packed, rows).map(Rows::Hidden),
            Model::Script(script) => script.forward(packed, rows).map(Rows::Logits),
        }
    }

    /// Logits of some of the rows in f32, rows × vocabulary.
    pub(crate) fn logits(&self, rows: &Rows, start: i64, count: i64) -> Result<Tensor, TchError> {
        let logits = match (self, rows) {
            (Model::Decoder(decoder), Rows::Hidden(hidden)) => {
                decoder.head(&hidden.f_narrow(0, start, count)?)?
            }
            (_, Rows::Logits(logits) | Rows::Hidden(logits)) => logits.f_narrow(0, start, count)?,
        };
        logits.f_to_kind(Kind::Float)?.f_contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_one_length_share_a_group() {
        let packed = Packed::new([&[1, 2, 3][..], &[4, 5, 6], &[7]].into_iter());
        assert_eq!(packed.ids, [1, 2, 3, 4, 5, 6, 7]);
        let group = |start, count, length| Group { start, count, length };
        assert_eq!(packed.groups, [group(0, 2, 3), group(6, 1, 1)]);
        assert_eq!(packed.positions(), (vec![0, 1, 2, 0, 1, 2, 0], vec![3, 3, 3, 3, 3, 3, 1]));
    }

    #[test]
    fn architectures_are_listed_in_order() {
        assert!(ARCHITECTURES.is_sorted_by_key(|a| a.model_type));
    }
}

//! TorchScript modules with the signature `forward(input_ids: int64[B, L]) → logits[B, L, V]`.
//!
//! Only the signature is known. Therefore sequences of different lengths are not batched (the module may attend to
//! padding), and there is no KV cache: each new token runs the whole sequence.

use std::path::Path;

use anyhow::anyhow;
use tch::{CModule, Device, Kind, TchError, Tensor};

use super::packed::Packed;

/// A TorchScript module on its device.
pub(crate) struct TorchScript {
    module: CModule,
    device: Device,
}

impl TorchScript {
    /// Loads a file written by `torch.jit.save`. Loading runs code from the file.
    pub(crate) fn load(path: &Path, device: Device) -> anyhow::Result<TorchScript> {
        let module = CModule::load_on_device(path, device).map_err(|error| {
            anyhow!("cannot load {}: {}", path.display(), crate::torch::message(&error))
        })?;
        Ok(TorchScript { module, device })
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// The number type of its weights: a 16-bit type if one of them has it.
    pub(crate) fn kind(&self) -> Kind {
        let parameters = self.module.named_parameters().unwrap_or_default();
        let mut kinds = parameters.iter().map(|(_, tensor)| tensor.kind());
        kinds.find(|kind| matches!(kind, Kind::Half | Kind::BFloat16)).unwrap_or(Kind::Float)
    }

    /// The logits at the tokens with indices `rows` in `packed`.
    pub(crate) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<Tensor, TchError> {
        let mut parts = Vec::new();
        for group in &packed.groups {
            let (start, end) = (group.start, group.start + group.count * group.length);
            let ids = Tensor::f_from_slice(&packed.ids[start as usize..end as usize])?;
            let ids = ids.f_view([group.count, group.length])?.f_to_device(self.device)?;
            let logits = self.module.forward_ts(&[ids])?;
            let shape = logits.size();
            if shape.len() != 3 || shape[..2] != [group.count, group.length] {
                return Err(TchError::Shape(format!(
                    "the module returned the shape {shape:?} for {} × {} token ids; expected batch × length × vocabulary",
                    group.count, group.length
                )));
            }
            let indices: Vec<i64> = rows
                .iter()
                .filter(|row| (start..end).contains(row))
                .map(|row| row - start)
                .collect();
            let indices = Tensor::f_from_slice(&indices)?.f_to_device(self.device)?;
            parts.push(logits.f_reshape([-1, shape[2]])?.f_index_select(0, &indices)?);
        }
        Tensor::f_cat(&parts, 0)
    }
}

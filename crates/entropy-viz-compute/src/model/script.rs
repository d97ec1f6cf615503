//! TorchScript modules: `forward(input_ids: int64[B, L]) → logits[B, L, V]`, whatever is inside.
//!
//! Nothing is known of the module but its signature, so sequences of different lengths never share a
//! call (it might not be causal about padding), and there is no cache: each new token runs the whole.

use std::path::Path;

use anyhow::anyhow;
use tch::{CModule, Device, TchError, Tensor};

use super::Packed;

/// A module on its device.
pub(crate) struct Script {
    module: CModule,
    device: Device,
}

impl Script {
    /// Loads a file of `torch.jit.save`, which runs code in it.
    pub(crate) fn load(path: &Path, device: Device) -> anyhow::Result<Script> {
        let module = CModule::load_on_device(path, device).map_err(|error| {
            anyhow!("cannot load {}: {}", path.display(), crate::torch::say(&error))
        })?;
        Ok(Script { module, device })
    }

    /// Logits of the tokens at `rows` of the pack.
    pub(super) fn forward(&self, packed: &Packed, rows: &[i64]) -> Result<Tensor, TchError> {
        let mut parts = Vec::new();
        for group in &packed.groups {
            let (start, end) = (group.start, group.start + group.count * group.length);
            let ids = Tensor::f_from_slice(&packed.ids[start as usize..end as usize])?;
            let ids = ids.f_view([group.count, group.length])?.f_to_device(self.device)?;
            let logits = self.module.forward_ts(&[ids])?;
            let shape = logits.size();
            if shape.len() != 3 || shape[..2] != [group.count, group.length] {
                return Err(TchError::Shape(format!(
                    "the module made {shape:?} of {} × {} token ids; logits of each are needed",
                    group.count, group.length
                )));
            }
            let wanted: Vec<i64> = rows
                .iter()
                .filter(|row| (start..end).contains(row))
                .map(|row| row - start)
                .collect();
            let wanted = Tensor::f_from_slice(&wanted)?.f_to_device(self.device)?;
            parts.push(logits.f_reshape([-1, shape[2]])?.f_index_select(0, &wanted)?);
        }
        Tensor::f_cat(&parts, 0)
    }
}

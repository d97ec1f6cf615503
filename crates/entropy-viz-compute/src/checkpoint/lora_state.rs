//! LoRA runs whose checkpoint is a state dict of the whole PEFT model: base weights and adapter in one, under PEFT's
//! names in memory (`base_model.model.<module>.base_layer.weight`, `<module>.lora_A.default.weight`).
//!
//! The factor alpha / r is not in a state dict. verl saves it beside the shards in `lora_train_meta.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};

use super::config::Config;
use super::torch_source::{Adapter, SourceTensor, TorchSource};

pub(super) const PREFIX: &str = "base_model.model.";
/// The file with `r` and `lora_alpha`.
pub(super) const META: &str = "lora_train_meta.json";

/// Gives the tensors of a PEFT model the names of its base model, and makes adapters of the LoRA tensors.
pub(super) fn separate(source: TorchSource, directory: &Path) -> Result<TorchSource, CliError> {
    if !source.tensors.keys().any(|name| name.starts_with(PREFIX)) {
        return Ok(source);
    }
    let shown = directory.display();
    let mut tensors = BTreeMap::new();
    let mut replaced = BTreeMap::new();
    let (mut downs, mut ups) = (BTreeMap::new(), BTreeMap::new());
    for (full, tensor) in source.tensors {
        let name = full.strip_prefix(PREFIX).unwrap_or(&full);
        if let Some(module) = name.strip_suffix(".lora_A.default.weight") {
            downs.insert(module.to_owned(), tensor);
        } else if let Some(module) = name.strip_suffix(".lora_B.default.weight") {
            ups.insert(module.to_owned(), tensor);
        } else if name.contains(".lora_") {
            return Err(anyhow!(
                "cannot use {shown}: the tensor {full} is of an adapter that is not plain LoRA"
            ))
            .hint("merge the checkpoint with the trainer");
        } else if name.contains(".modules_to_save.default.") {
            replaced.insert(name.replace(".modules_to_save.default.", "."), tensor);
        } else {
            let base = name.replace(".base_layer.", ".").replace(".original_module.", ".");
            tensors.insert(base, tensor);
        }
    }
    tensors.extend(replaced);
    let mut adapters = BTreeMap::new();
    let mut scale = None;
    for (module, down) in downs {
        let (rank, weight) = (down.size.first().copied().unwrap_or(0), format!("{module}.weight"));
        let fits = |up: &SourceTensor, base: &SourceTensor| {
            matches!((base.size.as_slice(), up.size.as_slice(), down.size.as_slice()),
                ([rows, columns], [r, a], [b, c]) if rows == r && columns == c && a == b)
        };
        let (Some(up), Some(base)) = (ups.remove(&module), tensors.get(&weight)) else {
            return Err(anyhow!(
                "cannot use {shown}: {module} has lora_A, but not lora_B and a base weight"
            )
            .into());
        };
        if !fits(&up, base) {
            return Err(anyhow!(
                "cannot use {shown}: the shapes of lora_A and lora_B do not match {weight}"
            )
            .into());
        }
        let scale = match scale {
            Some((scale, r)) if r == rank => scale,
            _ => scale.insert((read_scale(directory, rank)?, rank)).0,
        };
        adapters.insert(weight, Adapter { down, up, scale });
    }
    if let Some(module) = ups.keys().next() {
        return Err(anyhow!("cannot use {shown}: {module} has lora_B, but no lora_A").into());
    }
    Ok(TorchSource { files: source.files, tensors, adapters })
}

/// alpha / r, for an adapter of this rank.
fn read_scale(directory: &Path, rank: i64) -> Result<f64, CliError> {
    let path = directory.join(META);
    if !path.is_file() {
        return Err(anyhow!(
            "cannot use {}: it has LoRA tensors, but no {META} with their lora_alpha",
            directory.display()
        ))
        .hint(format!(
            "write it: {{\"r\": {rank}, \"lora_alpha\": A}}, with the alpha of the run's settings"
        ));
    }
    let config = Config::read_file(&path)?;
    let r = config.count("r")?;
    if r != rank {
        return Err(
            anyhow!("{}: r is {r}, but the rank of lora_A is {rank}", path.display()).into()
        );
    }
    let alpha = config.number("lora_alpha")?;
    if alpha <= 0.0 {
        return Err(anyhow!(
            "{}: lora_alpha is {alpha}, so the adapter would have no effect",
            path.display()
        )
        .into());
    }
    Ok(alpha / rank as f64)
}

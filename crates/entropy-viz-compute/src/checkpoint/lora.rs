//! LoRA adapters of PEFT: W + (alpha / r)·B·A, merged when the weights are loaded.
//!
//! `adapter_model.safetensors` has `base_model.model.<module>.lora_A.weight` (r × in) and `lora_B` (out × r). Any
//! other tensor replaces that of the base model (`modules_to_save`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{anyhow, bail};
use serde_json::Value;
use tch::{Kind, Tensor};

use super::config::{Config, read_json};
use super::tensor_file::TensorFile;

const PREFIX: &str = "base_model.model.";

/// An adapter, applied to the tensors of its base model.
pub(super) struct LoraAdapter {
    path: String,
    file: TensorFile,
    names: BTreeMap<String, String>, // name in the base model -> name in the adapter's file
    used: BTreeSet<String>,
    alpha: f64,
    rank_stabilised: bool,
}

impl LoraAdapter {
    /// The name of the base model in `adapter_config.json`, for messages.
    pub(super) fn base_model_name(directory: &Path) -> anyhow::Result<String> {
        let value = read_json(&directory.join("adapter_config.json"))?;
        let base = value.get("base_model_name_or_path").and_then(Value::as_str);
        Ok(base.unwrap_or("an unnamed model").to_owned())
    }

    pub(super) fn open(directory: &Path) -> anyhow::Result<LoraAdapter> {
        let path = directory.join("adapter_config.json");
        let config = Config::read_file(&path)?;
        let kind = config.string("peft_type")?;
        if kind != "LORA" {
            bail!("{}: peft_type {kind} is not supported; only LORA is", path.display());
        }
        let off = |value: &Value| *value == Value::Bool(false);
        let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
        config.refuse("use_dora", off)?;
        config.refuse("fan_in_fan_out", off)?;
        config.refuse("rank_pattern", |_| true)?; // the rank is read from the shape of A
        config.refuse("alpha_pattern", empty)?;
        config.refuse("layer_replication", |_| false)?;
        let file = TensorFile::open(&directory.join("adapter_model.safetensors"))?;
        let names = file.names().into_iter().map(|name| {
            let base = name.strip_prefix(PREFIX).unwrap_or(&name);
            (base.replace(".base_layer.", "."), name.clone())
        });
        let names = names.collect();
        Ok(LoraAdapter {
            path: directory.display().to_string(),
            names,
            used: BTreeSet::new(),
            alpha: config.number("lora_alpha")?,
            rank_stabilised: config.flag_or("use_rslora", false)?,
            file,
        })
    }

    /// The tensor `name` of the base model, with the adapter merged or replaced by the adapter's tensor.
    pub(super) fn apply(&mut self, name: &str, base: Tensor) -> anyhow::Result<Tensor> {
        if let Some(replacement) = self.names.get(name) {
            self.used.insert(name.to_owned());
            return self.file.view(replacement);
        }
        let Some(module) = name.strip_suffix(".weight") else { return Ok(base) };
        let (a, b) = (format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight"));
        let (Some(a_name), Some(b_name)) = (self.names.get(&a), self.names.get(&b)) else {
            return Ok(base);
        };
        let factor = |name: &str| -> anyhow::Result<Tensor> {
            Ok(self.file.view(name)?.f_to_kind(Kind::Float)?)
        };
        let (down, up) = (factor(a_name)?, factor(b_name)?);
        let rank = down.size()[0] as f64;
        let scale = self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank };
        let fits = down.size()[1..] == base.size()[1..] && up.size()[..1] == base.size()[..1];
        if !fits {
            return Err(anyhow!(
                "{}: the shape of {a} does not match {name} of the base model",
                self.path
            ));
        }
        self.used.extend([a, b]);
        Ok((base.f_to_kind(Kind::Float)? + up.f_matmul(&down)? * scale).f_contiguous()?)
    }

    /// Checks that all tensors of the adapter were used.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        match self.names.keys().find(|name| !self.used.contains(*name)) {
            Some(name) => {
                Err(anyhow!("cannot use {}: the base model has no tensor for {name}", self.path))
            }
            None => Ok(()),
        }
    }
}

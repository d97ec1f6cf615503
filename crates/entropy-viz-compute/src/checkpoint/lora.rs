//! LoRA adapters of PEFT: W + (alpha / r)·B·A, merged when the weights are read.
//!
//! `adapter_model.safetensors` has `base_model.model.<module>.lora_A.weight` (r × in) and `lora_B`
//! (out × r); any other tensor there replaces the base model's (`modules_to_save`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{anyhow, bail};
use serde_json::Value;
use tch::{Kind, Tensor};

use super::config::{Config, read_json};
use super::weights::Shard;

const PREFIX: &str = "base_model.model.";

/// An adapter, to be put on top of its base model's tensors.
pub(super) struct Adapter {
    path: String,
    shard: Shard,
    names: BTreeMap<String, String>, // as the base model says it -> as the file does
    used: BTreeSet<String>,
    alpha: f64,
    rank_stabilised: bool,
}

impl Adapter {
    /// The base model's name, for a message.
    pub(super) fn settings(directory: &Path) -> anyhow::Result<String> {
        let value = read_json(&directory.join("adapter_config.json"))?;
        let base = value.get("base_model_name_or_path").and_then(Value::as_str);
        Ok(base.unwrap_or("an unnamed model").to_owned())
    }

    pub(super) fn open(directory: &Path) -> anyhow::Result<Adapter> {
        let path = directory.join("adapter_config.json");
        let config = Config::of(&path)?;
        let kind = config.text("peft_type")?;
        if kind != "LORA" {
            bail!("{}: peft_type {kind} is not supported, LORA is", path.display());
        }
        let off = |value: &Value| *value == Value::Bool(false);
        let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
        config.refuse("use_dora", off)?;
        config.refuse("fan_in_fan_out", off)?;
        config.refuse("rank_pattern", |_| true)?; // A's own shape says the rank
        config.refuse("alpha_pattern", empty)?;
        config.refuse("layer_replication", |_| false)?;
        let shard = Shard::open(&directory.join("adapter_model.safetensors"))?;
        let names = shard.names().into_iter().map(|name| {
            let base = name.strip_prefix(PREFIX).unwrap_or(&name);
            (base.replace(".base_layer.", "."), name.clone())
        });
        let names = names.collect();
        Ok(Adapter {
            path: directory.display().to_string(),
            names,
            used: BTreeSet::new(),
            alpha: config.number("lora_alpha")?,
            rank_stabilised: config.flag_or("use_rslora", false)?,
            shard,
        })
    }

    /// The base model's tensor with what the adapter has for it.
    pub(super) fn apply(&mut self, name: &str, base: Tensor) -> anyhow::Result<Tensor> {
        if let Some(replacement) = self.names.get(name) {
            self.used.insert(name.to_owned());
            return self.shard.view(replacement);
        }
        let Some(module) = name.strip_suffix(".weight") else { return Ok(base) };
        let (a, b) = (format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight"));
        let (Some(a_name), Some(b_name)) = (self.names.get(&a), self.names.get(&b)) else {
            return Ok(base);
        };
        let factor = |name: &str| -> anyhow::Result<Tensor> {
            Ok(self.shard.view(name)?.f_to_kind(Kind::Float)?)
        };
        let (down, up) = (factor(a_name)?, factor(b_name)?);
        let rank = down.size()[0] as f64;
        let scale = self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank };
        let fits = down.size()[1..] == base.size()[1..] && up.size()[..1] == base.size()[..1];
        if !fits {
            return Err(anyhow!("{}: {a} does not fit the base model's {name}", self.path));
        }
        self.used.extend([a, b]);
        Ok((base.f_to_kind(Kind::Float)? + up.f_matmul(&down)? * scale).f_contiguous()?)
    }

    /// Checks that nothing of the adapter was left out.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        match self.names.keys().find(|name| !self.used.contains(*name)) {
            Some(name) => {
                Err(anyhow!("cannot use {}: the base model has no place for its {name}", self.path))
            }
            None => Ok(()),
        }
    }
}

//! PEFT's `adapter_config.json` of a LoRA adapter.
//!
//! A key that is not known to leave the numbers alone at its value is an error: PEFT adds variants of LoRA as new
//! keys, and an adapter that is applied as plain LoRA would give wrong numbers without a sign.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};
use regex::Regex;
use serde_json::Value;

use super::config::Config;

/// Keys of PEFT 0.21 and ms-swift that do not change how an adapter is applied. The adapter's tensors say which
/// modules and layers it has, and their ranks.
const HARMLESS: [&str; 25] = [
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config", // initialises A; the base model is unchanged
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout", // training only
    "lora_dtype",
    "lorap_emb_lr",
    "lorap_lr_ratio",
    "megatron_core", // the name of a module, used only with megatron_config
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size", // used only with use_qalora
    "r",
    "rank_pattern",
    "revision",
    "runtime_config", // where DoRA is computed; verl writes it
    "target_modules",
    "target_parameters",
    "task_type",
    "use_dora",
    "use_rslora",
];

/// Values of `init_lora_weights` that leave the base model unchanged. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA subtract
/// the initial adapter from it.
const HARMLESS_INITS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

const MERGE: &str = "merge it with PEFT (merge_and_unload, then save_pretrained) and give the merged model as --model";

/// The settings of a LoRA adapter.
#[derive(Debug)]
pub(super) struct LoraConfig {
    path: PathBuf,
    alpha: f64,
    /// Alphas of the modules whose name matches; the first match counts.
    alpha_pattern: Vec<(Regex, f64)>,
    rank: Option<i64>,
    /// Ranks of the modules whose name matches; the first match counts.
    rank_pattern: Vec<(Regex, f64)>,
    rank_stabilised: bool,
    /// DoRA: rows of the merged weights are scaled to learnt magnitudes.
    pub(super) dora: bool,
    modules_to_save: Vec<String>,
}

impl LoraConfig {
    pub(super) fn read(directory: &Path) -> Result<LoraConfig, CliError> {
        let config = Config::read_file(&directory.join("adapter_config.json"))?;
        let shown = config.path().display();
        let kind = config.string("peft_type")?;
        if kind != "LORA" {
            return Err(anyhow!("{shown}: peft_type {kind} is not supported; only LORA is"))
                .hint(MERGE);
        }
        for (key, value) in config.entries() {
            if !is_harmless(key, value) {
                return Err(anyhow!("{shown}: {key} = {value} is not supported")).hint(MERGE);
            }
        }
        let alpha = config.number("lora_alpha")?;
        let alpha_pattern = patterns(&config, "alpha_pattern")?;
        if alpha == 0.0 || alpha_pattern.iter().any(|(_, alpha)| *alpha == 0.0) {
            return Err(anyhow!("{shown}: lora_alpha is 0, so the adapter would have no effect"))
                .hint(
                    "verl's merger writes 0 because it does not know it; set lora_alpha to that of the training run",
                );
        }
        let modules = config.strings("modules_to_save")?.unwrap_or_default();
        Ok(LoraConfig {
            alpha,
            alpha_pattern,
            rank: config.get("r").and_then(Value::as_i64),
            rank_pattern: patterns(&config, "rank_pattern")?,
            rank_stabilised: config.flag_or("use_rslora", false)?,
            dora: config.flag_or("use_dora", false)?,
            modules_to_save: modules.into_iter().map(str::to_owned).collect(),
            path: config.path().to_owned(),
        })
    }

    /// The factor of B·A in a module, or in a parameter of one.
    pub(super) fn scale(&self, module: &str, rank: i64) -> f64 {
        let alpha = first_match(&self.alpha_pattern, module).unwrap_or(self.alpha);
        let rank = rank as f64;
        alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }

    /// The configured rank of a module, or of a parameter of one.
    pub(super) fn rank(&self, module: &str) -> anyhow::Result<i64> {
        let rank = first_match(&self.rank_pattern, module).map(|rank| rank as i64).or(self.rank);
        rank.filter(|rank| *rank > 0)
            .ok_or_else(|| anyhow!("{}: r is not a positive integer", self.path.display()))
    }

    /// Whether the module of a tensor is saved in full (`modules_to_save`).
    pub(super) fn saves_module_of(&self, tensor: &str) -> bool {
        let module = tensor.rsplit_once('.').map_or(tensor, |(module, _)| module);
        self.modules_to_save.iter().any(|name| module.ends_with(name.as_str()))
    }
}

fn is_harmless(key: &str, value: &Value) -> bool {
    let is_off = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match key {
        "init_lora_weights" => match value {
            Value::String(name) => HARMLESS_INITS.contains(&name.to_lowercase().as_str()),
            other => other.is_boolean() || other.is_null(),
        },
        "bias" => is_off || ["none", "all", "lora_only"].iter().any(|bias| value == bias),
        "lora_alpha" | "alpha_pattern" => true, // read below
        _ => is_off || HARMLESS.contains(&key),
    }
}

/// Numbers by regular expressions of module names, in the order of the file.
fn patterns(config: &Config, key: &str) -> anyhow::Result<Vec<(Regex, f64)>> {
    let Some(section) = config.section(key) else { return Ok(Vec::new()) };
    let pattern = |(name, value): (&str, &Value)| {
        let invalid = |reason: String| anyhow!("{}: {key}: {reason}", config.path().display());
        let number = value.as_f64().ok_or_else(|| invalid(format!("{name:?} is {value}")))?;
        // PEFT: re.match(rf"(.*\.)?({key})$", name)
        let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{name})$"));
        Ok((regex.map_err(|_| invalid(format!("cannot read the pattern {name:?}")))?, number))
    };
    section.entries().map(pattern).collect()
}

fn first_match(patterns: &[(Regex, f64)], module: &str) -> Option<f64> {
    patterns.iter().find(|(regex, _)| regex.is_match(module)).map(|(_, number)| *number)
}

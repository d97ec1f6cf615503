//! The checkpoints under the path of `--model`: a single one, or those of a run.
//!
//! verl and trainers like it save the weights as FSDP shards, and config and tokenizer in `huggingface/` beside them.
//! Incomplete downloads and other directories that look like checkpoints are detected here by file names, before
//! anything is loaded.

mod base_model;
pub(crate) mod config;
mod dcp;
mod deepspeed;
mod dequantise;
mod fp8_grid;
mod fsdp;
mod hf_shards;
mod lora;
mod lora_adapter;
mod lora_config;
mod lora_state;
mod megatron;
mod megatron_names;
mod names;
pub(crate) mod quantisation;
mod quantised_files;
mod run_layout;
pub(crate) mod shared;
mod slice;
mod source;
mod step_name;
mod tensor_file;
mod torch_file;
mod torch_source;
mod torch_tensor;
pub(crate) mod weights;

pub(crate) use tensor_file::map;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};
use serde_json::Value;

pub(crate) use run_layout::{run_around, run_of};

/// The format of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CheckpointKind {
    /// The files of the weights. config.json is in the checkpoint's directory, or in that of `--base-model`.
    HuggingFace(Vec<PathBuf>),
    /// A PEFT directory with a LoRA adapter, which needs a base model.
    Lora,
    /// A TorchScript module.
    TorchScript,
}

/// A checkpoint on disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checkpoint {
    /// A directory, or the file of a TorchScript module.
    pub(crate) path: PathBuf,
    /// The training step, if the path contains it.
    pub(crate) step: Option<u64>,
    pub(crate) kind: CheckpointKind,
}

/// The checkpoints found under the path of `--model`.
#[derive(Debug)]
pub(crate) enum ModelPath {
    /// A single checkpoint.
    Single(Checkpoint),
    Run(Run),
}

/// The checkpoints of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) directory: PathBuf,
    /// Sorted by step.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The steps that cannot be used, with the reason.
    pub(crate) unusable: Vec<(u64, CliError)>,
    /// Directories with a step that is used in another form.
    pub(crate) other_forms: Vec<PathBuf>,
}

/// Finds the checkpoints under a path.
///
/// # Errors
/// If there are none, or several runs.
pub(crate) fn find(path: &Path) -> Result<ModelPath, CliError> {
    if !path.exists() {
        return Err(anyhow!(
            "cannot open the model {}: there is no such file or directory",
            path.display()
        ))
        .hint("--model is a local path; download checkpoints of a model hub first");
    }
    let layout = if path.is_dir() { run_layout::find(path)? } else { None };
    let Some(layout) = layout else {
        let checkpoint = single(path, run_layout::step_of(path));
        return checkpoint.unwrap_or_else(|| Err(no_checkpoint(path))).map(ModelPath::Single);
    };
    let (mut checkpoints, mut unusable) = (Vec::new(), Vec::new());
    for (step, checkpoint) in layout.steps {
        match checkpoint {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(failure) => unusable.push((step, failure)),
        }
    }
    let (directory, other_forms) = (layout.directory, layout.other_forms);
    Ok(ModelPath::Run(Run { directory, checkpoints, unusable, other_forms }))
}

/// The error of a path without anything like a checkpoint.
fn no_checkpoint(path: &Path) -> CliError {
    CliError {
        error: anyhow!("cannot use {} as a model: it contains no checkpoint", path.display()),
        hint: Some(
            "give a directory with config.json and *.safetensors, or a run with directories such as global_step_N, checkpoint-N or step_N".to_owned(),
        ),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut entries = entries.map_err(|e| {
        anyhow!("cannot list {}: {}", directory.display(), entropy_shell::io_message(&e))
    })?;
    entries.sort();
    Ok(entries)
}

/// The checkpoint in a directory, or in one of the subdirectories where trainers save it; if a trainer saved an
/// adapter on top of it, the adapter. `None` if there is nothing like a checkpoint.
fn single(path: &Path, step: Option<u64>) -> Option<Result<Checkpoint, CliError>> {
    let checkpoint = match (lora_adapter::find(path), without_adapter(path, step)) {
        (None, checkpoint) => checkpoint.transpose(),
        (Some(_), Ok(Some(checkpoint))) if checkpoint.holds_adapter() => Some(Ok(checkpoint)),
        (Some(path), _) => Some(Ok(Checkpoint { path, step, kind: CheckpointKind::Lora })),
    };
    match checkpoint {
        Some(Ok(checkpoint)) => Some(Ok(checkpoint)),
        other => megatron::explain(path).map(Err).or(other),
    }
}

/// Where trainers put a checkpoint in the directory of a step.
const PLACES: [&str; 11] = [
    "policy/weights/model/consolidated", // NeMo-RL
    "actor/model/huggingface",           // verl with Megatron
    "actor/huggingface",
    "policy/huggingface",
    "huggingface",
    "actor",
    "policy",
    "policy/weights/model",
    "policy/weights",
    "actor_train", // ROLL
    "",
];

/// The checkpoint of [`single`], without an adapter on top of it.
fn without_adapter(path: &Path, step: Option<u64>) -> Result<Option<Checkpoint>, CliError> {
    if path.is_file() {
        let kind = file_kind(path)?;
        return Ok(Some(Checkpoint { path: path.to_owned(), step, kind }));
    }
    let places =
        PLACES.map(|place| if place.is_empty() { path.to_owned() } else { path.join(place) });
    for directory in &places {
        for (marker, kind) in [
            ("adapter_config.json", CheckpointKind::Lora),
            ("config.json", CheckpointKind::HuggingFace(Vec::new())),
        ] {
            if !directory.join(marker).is_file() {
                continue;
            }
            let kind = if kind == CheckpointKind::Lora {
                kind
            } else {
                CheckpointKind::HuggingFace(weights_in(directory)?)
            };
            return Ok(Some(Checkpoint { path: directory.clone(), step, kind }));
        }
    }
    for directory in &places {
        if !directory.is_dir() {
            continue;
        }
        let shards = shards_in(directory)?;
        if !shards.is_empty() {
            let kind = CheckpointKind::HuggingFace(shards);
            return Ok(Some(Checkpoint { path: directory.clone(), step, kind }));
        }
        if entries(directory)?.iter().any(|path| is_weights(path)) {
            return Err(anyhow!(
                "cannot use {} as a model: it has weights but no config.json",
                directory.display()
            ))
            .hint(
                "copy config.json and tokenizer.json of the model it was trained from to the same directory",
            );
        }
    }
    Ok(None)
}

fn is_weights(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".safetensors") || (name.starts_with("pytorch_model") && name.ends_with(".bin"))
}

/// Whether a file has whole tensors: not the parts of one rank.
fn is_whole(path: &Path) -> bool {
    is_weights(path) && !hf_shards::is_shard(path)
}

/// The weights in a directory with config.json; the error says what it has instead.
fn weights_in(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let shown = directory.display();
    for name in ["model.safetensors", "pytorch_model.bin"] {
        // The order of transformers: a whole file counts before an index that lies beside it.
        let whole = directory.join(name);
        if whole.is_file() {
            return Ok(vec![whole]);
        }
        let index = directory.join(format!("{name}.index.json"));
        if index.is_file() {
            return shards(&index, directory);
        }
    }
    let is_beside_weights = directory.file_name().is_some_and(|name| name == "huggingface");
    let parent = directory.parent().filter(|_| is_beside_weights);
    for place in [directory].into_iter().chain(parent) {
        let shards = shards_in(place)?;
        if !shards.is_empty() {
            return Ok(shards);
        }
    }
    let entries = entries(directory)?;
    let Some(first) = entries.iter().find(|path| is_weights(path)) else {
        let hint = match is_beside_weights {
            true => "the weights (model_world_size_*_rank_*.pt) belong in the directory above it",
            false => {
                "model.safetensors or pytorch_model.bin is required, or its index.json and shards"
            }
        };
        return Err(anyhow!("cannot use {shown} as a model: it has config.json but no weights"))
            .hint(hint);
    };
    Err(anyhow!(
        "cannot use {shown} as a model: it has {}, but neither model.safetensors nor pytorch_model.bin nor an index of shards",
        first.file_name().unwrap_or_default().to_string_lossy()
    ))
    .hint("was the download or the copy complete?")
}

/// The shards of FSDP or of torch's distributed checkpoints, or the DeepSpeed checkpoint in a directory; empty if it has none.
fn shards_in(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = entries(directory)?;
    let mut files = fsdp::shards_among(&entries)?;
    if files.is_empty() {
        files = dcp::files_in(directory)?;
    }
    if files.is_empty() {
        files = hf_shards::files_in(directory)?;
    }
    if files.is_empty() {
        files = deepspeed::states_among(&entries)?;
    }
    // transformers' Trainer: checkpoint-40/global_step40.
    let inner = entries.iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("global_step") && path.is_dir()
    });
    match inner.filter(|_| files.is_empty() && step_name::step_named(directory).is_some()) {
        Some(inner) => deepspeed::states_among(&self::entries(inner)?),
        None => Ok(files),
    }
}

fn shards(index: &Path, directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let value = config::read_json(index)?;
    let Some(map) = value.get("weight_map").and_then(Value::as_object) else {
        return Err(anyhow!("cannot read {}: it has no weight_map", index.display()).into());
    };
    let mut names: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut files = Vec::new();
    for name in names {
        // Shards are in the directory of the index; other paths are not followed.
        let file = Path::new(name).file_name().map(|name| directory.join(name));
        let file = file.filter(|file| file.is_file());
        files.push(
            file.ok_or_else(|| {
                anyhow!(
                    "cannot use {} as a model: the shard {name} is missing",
                    directory.display()
                )
            })
            .hint("was the download or the copy complete?")?,
        );
    }
    Ok(files)
}

/// The format of a file given as `--model`, which must be a TorchScript module, not pickled tensors.
fn file_kind(path: &Path) -> Result<CheckpointKind, CliError> {
    if is_weights(path) {
        return Err(anyhow!(
            "cannot use {}: a weights file does not define the model",
            path.display()
        ))
        .hint("give its directory, which must also have config.json");
    }
    let bytes = tensor_file::map(path)?;
    let is_zip = bytes.starts_with(b"PK");
    // Only TorchScript archives have this entry; those of torch.save do not.
    if is_zip && memchr::memmem::find(&bytes, b"constants.pkl").is_some() {
        return Ok(CheckpointKind::TorchScript);
    }
    if is_zip || bytes.starts_with(b"\x80") {
        return Err(anyhow!(
            "cannot use {}: a file of torch.save does not define the model",
            path.display()
        ))
        .hint("give its directory, which must also have config.json");
    }
    Err(anyhow!("cannot use {} as a model: it is not a TorchScript module", path.display()))
        .hint("give a checkpoint directory, or a file written by torch.jit.save")
}

impl Checkpoint {
    /// Whether these are the shards of a LoRA run, which hold base weights and adapter, with the factor of the adapter.
    fn holds_adapter(&self) -> bool {
        let CheckpointKind::HuggingFace(files) = &self.kind else { return false };
        let shard = files.first().filter(|file| !is_whole(file));
        shard.is_some_and(|file| file.with_file_name(lora_state::META).is_file())
    }

    /// For an adapter on `base`: the directory of the weights that it was saved with, if they are others.
    pub(crate) fn unused_weights(&self, base: &Checkpoint) -> Option<PathBuf> {
        let is_adapter = self.kind == CheckpointKind::Lora;
        is_adapter.then(|| lora_adapter::unused_weights(&self.path, base)).flatten()
    }

    /// The checkpoint with the model and its config.json: for an adapter, the base model.
    pub(crate) fn base(&self, base: Option<&Path>) -> Result<Checkpoint, CliError> {
        let needs_config = matches!(self.kind, CheckpointKind::HuggingFace(_))
            && !self.path.join("config.json").is_file();
        if self.kind != CheckpointKind::Lora && !needs_config {
            return Ok(self.clone());
        }
        let Some(base) = base else {
            if needs_config {
                let path = base_model::of_run(&self.path)?;
                return Ok(Checkpoint { path, ..self.clone() });
            }
            return match lora_adapter::base_of(&self.path) {
                Some(base) => Ok(base),
                None => base_model::of_adapter(&self.path),
            };
        };
        let given =
            without_adapter(base, None).and_then(|found| found.ok_or_else(|| no_checkpoint(base)));
        let base = given.map_err(|failure| CliError {
            error: failure.error.context("cannot use --base-model"),
            ..failure
        })?;
        let base = base.full_model().map_err(|failure| CliError {
            error: failure.error.context("cannot use --base-model"),
            ..failure
        })?;
        match needs_config {
            true => Ok(Checkpoint { kind: self.kind.clone(), ..base }),
            false => Ok(base),
        }
    }

    /// The checkpoint, if it has whole weights and not an adapter or a module.
    fn full_model(self) -> Result<Checkpoint, CliError> {
        match self.kind {
            CheckpointKind::HuggingFace(_) => Ok(self),
            _ => Err(anyhow!("{} is not a full model", self.path.display()))
                .hint("give the directory of a model with config.json and weights"),
        }
    }

    /// Opens the weights of `base`, with this adapter if it is one.
    pub(crate) fn open(&self, base: &Checkpoint) -> Result<weights::Weights, CliError> {
        let CheckpointKind::HuggingFace(files) = &base.kind else {
            return Err(anyhow!("BUG: {} has no safetensors", base.path.display()).into());
        };
        let weights = weights::Weights::open(files, &base.path)?;
        if self.kind != CheckpointKind::Lora {
            return Ok(weights);
        }
        let adapter = lora::LoraAdapter::open(&self.path).map_err(|failure| CliError {
            error: failure.error.context(format!("cannot use the adapter {}", self.path.display())),
            ..failure
        })?;
        Ok(weights.with(adapter))
    }

    /// The files that determine the numbers of the model, for a digest.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let named =
            |names: &[&str]| names.iter().map(|name| self.path.join(name)).collect::<Vec<_>>();
        let mut files = match &self.kind {
            CheckpointKind::TorchScript => vec![self.path.clone()],
            CheckpointKind::Lora => named(&["adapter_config.json", "adapter_model.safetensors"]),
            CheckpointKind::HuggingFace(files) => {
                let meta = files.first().map(|file| file.with_file_name(lora_state::META));
                let named = named(&["config.json", "generation_config.json"]);
                [files.clone(), meta.into_iter().collect(), named].concat()
            }
        };
        files.retain(|file| file.is_file());
        files
    }

    /// The files of this checkpoint and of `base`, each once. `base` is the base model of an adapter, or the checkpoint itself.
    pub(crate) fn files_with(&self, base: &Checkpoint) -> Vec<PathBuf> {
        let mut files = self.files();
        for file in base.files() {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }
}

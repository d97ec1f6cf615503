//! Distributed checkpoints of torch (DCP), as prime-rl, NeMo-RL, AReaL and accelerate save them: `.metadata`, a pickle
//! that says which part of which tensor is where, and `__r_n.distcp`, files of torch.save one after the other, each with
//! one part.
//!
//! The model's tensors have the names of transformers behind a prefix (`model.`, `app.model.`), or those of Megatron;
//! optimizer and other state in the same checkpoint is left out.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::{CliError, WithHint};

use super::lora_state;
use super::megatron_names;
use super::names::model_prefix;
use super::slice::check_cover;
use super::tensor_file;
use super::torch_file::{TorchFile, refused};
use super::torch_source::{MappedFile, Part, SourceTensor, TorchSource};
use super::torch_tensor::{StateValue, StoredTensor, elements_of, state_value};
use crate::pickle::{self, Pickle, ValueId};

/// Where trainers put such a checkpoint in the directory of a step.
const PLACES: [&str; 10] = [
    "",
    "pytorch_model_fsdp_0", // accelerate
    "trainer",              // prime-rl
    "policy/weights",       // NeMo-RL
    "weights",
    "iter_0000000",    // NeMo-RL with Megatron, in policy/weights
    "dcp",             // ROLL
    "model/dist_ckpt", // verl with Megatron
    "dist_ckpt",
    "release", // Megatron's name of a model that is converted, not trained
];

/// Whether a file is the description of a distributed checkpoint.
pub(super) fn is_metadata(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ".metadata")
}

/// The files of the distributed checkpoint in a directory, `.metadata` first; empty if the directory has no such checkpoint.
pub(super) fn files_in(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    for place in PLACES.map(|place| directory.join(place)) {
        let metadata = place.join(".metadata");
        if !metadata.is_file() {
            continue;
        }
        let mut files = super::entries(&place)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "distcp"));
        if !files.is_empty() {
            files.insert(0, metadata);
            return Ok(files);
        }
    }
    Ok(Vec::new())
}

/// A part of a tensor: where it is in the tensor, and in which part of which file.
struct Chunk {
    start: Vec<i64>,
    size: Vec<i64>,
    file: String,
    offset: usize,
    length: usize,
}

/// Opens the checkpoint of a `.metadata`. `config` is the directory of config.json.
pub(super) fn open(metadata: &Path, config: &Path) -> Result<TorchSource, CliError> {
    let directory = metadata.parent().unwrap_or(Path::new("."));
    let bytes = tensor_file::map(metadata)?;
    let pickle = pickle::read(&bytes).map_err(|error| refused(metadata, &error))?;
    let shown = metadata.display();
    let described = described(&pickle).with_context(|| format!("cannot read {shown}"))?;
    let prefix = model_prefix(described.keys().copied(), directory)?;
    let is_chosen = |name: &str| match prefix.as_str() {
        "" => !is_other_state(name),
        prefix => name.starts_with(prefix),
    };
    let chosen: BTreeMap<&str, ValueId> =
        described.into_iter().filter(|(name, _)| is_chosen(name)).collect();
    let mut chunks = chunks(&pickle, &chosen).with_context(|| format!("cannot read {shown}"))?;
    let mut files = Files { directory, mapped: Vec::new(), index_of: HashMap::new() };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in chosen {
        let size = ints(&pickle, tensor, "size").filter(|size| size.iter().all(|n| *n >= 0));
        let size = size.with_context(|| format!("cannot read {shown}: {name} has no shape"))?;
        let chunks = chunks.remove(name).unwrap_or_default();
        let tensor = files.tensor(size, chunks).map_err(|failure| CliError {
            error: failure.error.context(format!("cannot use {shown}: the tensor {name}")),
            ..failure
        })?;
        tensors.insert(name[prefix.len()..].to_owned(), tensor);
    }
    if tensors.contains_key(megatron_names::EMBEDDING) {
        tensors = megatron_names::to_transformers(tensors, directory, config)?;
    }
    let source = TorchSource { files: files.mapped, tensors, adapters: BTreeMap::new() };
    lora_state::separate(source, directory)
}

/// Whether a name without prefix is of something else than the model: ROLL has `optimizer.`, `scheduler.`, `rng_state.`,
/// Megatron `chained_0.optimizer.`.
fn is_other_state(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    ["optim", "sched", "rng", "chained_"].iter().any(|part| first.contains(part))
}

/// The records of all tensors: `state_dict_metadata` of `Metadata`, a dictionary of `TensorStorageMetadata`. Objects of
/// other types (`BytesStorageMetadata`) are not tensors.
fn described<'a>(pickle: &Pickle<'a>) -> anyhow::Result<BTreeMap<&'a str, ValueId>> {
    let entries = pickle.field(pickle.root(), "state_dict_metadata");
    let entries =
        entries.and_then(|id| pickle.entries(id)).context("it has no state_dict_metadata")?;
    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        let (Some(name), Some((class, _))) = (pickle.text(*name), pickle.object(*value)) else {
            bail!("its state_dict_metadata has an entry of an unknown form");
        };
        if class == "TensorStorageMetadata" {
            tensors.insert(name, *value);
        }
    }
    Ok(tensors)
}

fn ints(pickle: &Pickle<'_>, id: ValueId, key: &str) -> Option<Vec<i64>> {
    pickle.field(id, key).and_then(|id| pickle.ints(id))
}

/// The parts of the chosen tensors: `storage_data`, a dictionary of `MetadataIndex` to `_StorageInfo`.
fn chunks<'a>(
    pickle: &Pickle<'a>,
    chosen: &BTreeMap<&'a str, ValueId>,
) -> anyhow::Result<HashMap<&'a str, Vec<Chunk>>> {
    let entries = pickle.field(pickle.root(), "storage_data").and_then(|id| pickle.entries(id));
    let mut sizes = HashMap::new();
    let mut chunks: HashMap<&str, Vec<Chunk>> = HashMap::new();
    for (index, info) in entries.context("it has no storage_data")? {
        let name = pickle.field(*index, "fqn").and_then(|id| pickle.text(id));
        let name = name.context("its storage_data has an entry without a name")?;
        let Some(tensor) = chosen.get(name) else { continue };
        let unknown = || format!("its storage_data of {name} is of an unknown form");
        let start = ints(pickle, *index, "offset").with_context(unknown)?;
        if !sizes.contains_key(name) {
            sizes.insert(name, chunk_sizes(pickle, *tensor).with_context(unknown)?);
        }
        let chunk = chunk(pickle, *info, start, &sizes[name]).with_context(unknown)?;
        chunks.entry(name).or_default().push(chunk);
    }
    Ok(chunks)
}

/// The shapes of the parts of a tensor, by position.
fn chunk_sizes(pickle: &Pickle<'_>, tensor: ValueId) -> Option<HashMap<Vec<i64>, Vec<i64>>> {
    let chunks = pickle.field(tensor, "chunks").and_then(|id| pickle.elements(id))?;
    let chunk = |id: &ValueId| Some((ints(pickle, *id, "offsets")?, ints(pickle, *id, "sizes")?));
    chunks.iter().map(chunk).collect()
}

fn chunk(
    pickle: &Pickle<'_>,
    info: ValueId,
    start: Vec<i64>,
    sizes: &HashMap<Vec<i64>, Vec<i64>>,
) -> anyhow::Result<Chunk> {
    let number = |key| {
        let number = pickle.field(info, key).and_then(|id| pickle.int(id));
        number.and_then(|number| usize::try_from(number).ok()).with_context(|| format!("no {key}"))
    };
    let transforms = pickle.field(info, "transform_descriptors").and_then(|id| pickle.elements(id));
    if transforms.is_some_and(|transforms| !transforms.is_empty()) {
        bail!("its parts are compressed");
    }
    let file = pickle.field(info, "relative_path").and_then(|id| pickle.text(id));
    Ok(Chunk {
        size: sizes.get(&start).context("a part is not among the chunks")?.clone(),
        start,
        file: file.context("no relative_path")?.to_owned(),
        offset: number("offset")?,
        length: number("length")?,
    })
}

/// The files of a checkpoint, mapped when a tensor needs them.
struct Files<'a> {
    directory: &'a Path,
    mapped: Vec<MappedFile>,
    index_of: HashMap<String, usize>,
}

impl Files<'_> {
    fn tensor(&mut self, size: Vec<i64>, chunks: Vec<Chunk>) -> Result<SourceTensor, CliError> {
        let mut parts = Vec::new();
        for chunk in chunks {
            let file = self
                .map(&chunk.file)
                .hint("was the copy complete? the files of all ranks are needed")?;
            let tensor = self.read(file, &chunk)?;
            parts.push(Part { file, tensor, start: chunk.start });
        }
        let Some(first) = parts.first() else { return Err(anyhow!("it has no parts").into()) };
        let kind = first.tensor.kind;
        if parts.iter().any(|part| part.tensor.kind != kind) {
            return Err(anyhow!("its parts differ in number type").into());
        }
        if elements_of(&size).is_none() {
            return Err(anyhow!("its shape {size:?} is too large").into());
        }
        check_cover(&parts, &size).hint("was the copy complete?")?;
        parts.retain(|part| part.tensor.numel() > 0);
        Ok(SourceTensor { kind, size, is_flat: false, parts })
    }

    fn map(&mut self, name: &str) -> anyhow::Result<usize> {
        if let Some(index) = self.index_of.get(name) {
            return Ok(*index);
        }
        // The files are in the directory of `.metadata`; other paths are not followed.
        let file_name = Path::new(name).file_name().filter(|file| *file == name);
        let file_name =
            file_name.with_context(|| format!("its file {name:?} is in another directory"))?;
        self.mapped.push(MappedFile::open(&self.directory.join(file_name))?);
        self.index_of.insert(name.to_owned(), self.mapped.len() - 1);
        Ok(self.mapped.len() - 1)
    }

    fn read(&self, file: usize, chunk: &Chunk) -> Result<StoredTensor, CliError> {
        let MappedFile { path, map } = &self.mapped[file];
        let end = chunk.offset.checked_add(chunk.length).filter(|end| *end <= map.len());
        let Some(end) = end else {
            return Err(anyhow!("{} is cut off", path.display())).hint("was the copy complete?");
        };
        let read = TorchFile::read(path, map, chunk.offset..end)?;
        match state_value(&read, read.pickle.root())? {
            StateValue::Tensor(tensor) if tensor.size == chunk.size => Ok(tensor),
            StateValue::Tensor(tensor) => Err(anyhow!(
                "a part in {} is {:?}, not {:?}",
                path.display(),
                tensor.size,
                chunk.size
            )
            .into()),
            _ => Err(anyhow!("a part in {} is not a tensor", path.display()).into()),
        }
    }
}

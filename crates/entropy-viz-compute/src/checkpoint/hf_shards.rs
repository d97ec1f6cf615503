//! Safetensors that torch's distributed checkpoint wrote without consolidation (`HuggingFaceStorageWriter`, torch 2.7 and
//! later), as NeMo-RL leaves them: one file per rank, with the rank's parts of the tensors.
//!
//! ```text
//! step_40/policy/weights/model/shard-00001-model-00001-of-00001.safetensors
//! __metadata__: {"DCP_SHARDING_INFO": "{\"lm_head.weight\": {\"saved_offsets\": [160, 0]}, …}"}
//! ```
//!
//! The shape of a whole tensor is written nowhere: it ends where its last part ends. So the files of the last ranks can
//! be missing without a trace here; the shapes are then not those of config.json.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::{CliError, WithHint};
use safetensors::tensor::TensorInfo;
use serde_json::Value;

use super::lora_state;
use super::names::model_prefix;
use super::slice::check_cover;
use super::tensor_file::{TensorFile, kind_of};
use super::torch_source::{MappedFile, Part, SourceTensor, TorchSource};
use super::torch_tensor::{StoredTensor, elements_of};

/// Where they are in the directory of a step: NeMo-RL; torch while it consolidates.
const PLACES: [&str; 4] = ["", "model", "policy/weights/model", "sharded"];

/// The key of a file's `__metadata__` with the positions of its parts.
const SHARDING_INFO: &str = "DCP_SHARDING_INFO";

const HINT: &str = "copy the files of all ranks and nodes to one directory";

/// The numbers in a name: of the rank, of the file, and of the files of each rank. All count from 1.
fn numbers(path: &Path) -> Option<[usize; 3]> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix("shard-")?.strip_suffix(".safetensors")?;
    let (rank, rest) = rest.split_once("-model-")?;
    let (file, files) = rest.split_once("-of-")?;
    Some([rank.parse().ok()?, file.parse().ok()?, files.parse().ok()?])
}

/// Whether a file is named as the part of a rank.
pub(super) fn is_shard(path: &Path) -> bool {
    numbers(path).is_some()
}

/// The parts of all ranks in a directory; empty if there are none.
pub(super) fn files_in(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    for place in PLACES.map(|place| directory.join(place)) {
        if !place.is_dir() {
            continue;
        }
        let mut files = super::entries(&place)?;
        files.retain(|path| is_shard(path));
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Ok(Vec::new())
}

/// Opens the files of [`files_in`].
pub(super) fn open(paths: &[PathBuf]) -> Result<TorchSource, CliError> {
    let directory = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let mut files = Vec::new();
    let mut parts: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        let file = TensorFile::open(path)?;
        for (name, part) in
            read_parts(&file, index).with_context(|| format!("cannot use {}", path.display()))?
        {
            parts.entry(name).or_default().push(part);
        }
        files.push(MappedFile { path: file.path, map: file.map });
    }
    let mut tensors = BTreeMap::new();
    for (name, parts) in parts {
        let tensor = assemble(parts)
            .with_context(|| {
                let missing = missing(paths);
                format!("cannot use {}: the tensor {name}{missing}", directory.display())
            })
            .hint(HINT)?;
        tensors.insert(name, tensor);
    }
    let prefix = model_prefix(tensors.keys().map(String::as_str), directory)?;
    let stripped = |name: String| name.strip_prefix(&prefix).map(str::to_owned).unwrap_or(name);
    let tensors = tensors.into_iter().map(|(name, tensor)| (stripped(name), tensor)).collect();
    lora_state::separate(TorchSource { files, tensors, adapters: BTreeMap::new() }, directory)
}

/// The parts in a file, by the names of their tensors.
fn read_parts(file: &TensorFile, index: usize) -> anyhow::Result<Vec<(String, Part)>> {
    let info = file.metadata.metadata().as_ref().and_then(|map| map.get(SHARDING_INFO));
    let info = info.with_context(|| format!("its header has no {SHARDING_INFO}"))?;
    let info: Value = serde_json::from_str(info)
        .map_err(|_| anyhow!("{SHARDING_INFO} of its header is not JSON"))?;
    let mut parts = Vec::new();
    for (name, tensor) in file.metadata.tensors() {
        let part = part(file, tensor, index, &info[name.as_str()]["saved_offsets"])
            .with_context(|| format!("the tensor {name}"))?;
        parts.push((name, part));
    }
    Ok(parts)
}

fn part(
    file: &TensorFile,
    tensor: &TensorInfo,
    index: usize,
    offsets: &Value,
) -> anyhow::Result<Part> {
    let start = offsets.as_array().and_then(|offsets| {
        let offsets = offsets.iter().map(|n| n.as_i64().filter(|n| *n >= 0));
        offsets.collect::<Option<Vec<i64>>>()
    });
    let start = start.with_context(|| format!("{SHARDING_INFO} has no saved_offsets of it"))?;
    let size: Vec<i64> = tensor.shape.iter().map(|n| *n as i64).collect();
    if start.len() != size.len() {
        bail!("its saved_offsets {start:?} do not fit its shape {size:?}");
    }
    let Some(kind) = kind_of(tensor.dtype) else {
        bail!("it is {:?}; float32, bfloat16 and float16 are supported", tensor.dtype);
    };
    let mut stride = vec![1; size.len()];
    for dim in (1..size.len()).rev() {
        stride[dim - 1] = stride[dim] * size[dim].max(1);
    }
    let (first, end) = tensor.data_offsets;
    let storage = file.data + first..file.data + end;
    let tensor = StoredTensor { kind, storage, offset: 0, size, stride };
    tensor.check()?;
    Ok(Part { file: index, tensor, start })
}

/// A tensor of its parts, which ends where the last of them ends.
fn assemble(mut parts: Vec<Part>) -> anyhow::Result<SourceTensor> {
    let Some(first) = parts.first() else { bail!("BUG: it has no parts") };
    let kind = first.tensor.kind;
    let mut size = vec![0; first.start.len()];
    for part in &parts {
        if part.tensor.kind != kind || part.start.len() != size.len() {
            bail!("its parts differ in number type or dimensions");
        }
        for (end, (start, n)) in size.iter_mut().zip(part.start.iter().zip(&part.tensor.size)) {
            *end = start.saturating_add(*n).max(*end);
        }
    }
    if elements_of(&size).is_none() {
        bail!("its parts are too far apart: its shape would be {size:?}");
    }
    check_cover(&parts, &size)?;
    parts.retain(|part| part.tensor.numel() > 0);
    Ok(SourceTensor { kind, size, is_flat: false, parts })
}

/// The ranks and files that are missing by the numbers of the others, for messages. A rank without a part of any tensor
/// has no file, so that a missing rank alone is not an error.
fn missing(paths: &[PathBuf]) -> String {
    let numbers: Vec<[usize; 3]> = paths.iter().filter_map(|path| numbers(path)).collect();
    let absent =
        |present: BTreeSet<usize>, last: usize| (1..=last).find(|number| !present.contains(number));
    let ranks: BTreeSet<usize> = numbers.iter().map(|[rank, ..]| *rank).collect();
    let last = ranks.last().copied().unwrap_or_default();
    let files = numbers.iter().map(|[_, file, _]| *file).collect();
    let of = numbers.iter().map(|[.., files]| *files).max().unwrap_or_default();
    match (absent(ranks, last), absent(files, of)) {
        (Some(rank), _) => format!(" (shard-{rank:05} is missing)"),
        (_, Some(file)) => format!(" (model-{file:05}-of-{of:05} is missing)"),
        (None, None) => String::new(),
    }
}

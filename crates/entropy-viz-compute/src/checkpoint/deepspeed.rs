//! Checkpoints of DeepSpeed (ZeRO), as OpenRLHF and `Trainer` save them to resume from.
//!
//! Up to ZeRO-2, `mp_rank_00_model_states.pt` has the whole model under `module`, in the type it is trained in. With
//! ZeRO-3 there is one `zero_pp_rank_r_mp_rank_00_model_states.pt` per rank with names and shapes, and one
//! `*zero_pp_rank_r_mp_rank_00_optim_states.pt` with `fp32_flat_groups`: each parameter is flattened and cut into pieces
//! of ceil(elements / ranks), and a rank's pieces follow one another in the order of the names. The last piece is padded.
//! Layout: DeepSpeed 0.19, deepspeed/utils/zero_to_fp32.py.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::{CliError, WithHint};

use super::lora_state;
use super::names::model_prefix;
use super::torch_file::TorchFile;
use super::torch_source::{MappedFile, Part, SourceTensor, TorchSource};
use super::torch_tensor::{StateValue, StoredTensor, elements_of, state_value};
use crate::pickle::ValueId;

const WHOLE: &str = "mp_rank_00_model_states.pt";
const MODEL_STATES: &str = "_mp_rank_00_model_states";
const OPTIM_STATES: &str = "_mp_rank_00_optim_states";

const COPY_HINT: &str = "copy the file of each rank again, under its own name";

/// The rank in `zero_pp_rank_3_mp_rank_00_model_states.pt`; a prefix such as `bf16_` may be before it.
fn rank(path: &Path, suffix: &str) -> Option<usize> {
    rank_in(path.file_name()?.to_str()?.strip_suffix(".pt")?, suffix)
}

/// The rank in such a name without `.pt`.
fn rank_in(name: &str, suffix: &str) -> Option<usize> {
    name.strip_suffix(suffix)?.rsplit_once("zero_pp_rank_")?.1.parse().ok()
}

fn is_whole(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == WHOLE)
}

/// Whether a file is of a DeepSpeed checkpoint.
pub(super) fn is_states(path: &Path) -> bool {
    is_whole(path) || rank(path, MODEL_STATES).is_some()
}

/// The files of a checkpoint among those of a directory: of the whole model, or all model states in the order of ranks
/// and then all optimizer states. Empty if there are none.
pub(super) fn states_among(files: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    if let Some(whole) = files.iter().find(|path| is_whole(path)) {
        let other = whole.with_file_name("mp_rank_01_model_states.pt");
        if files.contains(&other) {
            return Err(anyhow!(
                "cannot use {}: tensor parallelism cuts the model into several files",
                other.display()
            ))
            .hint("save it in the Hugging Face format, in OpenRLHF by --ckpt.save_hf");
        }
        return Ok(vec![whole.clone()]);
    }
    let of_ranks = |suffix: &str| {
        let mut found: Vec<(usize, PathBuf)> =
            files.iter().filter_map(|path| Some((rank(path, suffix)?, path.clone()))).collect();
        found.sort();
        found
    };
    let (models, optims) = (of_ranks(MODEL_STATES), of_ranks(OPTIM_STATES));
    let Some((_, first)) = models.first() else { return Ok(Vec::new()) };
    let complete =
        |states: &[(usize, PathBuf)]| states.iter().map(|(rank, _)| *rank).eq(0..states.len());
    if !complete(&models) || !complete(&optims) || models.len() != optims.len() {
        return Err(anyhow!(
            "cannot use {}: it has model states of {} ranks and optimizer states of {}, or a rank is missing",
            first.parent().unwrap_or(first).display(),
            models.len(),
            optims.len()
        ))
        .hint("ZeRO-3 keeps the weights with the optimizer states: copy the files of all ranks and nodes to one directory");
    }
    Ok(models.into_iter().chain(optims).map(|(_, path)| path).collect())
}

/// Opens the files of [`states_among`].
pub(super) fn open(paths: &[PathBuf]) -> Result<TorchSource, CliError> {
    let directory = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let files = paths.iter().map(|path| MappedFile::open(path));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let tensors = match paths {
        [whole] if is_whole(whole) => read_whole(&files[0])?,
        _ => read_pieces(&files)?,
    };
    let prefix = model_prefix(tensors.keys().map(String::as_str), directory)?;
    let stripped = |name: String| name.strip_prefix(&prefix).map(str::to_owned).unwrap_or(name);
    let tensors = tensors.into_iter().map(|(name, tensor)| (stripped(name), tensor)).collect();
    lora_state::separate(TorchSource { files, tensors, adapters: BTreeMap::new() }, directory)
}

fn read(file: &MappedFile) -> Result<TorchFile<'_>, CliError> {
    TorchFile::read(&file.path, &file.map, 0..file.map.len())
}

fn read_whole(file: &MappedFile) -> Result<BTreeMap<String, SourceTensor>, CliError> {
    let states = States { file: read(file)? };
    let mut tensors = BTreeMap::new();
    for (name, id) in states.entries("module")? {
        tensors.insert(name.to_owned(), SourceTensor::whole(0, states.tensor(name, id)?));
    }
    Ok(tensors)
}

/// The dictionary of a file.
struct States<'a> {
    file: TorchFile<'a>,
}

impl<'a> States<'a> {
    fn malformed(&self, what: &str) -> anyhow::Error {
        anyhow!("cannot use {}: {what}", self.file.path().display())
    }

    fn entries(&self, key: &str) -> anyhow::Result<Vec<(&'a str, ValueId)>> {
        let pickle = &self.file.pickle;
        let entries = pickle.field(pickle.root(), key).and_then(|id| pickle.entries(id));
        let entries = entries.ok_or_else(|| self.malformed(&format!("it has no {key}")))?.iter();
        let named =
            entries.map(|(name, id)| Some((pickle.text(*name)?, *id))).collect::<Option<_>>();
        named.ok_or_else(|| self.malformed(&format!("a name in {key} is not a string")))
    }

    fn tensor(&self, name: &str, id: ValueId) -> anyhow::Result<StoredTensor> {
        let place = || format!("cannot use {}: {name}", self.file.path().display());
        match state_value(&self.file, id).with_context(place)? {
            StateValue::Tensor(tensor) => Ok(tensor),
            StateValue::Distributed(_) => Err(self.malformed(&format!("{name} is a DTensor"))),
            StateValue::Other(kind) => {
                Err(self.malformed(&format!("{name} is {kind}, not a tensor")))
            }
        }
    }

    /// Names and shapes of the parameters, in the order of their pieces: a list of dictionaries, one per group.
    fn shapes(&self) -> anyhow::Result<Vec<(&'a str, Vec<i64>)>> {
        let pickle = &self.file.pickle;
        let malformed = || self.malformed("it has no param_shapes");
        let groups = pickle.field(pickle.root(), "param_shapes").and_then(|id| pickle.elements(id));
        let mut shapes = Vec::new();
        for group in groups.ok_or_else(malformed)? {
            for (name, size) in pickle.entries(*group).ok_or_else(malformed)? {
                let size = pickle.ints(*size).filter(|size| size.iter().all(|n| *n >= 0));
                shapes
                    .push((pickle.text(*name).ok_or_else(malformed)?, size.ok_or_else(malformed)?));
            }
        }
        Ok(shapes)
    }

    /// The flat float32 weights of a rank.
    fn flat_groups(&self, ranks: usize) -> anyhow::Result<Vec<StoredTensor>> {
        let pickle = &self.file.pickle;
        let state = pickle.field(pickle.root(), "optimizer_state_dict");
        let field = |key| state.and_then(|id| pickle.field(id, key));
        let count = field("partition_count").and_then(|id| pickle.int(id));
        if count.is_some_and(|count| count != ranks as i64) {
            bail!(
                self.malformed(&format!(
                    "its partition_count is not the {ranks} ranks that are here"
                ))
            );
        }
        let groups = field("fp32_flat_groups").and_then(|id| pickle.elements(id));
        let groups = groups
            .ok_or_else(|| self.malformed("it has no fp32_flat_groups, so it is not of ZeRO-3"))?;
        let groups = groups.iter().map(|id| self.tensor("a flat group", *id));
        groups.collect()
    }
}

/// A rank's flat weights, from which pieces are taken one after the other.
struct FlatWeights {
    file: usize,
    groups: Vec<StoredTensor>,
    group: usize,
    /// Position in the group.
    position: i64,
}

impl FlatWeights {
    /// Takes the next elements; they may be in several groups.
    fn take(&mut self, mut count: i64) -> anyhow::Result<Vec<(i64, StoredTensor)>> {
        let mut taken = Vec::new();
        let mut done = 0;
        while count > 0 {
            let group = self.groups.get(self.group).context("the flat weights end too early")?;
            let [stride] = group.stride[..] else { bail!("a flat group is not flat") };
            let here = count.min(group.numel() - self.position);
            if here > 0 {
                let piece = StoredTensor {
                    offset: group.offset + (self.position * stride) as usize,
                    size: vec![here],
                    ..group.clone()
                };
                taken.push((done, piece));
            }
            (done, count, self.position) = (done + here, count - here, self.position + here);
            if self.position == group.numel() {
                (self.group, self.position) = (self.group + 1, 0);
            }
        }
        Ok(taken)
    }
}

/// The states of a rank. Nothing in them names the rank, but torch names the archive in a file as the file.
fn read_rank<'a>(file: &'a MappedFile, suffix: &str) -> Result<States<'a>, CliError> {
    let read = read(file)?;
    match (rank(&file.path, suffix), rank_in(read.archive, suffix)) {
        (Some(named), Some(written)) if named != written => Err(anyhow!(
            "cannot use {}: it was written as the file of rank {written}",
            file.path.display()
        ))
        .hint(COPY_HINT),
        _ => Ok(States { file: read }),
    }
}

/// Checks that no two ranks have the same weights, as after a copy of one file to the name of another.
fn check_distinct(files: &[MappedFile], flat: &[FlatWeights]) -> Result<(), CliError> {
    let same = |a: &FlatWeights, b: &FlatWeights| {
        let bytes = |of: &FlatWeights, group: &StoredTensor| {
            files[of.file].map.get(group.storage.clone()).unwrap_or_default()
        };
        let has_weights = a.groups.iter().any(|group| group.numel() > 0);
        let mut groups = a.groups.iter().zip(&b.groups);
        has_weights
            && a.groups.len() == b.groups.len()
            && groups.all(|(of_a, of_b)| bytes(a, of_a) == bytes(b, of_b))
    };
    for (i, a) in flat.iter().enumerate() {
        if let Some(b) = flat[i + 1..].iter().find(|b| same(a, b)) {
            return Err(anyhow!(
                "cannot use {} and {} together: both have the same weights",
                files[a.file].path.display(),
                files[b.file].path.display()
            ))
            .hint(COPY_HINT);
        }
    }
    Ok(())
}

fn read_pieces(files: &[MappedFile]) -> Result<BTreeMap<String, SourceTensor>, CliError> {
    let ranks = files.len() / 2;
    let mut flat = Vec::new();
    for (file, mapped) in files.iter().enumerate().skip(ranks) {
        let groups = read_rank(mapped, OPTIM_STATES)?.flat_groups(ranks)?;
        flat.push(FlatWeights { file, groups, group: 0, position: 0 });
    }
    check_distinct(files, &flat)?;
    let states = read_rank(&files[0], MODEL_STATES)?;
    let mut tensors = BTreeMap::new();
    for (name, size) in states.shapes()? {
        let elements = elements_of(&size);
        let elements = elements
            .ok_or_else(|| states.malformed(&format!("the shape of {name} is too large")))?;
        let piece = (elements + ranks as i64 - 1) / ranks as i64;
        let mut parts = Vec::new();
        for (rank, weights) in flat.iter_mut().enumerate() {
            let first = rank as i64 * piece;
            let taken = weights
                .take(piece)
                .map_err(|error| states.malformed(&format!("{name}: {error}")))?;
            for (position, tensor) in taken {
                parts.extend(trimmed(weights.file, tensor, first + position, elements));
            }
        }
        tensors.insert(name.to_owned(), flat_tensor(parts, size).with_context(|| name.to_owned())?);
    }
    if flat.iter().any(|weights| weights.group < weights.groups.len()) {
        return Err(states
            .malformed("the optimizer states have more weights than param_shapes")
            .into());
    }
    read_frozen(files, ranks, &mut tensors)?;
    let buffers = states.file.pickle.field(states.file.pickle.root(), "buffer_names");
    let buffers = buffers.and_then(|id| states.file.pickle.elements(id)).unwrap_or_default();
    let buffers: Vec<&str> = buffers.iter().filter_map(|id| states.file.pickle.text(*id)).collect();
    for (name, id) in
        states.entries("module")?.into_iter().filter(|(name, _)| buffers.contains(name))
    {
        tensors.insert(name.to_owned(), SourceTensor::whole(0, states.tensor(name, id)?));
    }
    // Tied weights are stored once: {"lm_head.weight": "model.embed_tokens.weight"}.
    for (name, id) in states.entries("shared_params")? {
        let other = states.file.pickle.text(id).and_then(|other| tensors.get(other)).cloned();
        if let Some(tensor) = other {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(tensors)
}

/// Parameters that are not trained, as in LoRA runs: each rank has its piece in the model states.
fn read_frozen(
    files: &[MappedFile],
    ranks: usize,
    tensors: &mut BTreeMap<String, SourceTensor>,
) -> Result<(), CliError> {
    let mut frozen: BTreeMap<String, (Vec<i64>, Vec<Part>)> = BTreeMap::new();
    for (rank, mapped) in files[..ranks].iter().enumerate() {
        let states = read_rank(mapped, MODEL_STATES)?;
        let pickle = &states.file.pickle;
        let is_absent =
            |key| pickle.field(pickle.root(), key).is_none_or(|id| pickle.entries(id).is_none());
        if is_absent("frozen_param_shapes") || is_absent("frozen_param_fragments") {
            continue;
        }
        let pieces: BTreeMap<&str, ValueId> =
            states.entries("frozen_param_fragments")?.into_iter().collect();
        for (name, size) in states.entries("frozen_param_shapes")? {
            let missing = || states.malformed(&format!("the frozen parameter {name} has no piece"));
            let size = pickle
                .ints(size)
                .filter(|size| size.iter().all(|n| *n >= 0))
                .ok_or_else(missing)?;
            let piece = states.tensor(name, *pieces.get(name).ok_or_else(missing)?)?;
            let elements = elements_of(&size).ok_or_else(missing)?;
            let first = rank as i64 * ((elements + ranks as i64 - 1) / ranks as i64);
            let (_, parts) = frozen.entry(name.to_owned()).or_insert((size, Vec::new()));
            parts.extend(trimmed(rank, piece, first, elements));
        }
    }
    for (name, (size, parts)) in frozen {
        let tensor = flat_tensor(parts, size).with_context(|| name.clone())?;
        tensors.insert(name, tensor);
    }
    Ok(())
}

/// A piece without the padding behind the last element; `None` if it is all padding.
fn trimmed(file: usize, mut tensor: StoredTensor, start: i64, elements: i64) -> Option<Part> {
    let [size] = &mut tensor.size[..] else { return None };
    *size = (*size).min(elements - start);
    (*size > 0).then(|| Part { file, tensor, start: vec![start] })
}

/// A tensor whose parts are pieces of its flat form.
fn flat_tensor(parts: Vec<Part>, size: Vec<i64>) -> anyhow::Result<SourceTensor> {
    let elements: i64 = size.iter().product();
    let found: i64 = parts.iter().map(|part| part.tensor.numel()).sum();
    let Some(kind) = parts.first().map(|part| part.tensor.kind) else {
        bail!("it has no elements")
    };
    if found != elements || parts.iter().any(|part| part.tensor.kind != kind) {
        bail!("its pieces have {found} elements, but its shape is {size:?}");
    }
    Ok(SourceTensor { kind, size, is_flat: true, parts })
}

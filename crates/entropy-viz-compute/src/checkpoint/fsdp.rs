//! FSDP shards as verl, EasyR1, R-Zero, SkyRL and ROLL save them: one `model_world_size_W_rank_r.pt` per rank, a state
//! dict of `DTensor`s. FSDP1 (with a device mesh), FSDP2 and HSDP write the same form.
//!
//! A `DTensor` names the shape of the whole tensor, the rank's own part, and per dimension of the device mesh how the
//! tensor is laid out: `Shard(dim)` cuts it into chunks of ceil(rows / ranks), the last ones shorter or empty;
//! `Replicate` means that all ranks have the same. A plain tensor is whole in every file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::{CliError, WithHint};

use super::lora_state;
use super::torch_file::TorchFile;
use super::torch_source::{MappedFile, Part, SourceTensor, TorchSource};
use super::torch_tensor::{StateValue, StoredTensor, elements_of, state_dict, state_value};
use crate::pickle::{Pickle, ValueId};

/// More ranks along a dimension of a device mesh than any training has.
const MAX_RANKS: i64 = 1 << 24;

/// World size and rank in the name of a shard.
fn numbers(path: &Path) -> Option<(usize, usize)> {
    let name = path.file_name()?.to_str()?;
    let (size, rank) =
        name.strip_prefix("model_world_size_")?.strip_suffix(".pt")?.split_once("_rank_")?;
    Some((size.parse().ok()?, rank.parse().ok()?))
}

/// Whether a file is named as an FSDP shard.
pub(super) fn is_shard(path: &Path) -> bool {
    numbers(path).is_some()
}

/// The shards among the files of a directory, in the order of ranks; empty if there are none.
pub(super) fn shards_among(files: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut shards: Vec<((usize, usize), &PathBuf)> =
        files.iter().filter_map(|path| Some((numbers(path)?, path))).collect();
    shards.sort();
    let (Some(((size, _), first)), Some(((other, _), last))) = (shards.first(), shards.last())
    else {
        return Ok(Vec::new());
    };
    let directory = first.parent().unwrap_or(first).display();
    if size != other {
        return Err(anyhow!(
            "cannot use {directory}: it has shards of {size} and of {other} ranks"
        ))
        .hint(
            "a run that was resumed with another number of GPUs left both; delete the older ones",
        );
    }
    if let Some(rank) = (0..*size).find(|rank| shards.get(*rank).map(|((_, r), _)| r) != Some(rank))
    {
        return Err(anyhow!(
            "cannot use {directory}: model_world_size_{size}_rank_{rank}.pt is missing"
        ))
        .hint(
            "each node saves the shards of its own GPUs: copy those of all nodes to one directory",
        );
    }
    if shards.len() != *size {
        return Err(anyhow!(
            "cannot use {directory}: {} is not one of {size} ranks",
            last.display()
        )
        .into());
    }
    Ok(shards.into_iter().map(|(_, path)| path.clone()).collect())
}

/// How a tensor is laid out along a dimension of the device mesh.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Placement {
    Replicate,
    Shard(usize),
}

/// A rank's part of a tensor.
struct Shard {
    /// Where the rank is in the device mesh.
    coordinate: Vec<i64>,
    placements: Vec<Placement>,
    /// The shape of the whole tensor.
    size: Vec<i64>,
    file: usize,
    local: StoredTensor,
}

/// Opens the shards of all ranks, in their order.
pub(super) fn open(paths: &[PathBuf]) -> Result<TorchSource, CliError> {
    let files = paths.iter().map(|path| MappedFile::open(path));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let mut tensors = BTreeMap::new();
    let mut shards: BTreeMap<String, Vec<Shard>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let read = TorchFile::read(&file.path, &file.map, 0..file.map.len())?;
        for (name, value) in state_dict(&read)? {
            match value {
                StateValue::Tensor(tensor) => {
                    let first = tensors
                        .entry(name.clone())
                        .or_insert_with(|| SourceTensor::whole(index, tensor.clone()));
                    if first.size != tensor.size || first.kind != tensor.kind {
                        bail_at(
                            &file.path,
                            &format!(
                                "the tensor {name} is not a shard, but differs in shape from that of rank 0"
                            ),
                        )?;
                    }
                }
                StateValue::Distributed(id) => {
                    let shard = shard(&read, id, index).with_context(|| {
                        format!("cannot use {}: the tensor {name}", file.path.display())
                    });
                    shards.entry(name).or_default().push(shard?);
                }
                StateValue::Other(kind) => {
                    bail_at(&file.path, &format!("{name:?} is {kind}, not a tensor"))?;
                }
            }
        }
    }
    let directory = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    for (name, shards) in shards {
        if tensors.contains_key(&name) {
            bail_at(
                directory,
                &format!("the tensor {name} is whole in one file, and a shard in another"),
            )?;
        }
        let tensor = assemble(shards)
            .with_context(|| format!("cannot use {}: the tensor {name}", directory.display()))?;
        tensors.insert(name, tensor);
    }
    lora_state::separate(TorchSource { files, tensors, adapters: BTreeMap::new() }, directory)
}

fn bail_at(path: &Path, reason: &str) -> anyhow::Result<()> {
    bail!("cannot use {}: {reason}", path.display())
}

/// `_rebuild_from_type_v2(_rebuild_wrapper_subclass, DTensor, arguments, (None, {_local_tensor, _spec}))`
fn shard(file: &TorchFile<'_>, id: ValueId, index: usize) -> anyhow::Result<Shard> {
    let pickle = &file.pickle;
    let malformed = || anyhow!("it is not a DTensor of a known form");
    let (_, [_, _, _, state]) = pickle.object(id).ok_or_else(malformed)? else {
        return Err(malformed());
    };
    let local = pickle.field(*state, "_local_tensor").ok_or_else(malformed)?;
    let StateValue::Tensor(local) = state_value(file, local)? else { return Err(malformed()) };
    let spec = pickle.field(*state, "_spec").ok_or_else(malformed)?;
    let meta = pickle.field(spec, "tensor_meta").and_then(|id| pickle.object(id));
    let Some((_, [size, ..])) = meta else { return Err(malformed()) };
    let size = pickle.ints(*size).ok_or_else(malformed)?;
    let mesh = pickle.field(spec, "mesh").ok_or_else(malformed)?;
    // Where this rank is in the mesh; torch has written it in every version since 2.2.
    let coordinate = pickle.field(mesh, "_coordinate_on_dim").and_then(|id| pickle.ints(id));
    let coordinate = coordinate.context("its device mesh does not say where the rank is in it")?;
    if coordinate.iter().any(|n| !(0..MAX_RANKS).contains(n)) || elements_of(&size).is_none() {
        return Err(malformed());
    }
    let placements = pickle.field(spec, "placements").and_then(|id| pickle.elements(id));
    let placements = placements.ok_or_else(malformed)?.iter();
    let placements = placements
        .map(|id| placement(pickle, *id, size.len()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if placements.len() != coordinate.len() {
        return Err(malformed());
    }
    check_order(pickle, spec)?;
    Ok(Shard { coordinate, placements, size, file: index, local })
}

fn placement(pickle: &Pickle<'_>, id: ValueId, dims: usize) -> anyhow::Result<Placement> {
    let class = pickle.object(id).map_or_else(|| pickle.kind(id), |(class, _)| class);
    match class {
        "Replicate" => Ok(Placement::Replicate),
        "Shard" => {
            let dim = pickle.field(id, "dim").and_then(|id| pickle.int(id));
            let dim = dim.context("a shard does not name its dimension")?;
            let from_end = if dim < 0 { dims as i64 } else { 0 };
            let dim = usize::try_from(dim + from_end).ok().filter(|dim| *dim < dims);
            Ok(Placement::Shard(dim.context("a shard names a dimension that the tensor lacks")?))
        }
        "_StridedShard" => bail!(
            "it is cut by FSDP and by tensor parallelism along the same dimension (_StridedShard), which is not supported; merge it with the trainer"
        ),
        other => bail!("it is laid out as {other}; Shard and Replicate are supported"),
    }
}

/// Checks that a dimension cut along several mesh dimensions is cut in their order (`shard_order` of torch 2.10).
fn check_order(pickle: &Pickle<'_>, spec: ValueId) -> anyhow::Result<()> {
    let order = pickle.field(spec, "shard_order").and_then(|id| pickle.elements(id));
    for entry in order.unwrap_or_default() {
        let meshes = match pickle.object(*entry) {
            Some((_, [_, meshes])) => pickle.ints(*meshes),
            _ => None,
        };
        if !meshes.is_some_and(|meshes| meshes.is_sorted()) {
            bail!("its shards are not in the order of the device mesh, which is not supported");
        }
    }
    Ok(())
}

/// Puts the parts of all ranks in place, and checks that they make up the whole tensor.
fn assemble(shards: Vec<Shard>) -> anyhow::Result<SourceTensor> {
    let Some(first) = shards.first() else { bail!("BUG: it has no shards") };
    let (placements, size, kind) = (first.placements.clone(), first.size.clone(), first.local.kind);
    let mut mesh = vec![0; placements.len()];
    for shard in &shards {
        if shard.placements != placements || shard.size != size || shard.local.kind != kind {
            bail!("the shards of its ranks differ in shape, number type or layout");
        }
        for (ranks, coordinate) in mesh.iter_mut().zip(&shard.coordinate) {
            *ranks = (*ranks).max(coordinate + 1);
        }
    }
    let mut parts = BTreeMap::new();
    for shard in shards {
        let mut axes = shard.coordinate.iter().zip(&placements);
        if axes
            .any(|(coordinate, placement)| *placement == Placement::Replicate && *coordinate != 0)
        {
            continue; // a copy
        }
        let (start, expected) = place(&size, &mesh, &shard.coordinate, &placements);
        let elements: i64 = expected.iter().product();
        if shard.local.numel() != elements || (elements > 0 && shard.local.size != expected) {
            bail!("the part of rank {} is {:?}, not {expected:?}", shard.file, shard.local.size);
        }
        let part = Part { file: shard.file, tensor: shard.local, start };
        if parts.insert(shard.coordinate, part).is_some() {
            bail!("two ranks have the same part of it");
        }
    }
    let parts: Vec<Part> = parts.into_values().filter(|part| part.tensor.numel() > 0).collect();
    let elements: i64 = parts.iter().map(|part| part.tensor.numel()).sum();
    if elements != size.iter().product::<i64>() {
        bail!("its parts have {elements} elements, but its shape is {size:?}");
    }
    Ok(SourceTensor { kind, size, is_flat: false, parts })
}

/// The position and the shape of the part at a coordinate of the mesh.
fn place(
    size: &[i64],
    mesh: &[i64],
    coordinate: &[i64],
    placements: &[Placement],
) -> (Vec<i64>, Vec<i64>) {
    let (mut start, mut size) = (vec![0; size.len()], size.to_vec());
    for ((placement, ranks), coordinate) in placements.iter().zip(mesh).zip(coordinate) {
        let Placement::Shard(dim) = *placement else { continue };
        let chunk = (size[dim] + ranks - 1) / ranks;
        let first = (coordinate * chunk).min(size[dim]);
        start[dim] += first;
        size[dim] = chunk.min(size[dim] - first);
    }
    (start, size)
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::Placement::{Replicate, Shard};
    use super::*;

    /// Values: torch 2.11's `_compute_local_shape_and_global_offset`.
    #[test]
    fn parts_are_where_torch_puts_them() {
        let twice = [Shard(0), Shard(0)];
        assert_eq!(place(&[10, 7], &[2, 3], &[0, 2], &twice), (vec![4, 0], vec![1, 7]));
        assert_eq!(place(&[10, 7], &[2, 3], &[1, 1], &twice), (vec![7, 0], vec![2, 7]));
        let both = [Shard(1), Shard(0)];
        assert_eq!(place(&[10, 7], &[2, 3], &[1, 2], &both), (vec![8, 4], vec![2, 3]));
        assert_eq!(place(&[5], &[4], &[2], &[Shard(0)]), (vec![4], vec![1]));
        assert_eq!(place(&[5], &[4], &[3], &[Shard(0)]), (vec![5], vec![0]));
        let copies = [Replicate, Shard(0)];
        assert_eq!(place(&[3, 4], &[2, 4], &[1, 2], &copies), (vec![2, 0], vec![1, 4]));
    }

    /// Shards of one set of weights by torch 2.6 and 2.11, one to four ranks, FSDP1, FSDP2 and HSDP; with buffers, a scalar, and
    /// rows that do not divide.
    #[test]
    fn shards_of_all_versions_give_the_same_weights() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/shards");
        let expected = std::fs::read(fixtures.join("expected.json")).unwrap();
        let expected: BTreeMap<String, (Vec<i64>, serde_json::Value)> =
            serde_json::from_slice(&expected).unwrap();
        for (version, group, ranks) in [
            ("torch-2.6", "fsdp1mesh", 2),
            ("torch-2.6", "fsdp2", 2),
            ("torch-2.6", "hsdp2", 4),
            ("torch-2.11", "fsdp1mesh", 2),
            ("torch-2.11", "fsdp2", 1),
            ("torch-2.11", "fsdp2", 2),
            ("torch-2.11", "hsdp2", 4),
        ] {
            let file = |rank| format!("{group}_world_size_{ranks}_rank_{rank}.pt");
            let paths: Vec<PathBuf> =
                (0..ranks).map(|rank| fixtures.join(version).join(file(rank))).collect();
            let source = Source::Torch(open(&paths).map_err(|failure| failure.error).unwrap());
            assert_eq!(source.names(), expected.keys().cloned().collect::<Vec<_>>());
            for (name, (size, values)) in &expected {
                let tensor = source.view(name).unwrap();
                assert_eq!(&tensor.size(), size, "{version} {group}: {name}");
                let flat = Vec::<f32>::try_from(tensor.contiguous().view(-1)).unwrap();
                let mut wanted = Vec::new();
                flatten(values, &mut wanted);
                assert_eq!(flat, wanted, "{version} {group}: {name}");
            }
        }
    }

    fn flatten(value: &serde_json::Value, into: &mut Vec<f32>) {
        match value.as_array() {
            Some(list) => list.iter().for_each(|value| flatten(value, into)),
            None => into.push(value.as_f64().unwrap() as f32),
        }
    }
}

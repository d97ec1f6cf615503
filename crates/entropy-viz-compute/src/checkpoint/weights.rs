//! The tensors of a checkpoint: safetensors mapped into memory and copied once, straight to where and
//! in the type they are computed with.
//!
//! Every tensor a model asks for must be there with the shape it expects, be finite, and at the end
//! none may be left over: a checkpoint of another architecture never half fits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::io_message;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata};
use safetensors::{SafeTensorError, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::lora::Adapter;

/// Where tensors are put, and as what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) kind: Kind,
}

/// The tensors of one checkpoint, by name.
pub(crate) struct Weights {
    shards: Vec<Shard>,
    shard_of: BTreeMap<String, usize>,
    taken: BTreeSet<String>,
    adapter: Option<Adapter>,
}

/// A file of tensors.
pub(crate) struct Shard {
    path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    data: usize, // where the tensors begin
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> anyhow::Result<Mmap> {
    let open = || -> std::io::Result<Mmap> {
        let file = File::open(path)?;
        // SAFETY: the file is only read; were it cut while mapped, the process would end with SIGBUS,
        // as any program that maps weights does.
        #[allow(unsafe_code)]
        unsafe {
            Mmap::map(&file)
        }
    };
    open().map_err(|error| anyhow!("cannot read {}: {}", path.display(), io_message(&error)))
}

impl Shard {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Shard> {
        let map = map(path)?;
        let read = SafeTensors::read_metadata(&map);
        let (header, metadata) = read.map_err(|error| unreadable(path, &map, &error))?;
        Ok(Shard { path: path.to_owned(), data: 8 + header, map, metadata })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// A tensor as it lies in the file, which must outlive it.
    pub(crate) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        let info =
            self.metadata.info(name).with_context(|| format!("there is no tensor {name}"))?;
        let kind = match info.dtype {
            Dtype::F32 => Kind::Float,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F16 => Kind::Half,
            Dtype::F64 => Kind::Double,
            other => bail!(
                "cannot use {}: the tensor {name} is {other:?}; float32, bfloat16 and float16 can be read",
                self.path.display()
            ),
        };
        let shape: Vec<i64> = info.shape.iter().map(|n| *n as i64).collect();
        let (start, end) = info.data_offsets;
        let bytes = &self.map[self.data + start..self.data + end];
        if !bytes.as_ptr().addr().is_multiple_of(kind.elt_size_in_bytes()) {
            return Ok(Tensor::f_from_data_size(bytes, &shape, kind)?);
        }
        // SAFETY: `read_metadata` has checked that the bytes are those of the shape and type; the
        // callers below copy before the map goes away.
        #[allow(unsafe_code)]
        let view = unsafe { Tensor::f_from_blob(bytes.as_ptr(), &shape, &[], kind, Device::Cpu) };
        Ok(view?)
    }
}

fn unreadable(path: &Path, map: &Mmap, error: &SafeTensorError) -> anyhow::Error {
    let path = path.display();
    match error {
        SafeTensorError::MetadataIncompleteBuffer
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::HeaderTooSmall => {
            if map.starts_with(b"version https://git-lfs") {
                return anyhow!("cannot read {path}: it is a pointer of git-lfs, not the weights");
            }
            anyhow!("cannot read {path} as safetensors: it is cut off at {} bytes", map.len())
        }
        SafeTensorError::HeaderTooLarge if map.starts_with(b"version https://git-lfs") => {
            anyhow!("cannot read {path}: it is a pointer of git-lfs, not the weights")
        }
        other => anyhow!("cannot read {path} as safetensors: {other}"),
    }
}

impl Weights {
    /// Opens the files of a checkpoint; nothing is read but their headers.
    pub(crate) fn open(files: &[PathBuf]) -> anyhow::Result<Weights> {
        let shards =
            files.iter().map(|file| Shard::open(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut shard_of = BTreeMap::new();
        for (i, shard) in shards.iter().enumerate() {
            for name in shard.names() {
                if let Some(other) = shard_of.insert(name.clone(), i) {
                    let (a, b) = (shards[other].path.display(), shard.path.display());
                    bail!("cannot use {a} and {b} together: both have the tensor {name}");
                }
            }
        }
        Ok(Weights { shards, shard_of, taken: BTreeSet::new(), adapter: None })
    }

    /// The same tensors with an adapter on top.
    pub(super) fn with(self, adapter: Adapter) -> Weights {
        Weights { adapter: Some(adapter), ..self }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.shard_of.contains_key(name)
    }

    /// The type most of the weights are stored in.
    pub(crate) fn stored_kind(&self) -> Kind {
        let mut bytes = BTreeMap::new();
        for info in self.shards.iter().flat_map(|shard| shard.metadata.tensors().into_values()) {
            *bytes.entry(info.dtype).or_insert(0) += info.data_offsets.1 - info.data_offsets.0;
        }
        let most = bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(dtype, _)| dtype);
        match most {
            Some(Dtype::BF16) => Kind::BFloat16,
            Some(Dtype::F16) => Kind::Half,
            _ => Kind::Float,
        }
    }

    /// How many numbers there are.
    pub(crate) fn parameters(&self) -> u64 {
        let tensors = self.shards.iter().flat_map(|shard| shard.metadata.tensors().into_values());
        tensors.map(|info| info.shape.iter().product::<usize>() as u64).sum()
    }

    /// The tensor of that name, of exactly that shape.
    pub(crate) fn take(
        &mut self,
        name: &str,
        shape: &[i64],
        place: Place,
    ) -> anyhow::Result<Tensor> {
        let mut tensor = Tensor::f_empty(shape, (place.kind, place.device))?;
        self.copy(name, &mut tensor)?;
        Ok(tensor)
    }

    /// Tensors of the given numbers of rows, below each other: one matrix product serves them all.
    pub(crate) fn stack(
        &mut self,
        parts: &[(String, i64)],
        columns: &[i64],
        place: Place,
    ) -> anyhow::Result<Tensor> {
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let whole = Tensor::f_empty([&[rows], columns].concat(), (place.kind, place.device))?;
        let mut start = 0;
        for (name, rows) in parts {
            self.copy(name, &mut whole.f_narrow(0, start, *rows)?)?;
            start += rows;
        }
        Ok(whole)
    }

    /// Copies a tensor to where it is used, and checks it there.
    pub(crate) fn copy(&mut self, name: &str, to: &mut Tensor) -> anyhow::Result<()> {
        let shard = *self.shard_of.get(name).ok_or_else(|| self.missing(name))?;
        let shard = &self.shards[shard];
        let mut source = shard.view(name)?;
        if let Some(adapter) = &mut self.adapter {
            source = adapter.apply(name, source)?;
        }
        if source.size() != to.size() {
            bail!(
                "cannot use {}: the tensor {name} is {}, config.json makes it {}",
                shard.path.display(),
                shape(&source.size()),
                shape(&to.size())
            );
        }
        to.f_copy_(&source)?;
        // A sum is finite unless a term is not (or it overflows, which the second look settles).
        let sum = f64::try_from(to.f_sum(Kind::Float)?)?;
        if !sum.is_finite() && !bool::try_from(to.f_isfinite()?.f_all()?)? {
            bail!(
                "cannot use {}: the tensor {name} has values that are NaN or infinite",
                shard.path.display()
            );
        }
        self.taken.insert(name.to_owned());
        Ok(())
    }

    fn missing(&self, name: &str) -> anyhow::Error {
        let directory =
            self.shards.first().and_then(|shard| shard.path.parent()).unwrap_or(Path::new("."));
        anyhow!("cannot use {}: the tensor {name} is missing", directory.display())
    }

    /// Checks that every tensor of the files, and of the adapter, was used.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        // Older checkpoints carry the rotary frequencies, which follow from the config.
        let derived = |name: &str| name.ends_with("rotary_emb.inv_freq");
        let extra: Vec<(&String, &usize)> = self
            .shard_of
            .iter()
            .filter(|(name, _)| !self.taken.contains(*name) && !derived(name))
            .collect();
        if let Some((name, shard)) = extra.first() {
            let others = match extra.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            bail!(
                "cannot use {}: config.json's model has no tensor {name}{others}",
                self.shards[**shard].path.display()
            );
        }
        self.adapter.map_or(Ok(()), |adapter| adapter.finish())
    }
}

fn shape(sizes: &[i64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(i64::to_string).collect();
    sizes.join("×")
}

//! Where the tensors of a checkpoint come from: safetensors, or files of torch that hold whole tensors or parts of them.
//! All are mapped into memory; a tensor in parts is put together where it is needed, part by part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::CliError;
use memmap2::Mmap;
use safetensors::tensor::Dtype;
use tch::{Device, Kind, Tensor};

use super::lora_state::Adapter;
use super::tensor_file::{self, TensorFile, release, view_bytes};
use super::torch_file::TorchFile;
use super::torch_tensor::{StateValue, StoredTensor, state_dict};
use super::{dcp, deepspeed, fsdp};

/// Tensors by name.
pub(super) enum Source {
    Safetensors(TensorFile),
    Torch(TorchSource),
}

/// The tensors in files of torch.
pub(super) struct TorchSource {
    pub(super) files: Vec<MappedFile>,
    pub(super) tensors: BTreeMap<String, SourceTensor>,
    /// LoRA adapters of some of the tensors, which are merged when these are read.
    pub(super) adapters: BTreeMap<String, Adapter>,
}

pub(super) struct MappedFile {
    pub(super) path: PathBuf,
    pub(super) map: Mmap,
}

/// A tensor and the parts that make it up.
#[derive(Debug, Clone)]
pub(super) struct SourceTensor {
    pub(super) kind: Kind,
    pub(super) size: Vec<i64>,
    /// Whether the parts are pieces of the flattened tensor.
    pub(super) is_flat: bool,
    pub(super) parts: Vec<Part>,
}

/// A part of a tensor: a box at a position in it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The index of the file.
    pub(super) file: usize,
    pub(super) tensor: StoredTensor,
    /// The position of its first element in the whole tensor, by dimension.
    pub(super) start: Vec<i64>,
}

/// A tensor's number type and number of elements.
pub(super) struct Summary {
    pub(super) kind: Option<Kind>,
    pub(super) elements: u64,
}

impl Source {
    /// Opens the files of a checkpoint.
    pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Source>, CliError> {
        if let Some(metadata) = paths.iter().find(|path| dcp::is_metadata(path)) {
            return Ok(vec![Source::Torch(dcp::open(metadata)?)]);
        }
        if paths.iter().any(|path| fsdp::is_shard(path)) {
            return Ok(vec![Source::Torch(fsdp::open(paths)?)]);
        }
        if paths.iter().any(|path| deepspeed::is_states(path)) {
            return Ok(vec![Source::Torch(deepspeed::open(paths)?)]);
        }
        paths.iter().map(|path| Source::open(path)).collect()
    }

    /// Opens a file of safetensors, or of `torch.save` with whole tensors.
    fn open(path: &Path) -> Result<Source, CliError> {
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            return Ok(Source::Safetensors(TensorFile::open(path)?));
        }
        TorchSource::open_whole(path).map(Source::Torch)
    }

    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Source::Safetensors(file) => file.names(),
            Source::Torch(source) => source.tensors.keys().cloned().collect(),
        }
    }

    /// A file with the tensor `name`, for messages.
    pub(super) fn path(&self, name: &str) -> &Path {
        match self {
            Source::Safetensors(file) => &file.path,
            Source::Torch(source) => {
                let part = source.tensors.get(name).and_then(|tensor| tensor.parts.first());
                &source.files[part.map_or(0, |part| part.file)].path
            }
        }
    }

    pub(super) fn summaries(&self) -> Vec<Summary> {
        match self {
            Source::Safetensors(file) => {
                let summary = |info: &safetensors::tensor::TensorInfo| Summary {
                    kind: match info.dtype {
                        Dtype::F32 => Some(Kind::Float),
                        Dtype::BF16 => Some(Kind::BFloat16),
                        Dtype::F16 => Some(Kind::Half),
                        Dtype::F64 => Some(Kind::Double),
                        _ => None,
                    },
                    elements: info.shape.iter().product::<usize>() as u64,
                };
                file.metadata.tensors().into_values().map(summary).collect()
            }
            Source::Torch(source) => {
                let summary = |tensor: &SourceTensor| Summary {
                    kind: Some(tensor.kind),
                    elements: tensor.size.iter().product::<i64>() as u64,
                };
                source.tensors.values().map(summary).collect()
            }
        }
    }

    /// A tensor on the CPU; it shares the memory of the mapping, which must outlive it, unless it is in parts.
    pub(super) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        match self {
            Source::Safetensors(file) => file.view(name),
            Source::Torch(source) => source.view(name),
        }
    }

    /// Copies a tensor to a contiguous one of the same shape, on any device and of any number type.
    pub(super) fn copy(&self, name: &str, to: &mut Tensor) -> anyhow::Result<()> {
        match self {
            Source::Torch(source) if source.adapters.contains_key(name) => {
                Ok(to.f_copy_(&source.view(name)?)?)
            }
            Source::Torch(source) => source.copy(source.tensor(name)?, to),
            Source::Safetensors(file) => {
                to.f_copy_(&file.view(name)?)?;
                file.release(name);
                Ok(())
            }
        }
    }

    /// The shape of a tensor.
    pub(super) fn size(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        match self {
            Source::Torch(source) => Ok(source.tensor(name)?.size.clone()),
            Source::Safetensors(file) => file.shape(name),
        }
    }
}

impl TorchSource {
    /// Opens a `pytorch_model.bin`, or one of its shards.
    fn open_whole(path: &Path) -> Result<TorchSource, CliError> {
        let file = MappedFile::open(path)?;
        let read = TorchFile::read(path, &file.map, 0..file.map.len())?;
        let mut tensors = BTreeMap::new();
        for (name, value) in state_dict(&read)? {
            let StateValue::Tensor(tensor) = value else {
                return Err(anyhow!(
                    "cannot use {}: the tensor {name} is a shard (DTensor), but the file is not named as one",
                    path.display()
                )
                .into());
            };
            tensors.insert(name, SourceTensor::whole(0, tensor));
        }
        drop(read);
        Ok(TorchSource { files: vec![file], tensors, adapters: BTreeMap::new() })
    }

    fn tensor(&self, name: &str) -> anyhow::Result<&SourceTensor> {
        self.tensors.get(name).with_context(|| format!("there is no tensor {name}"))
    }

    fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        let tensor = self.view_tensor(self.tensor(name)?)?;
        self.adapters
            .get(name)
            .map_or(Ok(tensor.shallow_clone()), |adapter| adapter.merge(self, &tensor))
    }

    pub(super) fn view_tensor(&self, tensor: &SourceTensor) -> anyhow::Result<Tensor> {
        if let [part] = tensor.parts.as_slice()
            && part.tensor.size == tensor.size
        {
            return self.part(part);
        }
        let whole = Tensor::f_empty(&tensor.size, (tensor.kind, Device::Cpu))?;
        self.copy(tensor, &whole)?;
        Ok(whole)
    }

    fn copy(&self, tensor: &SourceTensor, to: &Tensor) -> anyhow::Result<()> {
        let to = if tensor.is_flat { to.f_view([-1])? } else { to.shallow_clone() };
        for part in &tensor.parts {
            let mut place = to.shallow_clone();
            for (dim, start) in part.start.iter().enumerate() {
                place = place.f_narrow(dim as i64, *start, part.tensor.size[dim])?;
            }
            place.f_copy_(&self.part(part)?)?;
            release(&self.files[part.file].map, part.tensor.storage.clone());
        }
        Ok(())
    }

    fn part(&self, part: &Part) -> anyhow::Result<Tensor> {
        let (file, tensor) = (&self.files[part.file], &part.tensor);
        if !matches!(tensor.kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
            bail!(
                "cannot use {}: a tensor is {:?}; float32, bfloat16 and float16 are supported",
                file.path.display(),
                tensor.kind
            );
        }
        if tensor.numel() == 0 {
            return Ok(Tensor::f_empty(&tensor.size, (tensor.kind, Device::Cpu))?);
        }
        let bytes = &file.map[tensor.storage.clone()];
        view_bytes(bytes, &tensor.size, Some((&tensor.stride, tensor.offset)), tensor.kind)
    }
}

impl MappedFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<MappedFile> {
        Ok(MappedFile { path: path.to_owned(), map: tensor_file::map(path)? })
    }
}

impl SourceTensor {
    /// A tensor that is whole in a file.
    pub(super) fn whole(file: usize, tensor: StoredTensor) -> SourceTensor {
        SourceTensor {
            kind: tensor.kind,
            size: tensor.size.clone(),
            is_flat: false,
            parts: vec![Part { file, start: vec![0; tensor.size.len()], tensor }],
        }
    }
}

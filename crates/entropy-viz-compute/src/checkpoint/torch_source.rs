//! Tensors in files of torch, whole or in parts. The files are mapped into memory; a tensor in parts is put together
//! where it is needed, part by part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::CliError;
use memmap2::Mmap;
use tch::{Device, Kind, Tensor};

use super::tensor_file::{self, release, view_bytes};
use super::torch_file::TorchFile;
use super::torch_tensor::{StateValue, StoredTensor, state_dict};

/// Elements of a part that are copied at once: 2 MiB of float32. Larger blocks leave gaps in the heap when they are freed.
const BLOCK_ELEMENTS: i64 = 512 << 10;

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

/// The adapter of one weight: W + scale·B·A.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    pub(super) down: SourceTensor,
    pub(super) up: SourceTensor,
    pub(super) scale: f64,
}

impl TorchSource {
    /// Opens a `pytorch_model.bin`, or one of its shards.
    pub(super) fn open_whole(path: &Path) -> Result<TorchSource, CliError> {
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

    pub(super) fn tensor(&self, name: &str) -> anyhow::Result<&SourceTensor> {
        self.tensors.get(name).with_context(|| format!("there is no tensor {name}"))
    }

    pub(super) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
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

    pub(super) fn copy(&self, tensor: &SourceTensor, to: &Tensor) -> anyhow::Result<()> {
        let to = if tensor.is_flat { to.f_view([-1])? } else { to.shallow_clone() };
        for part in &tensor.parts {
            let mut place = to.shallow_clone();
            for (dim, start) in part.start.iter().enumerate() {
                place = place.f_narrow(dim as i64, *start, part.tensor.size[dim])?;
            }
            self.copy_part(part, &mut place)?;
            release(&self.files[part.file].map, part.tensor.storage.clone());
        }
        Ok(())
    }

    /// Copies a part to its place, some rows at a time: parts whose bytes are not aligned, as in distributed checkpoints,
    /// are copied once more on the way.
    fn copy_part(&self, part: &Part, place: &mut Tensor) -> anyhow::Result<()> {
        let Some(rows) = part.tensor.size.first().copied() else {
            return Ok(place.f_copy_(&self.part(part)?)?);
        };
        let row_elements: i64 = part.tensor.size[1..].iter().product();
        let block_rows = (BLOCK_ELEMENTS / row_elements.max(1)).max(1);
        let mut done = 0;
        while done < rows {
            let count = block_rows.min(rows - done);
            let block = part.narrowed(part.start[0] + done, count);
            place.f_narrow(0, done, count)?.f_copy_(&self.part(&block)?)?;
            if count < rows && block.tensor.numel() > 0 {
                release(&self.files[part.file].map, block.tensor.span());
            }
            done += count;
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
        view_bytes(&file.map[tensor.span()], &tensor.size, Some(&tensor.stride), tensor.kind)
    }
}

impl MappedFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<MappedFile> {
        Ok(MappedFile { path: path.to_owned(), map: tensor_file::map(path)? })
    }
}

impl Part {
    /// The rows from `first` on, counted in the whole tensor, of a part that has them.
    pub(super) fn narrowed(&self, first: i64, count: i64) -> Part {
        let mut narrowed = self.clone();
        narrowed.tensor.offset += ((first - self.start[0]) * self.tensor.stride[0]) as usize;
        narrowed.tensor.size[0] = count;
        narrowed.start[0] = first;
        narrowed
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

impl Adapter {
    /// The weight with the adapter merged, in float32 on the CPU.
    pub(super) fn merge(&self, source: &TorchSource, base: &Tensor) -> anyhow::Result<Tensor> {
        let factor = |tensor: &SourceTensor| -> anyhow::Result<Tensor> {
            Ok(source.view_tensor(tensor)?.f_to_kind(Kind::Float)?)
        };
        let (down, up) = (factor(&self.down)?, factor(&self.up)?);
        let change = up.f_matmul(&down).context("cannot multiply lora_B and lora_A")?;
        Ok((base.f_to_kind(Kind::Float)? + change * self.scale).f_contiguous()?)
    }
}

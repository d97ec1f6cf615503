//! A safetensors file, mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::io_message;
use memmap2::{Mmap, UncheckedAdvice};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::{SafeTensorError, SafeTensors};
use tch::{Device, Kind, Tensor};

/// A safetensors file: its mapped bytes and its header.
pub(crate) struct TensorFile {
    pub(super) path: PathBuf,
    pub(super) map: Mmap,
    pub(super) metadata: Metadata,
    pub(super) data: usize, // offset of the tensor data
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> anyhow::Result<Mmap> {
    let open = || -> std::io::Result<Mmap> {
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only. If the file is truncated while mapped, the process ends with SIGBUS,
        // as in any program that maps weights.
        #[allow(unsafe_code)]
        unsafe {
            Mmap::map(&file)
        }
    };
    open().map_err(|error| anyhow!("cannot read {}: {}", path.display(), io_message(&error)))
}

/// Tells the system that bytes of a mapped file were copied and need not stay in memory, so that loading a model takes
/// its own size and not twice that. They are read again from the file if they are used again.
pub(super) fn release(map: &Mmap, range: Range<usize>) {
    const SMALLEST: usize = 1 << 20;
    if range.len() < SMALLEST {
        return;
    }
    // SAFETY: the mapping is read-only, so that no change to it can be lost. That it fails is not an error.
    #[allow(unsafe_code)]
    let _ =
        unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
}

impl TensorFile {
    pub(crate) fn open(path: &Path) -> anyhow::Result<TensorFile> {
        let map = map(path)?;
        let read = SafeTensors::read_metadata(&map);
        let (header, metadata) = read.map_err(|error| unreadable(path, &map, &error))?;
        Ok(TensorFile { path: path.to_owned(), data: 8 + header, map, metadata })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Releases the memory of a tensor that was copied.
    pub(super) fn release(&self, name: &str) {
        if let Some(info) = self.metadata.info(name) {
            let (start, end) = info.data_offsets;
            release(&self.map, self.data + start..self.data + end);
        }
    }

    /// The size of a tensor.
    pub(crate) fn shape(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        let info = self.info(name)?;
        Ok(info.shape.iter().map(|n| *n as i64).collect())
    }

    /// The number type of a tensor.
    pub(super) fn dtype(&self, name: &str) -> anyhow::Result<Dtype> {
        self.info(name).map(|info| info.dtype)
    }

    /// The bytes of a tensor.
    pub(super) fn bytes(&self, name: &str) -> anyhow::Result<&[u8]> {
        let (start, end) = self.info(name)?.data_offsets;
        Ok(&self.map[self.data + start..self.data + end])
    }

    fn info(&self, name: &str) -> anyhow::Result<&TensorInfo> {
        self.metadata.info(name).with_context(|| format!("there is no tensor {name}"))
    }

    /// A tensor that shares the memory of the mapping, which must outlive it.
    pub(crate) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        let info = self.info(name)?;
        let Some(kind) = kind_of(info.dtype) else {
            bail!(
                "cannot use {}: the tensor {name} is {:?}; float32, bfloat16 and float16 are supported, and 8 bits of \
                 float with the quantization_config \"fp8\" in config.json",
                self.path.display(),
                info.dtype
            );
        };
        // `read_metadata` has checked that the size fits the shape and type.
        view_bytes(self.bytes(name)?, &self.shape(name)?, None, kind)
    }
}

/// A shape as messages write it.
pub(super) fn shape_text(sizes: &[i64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(i64::to_string).collect();
    sizes.join("×")
}

/// The number type of weights; `None` for types that weights cannot have.
pub(super) fn kind_of(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::BF16 => Some(Kind::BFloat16),
        Dtype::F16 => Some(Kind::Half),
        Dtype::F64 => Some(Kind::Double),
        _ => None,
    }
}

/// A contiguous tensor, or one with the given strides in elements, that shares the memory of `bytes`. They must outlive
/// it, and contain all its elements. Bytes that are not aligned are copied.
pub(super) fn view_bytes(
    bytes: &[u8],
    size: &[i64],
    stride: Option<&[i64]>,
    kind: Kind,
) -> anyhow::Result<Tensor> {
    let width = kind.elt_size_in_bytes();
    let is_aligned = bytes.as_ptr().addr().is_multiple_of(width);
    if !is_aligned {
        let elements = bytes.len() / width;
        let bytes = &bytes[..elements * width];
        let copy = Tensor::f_from_data_size(bytes, &[elements as i64], kind)?;
        return Ok(match stride {
            Some(stride) => copy.f_as_strided(size, stride, 0)?,
            None => copy.f_view(size)?,
        });
    }
    let stride = stride.unwrap_or_default();
    // SAFETY: the caller has checked the size, and copies the tensor before the mapping is dropped.
    #[allow(unsafe_code)]
    let view = unsafe { Tensor::f_from_blob(bytes.as_ptr(), size, stride, kind, Device::Cpu) };
    Ok(view?)
}

fn unreadable(path: &Path, map: &Mmap, error: &SafeTensorError) -> anyhow::Error {
    let path = path.display();
    match error {
        SafeTensorError::MetadataIncompleteBuffer
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::HeaderTooSmall => {
            if map.starts_with(b"version https://git-lfs") {
                return anyhow!("cannot read {path}: it is a git-lfs pointer, not the weights");
            }
            anyhow!("cannot read {path} as safetensors: it is cut off after {} bytes", map.len())
        }
        SafeTensorError::HeaderTooLarge if map.starts_with(b"version https://git-lfs") => {
            anyhow!("cannot read {path}: it is a git-lfs pointer, not the weights")
        }
        other => anyhow!("cannot read {path} as safetensors: {other}"),
    }
}

//! Where the tensors of a checkpoint come from: safetensors, or files of torch.

use std::path::{Path, PathBuf};

use entropy_shell::{CliError, WithHint};
use tch::{Kind, Tensor};

use super::config::Config;
use super::quantisation::Quantisation;
use super::quantised_files::QuantisedFiles;
use super::tensor_file::{TensorFile, kind_of};
use super::torch_source::{SourceTensor, TorchSource};
use super::{dcp, deepspeed, fsdp, hf_shards};

const QUANTISED_HINT: &str = "weights and scales must be as transformers saves them, in all files of the checkpoint; was the copy complete?";

/// Tensors by name.
pub(super) enum Source {
    Safetensors(TensorFile),
    Quantised(QuantisedFiles),
    Torch(TorchSource),
}

/// A tensor's number type, if it is one of weights in 16 bits or more, and number of elements.
pub(super) struct Summary {
    pub(super) kind: Option<Kind>,
    pub(super) elements: u64,
}

impl Source {
    /// Opens the files of a checkpoint. `config` is the directory of config.json, which Megatron's layout and quantised
    /// weights depend on.
    pub(super) fn open_all(paths: &[PathBuf], config: &Path) -> Result<Vec<Source>, CliError> {
        if let Some(metadata) = paths.iter().find(|path| dcp::is_metadata(path)) {
            return Ok(vec![Source::Torch(dcp::open(metadata, config)?)]);
        }
        if paths.iter().any(|path| fsdp::is_shard(path)) {
            return Ok(vec![Source::Torch(fsdp::open(paths)?)]);
        }
        if paths.iter().any(|path| hf_shards::is_shard(path)) {
            return Ok(vec![Source::Torch(hf_shards::open(paths)?)]);
        }
        if paths.iter().any(|path| deepspeed::is_states(path)) {
            return Ok(vec![Source::Torch(deepspeed::open(paths)?)]);
        }
        if let Some(quantisation) = Quantisation::read(&Config::read(config)?)?
            && paths.iter().all(|path| is_safetensors(path))
        {
            let files =
                paths.iter().map(|path| TensorFile::open(path)).collect::<Result<_, _>>()?;
            let opened = QuantisedFiles::open(files, quantisation);
            return Ok(vec![Source::Quantised(opened.hint(QUANTISED_HINT)?)]);
        }
        paths.iter().map(|path| Source::open(path)).collect()
    }

    /// Opens a file of safetensors, or of `torch.save` with whole tensors.
    fn open(path: &Path) -> Result<Source, CliError> {
        if is_safetensors(path) {
            return Ok(Source::Safetensors(TensorFile::open(path)?));
        }
        TorchSource::open_whole(path).map(Source::Torch)
    }

    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Source::Safetensors(file) => file.names(),
            Source::Quantised(files) => files.names(),
            Source::Torch(source) => source.tensors.keys().cloned().collect(),
        }
    }

    /// A file with the tensor `name`, for messages.
    pub(super) fn path(&self, name: &str) -> &Path {
        match self {
            Source::Safetensors(file) => &file.path,
            Source::Quantised(files) => files.path(name),
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
                    kind: kind_of(info.dtype),
                    elements: info.shape.iter().product::<usize>() as u64,
                };
                file.metadata.tensors().into_values().map(summary).collect()
            }
            Source::Quantised(files) => {
                let summary = |(kind, size): (Option<Kind>, &[i64])| Summary {
                    kind,
                    elements: size
                        .iter()
                        .fold(1, |product, n| n.unsigned_abs().saturating_mul(product)),
                };
                files.summaries().map(summary).collect()
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

    /// A tensor on the CPU; it shares the memory of the mapping, which must outlive it, unless it is in parts or quantised.
    pub(super) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        match self {
            Source::Safetensors(file) => file.view(name),
            Source::Quantised(files) => files.view(name),
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
            Source::Quantised(files) => files.copy(name, to),
        }
    }

    /// The shape of a tensor.
    pub(super) fn size(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        match self {
            Source::Torch(source) => Ok(source.tensor(name)?.size.clone()),
            Source::Safetensors(file) => file.shape(name),
            Source::Quantised(files) => files.size(name),
        }
    }
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

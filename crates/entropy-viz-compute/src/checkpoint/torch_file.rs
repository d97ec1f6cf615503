//! A file of `torch.save`: a zip archive with `<name>/data.pkl`, which describes tensors, and `<name>/data/<key>`, the
//! bytes of their storages. The file stays mapped; nothing is unpacked.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};

use crate::pickle::{self, Fault, Globals, Pickle, zip};

/// The pickle of a file, and where its storages are.
pub(super) struct TorchFile<'a> {
    path: &'a Path,
    /// The name of the archive, which is that of the file it was written to, without `.pt`; `archive` if torch wrote to
    /// memory.
    pub(super) archive: &'a str,
    pub(super) pickle: Pickle<'a>,
    /// Positions in the mapped file.
    storages: HashMap<&'a str, Range<usize>>,
}

impl<'a> TorchFile<'a> {
    /// Reads the directory and the pickle in `part` of a mapped file; `part` is all of it, except in a distributed
    /// checkpoint.
    pub(super) fn read(
        path: &'a Path,
        map: &'a [u8],
        part: Range<usize>,
    ) -> Result<TorchFile<'a>, CliError> {
        TorchFile::read_with(path, map, part, Globals::Known)
    }

    /// Like [`TorchFile::read`]; `globals` are those that the pickle may name.
    pub(super) fn read_with(
        path: &'a Path,
        map: &'a [u8],
        part: Range<usize>,
        globals: Globals,
    ) -> Result<TorchFile<'a>, CliError> {
        let shown = path.display();
        let archive = map.get(part.clone());
        let archive = archive.ok_or_else(|| anyhow!("cannot read {shown}: it is cut off"))?;
        if archive.starts_with(b"version https://git-lfs") {
            return Err(
                anyhow!("cannot read {shown}: it is a git-lfs pointer, not the weights").into()
            );
        }
        if archive.starts_with(b"\x80") {
            return Err(anyhow!("cannot read {shown}: it is in the format of torch before 1.6"))
                .hint("load it with torch.load and save it again");
        }
        let entries = zip::entries(archive)
            .map_err(|error| anyhow!("cannot read {shown} as a file of torch.save: {error}"))?;
        let pickle = entries.iter().find(|entry| entry.name.ends_with("/data.pkl"));
        let Some(pickle) = pickle else {
            return Err(
                anyhow!("cannot read {shown}: it is a zip archive, but not of torch.save").into()
            );
        };
        let root = pickle.name.trim_end_matches("data.pkl");
        let mut storages = HashMap::new();
        for entry in &entries {
            let Some(name) = entry.name.strip_prefix(root) else { continue };
            if name == "byteorder" && &archive[entry.data.clone()] != b"little" {
                return Err(anyhow!("cannot read {shown}: its numbers are big-endian").into());
            }
            if let Some(key) = name.strip_prefix("data/") {
                storages.insert(key, part.start + entry.data.start..part.start + entry.data.end);
            }
        }
        let pickle = pickle::read_with(&archive[pickle.data.clone()], globals);
        let pickle = pickle.map_err(|error| refused(path, &error))?;
        Ok(TorchFile { path, archive: root.trim_end_matches('/'), pickle, storages })
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The position of a storage in the mapped file.
    pub(super) fn storage(&self, key: &str) -> anyhow::Result<Range<usize>> {
        let storage = self.storages.get(key).cloned();
        storage.ok_or_else(|| {
            anyhow!("cannot read {}: it has no storage {key:?}", self.path.display())
        })
    }
}

/// The error of a pickle that cannot be read or must not be trusted.
pub(super) fn refused(path: &Path, error: &pickle::PickleError) -> CliError {
    let hint = match &error.fault {
        Fault::RefusedGlobal(name) if name.starts_with("torch.distributed._shard.") => Some(
            "FSDP1 without a device mesh saves a ShardedTensor, whose shards cannot be placed here; merge them with the trainer",
        ),
        Fault::RefusedGlobal(_) | Fault::RefusedCall => Some(
            "nothing of the file was run; if you trust it, load it with torch and save its tensors alone, as safetensors",
        ),
        Fault::Truncated => Some("was the download or the copy complete?"),
        _ => None,
    };
    CliError {
        error: anyhow!("cannot use the pickle in {}: {error}", path.display()),
        hint: hint.map(str::to_owned),
    }
}

//! A `lora_adapter` directory that a trainer saved with a checkpoint: an adapter on top of it.
//!
//! verl writes `actor/lora_adapter`, and its merger `actor/huggingface/lora_adapter` inside the base model. The
//! trainer's own is preferred: the merger does not know lora_alpha.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Checkpoint, CheckpointKind, is_whole, without_adapter};

const NAME: &str = "lora_adapter";

/// Where the adapter of a step may be.
const PLACES: [&str; 6] =
    ["actor", "policy", "", "actor/huggingface", "policy/huggingface", "huggingface"];

/// The adapter on top of the checkpoint in `path`: inside it, or beside `huggingface`.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    if path.join("adapter_config.json").is_file() {
        return None; // the checkpoint is itself an adapter
    }
    let beside = fs::canonicalize(path).ok().filter(|path| path.ends_with("huggingface"));
    let beside = beside.map(|path| path.with_file_name(NAME));
    let inside = PLACES.iter().map(|place| path.join(place).join(NAME));
    beside.into_iter().chain(inside).find(|adapter| adapter.is_dir())
}

/// The full model that an adapter named `lora_adapter` was saved with, if there is one. Shards are not taken: those of a
/// LoRA run hold the adapter too.
pub(super) fn base_of(adapter: &Path) -> Option<Checkpoint> {
    let base = saved_with(adapter)?;
    let CheckpointKind::HuggingFace(files) = &base.kind else { return None };
    files.iter().all(|file| is_whole(file)).then_some(base)
}

/// The directory of the weights that an adapter named `lora_adapter` was saved with, if they are not those of `base`.
pub(super) fn unused_weights(adapter: &Path, base: &Checkpoint) -> Option<PathBuf> {
    let beside = saved_with(adapter)?;
    let real = |checkpoint: &Checkpoint| match &checkpoint.kind {
        CheckpointKind::HuggingFace(files) => {
            files.first().and_then(|file| fs::canonicalize(file).ok())
        }
        _ => None,
    };
    let first = real(&beside)?;
    (real(base).as_ref() != Some(&first)).then(|| first.parent().map(Path::to_owned)).flatten()
}

fn saved_with(adapter: &Path) -> Option<Checkpoint> {
    let adapter = fs::canonicalize(adapter).ok().filter(|path| path.ends_with(NAME))?;
    without_adapter(adapter.parent()?, None).ok()?
}

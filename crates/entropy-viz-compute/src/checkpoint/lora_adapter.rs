//! A `lora_adapter` directory that a trainer saved with a checkpoint: an adapter on top of it.
//!
//! verl writes `actor/lora_adapter`, and its merger `actor/huggingface/lora_adapter` inside the base model. The
//! trainer's own is preferred: the merger does not know lora_alpha.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Checkpoint, CheckpointKind, is_weights, without_adapter};

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

/// The full model that an adapter named `lora_adapter` was saved with, if there is one. FSDP shards are not taken:
/// those of a LoRA run hold the adapter too.
pub(super) fn base_of(adapter: &Path) -> Option<Checkpoint> {
    let adapter = fs::canonicalize(adapter).ok().filter(|path| path.ends_with(NAME))?;
    let base = without_adapter(adapter.parent()?, None).ok()??;
    let CheckpointKind::HuggingFace(files) = &base.kind else { return None };
    files.iter().all(|file| is_weights(file)).then_some(base)
}

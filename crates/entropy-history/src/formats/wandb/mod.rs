//! W&B's run file, `wandb/run-<time>-<id>/run-<id>.wandb` (`offline-run-…`): everything that a run
//! logged.
//!
//! ```text
//! ":W&B" | u16le 0xbee1 | u8 version | LevelDB log of Record messages
//! Record  2 history | 12 metric | 17 run | 18 exit
//! History 1 item, repeated: 1 key | 2 nested_key, repeated | 3…8 typed value | 16 value_json    2 step {1 num}
//! Metric  1 name | 2 glob_name | 4 step_metric      Run  1 id | 8 display_name
//! ```
//!
//! wandb 0.16 and 0.31 write version 0, later ones 1; 0.16 writes `key`, 0.31 `nested_key`. `_step`
//! counts the calls of `wandb.log`; where the run declares a step metric for a key (transformers
//! declares `train/global_step` for all keys), that is the step. The keys of nested objects are joined
//! with dots, as on W&B's pages. (wandb 0.31, `wandb_internal.proto`, `datastore.py`.)

use crate::formats::format::{Format, Growth, RunIdentity};

mod config;
mod read;
mod write;

pub use write::{METRIC, OfflineRun, WandbStepError, directory_name, file_name, id, run_file};

pub(crate) const FORMAT: Format = Format {
    name: "wandb",
    about: "W&B run files (.wandb), online or offline",
    recognised_by: "the bytes :W&B",
    metrics: &["policy/entropy", "actor/entropy", "train/entropy"],
    recognise: read::recognise,
    read: read::read,
    growth: |_| Growth::Records(read::new_reader),
    identity: RunIdentity::DisplayName,
    config: config::config,
    ..Format::DEFAULTS
};

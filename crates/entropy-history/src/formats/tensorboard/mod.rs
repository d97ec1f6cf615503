//! TensorBoard's event files, `events.out.tfevents.<seconds>.<host>…`: TFRecords of `Event` messages.
//!
//! ```text
//! Event   1 wall_time double | 2 step int64 | 3 file_version string | 5 summary | 7 session_log {1 status}
//! Summary 1 value, repeated:   1 tag | 2 simple_value float | 8 tensor | 9 metadata
//! Tensor  1 dtype | 2 shape | 4 content | 5 float_val | 6 double_val | 7 int_val | 10 int64_val
//! ```
//!
//! torch writes `simple_value`, a 32-bit float, or with `new_style` a tensor; TensorFlow 2 writes
//! tensors. A step of 0 is not written. A writer that resumes may log a session start with a step
//! (`purge_step`): points logged before at or after it are discarded.
//! (`tensorflow/core/util/event.proto`, `framework/summary.proto`.)

use crate::formats::format::{Format, Growth};

mod config;
mod read;
mod write;

pub use write::{TensorBoardStepError, event_file, file_name};

pub(crate) const FORMAT: Format = Format {
    name: "tensorboard",
    about: "TensorBoard event files, and directories of them",
    recognised_by: "TFRecord framing with its checksum",
    metrics: &["policy/entropy", "actor/entropy", "train/entropy"],
    recognise: read::recognise,
    read: read::read,
    config: config::config,
    growth: |_| Growth::Records(read::new_reader),
    ..Format::DEFAULTS
};

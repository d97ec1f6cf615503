//! Flat JSON lines, one object per step with metrics under their full names: prime-rl's
//! `metrics.jsonl`, and the output of many trainers and scripts.
//!
//! ```json
//! {"step": 12, "time": 1795399001.5, "entropy/all/mean": 0.61, "loss/mean": 0.02}
//! {"loss": 0.01, "entropy": 0.61, "global_step/max_steps": "10/400"}                      ms-swift
//! {"training_iteration": 3, "info": {"learner": {"default_policy": {"learner_stats": {…}}}}} RLlib
//! ```
//!
//! The step is the best key of [`crate::formats::step_keys`] in the first row. Nested metrics get their
//! full path as name.

use crate::formats::format::{Format, Growth};

mod read;
mod write;

pub use write::lines;

pub(crate) const FORMAT: Format = Format {
    name: "jsonl",
    about: "prime-rl's metrics.jsonl, RLlib's result.json, ms-swift's logging.jsonl, other JSON lines",
    recognised_by: "lines of objects with a step and names of metrics",
    metrics: &["entropy/all/mean"],
    recognise: read::recognise,
    read: read::read,
    growth: |_| Growth::Lines,
    ..Format::DEFAULTS
};

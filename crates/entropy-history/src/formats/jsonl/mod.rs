//! Flat JSON lines, one object a step with metrics under their whole names: prime-rl's
//! `metrics.jsonl`, and what many trainers and scripts write.
//!
//! ```json
//! {"step": 12, "time": 1795399001.5, "entropy/all/mean": 0.61, "loss/mean": 0.02}
//! {"loss": 0.01, "entropy": 0.61, "global_step/max_steps": "10/400"}                      ms-swift
//! {"training_iteration": 3, "info": {"learner": {"default_policy": {"learner_stats": {…}}}}} RLlib
//! ```
//!
//! The step is the best of [`steps`] that the first row has. What is nested goes by its whole name.

use crate::formats::format::{Format, Growth};

mod read;
mod write;

pub use write::lines;

pub(crate) const FORMAT: Format = Format {
    name: "jsonl",
    about: "prime-rl's metrics.jsonl, RLlib's result.json, ms-swift's logging.jsonl, other JSON lines",
    recognised_by: "lines of objects with a step and names of metrics",
    metrics: &["entropy/all/mean"],
    kinds: &[],
    is_console: false,
    recognise: read::recognise,
    read: read::read,
    growth: |_| Growth::Lines,
};

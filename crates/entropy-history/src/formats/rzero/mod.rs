//! R-Zero's `entropy_history_<run>.json`: one JSON array, written once, when a run ends.
//!
//! ```json
//! [{"step": 1, "entropy": 4.532}, {"step": 2, "entropy": NaN}]
//! ```
//!
//! Python's `json.dump` writes it, so NaN appears bare, which standard JSON does not allow. A resumed
//! run starts a new list, so the first step need not be 1. The same rows also exist as JSON lines,
//! wrapped in an object (`{"entropy_history": [...]}`, or one array per run), and as columns (pandas'
//! `to_dict("list")`); all of these are read. The step may have any name of
//! [`crate::formats::step_keys`], and metrics may be nested in objects.

use crate::formats::format::Format;

mod read;
mod write;

pub use write::history_file;

pub(crate) const FORMAT: Format = Format {
    name: "rzero",
    about: "R-Zero's entropy_history_<run>.json; the same rows as JSON lines",
    recognised_by: "an array of objects, or objects with a step",
    metrics: &["entropy", "policy/entropy"],
    recognise: read::recognise,
    read: read::read,
    growth: read::growth,
    ..Format::DEFAULTS
};

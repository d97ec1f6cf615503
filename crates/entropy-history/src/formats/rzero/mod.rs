//! R-Zero's `entropy_history_<run>.json`: one JSON array, written once, when a run ends.
//!
//! ```json
//! [{"step": 1, "entropy": 4.532}, {"step": 2, "entropy": NaN}]
//! ```
//!
//! Python's `json.dump` writes it, so a NaN stands bare, which JSON proper refuses; and a resumed
//! run starts its list anew, so the first step need not be 1. People also keep the same rows as JSON
//! lines, wrapped in an object (`{"entropy_history": [...]}`, or an array a run), or as columns
//! (pandas' `to_dict("list")`); there is one way to read each, so they are read. Such rows have the
//! step under any name of [`steps`], and metrics nested in objects.

use crate::formats::format::Format;

mod read;
mod write;

pub use write::history_file;

pub(crate) const FORMAT: Format = Format {
    name: "rzero",
    about: "R-Zero's entropy_history_<run>.json; the same rows as JSON lines",
    recognised_by: "an array of objects, or objects with a step",
    metrics: &["entropy", "policy/entropy"],
    kinds: &[],
    is_console: false,
    recognise: read::recognise,
    read: read::read,
    growth: read::growth,
};

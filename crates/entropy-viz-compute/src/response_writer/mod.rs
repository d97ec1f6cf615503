//! The files of `--tokens-out` and `--save-rollouts`, with one row per response.
//!
//! The rows of a checkpoint are written to a file of their own, its part, as soon as it is done and before the row of
//! the history. The output itself is assembled from its parts at the end:
//!
//! ```text
//! tokens.jsonl                            steps of earlier runs
//! tokens.jsonl.parts/40-<settings>.jsonl  the rows of step 40
//! ```
//!
//! A process that is killed leaves its parts, and the next one takes them. Every row has the `settings` of its step in
//! the history, so that rows of other prompts, flags or models are never taken for rows of this run.

mod assembly;
mod file;
mod json_lines;
mod output_row;
mod parquet;
mod parts;
mod row_groups;
mod row_writer;
mod stored;

use std::io;
use std::path::Path;

use anyhow::anyhow;
use entropy_shell::{CliError, io_message};

pub(crate) use file::{Expected, ResponseFile};
pub(crate) use output_row::OutputRow;

/// The error of a file that cannot be written.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> CliError {
    anyhow!("cannot write {}: {}", path.display(), io_message(error)).into()
}
